package node

import (
	"context"
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// founded is the data directory of a node that was founded, took a write and was stopped.
func founded(t *testing.T, id uint64) (*vfs.Mem, *identity) {
	t.Helper()
	fsys := vfs.NewMem()
	opts := testOptions(fsys)
	opts.NodeID = id
	n := openNode(t, opts)
	if _, err := n.Write(context.Background(), put("key", "value")); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return fsys, n.identity
}

// moveLog puts a log in the place of another.
func moveLog(t *testing.T, from, to vfs.FS) {
	t.Helper()
	for _, fsys := range []vfs.FS{to, from} {
		names, err := fsys.List("data/wal")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if fsys == to {
				err = to.Remove(path.Join("data/wal", name))
			} else if b, rerr := vfs.ReadFile(from, path.Join("data/wal", name), 1<<20); rerr != nil {
				err = rerr
			} else {
				err = vfs.WriteFileAtomic(to, "data/wal", name, b)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// mustRefuse wants the directory to be refused in a line that has all the words.
func mustRefuse(t *testing.T, opts Options, words ...string) {
	t.Helper()
	n, err := Open(opts)
	if err == nil {
		n.Close()
		t.Fatal("the directory was accepted")
	}
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("an error of another kind: %v", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v\ndoes not say %q", err, word)
		}
	}
}

// TestLogOfAnotherNode moves in the log of another cluster's node, of the same id and of another one, and that of
// another node of this cluster.
func TestLogOfAnotherNode(t *testing.T) {
	other, otherID := founded(t, 2)
	for _, id := range []uint64{1, 2} {
		fsys, own := founded(t, id)
		moveLog(t, other, fsys)
		opts := testOptions(fsys)
		opts.NodeID = id
		mustRefuse(t, opts, otherID.ClusterID, own.ClusterID, "folder wal")
	}
	fsys, own := founded(t, 1)
	sibling := *own
	sibling.NodeID = 2
	if err := sibling.write(fsys, "data"); err != nil {
		t.Fatal(err)
	}
	opts := testOptions(fsys)
	opts.NodeID = 2
	mustRefuse(t, opts, "node 1 of", "node 2 of")
	if err := own.write(fsys, "data"); err != nil {
		t.Fatal(err)
	}
	openNode(t, testOptions(fsys))
}

// TestLogWithoutIdentity: a log that was used is nobody's to found a cluster on.
func TestLogWithoutIdentity(t *testing.T) {
	fsys, own := founded(t, 1)
	if err := fsys.Remove("data/" + identityName); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, testOptions(fsys), own.ClusterID, identityName)
}

// TestFirstStartCutShort: a start that was cut short before it wrote IDENTITY is finished by the next one, under the
// cluster id that the log names, if it is the same node's.
func TestFirstStartCutShort(t *testing.T) {
	cut := func(op vfs.Op) vfs.Decision {
		if strings.HasPrefix(op.Name, "data/"+identityName) && op.Kind == vfs.OpCreate {
			return vfs.Decision{Err: vfs.ErrInjected}
		}
		return vfs.Decision{}
	}
	fsys := vfs.NewMem()
	if n, err := Open(testOptions(vfs.NewInject(fsys, cut))); !errors.Is(err, vfs.ErrInjected) {
		if err == nil {
			n.Close()
		}
		t.Fatalf("a start without IDENTITY: %v", err)
	}
	opts := testOptions(fsys)
	opts.NodeID = 2
	mustRefuse(t, opts, "node 1", "node 2")
	n := openNode(t, testOptions(fsys))
	if owner := n.log.Owner(); owner.Node != 1 || owner.Cluster.String() != n.Status().ClusterID {
		t.Errorf("the log of %s in cluster %s", owner, n.Status().ClusterID)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	openNode(t, testOptions(fsys))
}
