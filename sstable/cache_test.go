package sstable

import (
	"fmt"
	"testing"
)

// tileOf is something for the cache, with a weight of about n bytes.
func tileOf(n int) cached { return cached{tile: make([]byte, n-cacheOverhead)} }

// TestCacheResistsScans: blocks that point reads ask for again and again stay while a scan goes by, of three times the
// cache when the reads pause, and of a hundred times when they go on, at one read for eight blocks of the scan: a cache
// that kept the latest would hold none of them by the time it is asked for again. A new set of blocks takes the place of
// the old one when reads move there.
func TestCacheResistsScans(t *testing.T) {
	const block, size = 16 << 10, 4 << 20
	c := NewBlockCache(size)
	read := func(k cacheKey) {
		if _, ok := c.get(k); !ok {
			c.put(k, tileOf(block))
		}
	}
	hits := func(table uint64) (n int) {
		for i := range uint64(hotBlocks) {
			if _, ok := c.get(cacheKey{table, i}); ok {
				n++
			}
		}
		return n
	}
	warm := func(table uint64, rounds int) {
		for range rounds {
			for i := range uint64(hotBlocks) {
				read(cacheKey{table, i})
			}
		}
	}
	warm(1, 10)
	if got := hits(1); got < hotBlocks*9/10 {
		t.Fatalf("%d of %d blocks that fit are held", got, hotBlocks)
	}
	for i := range uint64(3 * size / block) {
		read(cacheKey{2, i})
	}
	if got := hits(1); got < hotBlocks*9/10 {
		t.Errorf("%d of %d hot blocks are left after a scan", got, hotBlocks)
	}
	warm(1, 2)
	found, asked := 0, 0
	for i := range uint64(100 * size / block) {
		read(cacheKey{4, i})
		if i%8 == 0 {
			k := cacheKey{1, i / 8 % hotBlocks}
			if _, ok := c.get(k); ok {
				found++
			} else {
				c.put(k, tileOf(block))
			}
			asked++
		}
	}
	t.Logf("beside a long scan %d of %d reads found their block", found, asked)
	if found < asked*9/10 {
		t.Errorf("beside a long scan %d of %d reads found their block", found, asked)
	}
	warm(3, 40)
	if got := hits(3); got < hotBlocks*8/10 {
		t.Errorf("%d of %d blocks are held after reads have moved to them", got, hotBlocks)
	}
	if s := c.Stats(); s.Bytes > s.MaxBytes || s.MaxBytes != size || s.Evictions == 0 || s.Hits == 0 || s.Misses == 0 {
		t.Errorf("%+v", s)
	}
}

const hotBlocks = 128 // half of what fits

func TestCacheBounds(t *testing.T) {
	const size = 1 << 20
	c := NewBlockCache(size)
	c.put(cacheKey{1, 1}, tileOf(size/cacheShare+1))
	if _, ok := c.get(cacheKey{1, 1}); ok {
		t.Error("a block of more than its share is held")
	}
	c.put(cacheKey{1, 2}, tileOf(size/cacheShare))
	if _, ok := c.get(cacheKey{1, 2}); !ok {
		t.Error("a block of just its share is not held")
	}
	// Empty tiles would be free, and without number, but for the overhead.
	for i := range uint64(100_000) {
		c.put(cacheKey{2, i}, cached{})
	}
	if n := c.blocks.EstimatedSize(); n > size/cacheOverhead {
		t.Errorf("%d empty blocks are held in %d bytes", n, size)
	}
	none := NewBlockCache(-1)
	none.put(cacheKey{1, 1}, tileOf(1<<10))
	if _, ok := none.get(cacheKey{1, 1}); ok || none.Stats() != (CacheStats{}) {
		t.Errorf("no cache holds something: %+v", none.Stats())
	}
	if c := NewBlockCache(0); c.Stats().MaxBytes != DefaultCacheBytes {
		t.Errorf("the default is %d", c.Stats().MaxBytes)
	}
}

// TestCacheKeepsTablesApart: tables whose blocks stand at the same places share a cache, and each gets its own.
func TestCacheKeepsTablesApart(t *testing.T) {
	c := NewBlockCache(8 << 20)
	var tables []*Table
	for i := range 3 {
		var entries []Entry
		for k := range 200 {
			entries = append(entries, put(fmt.Sprintf("key-%03d", k), fmt.Appendf(nil, "%d of table %d", k, i)))
		}
		file, _ := newModel(uint64(i)*1000, entries).build(t, WriterOptions{BlockBytes: 1 << 10})
		tables = append(tables, open(t, file, Options{Cache: c}))
	}
	for range 4 { // the first reads of a block need not leave it in the cache
		for k := range 200 {
			for i, table := range tables {
				e, found, err := table.Get(fmt.Appendf(nil, "key-%03d", k), 1<<40)
				if want := fmt.Sprintf("%d of table %d", k, i); err != nil || !found || string(e.Value) != want {
					t.Fatalf("%q, %v, %v; want %q", e.Value, found, err, want)
				}
			}
		}
	}
	if c.Stats().Bytes == 0 {
		t.Error("nothing was in the cache")
	}
}

// TestPassesLeaveTheCache: scans that are told so, and large values, do not enter the cache.
func TestPassesLeaveTheCache(t *testing.T) {
	var entries []Entry
	for i := range 300 {
		entries = append(entries, put(fmt.Sprintf("key-%03d", i), noise(100)))
	}
	entries = append(entries, put("large", noise(300<<10)))
	m := newModel(0, entries)
	file, _ := m.build(t, WriterOptions{BlockBytes: 1 << 10})
	c := NewBlockCache(8 << 20)
	table := open(t, file, Options{Cache: c})
	before := c.Stats().Bytes
	it := table.ByOrdinal(ScanOptions{NoFill: true, Leaves: true})
	n := 0
	for it.Next() {
		n++
	}
	if it.Err() != nil || n != len(entries) {
		t.Fatalf("%d entries, %v", n, it.Err())
	}
	if got := c.Stats().Bytes; got != before {
		t.Errorf("a pass without filling left %d bytes in the cache", got-before)
	}
	e, found, err := table.Get([]byte("large"), 1<<40)
	if err != nil || !found || len(e.Value) != 300<<10 {
		t.Fatalf("%v, %v", found, err)
	}
	if got := c.Stats().Bytes - before; got > 64<<10 {
		t.Errorf("a large value left %d bytes in the cache", got)
	}
}
