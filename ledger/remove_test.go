package ledger

import (
	"errors"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// While the file system frees what a large file held, a flush, and whoever looks for files, goes on; and it is freed piece
// by piece, so that nobody else waits for its journal for long.
func TestRemovalHoldsUpNobody(t *testing.T) {
	r := newReplica(t, nil)
	l := r.l
	const id, pieces = "0000000000000000-000000000000000a", 3
	f, err := r.mem.Create(l.segmentFile(id))
	if err == nil {
		err = f.Truncate(pieces * removeStepBytes)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	var left []int64
	removed := false
	l.opts.FS = vfs.NewInject(r.mem, func(op vfs.Op) vfs.Decision {
		if !strings.HasSuffix(op.Name, struckSuffix) || op.Kind != vfs.OpTruncate && op.Kind != vfs.OpRemove {
			return vfs.Decision{}
		}
		if op.Kind == vfs.OpTruncate {
			left = append(left, op.Len)
		}
		removed = removed || op.Kind == vfs.OpRemove
		if !l.flushes.TryLock() {
			t.Errorf("%v holds up flushes", op)
		} else {
			l.flushes.Unlock()
		}
		if !l.leftovers.mu.TryLock() {
			t.Errorf("%v holds up who looks for files", op)
		} else {
			l.leftovers.mu.Unlock()
		}
		return vfs.Decision{}
	})
	l.bury(id)
	for worked := true; worked; {
		if worked, err = l.sweep(); err != nil {
			t.Fatal(err)
		}
	}
	if len(left) != pieces-1 || left[0] != 2*removeStepBytes || left[1] != removeStepBytes || !removed {
		t.Errorf("cut to %v, removed %v", left, removed)
	}
}

// What a crash leaves of a removal goes when the ledger is opened.
func TestRemovalAfterCrash(t *testing.T) {
	r := newReplica(t, nil)
	const id = "0000000000000000-000000000000000a"
	if err := vfs.WriteFileAtomic(r.mem, r.l.segmentDir(), id+segmentSuffix, []byte("merged")); err != nil {
		t.Fatal(err)
	}
	r.l.bury(id)
	if worked, err := r.l.sweep(); !worked || err != nil {
		t.Fatalf("%v, %v", worked, err)
	}
	mem := r.mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	l, err := Open(testOptions(mem))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if names, err := mem.List(l.segmentDir()); err != nil || len(names) != 0 {
		t.Errorf("%q, %v", names, err)
	}
}

// The file that somebody copies stays whole while it is merged away, and goes when it is closed.
func TestRemovalWaitsForCopies(t *testing.T) {
	c := newCluster2(t)
	c.segment(0, true)
	l := c.leader.l
	part := partOf(l.peek().state.Segments[0])
	held, err := l.Hold()
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.OpenSegment(part)
	if err != nil {
		t.Fatal(err)
	}
	g, err := held.OpenSegment(part)
	if err != nil {
		t.Fatal(err)
	}
	held.Release()
	for i := range 4 {
		c.segment(i+1, true)
	}
	c.settle()
	if _, err := l.OpenSegment(part); !errors.Is(err, ErrNoSegment) {
		t.Fatalf("it was not merged: %v", err)
	}
	exists := func() bool {
		_, err := c.leader.mem.Stat(l.segmentFile(part.ID()))
		return err == nil
	}
	for _, file := range []*SegmentFile{f, g} {
		if !exists() {
			t.Fatal("it has gone while it is open")
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		_ = file.Close() // a second time lets go of nothing
		if err := compactAll(l); err != nil {
			t.Fatal(err)
		}
	}
	if exists() {
		t.Error("it is there though nobody needs it")
	}
}
