package transport

import (
	"sync/atomic"
	"testing"
)

// TestBrokenIsTold: when connections with a peer end that carried messages, the owner hears of it, for each way. The end of
// a bulk connection is nothing to it.
func TestBrokenIsTold(t *testing.T) {
	var heard atomic.Int64
	a := start(t, 1, func(o *Options) {
		o.Broken = func(peer uint64) {
			if peer != 2 {
				t.Errorf("a connection with node %d broke", peer)
			}
			heard.Add(1)
		}
	})
	p := join(t, a, 2, Bulk)
	_ = p.Close()
	eventually(t, "the bulk connection is gone", func() bool { return len(a.Peers()) == 0 })
	if n := heard.Load(); n != 0 {
		t.Fatalf("heard %d times of a bulk connection", n)
	}
	p = join(t, a, 2, Messages)
	_ = p.Close()
	eventually(t, "the end of what the peer sends on is told", func() bool { return heard.Load() == 1 })

	b := start(t, 2, nil)
	introduce(a, b)
	eventually(t, "they are connected", func() bool {
		st := a.Peers()[0]
		return st.Connected && st.Bulk && st.Inbound == 2
	})
	before := heard.Load()
	closeAll(b)
	eventually(t, "the ends of both ways are told", func() bool { return heard.Load() >= before+2 })
}
