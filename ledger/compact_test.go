package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/vfs"
)

// cluster2 is a leader, which wants and decides, and a follower, which are fed one log.
type cluster2 struct {
	t                testing.TB
	leader, follower *replica
	log              [][]byte
}

func newCluster2(t testing.TB) *cluster2 {
	merging := func(o *Options) { o.CompactFanIn = 2 }
	return &cluster2{t: t, leader: newReplica(t, merging), follower: newReplica(t, merging)}
}

// record has the log record the merges that a replica has built.
func (c *cluster2) record(r *replica) {
	c.t.Helper()
	for _, d := range r.l.MergedRoots() {
		c.apply(RecordWant(d).Data)
	}
	if err := compactAll(r.l); err != nil {
		c.t.Fatal(err)
	}
}

// merge has a replica build the merges that were decided, and the log record them.
func (c *cluster2) merge(r *replica) {
	c.t.Helper()
	if err := compactAll(r.l); err != nil {
		c.t.Fatal(err)
	}
	c.record(r)
}

func (c *cluster2) apply(data []byte) {
	c.t.Helper()
	data = bytes.Clone(data)
	c.log = append(c.log, data)
	StampTime(data, int64(len(c.log)))
	a := mustApply(c.t, c.leader.l, uint64(len(c.log)), data)
	b := mustApply(c.t, c.follower.l, uint64(len(c.log)), bytes.Clone(data))
	if a != b {
		c.t.Fatalf("command %d gives %+v on one replica and %+v on the other", len(c.log), a, b)
	}
}

func (c *cluster2) wants() {
	c.t.Helper()
	for _, w := range c.leader.l.Wanted(time.UnixMicro(0)) {
		c.apply(w.Data)
	}
}

// segment makes one more segment on the leader, and on the follower if it flushes.
func (c *cluster2) segment(i int, flush bool) {
	c.t.Helper()
	for k := range 5 {
		c.apply(putCommand(c.t, fmt.Sprintf("k/%d", (i+k*k)%7), valueOf(uint64(i), 60)))
	}
	c.apply(SealNow())
	for range 2 {
		if err := flushAll(c.leader.l); err != nil {
			c.t.Fatal(err)
		}
		if flush {
			if err := flushAll(c.follower.l); err != nil {
				c.t.Fatal(err)
			}
		}
		for _, d := range c.leader.l.BuiltRoots() {
			c.apply(RecordWant(d).Data)
		}
	}
}

// settle goes on until nothing is left to do on the leader.
func (c *cluster2) settle() {
	c.t.Helper()
	for range 40 {
		if err := errors.Join(flushAll(c.leader.l), compactAll(c.leader.l)); err != nil {
			c.t.Fatal(err)
		}
		c.wants()
	}
}

