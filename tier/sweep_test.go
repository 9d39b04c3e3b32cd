package tier_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
)

// sweepAll sweeps to the end, as often as the store fails.
func sweepAll(t *testing.T, store tier.Store, opts tier.SweepOptions) (sum tier.SweepResult) {
	t.Helper()
	var at tier.SweepCursor
	for range 200 {
		r, err := tier.Sweep(t.Context(), store, opts, &at)
		sum.Deleted += r.Deleted
		sum.Bytes += r.Bytes
		sum.Locked += r.Locked
		sum.Foreign += r.Foreign
		sum.Aborted += r.Aborted
		if _, again := tier.Temporary(err); err != nil && !again {
			t.Fatal(err)
		}
		if r.Done {
			return sum
		}
	}
	t.Fatal("a sweep does not end")
	return sum
}

func keysOf(t *testing.T, store tier.Store) (keys []string) {
	t.Helper()
	for after := ""; ; {
		page, err := store.List(t.Context(), "", after, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Objects {
			keys = append(keys, o.Key)
		}
		if after = page.Next; after == "" {
			return keys
		}
	}
}

func put(t *testing.T, store tier.Store, key string, sealed bool) {
	t.Helper()
	if _, err := store.Put(t.Context(), key, tier.BytesBody([]byte(key)), tier.PutOptions{Sealed: sealed}); err != nil {
		t.Fatal(err)
	}
}

func TestSweep(t *testing.T) {
	now := time.Unix(1e9, 0)
	var fault func(tier.Request) tier.Fault
	store := tier.NewMem(tier.MemOptions{PartBytes: 1 << 10, Now: func() time.Time { return now },
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Faults: func(q tier.Request) tier.Fault {
			if fault != nil {
				return fault(q)
			}
			return tier.Fault{}
		}})
	kept := make(map[string]bool)
	for i := range uint64(2300) { // several pages
		name := tier.SegmentName(i, i, merkle.Hash{byte(i)})
		put(t, store, name, true)
		kept[name] = i%2 == 0
	}
	others := []string{"checkpoint", "ledger.json", "segments/mine.txt", tier.ManifestName(1, merkle.Hash{1}), "tiles/tile/0/000"}
	for _, name := range others {
		put(t, store, name, false)
	}
	put(t, store, "scratch/probe", false)
	fault = func(q tier.Request) tier.Fault { // an upload that was never completed
		if q.Op == tier.OpComplete || q.Op == tier.OpAbort {
			return tier.Fault{Kind: tier.Overloaded}
		}
		return tier.Fault{}
	}
	if _, err := store.Put(t.Context(), tier.SegmentName(9, 10, merkle.Hash{}), tier.BytesBody(make([]byte, 5000)),
		tier.PutOptions{}); err == nil {
		t.Fatal("the upload was completed")
	}
	fault = nil
	opts := tier.SweepOptions{Keep: func(name string) bool { return kept[name] }, Pages: 1}
	now = now.Add(59 * time.Minute)
	if r := sweepAll(t, store, opts); r.Deleted != 0 || r.Aborted != 0 {
		t.Fatalf("what is young went: %+v", r)
	}
	now = now.Add(2 * time.Minute)
	young := tier.SegmentName(5000, 5000, merkle.Hash{})
	put(t, store, young, true)
	fault = tier.FaultMix{Overloaded: .01, AnswerLost: .01, Stalled: .01}.Draw(3)
	r := sweepAll(t, store, opts)
	fault = nil
	if r.Aborted == 0 || r.Foreign == 0 {
		t.Fatalf("%+v", r)
	}
	want := append([]string{young}, others...)
	for name, keep := range kept {
		if keep {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	now = now.Add(2 * time.Hour)
	kept[young] = true
	sweepAll(t, store, opts) // what the faults have left behind of the sweep itself
	if got := keysOf(t, store); !slices.Equal(got, want) {
		t.Fatalf("%d objects are left, want %d", len(got), len(want))
	}
	uploads, err := store.Uploads(t.Context(), "", tier.Upload{}, 0)
	if err != nil || len(uploads.Uploads) != 0 {
		t.Fatal(uploads, err)
	}
}

// TestSweepLeavesOwnUploads: an upload that takes longer than the age of what goes is not ended by its own process. Once
// it is over, what others have left of that key goes too.
func TestSweepLeavesOwnUploads(t *testing.T) {
	now, fail, busy := time.Unix(1e9, 0), true, ""
	name := tier.SegmentName(0, 9, merkle.Hash{1})
	store := tier.NewMem(tier.MemOptions{PartBytes: 1 << 10, Now: func() time.Time { return now },
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Faults: func(q tier.Request) tier.Fault {
			if fail && (q.Op == tier.OpComplete || q.Op == tier.OpAbort) {
				return tier.Fault{Kind: tier.Overloaded}
			}
			return tier.Fault{}
		}})
	body := tier.BytesBody(make([]byte, 5000))
	if _, err := store.Put(t.Context(), name, body, tier.PutOptions{}); err == nil {
		t.Fatal("the upload was completed")
	}
	opts := tier.SweepOptions{Keep: func(string) bool { return true }, Uploading: func(key string) bool { return key == busy }}
	fail, busy = false, name
	body.Bytes = readerAt(func(p []byte, off int64) (int, error) {
		if off == 2<<10 {
			now = now.Add(2 * time.Hour)
			if r := sweepAll(t, store, opts); r.Aborted != 0 {
				t.Errorf("%d uploads were ended while one is under way", r.Aborted)
			}
		}
		return len(p), nil
	})
	if _, err := store.Put(t.Context(), name, body, tier.PutOptions{}); err != nil || now.Equal(time.Unix(1e9, 0)) {
		t.Fatal(now, err)
	}
	if busy = ""; sweepAll(t, store, opts).Aborted != 1 {
		t.Fatal("the abandoned upload stays")
	}
}

// readerAt is a function as an io.ReaderAt.
type readerAt func(p []byte, off int64) (int, error)

func (f readerAt) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

// TestSweepLocked: what the store's retention keeps is no error, and is met again by the next sweep.
func TestSweepLocked(t *testing.T) {
	now := time.Unix(1e9, 0)
	store := tier.NewMem(tier.MemOptions{Retention: 24 * time.Hour, Now: func() time.Time { return now }})
	for i := range uint64(2300) { // several pages
		put(t, store, tier.SegmentName(i, i, merkle.Hash{}), true)
	}
	opts := tier.SweepOptions{Keep: func(string) bool { return false }}
	now = now.Add(2 * time.Hour)
	if r := sweepAll(t, store, opts); r.Locked != 2300 || r.Deleted != 0 {
		t.Fatalf("%+v", r)
	}
	now = now.Add(23 * time.Hour)
	if r := sweepAll(t, store, opts); r.Locked != 0 || r.Deleted != 2300 {
		t.Fatalf("%+v", r)
	}
}

// TestSweepInstead: what another object has taken the place of goes once that one is old enough, too, and stays while it is
// not there.
func TestSweepInstead(t *testing.T) {
	now := time.Unix(1e9, 0)
	store := tier.NewMem(tier.MemOptions{Now: func() time.Time { return now }})
	merged := tier.SegmentName(0, 9, merkle.Hash{1})
	for i := range uint64(10) {
		put(t, store, tier.SegmentName(i, i, merkle.Hash{}), true)
	}
	asked := 0
	opts := tier.SweepOptions{Keep: func(name string) bool { return name == merged },
		Instead: func(string) string { asked++; return merged }}
	for _, step := range []struct {
		after time.Duration
		gone  int
	}{{0, 0}, {24 * time.Hour, 0}, {30 * time.Minute, 0}, {31 * time.Minute, 10}} {
		now = now.Add(step.after)
		if r := sweepAll(t, store, opts); r.Deleted != step.gone {
			t.Fatalf("%+v", r)
		}
		if step.after == 24*time.Hour {
			put(t, store, merged, true)
		}
	}
	if asked == 0 {
		t.Fatal("nobody was asked")
	}
}

// TestSweepAsksLast: Keep is asked at the moment of deletion, and its answer counts.
func TestSweepAsksLast(t *testing.T) {
	now := time.Unix(1e9, 0)
	deleted := 0
	store := tier.NewMem(tier.MemOptions{Now: func() time.Time { return now }, Faults: func(q tier.Request) tier.Fault {
		if q.Op == tier.OpDelete {
			deleted++
		}
		return tier.Fault{}
	}})
	for i := range uint64(10) {
		put(t, store, tier.SegmentName(i, i, merkle.Hash{}), true)
	}
	now = now.Add(2 * time.Hour)
	asked := 0
	r, err := tier.Sweep(t.Context(), store, tier.SweepOptions{Keep: func(name string) bool {
		asked++
		return asked > 3 // recorded since the sweep began
	}}, new(tier.SweepCursor))
	if err != nil || r.Deleted != 3 || deleted != 3+1 || len(keysOf(t, store)) != 7 {
		t.Fatal(fmt.Sprintf("%+v, %d deletions", r, deleted), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tier.Sweep(ctx, store, tier.SweepOptions{Keep: func(string) bool { return false }},
		new(tier.SweepCursor)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
