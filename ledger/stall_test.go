package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestWriteDelay: while nothing is flushed, the delays begin late, never shrink, grow smoothly, and have reached the whole
// of it by the time that Backlog refuses writes; they end when the memtables go.
func TestWriteDelay(t *testing.T) {
	r := newReplica(t, func(o *Options) { o.SealBytes = 100_000; o.MaxSealed = 4 })
	index, last, most := uint64(0), time.Duration(0), time.Duration(0)
	for full := false; !full; full, _ = r.l.Backlog() {
		index++
		mustApply(t, r.l, index, putCommand(t, fmt.Sprint("key ", index), make([]byte, 500)))
		for _, w := range r.l.WantedSeals(time.UnixMicro(0)) {
			index++
			mustApply(t, r.l, index, w.Data)
		}
		d := r.l.WriteDelay(1)
		switch held := r.l.memoryBytes(); {
		case d < last:
			t.Fatalf("delay %v after %v", d, last)
		case held <= 250_000 && d != 0:
			t.Fatalf("delay %v with %d bytes", d, held)
		case held <= 325_000 && d > maxWriteDelay/8: // half way to the wall
			t.Fatalf("delay %v with %d bytes", d, held)
		case held >= 260_000 && d == 0:
			t.Fatalf("no delay with %d bytes", held)
		}
		most = max(most, d-last)
		last = d
	}
	if last != maxWriteDelay || most > maxWriteDelay/20 {
		t.Fatalf("the last delay is %v, the largest step %v", last, most)
	}
	if one, large := r.l.WriteDelay(delayedBytes), r.l.WriteDelay(64<<20); one != maxWriteDelay || large != 2*maxWriteDelay {
		t.Fatalf("%v for a small write, %v for a large one", one, large)
	}
	if testutil.ToFloat64(r.l.metrics.writeDelays) < 10 || testutil.ToFloat64(r.l.metrics.delaySeconds) < 0.3 {
		t.Fatal("delays do not show in the metrics")
	}
	for r.l.memoryBytes() > 200_000 {
		if err := flushAll(r.l); err != nil {
			t.Fatal(err)
		}
		for _, w := range r.l.Wanted(time.UnixMicro(0)) {
			index++
			mustApply(t, r.l, index, w.Data)
		}
	}
	if d := r.l.WriteDelay(1 << 20); d != 0 {
		t.Fatalf("delay %v with %d bytes left", d, r.l.memoryBytes())
	}
}
