package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// TestCompact merges on demand, with the goroutines of production: by plan, and all.
func TestCompact(t *testing.T) {
	n, err := Open(Options{FS: vfs.NewMem(), Dir: "data", NodeID: 1, Heartbeat: 5 * time.Millisecond,
		Ledger: ledger.Options{SealAge: -1, CompactFanIn: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	<-n.Ready()
	for i := range 7 {
		if _, err := n.Write(ctx, &ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut, Key: fmt.Append(nil, i),
			Value: make([]byte, 100)}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Seal(ctx); err != nil {
			t.Fatal(err)
		}
	}
	before := len(n.Ledger().Manifest().Segments)
	r, err := n.Compact(ctx, false)
	if err != nil || r.Left >= before || r.Merged < 4 || len(r.Segments) == 0 {
		t.Fatalf("of %d segments: %+v, %v", before, r, err)
	}
	if r, err = n.Compact(ctx, true); err != nil || r.Left != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = n.Compact(ctx, true); err != nil || r.Left != 1 || r.Merged != 0 || len(r.Segments) != 0 {
		t.Fatalf("again: %+v, %v", r, err)
	}
	for i := range 7 {
		if _, err := n.Ledger().Prove(fmt.Append(nil, i), ledger.Selector{}); err != nil {
			t.Fatal(err)
		}
	}
	gone, end := context.WithCancel(ctx)
	end()
	n.compacting <- struct{}{}
	var refused *Unavailable
	if _, err := n.Compact(gone, true); !errors.As(err, &refused) || refused.Reason != Overloaded {
		t.Fatalf("beside another one: %v", err)
	}
	<-n.compacting
}
