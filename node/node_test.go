package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testOptions are small sizes over a file system.
func testOptions(fsys vfs.FS) Options {
	return Options{FS: fsys, Dir: "data", NodeID: 1, Heartbeat: 5 * time.Millisecond,
		WAL: wal.Options{FileBytes: 256 << 10}, Ledger: ledger.Options{SealBytes: 64 << 10, BlockCacheBytes: 1 << 20}}
}

func openNode(t *testing.T, opts Options) *Node {
	t.Helper()
	n, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.Ready():
	case <-n.Failed():
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil && n.Err() == nil {
			t.Error(err)
		}
	})
	return n
}

func put(key, value string) *ledger.Command {
	return &ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut, Key: []byte(key), Value: []byte(value)}}}
}

func TestWriteReadSealRestart(t *testing.T) {
	fsys := vfs.NewMem()
	n := openNode(t, testOptions(fsys))
	ctx := context.Background()
	const count = 500
	for i := range count {
		r, err := n.Write(ctx, put(fmt.Sprintf("key-%03d", i), fmt.Sprintf("value-%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		if e, err := n.Ledger().Get([]byte(fmt.Sprintf("key-%03d", i)), ledger.Selector{}); err != nil || e.Seq != r.FirstSeq {
			t.Fatalf("read after write: %v, %v", e, err)
		}
	}
	sealed, err := n.Seal(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed.Segments) == 0 || !sealed.Any || sealed.SealedThrough < count-1 {
		t.Fatalf("seal: %+v", sealed)
	}
	size, root := n.Ledger().Root()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, testOptions(fsys))
	if err := n.Barrier(ctx); err != nil {
		t.Fatal(err)
	}
	if size2, root2 := n.Ledger().Root(); size2 != size || root2 != root {
		t.Fatalf("after restart: %d %v, want %d %v", size2, root2, size, root)
	}
	for i := range count {
		e, err := n.Ledger().Get([]byte(fmt.Sprintf("key-%03d", i)), ledger.Selector{})
		if err != nil || string(e.Value) != fmt.Sprintf("value-%d", i) {
			t.Fatalf("key %d: %v, %v", i, e, err)
		}
	}
}
