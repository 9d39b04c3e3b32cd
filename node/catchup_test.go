package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// trimEarly keeps no more of the log than must be, in files so small that there are many.
func trimEarly(o *Options) {
	o.KeepLogBytes = -1
	o.WAL.FileBytes = 16 << 10
	o.Ledger.BlockCacheBytes = 1
	o.Ledger.CheckEvery = 64
}

// unmerged is trimEarly for tests that want several segments.
func unmerged(o *Options) {
	trimEarly(o)
	o.Ledger.CompactFanIn = -1
}

// fillSegments writes until a few more segments are installed everywhere where a node is up.
func (c *cluster) fillSegments(segments int) {
	c.t.Helper()
	lead := c.leader()
	through, _ := lead.ledger.Installed()
	for i := 0; segments > 0; i++ {
		c.mustWrite(lead, fmt.Sprintf("k/%d", i%10), strings.Repeat(fmt.Sprint(through, i, "."), 200))
		if now, _ := lead.ledger.Installed(); now > through { // merges may take segments away meanwhile
			through = now
			segments--
		}
	}
	c.tick(3)
}

// lags makes a cluster of three whose node 3 is down and needs a snapshot, and returns it with how many segments that
// node had.
func lags(t *testing.T) (c *cluster, had int) {
	c = newCluster(t, 3, trimEarly)
	c.leader()
	if c.node(3).core.SoftState().Leader == 3 {
		// Its log may end further than the others'.
		c.changed(c.node(3).BeginTransfer(1, c.now.Add(time.Minute)))
	}
	c.fillSegments(2)
	c.agree()
	had = len(c.node(3).ledger.Manifest().Segments)
	last := c.node(3).log.LastIndex()
	c.kill(3)
	c.fillSegments(4)
	if first := c.leader().log.FirstIndex(); first <= last+1 {
		t.Fatalf("the log begins at %d, node 3 needs %d", first, last+1)
	}
	return c, had
}

