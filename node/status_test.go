package node

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/vfs"
)

// TestFlushFailureShows: segments that cannot be written show in the status with the cause, first while writes go on,
// then as the reason for which they are refused. Both pass when the fault does.
func TestFlushFailureShows(t *testing.T) {
	var fail atomic.Bool
	fail.Store(true)
	tries := make(chan struct{}, 2)
	opts := testOptions(vfs.NewInject(vfs.NewMem(), func(op vfs.Op) vfs.Decision {
		if fail.Load() && op.Kind == vfs.OpCreate && strings.HasSuffix(op.Name, ".seg.tmp") {
			select {
			case tries <- struct{}{}:
			default:
			}
			return vfs.Decision{Err: syscall.EIO}
		}
		return vfs.Decision{}
	}))
	n := openNode(t, opts)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if st := n.Status(); st.Warning+st.WritesFault != "" {
		t.Fatalf("at the start: %+v", st)
	}
	if _, err := n.Write(ctx, put("key", "value")); err != nil {
		t.Fatal(err)
	}
	if _, err := n.submit(ctx, newProposal(ledger.SealNow())); err != nil {
		t.Fatal(err)
	}
	<-tries
	<-tries // by now the failure of the first one is noted
	cause := syscall.EIO.Error()
	if st := n.Status(); !strings.Contains(st.Warning, cause) || st.WritesFault != "" {
		t.Errorf("while a flush fails: warning %q, writes %q", st.Warning, st.WritesFault)
	}
	var err error
	for i := 0; err == nil; i++ {
		if i == 1000 {
			t.Fatal("writes are taken without end")
		}
		_, err = n.Write(ctx, put("key", strings.Repeat("x", 10<<10)))
	}
	var refused *Unavailable
	if !errors.As(err, &refused) || refused.Reason != Overloaded || !strings.Contains(refused.Detail, cause) {
		t.Errorf("with too much to flush: %v", err)
	}
	if st := n.Status(); !strings.Contains(st.WritesFault, cause) {
		t.Errorf("while writes are refused: %q", st.WritesFault)
	}
	fail.Store(false)
	for errors.As(err, &refused) {
		_, err = n.Write(ctx, put("key", "value"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Seal(ctx); err != nil {
		t.Fatal(err)
	}
	if st := n.Status(); st.Warning+st.WritesFault != "" {
		t.Errorf("after the fault: warning %q, writes %q", st.Warning, st.WritesFault)
	}
}
