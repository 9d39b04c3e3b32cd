package tier_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	coldEntries = 4000
	coldLarge   = 400 // one entry in so many has a value of its own blocks
)

// coldSegment is a segment whose data is in a store that counts.
type coldSegment struct {
	file    []byte
	info    sstable.Info
	object  tier.SealedObject
	store   *tier.Mem
	ranges  *tier.Ranges
	entries []sstable.Entry // by key
	largest uint64          // of the data blocks, as stored

	mu       sync.Mutex
	requests []tier.Request
	fault    func(tier.Request) tier.Fault
}

// take returns the range requests since it was called last.
func (c *coldSegment) take() []tier.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	var gets []tier.Request
	for _, q := range c.requests {
		if q.Op == tier.OpGet {
			gets = append(gets, q)
		}
	}
	c.requests = nil
	return gets
}

func (c *coldSegment) setFault(f func(tier.Request) tier.Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = f
}

func newColdSegment(t *testing.T, opts tier.RangesOptions) *coldSegment {
	t.Helper()
	return newColdSegmentOf(t, opts, coldEntries, 300)
}

// newColdSegmentOf makes one of n entries with values of so many bytes.
func newColdSegmentOf(t *testing.T, opts tier.RangesOptions, n uint64, valueBytes int) *coldSegment {
	t.Helper()
	c := &coldSegment{}
	var out bytes.Buffer
	w, err := sstable.NewWriter(&out, 0, n-1, sstable.WriterOptions{PartitionBlocks: 64})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{1})
	for i := range n {
		value := make([]byte, valueBytes)
		if i%coldLarge == 0 {
			value = make([]byte, 200<<10)
		}
		random.Read(value)
		var e sstable.Entry
		e.Op, e.Seq, e.Time, e.Key = tlog.OpPut, i, int64(i), fmt.Appendf(nil, "key-%06d", i)
		e.Value, e.ValueSize, e.ValueHash = value, uint64(len(value)), sha256.Sum256(value)
		e.Leaf = e.LeafHash()
		if err := w.Add(&e); err != nil {
			t.Fatal(err)
		}
		c.entries = append(c.entries, e)
	}
	var nodes, leaves []merkle.Hash
	for i := range c.entries {
		if leaves = append(leaves, c.entries[i].Leaf); len(leaves) == merkle.TileWidth {
			nodes, leaves = append(nodes, merkle.RootOf(leaves)), nil
		}
	}
	w.SetLedgerNodes(nodes)
	if c.info, err = w.Finish(); err != nil {
		t.Fatal(err)
	}
	c.file = out.Bytes()
	c.store = tier.NewMem(tier.MemOptions{Faults: func(q tier.Request) tier.Fault {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.requests = append(c.requests, q)
		if c.fault != nil {
			return c.fault(q)
		}
		return tier.Fault{}
	}})
	reader, err := segfile.Open(segfile.NewBytesSource("segment", c.file))
	if err != nil {
		t.Fatal(err)
	}
	up := tier.NewUploader(c.store, tier.UploaderOptions{})
	c.object, _, err = up.Upload(t.Context(), tier.SegmentFile{
		SegmentMetadata: tier.SegmentMetadata{FirstSeq: c.info.FirstSeq, LastSeq: c.info.LastSeq, Entries: c.info.Entries,
			Root: c.info.Root, MetaOffset: int64(reader.MetaOffset()), MinKey: c.info.MinKey, MaxKey: c.info.MaxKey},
		Bytes: bytes.NewReader(c.file), Size: int64(len(c.file)),
	})
	if err != nil {
		t.Fatal(err)
	}
	local, err := sstable.Open(segfile.NewBytesSource("segment", c.file), sstable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := local.Blocks(func(b *sstable.BlockInfo) error {
		c.largest = max(c.largest, b.StoredBytes)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	c.ranges = tier.NewRanges(c.store, opts)
	t.Cleanup(func() { c.ranges.Close() })
	return c
}

// table opens the segment with its meta tail at hand.
func (c *coldSegment) table(t *testing.T, opts sstable.Options) *sstable.Table {
	t.Helper()
	src, err := c.ranges.Open(c.object, bytes.NewReader(c.file[c.object.MetaOffset:]))
	if err != nil {
		t.Fatal(err)
	}
	opts.Expect = &c.info
	c.take()
	table, err := sstable.Open(src, opts)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.take(); len(got) != 0 {
		t.Fatalf("opening a cold table made %d requests: %v", len(got), got)
	}
	return table
}

// want fails unless just these requests were made, each of at most a block and 4 KiB.
func (c *coldSegment) want(t *testing.T, what string, n int, most uint64) {
	t.Helper()
	got := c.take()
	if len(got) != n {
		t.Fatalf("%s made %d requests, want %d: %v", what, len(got), n, got)
	}
	for _, q := range got {
		if q.Len > int64(most)+4<<10 {
			t.Fatalf("%s asked for %d bytes at %d, a block has at most %d", what, q.Len, q.Off, most)
		}
	}
}

// TestColdReadsCount says what each kind of read of a cold segment costs.
func TestColdReadsCount(t *testing.T) {
	c := newColdSegment(t, tier.RangesOptions{HedgeShare: -1})
	for name, resident := range map[string]int64{"index in memory": 0, "index read": -1} {
		t.Run(name, func(t *testing.T) {
			table := c.table(t, sstable.Options{ResidentBytes: resident})
			random := rand.New(rand.NewPCG(2, 2))
			for range 100 {
				e := &c.entries[random.IntN(coldEntries)]
				got, found, err := table.Get(e.Key, math.MaxUint64)
				if err != nil || !found || !bytes.Equal(got.Value, e.Value) {
					t.Fatalf("Get(%s): %v, %v", e.Key, found, err)
				}
				if e.ValueSize > 32<<10 {
					c.want(t, "Get of a large value", 3, 260<<10) // block, directory, and four pieces at once
				} else {
					c.want(t, "Get", 1, c.largest)
				}
				if _, _, found, err := table.Find(e.Key, math.MaxUint64); err != nil || !found {
					t.Fatal(found, err)
				}
				c.want(t, "Find", 1, c.largest)
				if _, err := table.PeekBySeq(e.Seq); err != nil {
					t.Fatal(err)
				}
				c.want(t, "PeekBySeq", 1, c.largest)
				it := table.Versions(e.Key, math.MaxUint64, true)
				it.Next()
				c.want(t, "Versions", 1, c.largest)
				ordinal := uint64(random.IntN(coldEntries))
				if _, err := table.Leaf(ordinal); err != nil {
					t.Fatal(err)
				}
				if _, err := table.Inclusion(ordinal); err != nil {
					t.Fatal(err)
				}
				c.want(t, "a proof", 0, 0)
			}
			for _, absent := range []string{"a", "z", "key-00001x", "key-0"} {
				if _, found, err := table.Get([]byte(absent), math.MaxUint64); found || err != nil {
					t.Fatal(absent, found, err)
				}
			}
			if n := len(c.take()); n > 1 {
				t.Fatalf("%d requests for keys that are not there", n)
			}
			v, err := table.OpenValue(0)
			if err != nil {
				t.Fatal(err)
			}
			c.want(t, "opening a large value", 2, c.largest)
			if _, err := v.ReadAt(make([]byte, 100), 70<<10); err != nil {
				t.Fatal(err)
			}
			c.want(t, "a range of a large value", 1, segfile.PieceBytes)
		})
	}
}

// TestColdScan reads everything of a cold segment in every direction, in few requests, and gets what a local one gives.
func TestColdScan(t *testing.T) {
	fresh := func(t *testing.T) (*coldSegment, *sstable.Table) {
		c := newColdSegment(t, tier.RangesOptions{})
		return c, c.table(t, sstable.Options{})
	}
	check := func(t *testing.T, c *coldSegment, it *sstable.Iter, move func() bool, want []sstable.Entry, values bool,
		most int) {
		t.Helper()
		for i := range want {
			if !move() {
				t.Fatalf("ends after %d entries: %v", i, it.Err())
			}
			if e := it.Entry(); !bytes.Equal(e.Key, want[i].Key) || values && !bytes.Equal(e.Value, want[i].Value) {
				t.Fatalf("entry %d is %s, want %s", i, e.Key, want[i].Key)
			}
		}
		if move() || it.Err() != nil {
			t.Fatal("goes on", it.Err())
		}
		requests := c.take()
		var sum int64
		for _, q := range requests {
			sum += q.Len
		}
		t.Logf("%d entries: %d requests, %d bytes of a segment of %d", len(want), len(requests), sum, len(c.file))
		if len(want) < coldEntries && sum > 64<<10 {
			t.Fatalf("%d bytes were read, beyond the bound", sum)
		}
		if len(requests) > most {
			t.Fatalf("%d requests, want at most %d: %v", len(requests), most, requests)
		}
	}
	t.Run("all", func(t *testing.T) {
		c, table := fresh(t)
		it := table.Iter(sstable.IterOptions{})
		check(t, c, it, it.Next, c.entries, true, 24)
	})
	t.Run("backwards", func(t *testing.T) {
		c, table := fresh(t)
		it := table.Iter(sstable.IterOptions{})
		reversed := slices.Clone(c.entries)
		slices.Reverse(reversed)
		check(t, c, it, it.Prev, reversed, true, 24)
	})
	t.Run("keys only", func(t *testing.T) {
		c, table := fresh(t)
		it := table.Iter(sstable.IterOptions{KeysOnly: true})
		check(t, c, it, it.Next, c.entries, false, 40)
	})
	t.Run("bounded", func(t *testing.T) {
		c, table := fresh(t)
		it := table.Iter(sstable.IterOptions{Lower: c.entries[1001].Key, Upper: c.entries[1100].Key})
		check(t, c, it, it.Next, c.entries[1001:1100], true, 4)
	})
	t.Run("few", func(t *testing.T) {
		c, table := fresh(t)
		it := table.Iter(sstable.IterOptions{})
		it.First()
		if got := c.take(); len(got) > 7 {
			t.Fatalf("one entry took %v", got)
		}
	})
	t.Run("by ordinal", func(t *testing.T) {
		c, table := fresh(t)
		it := table.ByOrdinal(sstable.ScanOptions{LeaveLarge: true, Leaves: true, NoFill: true})
		for n := 0; it.Next(); n++ {
			if it.Entry().Leaf != c.entries[n].Leaf {
				t.Fatal(n)
			}
			if v, err := it.OpenValue(); err != nil {
				t.Fatal(err)
			} else if _, err := io.Copy(io.Discard, io.NewSectionReader(v, 0, int64(v.Size()))); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.take(); it.Err() != nil || len(got) > 24 {
			t.Fatal(it.Err(), len(got))
		}
	})
	t.Run("verify", func(t *testing.T) {
		c, table := fresh(t)
		if err := table.Verify(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if got := c.take(); len(got) > 24 {
			t.Fatal(len(got))
		}
	})
	t.Run("again out of memory", func(t *testing.T) {
		c, _ := fresh(t)
		cached := c.table(t, sstable.Options{Cache: sstable.NewBlockCache(64 << 20)})
		for range 2 {
			it := cached.Iter(sstable.IterOptions{KeysOnly: true})
			for it.Next() {
				continue
			}
		}
		var sum int64
		for _, q := range c.take() {
			sum += q.Len
		}
		if sum > int64(len(c.file))*3/2 {
			t.Fatalf("%d bytes were read for two scans of %d", sum, len(c.file))
		}
	})
}

// TestColdBadByte: a byte that arrives wrong is asked for again, one that is wrong in the store is damage that names
// the object, and neither is ever given.
func TestColdBadByte(t *testing.T) {
	fsys := vfs.NewMem()
	cache, err := tier.OpenRangeCache(tier.RangeCacheOptions{FS: fsys, Dir: "cache"})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	c := newColdSegment(t, tier.RangesOptions{Cache: cache, HedgeShare: -1})
	table := c.table(t, sstable.Options{})
	flipped := 0
	c.setFault(func(q tier.Request) tier.Fault {
		if flipped++; flipped%2 == 1 {
			return tier.Fault{Kind: tier.Flipped, At: int64(flipped) * 1001}
		}
		return tier.Fault{}
	})
	for i := range 200 {
		e := &c.entries[1+i%20] // often the same ones, so that the cache takes them in
		got, found, err := table.Get(e.Key, math.MaxUint64)
		if err != nil || !found || !bytes.Equal(got.Value, e.Value) {
			t.Fatalf("Get(%s): %v, %v", e.Key, found, err)
		}
	}
	c.setFault(nil)
	c.store.Tamper(c.object.Name, func(b []byte) []byte {
		for i := range c.object.MetaOffset {
			b[i] ^= 1
		}
		return b
	})
	_, _, err = table.Get(c.entries[2000].Key, math.MaxUint64)
	var corrupt *vfs.CorruptError
	if !errors.As(err, &corrupt) || corrupt.File != "mem/"+c.object.Name {
		t.Fatalf("damage at rest: %v", err)
	}
}

// TestColdBadCopy: bytes that came damaged and were taken into the cache are not what a read ends with.
func TestColdBadCopy(t *testing.T) {
	cache, err := tier.OpenRangeCache(tier.RangeCacheOptions{FS: vfs.NewMem(), Dir: "cache"})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	c := newColdSegment(t, tier.RangesOptions{Cache: cache, HedgeShare: -1})
	table := c.table(t, sstable.Options{})
	requests := 0
	c.setFault(func(tier.Request) tier.Fault {
		if requests++; requests <= 3 { // the third is the second one that the cache is offered
			return tier.Fault{Kind: tier.Flipped, At: 1000}
		}
		return tier.Fault{}
	})
	if _, _, err := table.Get(c.entries[5].Key, math.MaxUint64); !errors.As(err, new(*vfs.CorruptError)) {
		t.Fatal("damaged twice:", err)
	}
	for range 3 {
		got, found, err := table.Get(c.entries[5].Key, math.MaxUint64)
		if err != nil || !found || !bytes.Equal(got.Value, c.entries[5].Value) {
			t.Fatal(found, err)
		}
	}
}

// TestColdUnderFaults reads while the store does everything it can to make that fail: what comes is right or an error
// within the deadline, never the absence of a key, and all is well once the store is.
func TestColdUnderFaults(t *testing.T) {
	kinds := map[string]func(tier.Request) tier.Fault{
		"503":     func(tier.Request) tier.Fault { return tier.Fault{Kind: tier.Overloaded} },
		"stall":   func(tier.Request) tier.Fault { return tier.Fault{Kind: tier.Stalled} },
		"lost":    func(tier.Request) tier.Fault { return tier.Fault{Kind: tier.AnswerLost} },
		"slow":    func(tier.Request) tier.Fault { return tier.Fault{Kind: tier.Slow} },
		"short":   func(q tier.Request) tier.Fault { return tier.Fault{Kind: tier.Cut, At: q.Len / 2} },
		"flipped": func(q tier.Request) tier.Fault { return tier.Fault{Kind: tier.Flipped, At: q.N * 7} },
		"refused": func(tier.Request) tier.Fault { return tier.Fault{Kind: tier.Refused} },
		"mixed":   tier.FaultMix{Overloaded: .2, AnswerLost: .1, Cut: .2, Flipped: .2}.Draw(7),
	}
	for name, fault := range kinds {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { coldUnder(t, fault, name == "flipped" || name == "mixed") })
		})
	}
}

func coldUnder(t *testing.T, fault func(tier.Request) tier.Fault, flips bool) {
	const deadline = time.Second
	cache, err := tier.OpenRangeCache(tier.RangeCacheOptions{FS: vfs.NewMem(), Dir: "cache"})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	c := newColdSegment(t, tier.RangesOptions{Deadline: deadline, Cache: cache})
	table := c.table(t, sstable.Options{})
	c.setFault(fault)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 1))
			for range 20 {
				e := &c.entries[random.IntN(coldEntries)]
				begun := time.Now()
				got, found, err := table.Peek(e.Key, math.MaxUint64)
				took := time.Since(begun)
				var corrupt *vfs.CorruptError
				switch {
				case err == nil && (!found || e.ValueSize < 1000 && !bytes.Equal(got.Value, e.Value)):
					t.Errorf("%s: %v, or a wrong value", e.Key, found)
				case err != nil && !errors.Is(err, tier.ErrUnavailable) && !(flips && errors.As(err, &corrupt)):
					t.Errorf("%s: %v", e.Key, err)
				case took > 2*deadline: // what comes damaged is read twice
					t.Errorf("%s took %v: %v", e.Key, took, err)
				}
				time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
			}
		})
	}
	wg.Wait()
	c.setFault(nil)
	// The store is back. The circuit lets a probe through before long.
	for back := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		_, found, err := table.Get(c.entries[7].Key, math.MaxUint64)
		if err == nil && found {
			break
		}
		if time.Since(back) > 5*time.Second {
			t.Fatalf("the store is back, reads are not: %v, %v", found, err)
		}
	}
	for i := 0; i < coldEntries; i += 37 {
		e := &c.entries[i]
		if got, found, err := table.Get(e.Key, math.MaxUint64); err != nil || !found || !bytes.Equal(got.Value, e.Value) {
			t.Fatalf("%s: %v, %v", e.Key, found, err)
		}
	}
}

