package ledger

import (
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
