package node

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestQueueIsBounded: where no leader is known, writes and reads wait, as many as may and no more. One write of any size
// is let in.
func TestQueueIsBounded(t *testing.T) {
	const few, bytes = 10, 4 << 10
	c := newCluster(t, 3, func(o *Options) { o.MaxQueue, o.MaxQueueBytes = few, bytes })
	n := c.node(1)
	overloaded := func(p *Pending) bool {
		_, err, done := p.Outcome()
		var refusal *Unavailable
		return done && errors.As(err, &refusal) && refusal.Reason == Overloaded
	}
	for i := range 2 * few {
		if refused := overloaded(n.Begin(put("key", "value"), time.Time{})); refused != (i >= few) {
			t.Errorf("write %d of %d that may wait: refused %t", i+1, few, refused)
		}
		if refused := overloaded(n.BeginBarrier(time.Time{})); refused != (i >= few) {
			t.Errorf("read %d of %d that may wait: refused %t", i+1, few, refused)
		}
	}
	n = c.node(2)
	for i, size := range []int{2 * bytes, 1} {
		if refused := overloaded(n.Begin(put("key", strings.Repeat("x", size)), time.Time{})); refused != (i > 0) {
			t.Errorf("write %d, of %d bytes: refused %t", i+1, size, refused)
		}
	}
}
