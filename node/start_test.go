package node

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/vfs"
)

// TestCrashAtEveryStepOfAStart cuts the power at every file system operation of the first start of a node, of its first
// writes, and of the starts that follow such a crash: it must just start, with what was acknowledged.
func TestCrashAtEveryStepOfAStart(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	keeps := []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom, vfs.KeepRandom}
	// run starts a node, writes and seals, and returns the disk before each operation.
	run := func(fsys *vfs.Mem, writes bool) (disks []*vfs.Mem) {
		opts := testOptions(vfs.NewInject(fsys, vfs.OnOp(func(vfs.Op) {
			disks = append(disks, fsys.CrashClone(vfs.CrashOptions{Keep: keeps[len(disks)%len(keeps)], Rand: rnd}))
		})))
		opts.WAL.FileBytes = 16 << 10
		n, err := Open(opts)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		ctx := context.Background()
		if err := n.Barrier(ctx); err != nil {
			t.Fatal(err)
		}
		if e, err := n.Ledger().Get([]byte("first"), ledger.Selector{}); err == nil && string(e.Value) != "value" {
			t.Fatalf("the first write has become %+v", e)
		}
		if writes {
			if _, err := n.Write(ctx, put("first", "value")); err != nil {
				t.Fatal(err)
			}
			if _, err := n.Seal(ctx); err != nil {
				t.Fatal(err)
			}
		}
		return disks
	}
	starts := 0
	for i, disk := range run(vfs.NewMem(), true) {
		again := run(disk, i%7 == 0)
		starts++
		if i%5 == 0 {
			for _, disk := range again {
				run(disk, false)
				starts++
			}
		}
	}
	if starts < 200 {
		t.Errorf("only %d starts: the operations are not seen", starts)
	}
}