// Property: two replicas have the same entries, segments, roots and files, whenever each of them flushes and merges, and
// wherever one was restarted.
func TestReplicasAgreeOnMerges(t *testing.T) {
	most := 0
	rapid.Check(t, func(rt *rapid.T) {
		c := newCluster2(t)
		for i := range rapid.IntRange(1, 60).Draw(rt, "commands") {
			key := fmt.Sprintf("k/%d", rapid.IntRange(0, 9).Draw(rt, "key"))
			c.apply(putCommand(t, key, valueOf(uint64(i), rapid.IntRange(0, 300).Draw(rt, "size"))))
			if rapid.IntRange(0, 4).Draw(rt, "seal") == 0 {
				c.apply(SealNow())
			}
			for range rapid.IntRange(0, 4).Draw(rt, "leader works") {
				_, err1 := c.leader.l.FlushStep()
				_, err2 := c.leader.l.CompactStep()
				if err := errors.Join(err1, err2); err != nil {
					rt.Fatal(err)
				}
				c.wants()
			}
			if rapid.IntRange(0, 3).Draw(rt, "follower flushes") == 0 {
				if _, err := c.follower.l.FlushStep(); err != nil {
					rt.Fatal(err)
				}
			}
			if rapid.IntRange(0, 3).Draw(rt, "follower merges") == 0 {
				if _, err := c.follower.l.CompactStep(); err != nil {
					rt.Fatal(err)
				}
			}
			if rapid.IntRange(0, 15).Draw(rt, "restart") == 0 {
				c.follower.restart(t, c.log)
			}
		}
		c.apply(SealNow())
		c.settle()
		if err := errors.Join(flushAll(c.follower.l), compactAll(c.follower.l)); err != nil {
			rt.Fatal(err)
		}
		if !c.leader.l.MergesDone() || !c.follower.l.MergesDone() {
			rt.Fatal("merges are left")
		}
		size, root := c.leader.l.Root()
		if s, r := c.follower.l.Root(); s != size || r != root {
			rt.Fatalf("one replica has %d entries with root %v, the other %d with %v", size, root, s, r)
		}
		a, b := c.leader.segmentFiles(t), c.follower.segmentFiles(t)
		if len(a) == 0 || len(a) != len(b) || len(a) != len(c.leader.l.Manifest().Segments) {
			rt.Fatalf("%d segment files on one replica, %d on the other; %d are listed", len(a), len(b),
				len(c.leader.l.Manifest().Segments))
		}
		for name := range a {
			if !bytes.Equal(a[name], b[name]) {
				rt.Fatalf("segment file %s differs", name)
			}
		}
		am, bm := *c.leader.l.peek().state, *c.follower.l.peek().state
		am.Version, bm.Version = 0, 0 // it counts edits: a replica that was behind may have merged more in one
		if !bytes.Equal(am.Encode(), bm.Encode()) {
			rt.Fatal("manifests differ")
		}
		most = max(most, int(testutil.ToFloat64(c.leader.l.metrics.compactions)))
	})
	if most < 3 {
		t.Fatalf("at most %d merges in any case: too few", most)
	}
}