// TestColdForeignObject: an object that is not the recorded one is damage, never an unavailable store or a missing key.
func TestColdForeignObject(t *testing.T) {
	for name, change := range map[string]func(c *coldSegment){
		"missing": func(c *coldSegment) {
			if err := c.store.Delete(context.Background(), c.object.Name); err != nil {
				panic(err)
			}
		},
		"shorter": func(c *coldSegment) {
			c.store.Tamper(c.object.Name, func(b []byte) []byte { return b[:len(b)/2] })
		},
		"empty":  func(c *coldSegment) { c.store.Tamper(c.object.Name, func(b []byte) []byte { return nil }) },
		"longer": func(c *coldSegment) { c.store.Tamper(c.object.Name, func(b []byte) []byte { return append(b, 0) }) },
		"another": func(c *coldSegment) {
			body := bytes.Clone(c.file)
			binary.LittleEndian.PutUint64(body[100:], 1)
			if _, err := c.store.Replace(context.Background(), c.object.Name, tier.BytesBody(body), "",
				tier.PutOptions{}); err != nil {
				panic(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newColdSegment(t, tier.RangesOptions{})
			table := c.table(t, sstable.Options{})
			change(c)
			_, found, err := table.Get(c.entries[3000].Key, math.MaxUint64)
			var corrupt *vfs.CorruptError
			if found || !errors.As(err, &corrupt) || corrupt.File != "mem/"+c.object.Name ||
				errors.Is(err, tier.ErrUnavailable) {
				t.Fatalf("%v, %v", found, err)
			}
		})
	}
}
