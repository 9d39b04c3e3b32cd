package node

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// A replica that builds another segment than the log records has diverged, and must not go on serving. When the record
// comes before the segment is built, as after a restart, it is the flusher that finds out.
func TestNodeFailsWhenItsFlusherFindsThatItDiverged(t *testing.T) {
	var hold atomic.Bool
	hold.Store(true)
	opts := testOptions(vfs.NewInject(vfs.NewMem(), func(op vfs.Op) vfs.Decision {
		if hold.Load() && op.Kind == vfs.OpCreate && strings.HasSuffix(op.Name, ".seg.tmp") {
			return vfs.Decision{Err: vfs.ErrInjected}
		}
		return vfs.Decision{}
	}))
	n := openNode(t, opts)
	ctx := context.Background()
	if _, err := n.Write(ctx, put("key", "value")); err != nil {
		t.Fatal(err)
	}
	if _, err := n.submit(ctx, newProposal(ledger.SealNow())); err != nil {
		t.Fatal(err)
	}
	record := binary.BigEndian.AppendUint64([]byte{3}, 0) // ledger/command.go
	wrong := tlog.Descriptor{FirstSeq: 0, LastSeq: 0, Entries: 1}
	record = wrong.Append(record)
	if _, err := n.submit(ctx, newProposal(record)); err != nil {
		t.Fatal(err)
	}
	hold.Store(false)
	<-n.Failed()
	var diverged *ledger.DivergedError
	if !errors.As(n.Err(), &diverged) {
		t.Fatalf("the node failed for another reason: %v", n.Err())
	}
	if err := n.Barrier(ctx); err == nil {
		t.Fatal("reads go on")
	}
}
