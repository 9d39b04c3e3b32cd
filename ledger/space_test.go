package ledger

import (
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/vfs"
)

// TestMergeLeavesSpace: a merge waits rather than take the space that flushes need, and leaves nothing behind; flushes go
// on, and so does the merge when there is space.
func TestMergeLeavesSpace(t *testing.T) {
	c := newCluster2(t)
	for i := range 2 {
		c.segment(i, false)
	}
	r := c.leader
	for range 10 { // until a merge is decided
		if err := flushAll(r.l); err != nil {
			t.Fatal(err)
		}
		c.wants()
	}
	for _, v := range r.l.peek().tables {
		t.Logf("segment %s, %d bytes", v.Info().ID, v.Info().Bytes)
	}
	limit := func(spare int64) { r.mem.SetLimit(r.mem.Used() + r.l.UnflushedBytes() + spare) }
	limit(mergeMarginBytes)
	if _, err := r.l.CompactStep(); !vfs.IsNoSpace(err) {
		t.Fatalf("a merge that would leave too little: %v", err)
	}
	names, err := r.mem.List("data/segments")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, temporarySuffix) {
			t.Errorf("%s is left behind", name)
		}
	}
	c.apply(putCommand(t, "more", valueOf(1, 60)))
	c.apply(SealNow())
	if err := flushAll(r.l); err != nil {
		t.Errorf("a flush: %v", err)
	}
	limit(mergeMarginBytes + 1<<20)
	if worked, err := r.l.CompactStep(); !worked || err != nil {
		t.Errorf("with space: %v, %v", worked, err)
	}
}

// TestUnflushedBytes: what is counted for the entries in memory is no less than what their segments take.
func TestUnflushedBytes(t *testing.T) {
	for _, size := range []int{0, 10, 250, 5000} {
		r := newReplica(t, func(o *Options) { o.SealBytes, o.Compression = 1<<30, segfile.NoCompression })
		for i := range 200 {
			mustApply(t, r.l, uint64(i+1), putCommand(t, string(keyOf(uint64(i*31))), valueOf(uint64(i), size)))
		}
		active := r.l.UnflushedBytes()
		mustApply(t, r.l, 201, SealNow())
		if sealed := r.l.UnflushedBytes(); sealed < active {
			t.Errorf("values of %d bytes: %d in an active memtable, %d once it is sealed", size, active, sealed)
		}
		before := r.mem.Used()
		if err := flushAll(r.l); err != nil {
			t.Fatal(err)
		}
		// Pages of 4 KiB, and of the footer and the index, which the margin is for.
		if took := r.mem.Used() - before; took > active+64<<10 {
			t.Errorf("values of %d bytes: %d were counted, and the segment takes %d", size, active, took)
		}
		if left := r.l.UnflushedBytes(); left >= active/2 {
			t.Errorf("values of %d bytes: %d are counted once the segment is built", size, left)
		}
	}
}

// TestRoomToMerge: a merge may write as many bytes as all that it is made of has, and a place of each entry; beside that
// the margin and what the entries in memory will take stay free.
func TestRoomToMerge(t *testing.T) {
	r := newReplica(t, func(o *Options) { o.CompactFanIn = -1 })
	index := uint64(0)
	apply := func(data []byte) { index++; mustApply(t, r.l, index, data) }
	for i := range 3 {
		for k := range 20 {
			apply(putCommand(t, string(keyOf(uint64(20*i+k))), valueOf(uint64(k), 200)))
		}
		apply(SealNow())
	}
	if err := flushAll(r.l); err != nil {
		t.Fatal(err)
	}
	for _, d := range r.l.BuiltRoots() {
		apply(RecordWant(d).Data)
	}
	if err := flushAll(r.l); err != nil {
		t.Fatal(err)
	}
	apply(putCommand(t, "in memory", valueOf(1, 300)))
	tables := r.l.peek().tables
	if len(tables) < 3 {
		t.Fatalf("%d segments", len(tables))
	}
	need := mergeMarginBytes + r.l.UnflushedBytes()
	for _, s := range r.l.Manifest().Segments {
		need += int64(s.Bytes) + mergeScratchBytes*int64(s.Entries)
	}
	r.mem.SetLimit(r.mem.Used() + need - 1)
	if err := r.l.roomToMerge(tables); !vfs.IsNoSpace(err) {
		t.Errorf("a byte less than is needed: %v", err)
	}
	r.mem.SetLimit(r.mem.Used() + need)
	if err := r.l.roomToMerge(tables); err != nil {
		t.Errorf("as much as is needed: %v", err)
	}
}
