package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// tierCluster is a cluster over one object store, whose faults and clock are the test's. It looks at every change of every
// disk: no file of a segment goes too early.
type tierCluster struct {
	*cluster
	store  *tier.Mem
	faults func(tier.Request) tier.Fault
	// asked is told of every request of a node, before it is made and after it was answered. It may make the node's power fail.
	asked func(m *member, r tier.Request, answered bool)
	wrote map[string]string // what clients were told is there
	// published are the objects that the newest published state names.
	published map[string]bool
	serial,
	removed int // files of segments that went for their objects
}

var errPowerCut = errors.New("the power is gone")

// newTierCluster founds a cluster whose nodes have a cold tier.
func newTierCluster(t *testing.T, size int, tune func(*TierOptions), edit func(*Options)) *tierCluster {
	t.Helper()
	c := &tierCluster{cluster: &cluster{t: t, now: time.Unix(1_800_000_000, 0)}, wrote: map[string]string{}}
	instant := func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	c.store = tier.NewMem(tier.MemOptions{PartBytes: 8 << 10, Now: func() time.Time { return c.now }, Sleep: instant,
		Faults: func(r tier.Request) tier.Fault {
			if c.faults == nil {
				return tier.Fault{}
			}
			return c.faults(r)
		}})
	var founders []Founder
	for id := uint64(1); id <= uint64(size); id++ {
		founders = append(founders, Founder{NodeID: id, RaftAddr: raftAddr(id)})
	}
	for _, f := range founders {
		m := c.add(f.NodeID)
		m.opts.Initial = founders
		m.opts.Ledger.CompactFanIn = -1
		store := &nodeStore{c.store, c, m}
		o := TierOptions{Store: store, Ranges: tier.NewRanges(store, tier.RangesOptions{Inline: true, HedgeShare: -1,
			AheadBytes: -1, Sleep: instant, Now: func() time.Time { return c.now }, Random: func() float64 { return 0.5 }}),
			Interval: time.Second, FetchReads: -1}
		if tune != nil {
			tune(&o)
		}
		m.opts.Tier = &o
		if edit != nil {
			edit(&m.opts)
		}
		m.hook = func(op vfs.Op) vfs.Decision { return c.touch(m, op) }
		c.open(m)
	}
	return c
}

// touch watches a change of a disk.
func (c *tierCluster) touch(m *member, op vfs.Op) vfs.Decision {
	if m.down {
		return vfs.Decision{Err: errPowerCut}
	}
	if segmentGoes(op) {
		c.checkRemoval(m, op.Name)
	}
	return vfs.Decision{}
}

// readPublished reads the newest published state, as far as there is one.
func (c *tierCluster) readPublished() {
	defer c.well()()
	p, err := archive.Read(context.Background(), c.store)
	if err != nil {
		return
	}
	c.published = make(map[string]bool)
	for i := range p.State.Segments {
		c.published[p.State.Segments[i].Object.Name] = true
	}
}

// segmentGoes says that with this change a segment's file is gone for good. One that is put aside is damaged.
func segmentGoes(op vfs.Op) bool {
	return (op.Kind == vfs.OpRemove || op.Kind == vfs.OpRename && path.Dir(op.NewName) != "data/damaged") &&
		path.Dir(op.Name) == "data/segments" && path.Ext(op.Name) == ".seg"
}

// checkRemoval holds the one rule of eviction against a file that is about to go: what a power cut at this moment would leave
// must be enough to read the segment.
func (c *tierCluster) checkRemoval(m *member, name string) {
	disk := m.fsys.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone})
	encoded, err := vfs.ReadFile(disk, "data/MANIFEST", 1<<30)
	if err != nil {
		c.t.Fatalf("node %d: %v", m.id, err)
	}
	state, err := manifest.Decode(encoded)
	if err != nil {
		c.t.Fatalf("node %d: %v", m.id, err)
	}
	id := strings.TrimSuffix(path.Base(name), ".seg")
	i := slices.IndexFunc(state.Segments, func(g manifest.Segment) bool {
		return tlog.SegmentID(g.FirstSeq, g.LastSeq) == id
	})
	if i < 0 {
		return // it was merged
	}
	c.removed++
	g := &state.Segments[i]
	if !g.Object.Exists() {
		c.t.Fatalf("node %d: the file of segment %s goes, and the manifest on disk lists no object", m.id, id)
	}
	meta, err := vfs.ReadFile(disk, strings.TrimSuffix(name, ".seg")+".meta", 1<<30)
	if err != nil || uint64(len(meta)) != g.Object.Bytes-g.Object.MetaOffset {
		c.t.Fatalf("node %d: the file of segment %s goes, and of its meta tail %d bytes are durable: %v", m.id, id, len(meta),
			err)
	}
	c.checkObject(g)
}

