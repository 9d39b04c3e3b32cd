package node

import (
	"errors"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// TestOneNodeForADirectory: while a node has its data directory no other gets it, whatever it is called; afterwards one
// does.
func TestOneNodeForADirectory(t *testing.T) {
	for _, fsys := range []vfs.FS{vfs.NewMem(), vfs.NewOS()} {
		opts := testOptions(fsys)
		opts.Dir = t.TempDir()
		n := openNode(t, opts)
		if _, err := Open(opts); !errors.Is(err, vfs.ErrLocked) {
			t.Errorf("a second node of the directory: %v", err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		openNode(t, opts)
	}
}
