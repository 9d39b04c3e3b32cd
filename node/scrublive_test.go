package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// liveTiered returns a node with goroutines, alone, over a store, with segments that have objects.
func liveTiered(t *testing.T, edit func(*Options)) (*Node, *vfs.Mem, *tier.Mem) {
	t.Helper()
	fsys, store := vfs.NewMem(), tier.NewMem(tier.MemOptions{})
	ranges := tier.NewRanges(store, tier.RangesOptions{})
	t.Cleanup(func() { ranges.Close() })
	opts := testOptions(fsys)
	opts.Ledger.CompactFanIn = -1
	opts.Tier = &TierOptions{Store: store, Ranges: ranges, Interval: 10 * time.Millisecond}
	if edit != nil {
		edit(&opts)
	}
	n := openNode(t, opts)
	ctx := context.Background()
	for i := range 3 {
		for range 3 {
			if _, err := n.Write(ctx, put("k"+strings.Repeat("x", i), strings.Repeat("v", 2000))); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := n.Seal(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Tier(ctx, false); err != nil {
		t.Fatal(err)
	}
	if got := len(n.ledger.Objects()); got != 3 {
		t.Fatalf("%d segments have objects", got)
	}
	return n, fsys, store
}

// TestScrubWaitsForRepairs: with goroutines, what Scrub has set going is done when it returns, also of an object whose
// file has to come back first.
func TestScrubWaitsForRepairs(t *testing.T) {
	n, fsys, store := liveTiered(t, func(o *Options) { o.ScrubBytesPerSecond = -1 })
	flip(t, fsys, n.ledger.Copies()[1].File, 100)
	object := n.ledger.Objects()[2].Object.Name
	store.Tamper(object, func(b []byte) []byte { b[33] ^= 1; return b })
	r, err := n.Scrub(context.Background())
	if err != nil || len(r.Findings) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if f := r.Findings[0]; !f.Repaired || f.From != fromStore {
		t.Fatalf("%+v", f)
	}
	if f := r.Findings[1]; !f.Repaired || f.From != fromLocal {
		t.Fatalf("%+v", f)
	}
	if r, err := n.Scrub(context.Background()); err != nil || len(r.Findings) != 0 || r.Segments != 3 || r.Objects != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// TestScrubRuns by itself, and ends with the node, also in the middle of a file.
func TestScrubRuns(t *testing.T) {
	n, fsys, _ := liveTiered(t, func(o *Options) { o.ScrubInterval = time.Millisecond })
	flip(t, fsys, n.ledger.Copies()[1].File, 100)
	deadline := time.Now().Add(20 * time.Second)
	for repairs(n, whatFile, "object_store") == 0 {
		if time.Now().After(deadline) {
			t.Fatal("nothing is repaired")
		}
		time.Sleep(time.Millisecond)
	}

	slow, _, _ := liveTiered(t, func(o *Options) { o.ScrubBytesPerSecond = 1 })
	for slow.scrub.n != slow || !slow.scrub.reads() {
		time.Sleep(time.Millisecond)
	}
	done := make(chan error)
	go func() { done <- slow.Close() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the node does not close")
	}
	if _, err := slow.Scrub(context.Background()); err == nil {
		t.Fatal("a closed node is scrubbed")
	}
}

// reads says whether step has begun to read.
func (s *scrubber) reads() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.free.IsZero()
}

// TestScrubOnceAtATime: a second pass is refused, and a context ends one.
func TestScrubOnceAtATime(t *testing.T) {
	n, _, _ := liveTiered(t, nil)
	n.scrub.passing <- struct{}{}
	var busy *Unavailable
	if _, err := n.Scrub(context.Background()); !errors.As(err, &busy) || busy.Reason != Overloaded {
		t.Fatalf("a second pass: %v", err)
	}
	<-n.scrub.passing
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r, err := n.Scrub(ctx); !errors.Is(err, context.Canceled) || r.Segments != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
}