// well takes the faults away until what it returns is called.
func (c *tierCluster) well() (back func()) {
	faults := c.faults
	c.faults = nil
	return func() { c.faults = faults }
}

// checkObject reads an object and holds it against what the log says of it.
func (c *tierCluster) checkObject(g *manifest.Segment) {
	c.t.Helper()
	defer c.well()()
	data, o, err := tier.ReadAll(context.Background(), c.store, g.Object.Name, 1<<30)
	if err != nil || sha256.Sum256(data) != g.Object.SHA256 || !bytes.Equal(o.SHA256, g.Object.SHA256[:]) {
		c.t.Fatalf("object %s is not what is recorded: %v", g.Object.Name, err)
	}
	expect := sstable.Info{ID: tlog.SegmentID(g.FirstSeq, g.LastSeq), FirstSeq: g.FirstSeq, LastSeq: g.LastSeq,
		Entries: g.LastSeq - g.FirstSeq + 1, Root: g.Root, MinKey: g.MinKey, MaxKey: g.MaxKey, FirstTime: g.FirstTime,
		LastTime: g.LastTime}
	table, err := sstable.Open(segfile.NewBytesSource(g.Object.Name, data), sstable.Options{Expect: &expect})
	if err == nil {
		err = table.Verify(context.Background(), nil)
	}
	if err != nil || table.MetaOffset() != g.Object.MetaOffset {
		c.t.Fatalf("object %s is not its segment: %v", g.Object.Name, err)
	}
}

// cut ends a node's power in the middle of a step.
func (c *tierCluster) cut(m *member, keep vfs.Keep) {
	m.fsys = m.fsys.CrashClone(vfs.CrashOptions{Keep: keep})
	m.down = true
	c.wire = slices.DeleteFunc(c.wire, func(p packet) bool { return p.to == m.id || p.from == m.id })
}

// nodeStore is the object store as one node reaches it.
type nodeStore struct {
	tier.Store
	c *tierCluster
	m *member
}

func relay[T any](s *nodeStore, r tier.Request, do func() (T, error)) (T, error) {
	var none T
	for _, answered := range []bool{false, true} {
		if s.m.down {
			return none, &tier.Error{Op: r.Op.String(), Key: r.Key, Err: errPowerCut}
		}
		var out T
		var err error
		if answered {
			out, err = do()
		}
		if s.c.asked != nil {
			s.c.asked(s.m, r, answered)
		}
		if answered && r.Key == tier.LatestName && (r.Op == tier.OpPut || r.Op == tier.OpReplace) {
			s.c.readPublished()
		}
		if answered && !s.m.down {
			return out, err
		}
	}
	return none, &tier.Error{Op: r.Op.String(), Key: r.Key, Err: errPowerCut}
}

func (s *nodeStore) Put(ctx context.Context, key string, body tier.Body, o tier.PutOptions) (tier.Object, error) {
	return relay(s, tier.Request{Op: tier.OpPut, Key: key, Len: body.Size}, func() (tier.Object, error) {
		return s.Store.Put(ctx, key, body, o)
	})
}

func (s *nodeStore) Replace(ctx context.Context, key string, body tier.Body, match string, o tier.PutOptions,
) (tier.Object, error) {
	return relay(s, tier.Request{Op: tier.OpReplace, Key: key, Len: body.Size}, func() (tier.Object, error) {
		return s.Store.Replace(ctx, key, body, match, o)
	})
}

func (s *nodeStore) Get(ctx context.Context, key string, off, n int64) (*tier.Reader, error) {
	return relay(s, tier.Request{Op: tier.OpGet, Key: key, Off: off, Len: n}, func() (*tier.Reader, error) {
		return s.Store.Get(ctx, key, off, n)
	})
}

