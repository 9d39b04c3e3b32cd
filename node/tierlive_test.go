package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// openTiered opens a member that runs with its goroutines, over a store that the others have too.
func (h *hub) openTiered(t *testing.T, id uint64, founders []Founder, store tier.Store) *Node {
	t.Helper()
	ranges := tier.NewRanges(store, tier.RangesOptions{Deadline: 2 * time.Second})
	opts := testOptions(vfs.NewMem())
	opts.NodeID, opts.Initial, opts.Network = id, founders, link{h, id}
	opts.RaftAddr, opts.HTTPAddr, opts.Heartbeat = raftAddr(id), httpAddr(id), 10*time.Millisecond
	opts.Ledger.SealBytes = 16 << 10
	opts.Tier = &TierOptions{Store: store, Ranges: ranges, Interval: 20 * time.Millisecond, MinAge: 24 * time.Hour}
	n, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	h.nodes[id] = n
	h.mu.Unlock()
	t.Cleanup(func() {
		if err := errors.Join(n.Close(), ranges.Close()); err != nil {
			t.Error(err)
		}
	})
	return n
}

// TestTierLive: members with their goroutines tier on demand, each asked in turn; a store that stalls holds up neither writes nor
// the end of a node, and who waits is told.
func TestTierLive(t *testing.T) {
	var stalled atomic.Bool
	store := tier.NewMem(tier.MemOptions{Now: time.Now, Faults: func(tier.Request) tier.Fault {
		if stalled.Load() {
			return tier.Fault{Kind: tier.Stalled}
		}
		return tier.Fault{}
	}})
	h := &hub{nodes: make(map[uint64]*Node)}
	var founders []Founder
	for id := uint64(1); id <= 3; id++ {
		founders = append(founders, Founder{NodeID: id, RaftAddr: raftAddr(id)})
	}
	var nodes []*Node
	for _, f := range founders {
		nodes = append(nodes, h.openTiered(t, f.NodeID, founders, store))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	value := strings.Repeat("value ", 100)
	for i := range 3 {
		for k := range 50 {
			if _, err := nodes[i].Write(ctx, put(fmt.Sprintf("key-%d-%d", i, k), value)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := nodes[i].Seal(ctx); err != nil {
			t.Fatal(err)
		}
		evicted := 0
		var r TierResult
		for left := true; left; { // again, for a segment that came meanwhile or behind the round, of a merge
			var err error
			if r, err = nodes[i].Tier(ctx, true); err != nil {
				t.Fatalf("node %d: %+v, %v", i+1, r, err)
			}
			evicted += len(r.Evicted)
			if left = r.Waiting != 0 || nodes[i].TierStatus().LocalSegments != 0; left {
				<-time.After(20 * time.Millisecond)
			}
		}
		if evicted == 0 || r.Published == 0 {
			t.Fatalf("node %d: %+v", i+1, r)
		}
		if st := nodes[i].TierStatus(); st.ColdSegments == 0 || st.Published < r.Published {
			t.Fatalf("node %d: %+v", i+1, st)
		}
		e, err := nodes[i].Ledger().Get(fmt.Appendf(nil, "key-%d-%d", i, 7), ledger.Selector{})
		if err != nil || string(e.Value) != value {
			t.Fatal(err)
		}
	}
	stalled.Store(true)
	for k := range 50 {
		if _, err := nodes[0].Write(ctx, put(fmt.Sprintf("late-%d", k), value)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := nodes[0].Seal(ctx); err != nil {
		t.Fatal(err)
	}
	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	r, err := nodes[1].Tier(short, true)
	var late *Unavailable
	if !errors.As(err, &late) || late.Reason != OutcomeUnknown || r.Waiting == 0 || len(r.Evicted) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, n := range slices.Backward(nodes) {
		begun := time.Now()
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 10*time.Second { // the store's own deadline is 30
			t.Fatalf("closing node %d took %v", n.opts.NodeID, took)
		}
	}
}

// TestTierBesideStalledUpload: while the store takes no upload, and does not refuse one either, the daemon goes on: whoever
// waits for a round is told when the time is up, and files whose objects are there go.
func TestTierBesideStalledUpload(t *testing.T) {
	var stalled atomic.Bool
	store := tier.NewMem(tier.MemOptions{Now: time.Now, Faults: func(q tier.Request) tier.Fault {
		if stalled.Load() && (q.Op == tier.OpPut || q.Op == tier.OpBegin || q.Op == tier.OpPart) {
			return tier.Fault{Kind: tier.Stalled}
		}
		return tier.Fault{}
	}})
	h := &hub{nodes: make(map[uint64]*Node)}
	n := h.openTiered(t, 1, []Founder{{NodeID: 1, RaftAddr: raftAddr(1)}}, store)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	write := func(key string) {
		t.Helper()
		if _, err := n.Write(ctx, put(key, strings.Repeat(key, 100))); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Seal(ctx); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	if r, err := n.Tier(ctx, false); err != nil || r.Waiting != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	stalled.Store(true)
	write("second")
	p := n.BeginTier(false, time.Now().Add(50*time.Millisecond))
	select {
	case <-p.r.done:
	case <-ctx.Done():
		t.Fatal("the round does not end while an upload stalls")
	}
	if r, err, _ := p.Outcome(); err == nil || r.Waiting == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