// TestCompactFinished: a merge that was finished before a restart is taken up as it is, and what it consists of goes with
// the last reader.
func TestCompactFinished(t *testing.T) {
	c := newCluster2(t)
	for i := range 2 {
		c.segment(i, true)
	}
	a, b := c.leader.l.WantedMerges(), c.leader.l.WantedMerges()
	if len(a) != 1 || len(b) != 1 || &a[0].Data[0] == &b[0].Data[0] {
		t.Fatalf("wanted are %v and %v: the log owns what was proposed", a, b)
	}
	c.wants()
	if err := compactAll(c.follower.l); err != nil {
		t.Fatal(err)
	}
	if got := c.follower.l.MergedRoots(); len(got) != 1 {
		t.Fatalf("built are %+v", got)
	}
	firstInput := c.follower.l.Manifest().Segments[0].ID
	c.follower.restart(t, c.log)
	if worked, err := c.follower.l.CompactStep(); !worked || err != nil {
		t.Fatal(worked, err)
	}
	if n := testutil.ToFloat64(c.follower.l.metrics.compactWritten); n != 0 {
		t.Errorf("%v bytes are written again", n)
	}
	it, err := c.follower.l.Scan(ScanOptions{AsOf: ^uint64(0)})
	if err != nil {
		t.Fatal(err)
	}
	c.record(c.follower)
	if n := len(c.follower.segmentFiles(t)); n != 3 {
		t.Errorf("%d files while a reader holds the inputs", n)
	}
	// Whoever dies with a reader leaves them to the next start.
	left, opts := c.follower.mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}), c.follower.l.opts
	opts.FS = left
	next, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	if n := len((&replica{left, next}).segmentFiles(t)); n != 1 {
		t.Errorf("%d files after a restart", n)
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	// A staging that has found one of use keeps it.
	c.follower.l.pin(firstInput)
	for it.Next() {
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compactAll(c.follower.l); err != nil {
		t.Fatal(err)
	}
	if n := len(c.follower.segmentFiles(t)); n != 2 {
		t.Errorf("%d files when one is pinned", n)
	}
	c.follower.l.unpin(firstInput)
	if err := compactAll(c.follower.l); err != nil {
		t.Fatal(err)
	}
	if n := len(c.follower.segmentFiles(t)); n != 1 {
		t.Errorf("%d files when nobody holds the inputs", n)
	}
}

// TestHeldWhileMerged: what another member copies stays until it is released; and with what it copies, it fetches nothing
// that it has in other pieces.
func TestHeldWhileMerged(t *testing.T) {
	c := newCluster2(t)
	for i := range 4 {
		c.segment(i, true)
	}
	l := c.leader.l
	held, err := l.Hold()
	if err != nil {
		t.Fatal(err)
	}
	before, _ := held.Snapshot()
	c.settle()
	if n := len(l.Manifest().Segments); n > 3 {
		t.Fatalf("%d segments: nothing was merged", n)
	}
	old, err := manifest.Decode(before)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range old.Segments {
		f, err := held.OpenSegment(partOf(g))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	held.Release()
	if err := compactAll(l); err != nil {
		t.Fatal(err)
	}
	if files, listed := len(c.leader.segmentFiles(t)), len(l.Manifest().Segments); files != listed {
		t.Errorf("%d files for %d segments", files, listed)
	}
	// The follower has merged nothing, the leader's state has.
	now, _, err := l.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.follower.l.Stage(now, StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for done := false; !done; {
		if done, err = s.Examine(); err != nil {
			t.Fatal(err)
		}
	}
	if missing := s.Missing(); len(missing) > 0 {
		t.Fatalf("missing are %+v", missing)
	}
	if err := s.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := c.follower.l.Install(s); err != nil {
		t.Fatal(err)
	}
	if err := compactAll(c.follower.l); err != nil {
		t.Fatal(err)
	}
	if !c.follower.l.MergesDone() {
		t.Error("the follower has not merged what the state that it took over has")
	}
}

// TestCompactDamaged: bytes that went bad are not merged, and the owner is told whose they are.
func TestCompactDamaged(t *testing.T) {
	var damaged error
	mem := vfs.NewMem()
	o := testOptions(mem)
	o.CompactFanIn, o.Damaged = 2, func(err error) { damaged = err }
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster2{t: t, leader: &replica{mem, l}, follower: newReplica(t, nil)}
	for i := range 2 {
		c.segment(i, true)
	}
	c.wants()
	name := l.segmentFile(l.Manifest().Segments[1].ID)
	f, err := mem.OpenRW(name)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], 40); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b[:], 40); err != nil {
		t.Fatal(err)
	}
	f.Close()
	var corrupt *vfs.CorruptError
	if _, err := l.CompactStep(); !errors.As(err, &corrupt) || corrupt.File != name || damaged == nil {
		t.Fatalf("%v, told %v", err, damaged)
	}
	if names, err := mem.List(l.segmentDir()); err != nil || len(names) != 2 {
		t.Errorf("%v stand among the segments, %v", names, err)
	}
}

// TestCompactChecksLeaves: a merge holds each entry against its leaf hash, so that what went bad in memory before the
// checksums were made goes no further.
func TestCompactChecksLeaves(t *testing.T) {
	c := newCluster2(t)
	l := c.leader.l
	c.segment(0, true)
	c.apply(putCommand(t, "k", valueOf(1, 60)))
	m := l.peek().active
	m.at(m.first).Value[0] ^= 1 // the memtable's own copy, as it is a small one
	c.segment(1, false)
	c.wants()
	if p := l.partition.Load(); len(p.merges) != 1 {
		t.Fatalf("%d merges are decided", len(p.merges))
	}
	name := l.segmentFile(l.Manifest().Segments[1].ID)
	var corrupt *vfs.CorruptError
	if _, err := l.CompactStep(); !errors.As(err, &corrupt) || corrupt.File != name {
		t.Fatalf("the merge gives %v", err)
	}
	if got := l.MergedRoots(); len(got) > 0 {
		t.Errorf("built are %+v", got)
	}
}
