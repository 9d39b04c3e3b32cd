package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// archived gives the nodes of a cluster a store, without the daemon that fills it.
func archived(store tier.Store) func(*Options) {
	return func(o *Options) {
		o.Ledger.Cold = NewCold(store, tier.NewRanges(store, tier.RangesOptions{Inline: true}))
		o.Ledger.CompactFanIn = -1
	}
}

// upload puts the segments of a node into the store and has the log say so.
func (c *cluster) upload(n *Node, store tier.Store) {
	c.t.Helper()
	for _, g := range n.ledger.Untiered() {
		part := ledger.SegmentPart{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq, Root: g.Root, Bytes: g.Bytes}
		f, err := n.ledger.OpenSegment(part)
		if err != nil {
			c.t.Fatal(err)
		}
		src, err := segfile.NewFileSource(f.Name(), f.File)
		if err != nil {
			c.t.Fatal(err)
		}
		meta, err := verifySegment(context.Background(), src, &g)
		if err != nil {
			c.t.Fatal(err)
		}
		o, _, err := tier.NewUploader(store, tier.UploaderOptions{}).Upload(context.Background(), tier.SegmentFile{
			SegmentMetadata: tier.SegmentMetadata{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq, Entries: g.Entries, Root: g.Root,
				MetaOffset: int64(meta)}, Bytes: f, Size: int64(f.Bytes)})
		if err != nil {
			c.t.Fatal(err)
		}
		f.Close()
		w := ledger.TieredWant(g, recordedObject(o))
		if err := n.propose([]*proposal{{data: w.Data, want: &w.Key}}); err != nil {
			c.t.Fatal(err)
		}
	}
	c.settle()
}

// publishable waits until a node's newest state can be published.
func (c *cluster) publication(n *Node) archive.Publication {
	c.t.Helper()
	state, _, err := n.ledger.Archive(n.ledger.Candidate())
	if err != nil || state == nil {
		c.t.Fatalf("nothing is to be published: %v", err)
	}
	text, err := n.ledger.Checkpoint(state.TreeSize)
	if err != nil {
		c.t.Fatal(err)
	}
	return archive.Publication{Identity: archive.Identity{LedgerID: n.LedgerID(), Origin: n.ledger.Origin()}, State: state,
		Checkpoint: []byte(text), Tree: n.ledger, Parallel: 1}
}

func (c *cluster) publish(n *Node, store tier.Store) error {
	return archive.Publish(context.Background(), store, c.publication(n))
}

// sealed writes some entries and has every node put them into a segment.
func (c *cluster) sealed(n *Node, name string, count int) {
	c.t.Helper()
	for i := range count {
		c.mustWrite(n, fmt.Sprintf("%s/%d", name, i%7), fmt.Sprintf("%s %d", name, i))
	}
	c.sealAll(n)
}

func (c *cluster) sealAll(n *Node) {
	c.t.Helper()
	p := &proposal{data: ledger.SealNow(), done: make(chan outcome, 1)}
	if err := n.begin(p); err != nil {
		c.t.Fatal(err)
	}
	c.until("a seal", func() bool {
		for _, m := range c.nodes {
			if m.node == nil {
				continue
			}
			if through, _ := m.node.ledger.Installed(); through == 0 || len(m.node.ledger.BuiltRoots()) > 0 {
				return false
			}
		}
		return true
	})
	c.tick(3)
}

