package wal

import (
	"errors"
	"fmt"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// strangers differ from testOwner in one thing or both.
func strangers() []Owner {
	other := raft.ClusterID{1}
	return []Owner{{testOwner.Cluster, 8}, {other, testOwner.Node}, {other, 8}, {}}
}

// openAs opens a small log as another owner would.
func openAs(fs vfs.FS, owner Owner, adopt bool) (*Log, error) {
	return Open(Options{FS: fs, Dir: testDir, FileBytes: 4096, Owner: owner, Adopt: adopt})
}

// mustBelongTo wants a log to be refused because it is has's and not want's.
func mustBelongTo(t *testing.T, err error, has, want Owner) {
	t.Helper()
	var refused *OwnerError
	if !errors.As(err, &refused) || *refused != (OwnerError{Dir: testDir, Has: has, Want: want}) {
		t.Fatalf("a log of %s opened by %s: %v", has, want, err)
	}
}

// TestForeignLog opens a log under every other owner: it is refused, whose it is told, and nothing is touched.
func TestForeignLog(t *testing.T) {
	mem, want := written(t, ByPwrite, true)
	for _, owner := range strangers() {
		for _, adopt := range []bool{false, true} {
			left := crashAll(mem)
			before, writes := logFiles(t, left), 0
			_, err := openAs(vfs.NewInject(left, vfs.OnOp(func(op vfs.Op) {
				switch op.Kind {
				case vfs.OpCreate, vfs.OpWriteAt, vfs.OpRename, vfs.OpRemove, vfs.OpTruncate, vfs.OpPreallocate:
					writes++
				}
			})), owner, adopt)
			mustBelongTo(t, err, testOwner, owner)
			if after := logFiles(t, left); writes > 0 || fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("%s changed the log in %d operations, from %v to %v", owner, writes, before, after)
			}
			if refused, err := openDamaged(left, ByPwrite, want); refused || err != nil {
				t.Errorf("its owner cannot open it any more: %v", err)
			}
		}
	}
}

// TestForeignLogWithoutOrigin: the headers alone tell whose a log is, also where its records are damaged.
func TestForeignLogWithoutOrigin(t *testing.T) {
	mem := vfs.NewMem()
	l := open(t, mem, ByPwrite)
	mustAppend(t, l, nil, run(1, 3, 1, 100))
	mustAppend(t, l, nil, run(4, 3, 1, 100))
	if err := errors.Join(l.Close(), mem.Remove(testDir+"/"+originName)); err != nil {
		t.Fatal(err)
	}
	flip(t, mem, logName(1), headerSize+20, 1)
	for _, owner := range strangers() {
		_, err := openAs(mem, owner, false)
		mustBelongTo(t, err, testOwner, owner)
	}
	_, err := openAs(mem, testOwner, false)
	mustBeCorrupt(t, err)
}

// TestAdopt takes over a log that was made and never used, through several files, but not one that holds a vote.
func TestAdopt(t *testing.T) {
	for _, owner := range strangers() {
		mem := vfs.NewMem()
		if err := open(t, mem, ByPwrite).Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := openAs(mem, owner, false); err == nil {
			t.Fatal("an empty log changed hands without being adopted")
		}
		l, err := openAs(mem, owner, true)
		if err != nil || l.Owner() != testOwner {
			t.Fatalf("an empty log is adopted: %v", err)
		}
		mustAppend(t, l, nil, run(1, 1, 1, 4096)) // into a second file
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if n := len(logFiles(t, mem)); n != 2 {
			t.Fatalf("%d files", n)
		}
		if l = open(t, mem, ByPwrite); l.Owner() != testOwner {
			t.Fatalf("the log has become that of %s", l.Owner())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}

		mem = vfs.NewMem()
		l = open(t, mem, ByPwrite)
		mustAppend(t, l, &raft.HardState{Term: 1, Vote: 2}, nil)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = openAs(mem, owner, true)
		mustBelongTo(t, err, testOwner, owner)
	}
}

// TestFilesOfTwoOwners puts into a log a file that differs from its own in nothing but the owner. It is damage, which
// names that file.
func TestFilesOfTwoOwners(t *testing.T) {
	mem, _ := written(t, ByPwrite, true)
	names := logFiles(t, mem)
	for i, name := range append(names, originName) {
		file := testDir + "/" + name
		b, err := vfs.ReadFile(mem, file, 4096)
		if err != nil {
			t.Fatal(err)
		}
		if name == originName {
			o, err := decodeOrigin(file, b)
			if err != nil {
				t.Fatal(err)
			}
			copy(b[o.slot*originSlot:], encodeOriginSlot(o.id, strangers()[0]))
		} else {
			h, err := decodeHeader(file, b)
			if err != nil {
				t.Fatal(err)
			}
			h.owner = strangers()[0]
			copy(b, h.encode())
		}
		left := crashAll(mem)
		if err := vfs.WriteFileAtomic(left, testDir, name, b); err != nil {
			t.Fatal(err)
		}
		_, err = openAs(left, testOwner, false)
		var corrupt *vfs.CorruptError
		if !errors.As(err, &corrupt) || corrupt.File != file {
			t.Errorf("file %d of %d, %s: %v", i, len(names), name, err)
		}
	}
}
