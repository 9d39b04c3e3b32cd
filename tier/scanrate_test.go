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

// walkFar walks a cold segment of a far store, and takes so long over each entry.
func (c *coldSegment) walkFar(t *testing.T, ranges *tier.Ranges, pause time.Duration) (took time.Duration) {
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
	begun := time.Now()
	it, n := table.Iter(sstable.IterOptions{Reuse: true}), 0
	for ; it.Next(); n++ {
		if pause > 0 {
			time.Sleep(pause)
		}
	}
	if it.Err() != nil || n != len(c.entries) {
		t.Error(n, it.Err())
	}
	return time.Since(begun)
}

// TestManyColdScans has more walk at a time than there is room to read ahead for, so that what one has announced is taken by
// others and given up before it comes there: each gets its part again and again. One block at a time would take them 31 s.
func TestManyColdScans(t *testing.T) {
	c := newColdSegmentOf(t, tier.RangesOptions{}, 1500, 20<<10)
	for _, x := range []struct {
		ahead    int64
		walks    int
		apart    time.Duration
		requests int
		most     time.Duration
	}{
		{4 << 20, 8, 30 * time.Millisecond, 2000, 8 * time.Second},
		{8 << 20, 4, 30 * time.Millisecond, 600, 3 * time.Second},
		{0, 2, 300 * time.Millisecond, 200, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ranges := tier.NewRanges(farStore{c.store}, tier.RangesOptions{AheadBytes: x.ahead})
			defer ranges.Close()
			c.take()
			begun := time.Now()
			var wg sync.WaitGroup
			for i := range x.walks {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * x.apart)
					c.walkFar(t, ranges, 0)
				})
			}
			wg.Wait()
			took, requests := time.Since(begun), len(c.take())
			t.Logf("%d walks over %d blocks with %d MiB: %v, %d requests", x.walks, len(c.entries), x.ahead>>20, took, requests)
			if took > x.most || requests > x.requests {
				t.Errorf("at most %v and %d requests were expected", x.most, x.requests)
			}
		})
	}
}

// TestSlowColdScan: what was announced is given up before one who takes his time comes there. He does not wait for a block
// at a time from then on.
func TestSlowColdScan(t *testing.T) {
	c := newColdSegmentOf(t, tier.RangesOptions{}, 2000, 20<<10)
	for _, pause := range []time.Duration{15 * time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			ranges := tier.NewRanges(farStore{c.store}, tier.RangesOptions{})
			defer ranges.Close()
			c.take()
			took, own := c.walkFar(t, ranges, pause), time.Duration(len(c.entries))*pause
			requests := len(c.take())
			t.Logf("a walk that takes %v itself: %v, %d requests", own, took, requests)
			if took > own+own/20 || requests > 300 {
				t.Error("it waits for the store")
			}
		})
	}
}