// newArchived is a cluster of three with a published state, and what is published.
func newArchived(t *testing.T) (*cluster, *tier.Mem, *archive.Published) {
	t.Helper()
	store := tier.NewMem(tier.MemOptions{})
	c := newCluster(t, 3, archived(store))
	lead := c.leader()
	for i := range 3 {
		c.sealed(lead, fmt.Sprintf("part %d", i), 20)
		if _, err := c.outcome(lead.Begin(&ledger.Command{IdempotencyKey: fmt.Sprintf("once %d", i),
			Ops: put("idempotent", fmt.Sprint(i)).Ops}, time.Time{})); err != nil {
			t.Fatal(err)
		}
	}
	c.sealAll(lead)
	c.upload(lead, store)
	p := c.publication(lead)
	if err := archive.Claim(t.Context(), store, p.Identity); err != nil {
		t.Fatal(err)
	}
	if err := archive.Publish(t.Context(), store, p); err != nil {
		t.Fatal(err)
	}
	published, err := archive.Read(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	return c, store, published
}

// newRestored is a cluster of three that begins with a published state.
func newRestored(t *testing.T, now time.Time, store tier.Store, p *archive.Published) *cluster {
	t.Helper()
	c := newCluster(t, 3, func(o *Options) {
		archived(store)(o)
		o.Restore = p
	})
	c.now = now
	return c
}

// TestRestoreCluster loses all disks of a cluster, and restores it: three founders that begin with the same published state
// form a cluster with that state, whose ledger goes on, is published, is restored again, and takes in a member.
func TestRestoreCluster(t *testing.T) {
	old, store, published := newArchived(t)
	lead := old.leader()
	want := map[string]string{}
	for i := range 7 {
		for part := range 3 {
			key := fmt.Sprintf("part %d/%d", part, i)
			value, err := old.read(lead, key)
			if err != nil {
				t.Fatal(err)
			}
			want[key] = value
		}
	}
	wasLedger, wasCluster, origin := lead.LedgerID(), lead.ClusterID(), lead.ledger.Origin()
	for round := range 2 {
		c := newRestored(t, old.now, store, published)
		lead := c.leader()
		if lead.LedgerID() != wasLedger || lead.ClusterID() == wasCluster || lead.ledger.Origin() != origin {
			t.Fatalf("ledger %s in cluster %s, origin %s", lead.LedgerID(), lead.ClusterID(), lead.ledger.Origin())
		}
		for _, m := range c.nodes {
			if m.node.ClusterID() != lead.ClusterID() {
				t.Fatal("the founders are of several clusters")
			}
			if root, err := m.node.ledger.RootAt(published.Checkpoint.Size); err != nil || root != published.Checkpoint.Root {
				t.Fatalf("node %d has root %s, published is %s: %v", m.id, root, published.Checkpoint.Root, err)
			}
			if st := m.node.Status(); len(st.Members) != 3 || st.Members[0].RaftAddr != raftAddr(1) {
				t.Fatalf("members are %+v", st.Members)
			}
		}
		for key, value := range want {
			if got, err := c.read(c.follower(), key); err != nil || got != value {
				t.Fatalf("%s is %q, was %q: %v", key, got, value, err)
			}
		}
		r, err := c.outcome(lead.Begin(&ledger.Command{IdempotencyKey: "once 1", Ops: put("idempotent", "1").Ops}, time.Time{}))
		if err != nil || !r.Replayed || r.FirstSeq >= published.Checkpoint.Size {
			t.Fatalf("a write that was done before the restore: %+v, %v", r, err)
		}
		c.until("all segments recorded, with objects", func() bool { return len(lead.ledger.Unsettled()) == 0 })
		name := fmt.Sprintf("restored %d", round)
		c.sealed(lead, name, 20)
		c.agree()
		c.upload(lead, store)
		if err := c.publish(lead, store); err != nil {
			t.Fatal(err)
		}
		next, err := archive.Read(t.Context(), store)
		if err != nil || next.Checkpoint.Size <= published.Checkpoint.Size || next.Version <= published.Version {
			t.Fatalf("published is %+v, %v", next, err)
		}
		want[name+"/3"] = name + " 17"
		// A member joins, and one is wiped out by a power cut: the log begins where the restore ended.
		j := c.add(4)
		archived(store)(&j.opts)
		j.opts.Join = &JoinInfo{ClusterID: lead.ClusterID(), LedgerID: lead.LedgerID()}
		for _, m := range c.nodes[:3] {
			j.opts.Join.Members = append(j.opts.Join.Members, Member{NodeID: m.id, RaftAddr: raftAddr(m.id)})
		}
		if err := c.changed(lead.BeginJoin(JoinRequest{NodeID: 4, RaftAddr: raftAddr(4), HTTPAddr: httpAddr(4)}, time.Time{})); err != nil {
			t.Fatal(err)
		}
		c.open(j)
		c.kill(c.follower().opts.NodeID)
		for _, m := range c.nodes {
			if m.node == nil {
				c.restart(m.id)
			}
		}
		c.agree()
		if j.node.ledger.NextSeq() < next.Checkpoint.Size || j.node.LedgerID() != wasLedger {
			t.Fatalf("the member that joined has %d entries of ledger %s", j.node.ledger.NextSeq(), j.node.LedgerID())
		}
		published = next
	}
}

// TestSurvivorConflicts: a member of the old cluster, and that cluster, do not go on as if nothing had happened when it was
// restored behind them: what they publish is refused, and what is published stays.
func TestSurvivorConflicts(t *testing.T) {
	old, store, published := newArchived(t)
	survivor := old.leader()
	for i := range 10 {
		old.mustWrite(survivor, fmt.Sprintf("unpublished/%d", i), "lost by the restore")
	}
	c := newRestored(t, old.now, store, published)
	lead := c.leader()
	c.sealed(lead, "restored", 30)
	c.upload(lead, store)
	if err := c.publish(lead, store); err != nil {
		t.Fatal(err)
	}
	after, err := archive.Read(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	old.sealed(survivor, "more", 60)
	old.upload(survivor, store)
	var conflict *archive.ConflictError
	if err := old.publish(survivor, store); !errors.As(err, &conflict) || conflict.Size != after.Checkpoint.Size {
		t.Fatalf("the survivor publishes: %v", err)
	}
	if now, err := archive.Read(t.Context(), store); err != nil || now.SHA256 != after.SHA256 {
		t.Fatalf("published is %+v, %v", now, err)
	}
	c.sealed(lead, "again", 10)
	c.upload(lead, store)
	if err := c.publish(lead, store); err != nil {
		t.Fatal(err)
	}
}

// TestFoundersOfOtherStates: founders that begin with different states, or without one, are of different clusters.
func TestFoundersOfOtherStates(t *testing.T) {
	old, store, first := newArchived(t)
	lead := old.leader()
	old.sealed(lead, "more", 10)
	old.upload(lead, store)
	if err := old.publish(lead, store); err != nil {
		t.Fatal(err)
	}
	second, err := archive.Read(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	clusters := map[string]bool{lead.ClusterID(): true}
	for _, p := range []*archive.Published{first, second} {
		c := newRestored(t, old.now, store, p)
		clusters[c.leader().ClusterID()] = true
	}
	if len(clusters) != 3 {
		t.Fatalf("clusters are %v", clusters)
	}
}

// TestCrashAtEveryStepOfARestore cuts the power at every file system operation of the start that restores. The next start
// completes or redoes it; one that is not told to restore goes on with what was decided, or refuses; and none ever begins an
// empty ledger in that directory.
func TestCrashAtEveryStepOfARestore(t *testing.T) {
	_, store, published := newArchived(t)
	options := func(fsys vfs.FS, restore bool) Options {
		opts := testOptions(fsys)
		archived(store)(&opts)
		opts.Manual = true
		if restore {
			opts.Restore = published
		}
		return opts
	}
	check := func(when string, n *Node) {
		t.Helper()
		defer n.Close()
		if root, err := n.ledger.RootAt(published.Checkpoint.Size); err != nil || root != published.Checkpoint.Root ||
			n.LedgerID() != published.Identity.LedgerID {
			t.Fatalf("%s: ledger %s with %d entries: %v", when, n.LedgerID(), n.ledger.NextSeq(), err)
		}
		p := n.Begin(put("more", "value"), time.Time{})
		for range 1000 {
			for _, step := range []func() (bool, error){n.Turn, n.PersistStep, n.ApplyStep, n.FlushStep, n.KeepStep} {
				if _, err := step(); err != nil {
					t.Fatalf("%s: %v", when, err)
				}
			}
			if _, err, done := p.Outcome(); done {
				if err != nil {
					t.Fatalf("%s: %v", when, err)
				}
				return
			}
		}
		t.Fatalf("%s: no write", when)
	}
	mem := vfs.NewMem()
	var disks []*vfs.Mem
	keeps := []vfs.Keep{vfs.KeepNone, vfs.KeepAll}
	opts := options(vfs.NewInject(mem, vfs.OnOp(func(vfs.Op) {
		for _, keep := range keeps {
			disks = append(disks, mem.CrashClone(vfs.CrashOptions{Keep: keep}))
		}
	})), true)
	n, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	check("without a crash", n)
	refused, empty := 0, 0
	for i, disk := range disks {
		when := fmt.Sprintf("crash %d", i)
		n, err := Open(options(disk.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}), true))
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		check(when, n)
		untouched := disk.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
		names, _ := untouched.List("data") // which may not be there yet
		began := false
		for _, name := range names {
			began = began || name != "LOCK"
		}
		n, err = Open(options(untouched, false))
		var refusal *RefusedError
		switch {
		case errors.As(err, &refusal) && began:
			refused++
		case err != nil:
			t.Fatalf("%s, without being told to restore: %v", when, err)
		case !began && n.ledger.NextSeq() == 0: // nothing of the restore is there
			empty++
			n.Close()
		default:
			check(when+", without being told to restore", n)
		}
	}
	if refused < 10 || empty == len(disks) || len(disks) < 60 {
		t.Errorf("of %d crashes %d were refused, and %d began anew", len(disks), refused, empty)
	}
}

// TestRestoreRefused: what cannot be restored is refused with a reason, and the directory stays free for another try.
func TestRestoreRefused(t *testing.T) {
	_, store, published := newArchived(t)
	try := func(edit func(*Options)) error {
		fsys := vfs.NewMem()
		opts := testOptions(fsys)
		archived(store)(&opts)
		opts.Restore, opts.Manual = published, true
		edit(&opts)
		n, err := Open(opts)
		if err == nil {
			n.Close()
		}
		return err
	}
	var refused *RefusedError
	for name, edit := range map[string]func(*Options){
		"no store":       func(o *Options) { o.Ledger.Cold = nil },
		"another origin": func(o *Options) { o.Ledger.Origin = "other" },
		"a join":         func(o *Options) { o.Join = &JoinInfo{ClusterID: raft.ClusterID{1}.String()} },
	} {
		if err := try(edit); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := try(func(*Options) {}); err != nil {
		t.Error(err)
	}
	// A store that fails is tried again by the next start; a damaged object is said to be damaged.
	fsys := vfs.NewMem()
	opts := testOptions(fsys)
	archived(store)(&opts)
	opts.Restore, opts.Manual = published, true
	name := published.State.Segments[0].Object.Name
	var whole []byte
	store.Tamper(name, func(b []byte) []byte { whole = bytes.Clone(b); b[len(b)-200] ^= 1; return b })
	var corrupt *vfs.CorruptError
	if _, err := Open(opts); !errors.As(err, &corrupt) {
		t.Fatal(err)
	}
	store.Tamper(name, func([]byte) []byte { return whole })
	opts.Restore, opts.Seed = nil, 99
	n, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if got := n.ledger.NextSeq(); got != published.Checkpoint.Size {
		t.Fatal(got)
	}
}
