package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

var errStoreAway = errors.New("the store is away")

// shelf is an object store of which all that matters is whether it is there.
type shelf struct {
	held map[string][]byte
	away bool
}

func (s *shelf) Open(o manifest.Object, meta io.ReaderAt) (segfile.Source, error) {
	return &shelved{s, o, meta}, nil
}

func (s *shelf) Fetch(_ context.Context, o manifest.Object, off, n uint64) (io.ReadCloser, error) {
	if s.away {
		return nil, errStoreAway
	}
	return io.NopCloser(bytes.NewReader(s.held[o.Name][off : off+n])), nil
}

type shelved struct {
	s    *shelf
	o    manifest.Object
	meta io.ReaderAt
}

func (x *shelved) Name() string { return "shelf/" + x.o.Name }
func (x *shelved) Size() int64  { return int64(x.o.Bytes) }

func (x *shelved) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(x.o.MetaOffset) {
		return x.meta.ReadAt(p, off-int64(x.o.MetaOffset))
	}
	if x.s.away {
		return 0, errStoreAway
	}
	return copy(p, x.s.held[x.o.Name][off:]), nil
}

// newShelved founds a cluster whose members have a store and no cache of blocks.
func newShelved(t *testing.T, size int) (*cluster, *shelf) {
	s := &shelf{held: map[string][]byte{}}
	return newCluster(t, size, func(o *Options) { o.Ledger.Cold, o.Ledger.BlockCacheBytes = s, -1 }), s
}

func (c *cluster) command(n *Node, data []byte) *Pending {
	p := &Pending{n: n, p: newProposal(bytes.Clone(data))}
	if err := n.begin(p.p); err != nil {
		c.t.Fatal(err)
	}
	return p
}

