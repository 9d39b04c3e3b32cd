package tier_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tier"
)

// farStore answers after 20 ms, and then gives each request 50 MB a second.
type farStore struct{ *tier.Mem }

func (s farStore) Get(ctx context.Context, key string, off, n int64) (*tier.Reader, error) {
	if err := after(ctx, 20*time.Millisecond+time.Duration(n)*20*time.Nanosecond); err != nil {
		return nil, err
	}
	return s.Mem.Get(ctx, key, off, n)
}

// TestColdScanRate holds a scan of a cold segment against eight plain gets at a time of the same bytes. In the bubble's
// time only the store takes any: what is compared is how well the scan keeps it busy.
func TestColdScanRate(t *testing.T) {
	c := newColdSegmentOf(t, tier.RangesOptions{}, 2000, 20<<10)
	end := c.object.MetaOffset
	synctest.Test(t, func(t *testing.T) {
		store := farStore{c.store}
		begun := time.Now()
		slots := make(chan struct{}, 8)
		var wg sync.WaitGroup
		for off := int64(0); off < end; off += 1 << 20 {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				if err := tier.ReadAt(t.Context(), store, c.object.Name, make([]byte, min(1<<20, end-off)), off); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		plain := time.Since(begun)
		ranges := tier.NewRanges(store, tier.RangesOptions{})
		defer ranges.Close()
		src, err := ranges.Open(c.object, bytes.NewReader(c.file[end:]))
		if err != nil {
			t.Fatal(err)
		}
		var _ segfile.Source = src
		table, err := sstable.Open(src, sstable.Options{})
		if err != nil {
			t.Fatal(err)
		}
		begun = time.Now()
		it := table.Iter(sstable.IterOptions{})
		n := 0
		for it.Next() {
			n++
		}
		scan := time.Since(begun)
		if it.Err() != nil || n != len(c.entries) {
			t.Fatal(n, it.Err())
		}
		t.Logf("%d bytes: plain gets took %v, the scan %v: %.0f%% of the rate", end, plain, scan,
			100*plain.Seconds()/scan.Seconds())
		if plain.Seconds() < 0.6*scan.Seconds() {
			t.Fatal("the scan is too slow")
		}
	})
}

// TestManyColdScans has more walk at a time than there is room to read ahead for: each gets its part again and again.
func TestManyColdScans(t *testing.T) {
	c := newColdSegmentOf(t, tier.RangesOptions{}, 1500, 20<<10)
	synctest.Test(t, func(t *testing.T) {
		ranges := tier.NewRanges(farStore{c.store}, tier.RangesOptions{AheadBytes: 4 << 20})
		defer ranges.Close()
		const walks = 8
		c.take()
		var wg sync.WaitGroup
		for i := range walks {
			wg.Go(func() {
				src, err := ranges.Open(c.object, bytes.NewReader(c.file[c.object.MetaOffset:]))
				if err != nil {
					t.Error(err)
					return
				}
				table, err := sstable.Open(src, sstable.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Duration(i) * 30 * time.Millisecond)
				it, n := table.Iter(sstable.IterOptions{Reuse: true}), 0
				for it.Next() {
					n++
				}
				if it.Err() != nil || n != len(c.entries) {
					t.Error(n, it.Err())
				}
			})
		}
		wg.Wait()
		requests := len(c.take())
		t.Logf("%d walks over %d blocks: %d requests", walks, len(c.entries), requests)
		if requests > walks*len(c.entries)/8 {
			t.Errorf("%d walks over %d blocks took %d requests", walks, len(c.entries), requests)
		}
	})
}