func (s *nodeStore) Delete(ctx context.Context, key string) error {
	_, err := relay(s, tier.Request{Op: tier.OpDelete, Key: key}, func() (struct{}, error) {
		return struct{}{}, s.Store.Delete(ctx, key)
	})
	return err
}

// fill writes until there are so many more segments, all of them recorded everywhere.
func (c *tierCluster) fill(segments int) {
	c.t.Helper()
	lead := c.leader()
	want := len(lead.ledger.Recorded()) + segments
	for len(lead.ledger.Recorded()) < want {
		c.writeSome(8)
		lead = c.leader()
	}
	c.until("segments on all nodes", func() bool {
		return c.everywhere(func(n *Node) bool { return len(n.ledger.Manifest().Segments) >= want })
	})
}

// writeSome writes keys that the test knows from then on, in one batch each.
func (c *tierCluster) writeSome(keys int) {
	c.t.Helper()
	var cmd ledger.Command
	for range keys {
		c.serial++
		key := fmt.Sprintf("key-%05d", c.serial)
		value := strings.Repeat(fmt.Sprintf("%s-%d ", key, c.serial), 20)
		cmd.Ops = append(cmd.Ops, ledger.WriteOp{Op: tlog.OpPut, Key: []byte(key), Value: []byte(value)})
	}
	if _, err := c.outcome(c.leader().Begin(&cmd, c.now.Add(10*time.Second))); err != nil {
		c.t.Fatalf("write: %v\n%s", err, c)
	}
	for _, op := range cmd.Ops {
		c.wrote[string(op.Key)] = string(op.Value)
	}
}

func (c *tierCluster) everywhere(holds func(*Node) bool) bool {
	return !slices.ContainsFunc(c.nodes, func(m *member) bool { return m.node != nil && !holds(m.node) })
}

// tiered says whether every recorded segment has an object, on every node that is up.
func (c *tierCluster) tiered() bool {
	return c.everywhere(func(n *Node) bool {
		return !slices.ContainsFunc(n.ledger.Recorded(), func(r manifest.Recorded) bool { return !r.Object.Exists() })
	})
}

// checkAll reads everything that was written on every node, and every object that is recorded.
func (c *tierCluster) checkAll() {
	c.t.Helper()
	c.agree()
	for _, m := range c.nodes {
		if m.node == nil {
			continue
		}
		for key, value := range c.wrote {
			e, err := m.node.ledger.Get([]byte(key), ledger.Selector{})
			if err != nil || string(e.Value) != value {
				c.t.Fatalf("node %d: %s: %v", m.id, key, err)
			}
		}
	}
	for _, p := range c.leader().ledger.Placed() {
		if p.Object.Exists() {
			c.checkObject(&p.Segment)
		}
	}
}

// objects are the names of the segments' objects in the store.
func (c *tierCluster) objects() (names []string) {
	c.t.Helper()
	defer c.well()()
	page, err := c.store.List(context.Background(), tier.SegmentPrefix, "", 0)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, o := range page.Objects {
		names = append(names, o.Key)
	}
	return names
}

// checkOneEach says that the store has one object for each recorded segment, and nothing else of segments.
func (c *tierCluster) checkOneEach() {
	c.t.Helper()
	var want []string
	for _, r := range c.leader().ledger.Recorded() {
		want = append(want, r.Object.Name)
	}
	if got := c.objects(); !slices.Equal(got, want) {
		c.t.Fatalf("the store has the objects\n%q, recorded are\n%q", got, want)
	}
	if left, err := c.store.Uploads(context.Background(), "", tier.Upload{}, 0); err != nil || len(left.Uploads) > 0 {
		c.t.Fatalf("uploads are left open: %v, %v", left.Uploads, err)
	}
}

func (c *tierCluster) colds(n *Node) (cold int) {
	for _, p := range n.ledger.Placed() {
		if p.Cold {
			cold++
		}
	}
	return cold
}

// round has a node do a round of tiering.
func (c *tierCluster) round(n *Node, evict bool) (TierResult, error) {
	c.t.Helper()
	p := n.BeginTier(evict, c.now.Add(time.Minute))
	c.until("the outcome of a round", func() bool { _, _, done := p.Outcome(); return done })
	r, err, _ := p.Outcome()
	return r, err
}
