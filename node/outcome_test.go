package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// attempt is one write and what the client was told of it.
type attempt struct {
	key     string
	receipt ledger.Receipt
	err     error
}

// load lets clients write under a prefix, each its own keys one after the other, until an error, or as often as rounds
// says.
func load(n *Node, prefix string, clients, rounds int) []attempt {
	var mu sync.Mutex
	var all []attempt
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range rounds {
				a := attempt{key: fmt.Sprintf("%s-%d-%d", prefix, c, i)}
				a.receipt, a.err = n.Write(context.Background(), put(a.key, strings.Repeat(a.key, 50)))
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
				if a.err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return all
}

// checkOutcomes opens what is left of a node and compares it with what its clients were told: what was acknowledged is
// there, at its seq; what was refused is not; of the rest nothing is known, but that the client was told so.
func checkOutcomes(t *testing.T, fsys vfs.FS, told []attempt) {
	t.Helper()
	n := openNode(t, testOptions(fsys))
	defer n.Close()
	if err := n.Err(); err != nil {
		t.Fatal(err)
	}
	for _, a := range told {
		e, err := n.Ledger().Get([]byte(a.key), ledger.Selector{})
		var absent *ledger.NotFoundError
		if err != nil && !errors.As(err, &absent) {
			t.Fatal(err)
		}
		var unavailable *Unavailable
		switch {
		case a.err == nil && (err != nil || e.Seq != a.receipt.FirstSeq || e.Time != a.receipt.Time):
			t.Errorf("%s was acknowledged at %d, and is %+v, %v", a.key, a.receipt.FirstSeq, e, err)
		case a.err != nil && !errors.As(a.err, &unavailable):
			t.Errorf("%s: %v tells nothing of the outcome", a.key, a.err)
		case a.err != nil && unavailable.Reason != OutcomeUnknown && err == nil:
			t.Errorf("%s was refused (%v), and is there at %d", a.key, a.err, e.Seq)
		}
	}
}

// TestOutcomesWhenTheLogFails fails the log's operations, each once, under load.
func TestOutcomesWhenTheLogFails(t *testing.T) {
	writes := []vfs.OpKind{vfs.OpCreate, vfs.OpWriteAt, vfs.OpSync, vfs.OpPreallocate, vfs.OpRename, vfs.OpSyncDir}
	inLog := func(name string) bool { return strings.HasPrefix(name, "data/wal") }
	for _, persisted := range []bool{false, true} {
		for at := int64(0); ; at += 1 + at/8 {
			fsys := vfs.NewMem()
			openNode(t, testOptions(fsys)).Close()
			fault := vfs.FailOnce(at, nil).Kinds(writes...).Named(inLog)
			if persisted {
				fault.Persisted()
			}
			n, err := Open(testOptions(vfs.NewInject(fsys, fault.Hook)))
			if err != nil {
				continue // a start that fails acknowledges nothing
			}
			told := load(n, "k", 8, 30)
			failed := n.Err() != nil
			n.Close()
			for _, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom} {
				checkOutcomes(t, fsys.CrashClone(vfs.CrashOptions{Keep: keep}), told)
			}
			if t.Failed() {
				t.Fatalf("operation %d of the log failed (done all the same: %v); the node failed: %v", at, persisted, failed)
			}
			if fault.Fired() == 0 {
				break
			}
		}
	}
}

// TestOutcomesWhenTheNodeIsClosed closes the node under load, before, while and after it becomes ready.
func TestOutcomesWhenTheNodeIsClosed(t *testing.T) {
	fsys := vfs.NewMem()
	for round := range 10 {
		n, err := Open(testOptions(fsys))
		if err != nil {
			t.Fatal(err)
		}
		var told []attempt
		var wg sync.WaitGroup
		wg.Go(func() { told = load(n, strconv.Itoa(round), 8, 1000) })
		if round > 0 {
			n.Write(context.Background(), put("first", "")) // so that it is the load that is cut
		}
		n.Close()
		wg.Wait()
		for i := range told {
			if errors.Is(told[i].err, ledger.ErrClosed) { // found before the write was proposed
				told[i].err = &Unavailable{Reason: NotReady}
			}
		}
		fsys = fsys.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone})
		checkOutcomes(t, fsys, told)
	}
}

// TestTimeBeforeTheEpoch writes with a clock that stands before 1970, as that of a machine without a battery may: no
// entry may get into the log that cannot be applied.
func TestTimeBeforeTheEpoch(t *testing.T) {
	fsys := vfs.NewMem()
	opts := testOptions(fsys)
	opts.Now = func() time.Time { return time.Unix(-1, 0) }
	n := openNode(t, opts)
	cmd := put("key", "value")
	cmd.Ops = append(cmd.Ops, ledger.WriteOp{Op: tlog.OpPut, Key: []byte("other")})
	r, err := n.Write(context.Background(), cmd)
	if err != nil || r.Time != 0 || r.Count != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
}
