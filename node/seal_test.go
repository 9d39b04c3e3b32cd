package node

import (
	"context"
	"errors"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// TestSealWaitsForItsTurn: a seal that waits for another one gives up with its context, or with the node.
func TestSealWaitsForItsTurn(t *testing.T) {
	n := openNode(t, testOptions(vfs.NewMem()))
	mustRefuseSeal := func(ctx context.Context, want Reason) {
		t.Helper()
		_, err := n.Seal(ctx)
		var refused *Unavailable
		if !errors.As(err, &refused) || refused.Reason != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	ctx := context.Background()
	if _, err := n.Write(ctx, put("key", "value")); err != nil {
		t.Fatal(err)
	}
	n.sealing <- struct{}{} // another seal
	gone, cancel := context.WithCancel(ctx)
	cancel()
	mustRefuseSeal(gone, Overloaded)
	<-n.sealing
	if r, err := n.Seal(ctx); err != nil || len(r.Segments) == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	n.sealing <- struct{}{}
	closed := make(chan error)
	go func() { closed <- n.Close() }()
	mustRefuseSeal(ctx, NotReady)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}
