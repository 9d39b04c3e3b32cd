package node

import (
	"context"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/vfs"
)

// A name that a process changed and did not live to sync is seen by the next process, and a power cut may still undo
// it. What the next process does on the strength of it must not outlive it.
func TestManifestSyncedBeforeTheLogIsTrimmed(t *testing.T) {
	fsys := vfs.NewMem()
	openNode(t, testOptions(fsys)).Close()

	// The first process puts the new manifest in place, and ends before it has synced the directory.
	renamed, inPlace := make(chan struct{}), false
	opts := testOptions(vfs.NewInject(fsys, func(op vfs.Op) vfs.Decision { // one call at a time
		switch {
		case op.Kind == vfs.OpRename && op.NewName == "data/MANIFEST":
			if !inPlace {
				close(renamed)
			}
			inPlace = true
		case op.Kind == vfs.OpSyncDir && op.Name == "data" && inPlace:
			return vfs.Decision{Err: vfs.ErrInjected}
		}
		return vfs.Decision{}
	}))
	opts.Ledger.SealBytes = 64 << 20
	n := openNode(t, opts)
	value := strings.Repeat("x", 64<<10)
	for range 16 {
		if _, err := n.Write(context.Background(), put("key", value)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.submit(context.Background(), newProposal(ledger.SealNow())); err != nil {
		t.Fatal(err)
	}
	<-renamed
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}

	// The second one reads it, and drops the log files that it makes superfluous.
	trimmed := make(chan struct{})
	var once sync.Once
	opts.FS = vfs.NewInject(fsys, vfs.OnOp(func(op vfs.Op) {
		if (op.Kind == vfs.OpRename || op.Kind == vfs.OpRemove) && path.Base(op.Name) == "0000000000000001.log" {
			once.Do(func() { close(trimmed) })
		}
	}))
	n = openNode(t, opts)
	<-trimmed
	expectAfterPowerCut(t, fsys, n)
}

// expectAfterPowerCut closes n and opens what is durable then: it must give the same ledger.
func expectAfterPowerCut(t *testing.T, fsys *vfs.Mem, n *Node) {
	t.Helper()
	size, root := n.Ledger().Root()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, testOptions(fsys.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone})))
	if err := n.Barrier(context.Background()); err != nil {
		t.Fatal(err)
	}
	if gotSize, gotRoot := n.Ledger().Root(); gotSize != size || gotRoot != root {
		t.Fatalf("after a power cut the ledger has %d entries with root %v; it had %d with %v", gotSize, gotRoot, size, root)
	}
}