// caughtUp waits until all nodes that are up have a ledger and hold the same.
func (c *cluster) caughtUp() {
	c.t.Helper()
	c.until("every node has a state", func() bool {
		return !slices.ContainsFunc(c.nodes, func(m *member) bool { return m.node == nil || m.node.core == nil })
	})
	c.leader()
	c.mustWrite(c.leader(), "last", "word")
	c.agree()
	for _, m := range c.nodes {
		if m.node.Err() != nil {
			c.t.Fatalf("node %d has failed: %v", m.id, m.node.Err())
		}
		if got, err := c.read(m.node, "last"); err != nil || got != "word" {
			c.t.Fatalf("node %d reads %q, %v", m.id, got, err)
		}
		it, err := m.node.ledger.Entries(0, false)
		if err != nil {
			c.t.Fatal(err)
		}
		for it.Next() {
		}
		if err := it.Close(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// TestClusterCatchesUp: a node that was down while the log was trimmed takes over the others' state: it fetches little
// more than the segments it lacks, keeps those it has, and goes on with the log behind them.
func TestClusterCatchesUp(t *testing.T) {
	c, _ := lags(t)
	c.restart(3)
	n := c.node(3)
	has := make(map[string]bool)
	for _, s := range n.ledger.Manifest().Segments {
		has[s.ID] = true
	}
	c.member(3).lazy["apply"] = true
	c.until("the core wants it installed", func() bool {
		n.snapshots.mu.Lock()
		defer n.snapshots.mu.Unlock()
		return n.snapshots.claimed
	})
	for n.snapshots.installed() == 0 {
		if _, err := n.ApplyStep(); err != nil {
			t.Fatal(err)
		}
	}
	if at := n.snapshots.installed(); n.applier.applied.Load() < at {
		t.Errorf("applied is %d after a snapshot at %d", n.applier.applied.Load(), at)
	}
	c.member(3).lazy["apply"] = false
	c.caughtUp()
	if got := testutil.ToFloat64(n.snapshots.metrics.installed); got != 1 {
		t.Errorf("%v snapshots were installed", got)
	}
	missing := 0
	for _, s := range n.ledger.Manifest().Segments {
		if !has[s.ID] {
			missing += int(s.Bytes)
		}
	}
	if got := int(testutil.ToFloat64(n.snapshots.metrics.fetchedBytes)); got > missing+missing/10+4_000 {
		t.Errorf("%d bytes were fetched for %d that were missing", got, missing)
	}
	c.kill(3)
	c.restart(3) // from what it has installed
	c.caughtUp()
	for _, name := range []string{"INSTALL", "REBUILD"} {
		if _, err := c.member(3).fsys.Stat("data/" + name); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}

// TestWriteInASnapshotIsUnknown: a leader is cut off once its entry has reached the others, who commit it, go on and trim
// their logs. It comes back to a snapshot that holds the write, which it can neither confirm nor propose again.
func TestWriteInASnapshotIsUnknown(t *testing.T) {
	c := newCluster(t, 3, trimEarly)
	old := c.leader()
	c.fillSegments(1)
	id := old.opts.NodeID
	c.lost = func(p packet) bool { return p.to == id }
	write := old.Begin(put("w", "once"), c.now.Add(time.Hour))
	c.settle()
	c.lost = func(p packet) bool { return p.to == id || p.from == id }
	var lead *Node
	c.until("another leader", func() bool {
		for _, m := range c.nodes {
			if m.id != id && m.node.core.SoftState().Leader == m.id {
				lead = m.node
			}
		}
		return lead != nil
	})
	for i := 0; lead.log.FirstIndex() <= old.log.LastIndex()+1; i++ {
		if i == 1000 {
			t.Fatal("the log is not trimmed")
		}
		c.mustWrite(lead, fmt.Sprintf("k/%d", i%10), strings.Repeat(".", 500))
	}
	c.lost = nil
	_, err := c.outcome(write)
	if !isUnavailable(err, OutcomeUnknown) {
		t.Fatalf("the outcome is %v", err)
	}
	c.caughtUp()
	if n := testutil.ToFloat64(old.snapshots.metrics.installed); n != 1 {
		t.Fatalf("%v snapshots were installed", n)
	}
	it, err := lead.ledger.History([]byte("w"), 1<<40, true)
	if err != nil {
		t.Fatal(err)
	}
	versions := 0
	for it.Next() {
		versions++
	}
	if err := it.Close(); err != nil || versions != 1 {
		t.Fatalf("the write is there %d times, %v", versions, err)
	}
}

// TestClusterCatchesUpThroughCrashes cuts the power of the node that catches up at changes of its disk all over the way:
// while it fetches, installs, and begins its log anew. It opens every time, and catches up.
func TestClusterCatchesUpThroughCrashes(t *testing.T) {
	c, _ := lags(t)
	m := c.member(3)
	const rounds = 40
	count := int64(0) // changes of the disk that it takes
	for round := range int64(rounds) {
		at := int64(-1) // the first time it only counts
		if round > 0 {
			at = round * count / rounds
		}
		mem, mutations := m.fsys, int64(0)
		keep := []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom}[round%3]
		var image *vfs.Mem
		c.seed++
		m.opts.Seed, m.opts.Network = c.seed, &wire{c: c, from: 3}
		m.opts.FS = vfs.NewInject(mem, func(op vfs.Op) vfs.Decision {
			if op.Kind.Mutates() {
				if mutations == at {
					image = mem.CrashClone(vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(uint64(at), 1))})
				}
				mutations++
			}
			return vfs.Decision{}
		})
		var err error
		if m.node, err = Open(m.opts); err != nil {
			t.Fatal(err)
		}
		// What it says once the power is gone nobody hears: a promise that is not on its disk would bind the others.
		c.lost = func(p packet) bool { return image != nil && p.from == 3 }
		lead := c.leader()
		c.until("the crash, or the state", func() bool {
			return image != nil || m.node.Status().AppliedIndex == lead.Status().AppliedIndex
		})
		c.lost = nil
		if image != nil {
			c.wire = slices.DeleteFunc(c.wire, func(p packet) bool { return p.to == 3 || p.from == 3 })
			m.fsys = image
			c.restart(3)
			if m.node.restoring.Load() {
				t.Fatalf("round %d: the crash has left a damaged state: %s", round, m.node.Status().Fault)
			}
		} else {
			count = mutations
		}
		c.caughtUp()
		c.kill(3)
		c.fillSegments(2)
	}
	if count < 50 {
		t.Fatalf("catching up changes the disk %d times only", count)
	}
}

// damage makes a node's files unusable in one way.
type damage struct {
	name string
	do   func(t *testing.T, fsys *vfs.Mem)
}

func segmentNames(t *testing.T, fsys vfs.FS) []string {
	t.Helper()
	names, err := fsys.List("data/segments")
	if err != nil || len(names) < 3 {
		t.Fatalf("segments are %v, %v", names, err)
	}
	for i := range names {
		names[i] = path.Join("data/segments", names[i])
	}
	return names
}

func overwrite(t *testing.T, fsys vfs.FS, name string, from, step int64) {
	t.Helper()
	f, err := fsys.OpenRW(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	for at := from; at < size; at += step {
		if _, err := f.WriteAt([]byte{0xa5}, at); err != nil {
			t.Fatal(err)
		}
	}
}

func damages() []damage {
	return []damage{
		{"a segment is missing", func(t *testing.T, fsys *vfs.Mem) {
			if err := fsys.Remove(segmentNames(t, fsys)[1]); err != nil {
				t.Fatal(err)
			}
		}},
		{"all segments are missing", func(t *testing.T, fsys *vfs.Mem) {
			for _, name := range segmentNames(t, fsys) {
				if err := fsys.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"a segment is damaged all over", func(t *testing.T, fsys *vfs.Mem) {
			overwrite(t, fsys, segmentNames(t, fsys)[0], 10, 100)
		}},
		{"a segment is cut", func(t *testing.T, fsys *vfs.Mem) {
			f, err := fsys.OpenRW(segmentNames(t, fsys)[1])
			if err == nil {
				err = f.Truncate(1000)
			}
			if err != nil {
				t.Fatal(err)
			}
		}},
		{"the manifest is damaged", func(t *testing.T, fsys *vfs.Mem) { overwrite(t, fsys, "data/MANIFEST", 50, 10_000) }},
		{"the manifest is missing", func(t *testing.T, fsys *vfs.Mem) {
			if err := fsys.Remove("data/MANIFEST"); err != nil {
				t.Fatal(err)
			}
		}},
		{"manifest and segments are missing", func(t *testing.T, fsys *vfs.Mem) {
			for _, name := range append(segmentNames(t, fsys), "data/MANIFEST") {
				if err := fsys.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"a rebuild was noted", func(t *testing.T, fsys *vfs.Mem) {
			if err := vfs.WriteFileAtomic(fsys, "data", rebuildName, []byte("for a reason\n")); err != nil {
				t.Fatal(err)
			}
		}},
	}
}

// TestClusterRebuilds: a node whose state is damaged in any way opens, says what it does, serves nothing, fetches what it
// lacks from the others, and is as they are.
func TestClusterRebuilds(t *testing.T) {
	for _, d := range damages() {
		t.Run(d.name, func(t *testing.T) {
			c := newCluster(t, 3, unmerged)
			c.leader()
			c.fillSegments(4)
			c.agree()
			victim := c.follower().opts.NodeID
			c.kill(victim)
			c.fillSegments(1)
			d.do(t, c.member(victim).fsys)
			c.restart(victim)
			n := c.node(victim)
			if st := n.Status(); !n.restoring.Load() || !strings.Contains(st.Fault, "rebuilding from peers") || st.Ready {
				t.Fatalf("the node is not rebuilding: %+v", st)
			}
			if _, err, done := n.Begin(put("k", "v"), c.now).Outcome(); !done || !isUnavailable(err, NotReady) {
				t.Fatalf("a write: %v", err)
			}
			if _, err, done := n.BeginBarrier(c.now).Outcome(); !done || !isUnavailable(err, NotReady) {
				t.Fatalf("a read: %v", err)
			}
			if _, err := n.ledger.Get([]byte("k/1"), ledger.Selector{}); !errors.Is(err, ledger.ErrRebuilding) {
				t.Fatalf("a stale read: %v", err)
			}
			c.caughtUp()
			if st := n.Status(); st.Fault != "" {
				t.Fatalf("fault is %q", st.Fault)
			}
			c.fillSegments(1)
			c.caughtUp()
			c.kill(victim)
			c.restart(victim)
			if c.node(victim).restoring.Load() {
				t.Fatal("it is rebuilt again")
			}
			c.caughtUp()
		})
	}
}

func isUnavailable(err error, reason Reason) bool {
	var u *Unavailable
	return errors.As(err, &u) && u.Reason == reason
}

// TestClusterRebuildsThroughCrashes cuts the power of a node that is rebuilt, again and again.
func TestClusterRebuildsThroughCrashes(t *testing.T) {
	c := newCluster(t, 3, trimEarly)
	c.leader()
	c.fillSegments(4)
	c.agree()
	victim := c.follower().opts.NodeID
	c.kill(victim)
	c.fillSegments(1)
	m := c.member(victim)
	overwrite(t, m.fsys, segmentNames(t, m.fsys)[0], 10, 100)
	overwrite(t, m.fsys, "data/MANIFEST", 50, 10_000)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 40 {
		c.restart(victim)
		for range rnd.IntN(60) {
			c.step(m)
			c.deliver()
			for _, o := range c.nodes {
				if o != m {
					c.step(o)
				}
			}
		}
		keep := []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom}[rnd.IntN(3)]
		m.fsys = m.fsys.CrashClone(vfs.CrashOptions{Keep: keep, Rand: rnd})
		m.node = nil
		c.wire = nil
	}
	c.restart(victim)
	c.caughtUp()
}

// TestDivergedReplicaRebuilds has a follower apply what nobody else does. Its segment has another root than the others
// agreed on: it takes itself out, and the next start rebuilds it. Nobody else is touched.
func TestDivergedReplicaRebuilds(t *testing.T) {
	c := newCluster(t, 3, trimEarly)
	c.leader()
	c.fillSegments(2)
	victim := c.follower()
	id := victim.opts.NodeID
	c.mustWrite(c.leader(), "flipped", strings.Repeat("x", 100))
	c.agree()
	// What bad memory or a bug may do: it applies something that the others do not.
	data, err := ledger.EncodeWrite(&ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut, Key: []byte("only here")}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := victim.ledger.Apply(victim.ledger.AppliedIndex(), 1, data); err != nil {
		t.Fatal(err)
	}
	lead := c.leader()
	want := len(lead.ledger.Manifest().Segments) + 2
	for i := 0; len(lead.ledger.Manifest().Segments) < want; i++ {
		c.mustWrite(lead, fmt.Sprint(i), strings.Repeat(".", 500))
	}
	c.until("the victim takes itself out", func() bool { return victim.Err() != nil })
	if !isDiverged(victim.Err()) {
		t.Fatalf("the victim failed otherwise: %v", victim.Err())
	}
	c.kill(id)
	c.fillSegments(1)
	c.restart(id)
	if !c.node(id).restoring.Load() {
		t.Fatal("it is not rebuilt")
	}
	c.caughtUp()
	if got, err := c.read(c.node(id), "flipped"); err != nil || got != strings.Repeat("x", 100) {
		t.Fatalf("it reads %q, %v", got, err)
	}
}

// TestDamagedSegmentIsRepairedWhileServing, without the node's going out of service.
func TestDamagedSegmentIsRepairedWhileServing(t *testing.T) {
	c := newCluster(t, 3, unmerged)
	c.leader()
	c.fillSegments(4)
	c.agree()
	victim := c.follower()
	overwrite(t, c.member(victim.opts.NodeID).fsys, segmentNames(t, c.member(victim.opts.NodeID).fsys)[1], 10, 100)
	read := func() error {
		it, err := victim.ledger.Entries(0, false)
		if err != nil {
			return err
		}
		for it.Next() {
		}
		return it.Close()
	}
	if err := read(); !isCorrupt(err) {
		t.Fatalf("the damage is not seen: %v", err)
	}
	c.until("the repair", func() bool { return read() == nil })
	if victim.Err() != nil {
		t.Fatal(victim.Err())
	}
	c.caughtUp()
	names, err := c.member(victim.opts.NodeID).fsys.List("data/damaged")
	if err != nil || len(names) != 1 {
		t.Fatalf("put aside are %v, %v", names, err)
	}
}

// TestDamageOfTheLogIsNoReasonToRebuild: the log holds what was promised, which no other member knows.
func TestDamageOfTheLogIsNoReasonToRebuild(t *testing.T) {
	c := newCluster(t, 3, trimEarly)
	c.leader()
	n := c.follower()
	for file, want := range map[string]bool{"data/wal/0000000000000001.log": false, "data/segments/x.seg": true,
		"data/MANIFEST": true} {
		if err := fmt.Errorf("apply: %w", &vfs.CorruptError{File: file}); n.unsound(err) != want {
			t.Errorf("damage of %s: rebuilt %v", file, !want)
		}
	}
	if n.unsound(errors.New("of another kind")) || !n.unsound(&ledger.DivergedError{}) {
		t.Error("other errors are taken for damage, or divergence is not")
	}
}

// TestAloneNothingIsRebuilt: a node without others refuses a damaged state, as it cannot be made good, and changes nothing.
func TestAloneNothingIsRebuilt(t *testing.T) {
	c := newCluster(t, 1, trimEarly)
	c.leader()
	c.fillSegments(4)
	c.kill(1)
	m := c.member(1)
	overwrite(t, m.fsys, "data/MANIFEST", 50, 10_000)
	if err := c.tryOpen(m); !isCorrupt(err) {
		t.Fatalf("it opens: %v", err)
	}
	if _, err := m.fsys.Stat("data/REBUILD"); err == nil {
		t.Fatal("a rebuild is noted")
	}
}