// shelve seals what there is, and leaves it to the store alone.
func (c *cluster) shelve(s *shelf) {
	c.t.Helper()
	lead := c.leader()
	sealed, err := c.outcome(c.command(lead, ledger.SealNow()))
	if err != nil {
		c.t.Fatal(err)
	}
	c.until("segments everywhere", func() bool {
		for _, m := range c.nodes {
			if through, err := m.node.ledger.Installed(); err != nil || through < sealed.FirstSeq {
				return false
			}
		}
		return true
	})
	for _, g := range lead.ledger.Untiered() {
		id := tlog.SegmentID(g.FirstSeq, g.LastSeq)
		b, err := vfs.ReadFile(c.member(lead.opts.NodeID).fsys, "data/segments/"+id+".seg", 1<<30)
		if err != nil {
			c.t.Fatal(err)
		}
		r, err := segfile.Open(segfile.NewBytesSource(id, b))
		if err != nil {
			c.t.Fatal(err)
		}
		o := manifest.Object{Name: id, Bytes: uint64(len(b)), SHA256: sha256.Sum256(b), MetaOffset: r.MetaOffset()}
		s.held[id] = b
		if _, err := c.outcome(c.command(lead, ledger.TieredWant(g, o).Data)); err != nil {
			c.t.Fatal(err)
		}
	}
	c.agree()
	c.settle()
	for _, m := range c.nodes {
		for _, g := range m.node.ledger.Manifest().Segments {
			if err := m.node.ledger.Evict(c.t.Context(), g.ID); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

func ifSeq(key string, seq uint64) *ledger.Command {
	cmd := put(key, "of its time")
	cmd.Ops[0].Conditions = []ledger.Condition{{Kind: ledger.IfMatch, Seqs: []uint64{seq}}}
	return cmd
}

// TestConditionsWithoutTheStore: a conditional write on a key whose newest version is in the store only is looked up once,
// by the node that its client asked. From there on nobody needs the store for it, and without the store nothing is proposed.
func TestConditionsWithoutTheStore(t *testing.T) {
	c, s := newShelved(t, 3)
	lead, through := c.leader(), c.follower()
	a, b := c.mustWrite(lead, "a", "1"), c.mustWrite(lead, "b", "1")
	c.shelve(s)
	deadline := c.now.Add(10 * time.Second)
	// Both are looked up while the store is there, and applied when it is away: one through the leader, one through a
	// follower. A third one loses against the first.
	first, second := lead.Begin(ifSeq("a", a.FirstSeq), deadline), through.Begin(ifSeq("b", b.FirstSeq), deadline)
	third := through.Begin(ifSeq("a", a.FirstSeq), deadline)
	s.away = true
	if _, err := c.outcome(first); err != nil {
		t.Fatal(err)
	}
	if _, err := c.outcome(second); err != nil {
		t.Fatal(err)
	}
	var failed *ledger.PreconditionError
	if _, err := c.outcome(third); !errors.As(err, &failed) || failed.Seq <= b.FirstSeq {
		t.Fatalf("the one that came later: %v", err)
	}
	c.agree()
	for _, n := range []*Node{lead, through} {
		if _, err := c.outcome(n.Begin(ifSeq("b", 1), deadline)); !errors.As(err, &failed) {
			t.Fatalf("what is in memory now needs no store: %v", err)
		}
		if _, err := c.write(n, "c", "an unconditional write"); err != nil {
			t.Fatal(err)
		}
	}
	s.away = false
	c.mustWrite(lead, "d", "1")
	c.shelve(s)
	s.away = true
	before := c.leader().ledger.AppliedIndex()
	for _, n := range []*Node{lead, through} {
		var cold *ledger.ColdError
		if _, err := c.outcome(n.Begin(ifSeq("d", 1), deadline)); !errors.As(err, &cold) || !errors.Is(err, errStoreAway) {
			t.Fatalf("a write that cannot be looked up: %v", err)
		}
	}
	c.settle()
	if now := c.leader().ledger.AppliedIndex(); now != before {
		t.Fatalf("%d entries were proposed", now-before)
	}
	c.agree()
}

// TestStuckApplyTakesTheOthersState: a member cannot apply an entry, since an object is damaged that the others do not need any
// more. It waits as long as nobody has a state beyond that entry, and then takes that.
func TestStuckApplyTakesTheOthersState(t *testing.T) {
	c, s := newShelved(t, 3)
	a := c.mustWrite(c.leader(), "a", "1")
	c.shelve(s)
	lead, behind := c.leader(), c.follower()
	id := behind.opts.NodeID
	data, err := ledger.EncodeWrite(ifSeq("a", a.FirstSeq))
	if err != nil {
		t.Fatal(err)
	}
	c.member(id).lazy["apply"] = true
	if _, err := c.outcome(c.command(lead, data)); err != nil {
		t.Fatal(err)
	}
	for name := range s.held {
		s.held[name][20] ^= 1
	}
	clear(c.member(id).lazy)
	c.tick(1000)
	if _, damage := behind.ledger.ApplyStuck(); damage == nil || behind.Err() != nil || behind.snapshots.phase != asking {
		t.Fatalf("%v, %v, phase %d", damage, behind.Err(), behind.snapshots.phase)
	}
	for i := range 3 {
		c.mustWrite(lead, "b", string(rune('0'+i)))
		if _, err := c.outcome(c.command(lead, ledger.SealNow())); err != nil {
			t.Fatal(err)
		}
	}
	c.until("the node ends", func() bool { c.tick(10); return behind.Err() != nil })
	if !isCorrupt(behind.Err()) || !behind.WantsRebuild() {
		t.Fatal(behind.Err())
	}
	least := behind.rebuildFrom.Load()
	c.kill(id)
	c.restart(id)
	c.until("the others' state", func() bool {
		n := c.node(id)
		return n.Err() == nil && n.Status().Ready && n.applier.applied.Load() == lead.applier.applied.Load()
	})
	if got := c.node(id).rebuildFrom.Load(); got != least || got == 0 {
		t.Errorf("it took a state as of %d or later, and was told of %d", got, least)
	}
}

// TestApplierSkips: what cannot be applied is passed over for a snapshot that covers it.
func TestApplierSkips(t *testing.T) {
	entries := func(index uint64) batch { return batch{entries: []raft.Entry{{Index: index}}} }
	a := applier{queue: []batch{entries(1), entries(2)}}
	if a.superseded() || a.skip() || len(a.queue) != 2 {
		t.Fatalf("there is no snapshot: %+v", a.queue)
	}
	a.push(batch{install: &raft.Snapshot{Index: 7}, entries: []raft.Entry{{Index: 8}}})
	a.push(entries(9))
	if !a.superseded() || !a.skip() || len(a.queue) != 2 || a.queue[0].install == nil || a.queue[1].entries[0].Index != 9 {
		t.Fatalf("%+v", a.queue)
	}
}

// TestApplyWaitsForTheStore: a command without findings, as logs have them from before, stops the apply loop while the
// store is away, and no more than that: what came before it is applied and answered, nothing has failed, and once the
// store is back all goes on in order.
func TestApplyWaitsForTheStore(t *testing.T) {
	c, s := newShelved(t, 3)
	a := c.mustWrite(c.leader(), "a", "1")
	c.shelve(s)
	lead := c.leader()
	data, err := ledger.EncodeWrite(ifSeq("a", a.FirstSeq))
	if err != nil {
		t.Fatal(err)
	}
	s.away = true
	before, old, after := c.begin(lead, "before"), c.command(lead, data), c.begin(lead, "after")
	c.tick(20)
	if _, err, done := before.p.Outcome(); !done || err != nil {
		t.Fatalf("what came before: %v, %v", done, err)
	}
	for _, p := range []*Pending{old, after.p} {
		if _, err, done := p.Outcome(); done {
			t.Fatalf("it has an outcome without the store: %v", err)
		}
	}
	for _, m := range c.nodes {
		if worked, err := m.node.ApplyStep(); worked || !errors.Is(err, ErrBlocked) || m.node.Err() != nil {
			t.Fatalf("node %d: %v, %v, %v", m.id, worked, err, m.node.Err())
		}
	}
	s.away = false
	first, err := c.outcome(old)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := c.outcome(after.p); err != nil || second.FirstSeq != first.FirstSeq+1 {
		t.Fatalf("entry %d, and then %d, %v", first.FirstSeq, second.FirstSeq, err)
	}
	c.agree()
	if got, err := c.read(c.follower(), "a"); err != nil || !strings.HasPrefix(got, "of its time") {
		t.Fatalf("%q, %v", got, err)
	}
}
