package sstable

import (
	"math"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
)

// BlockCache keeps decoded blocks and tiles of many tables in memory, bounded by their bytes. It is safe for
// concurrent use. What it holds is immutable and on the heap, so it outlives the tables it came from.
type BlockCache struct {
	blocks   *otter.Cache[cacheKey, cached]
	maxBytes uint64
	tables   atomic.Uint64 // numbers handed to tables, so that a file opened again starts afresh
	hits     atomic.Uint64
	misses   atomic.Uint64
}

type cacheKey struct{ table, offset uint64 }

// cached is a decoded data block, a tile, or a partition of an index.
type cached struct {
	block *dataBlock
	tile  []byte
	part  *partition
}

func (c cached) memory() int {
	if c.block != nil {
		return c.block.memory()
	}
	if c.part != nil {
		return c.part.memory
	}
	return cap(c.tile) + 64
}

// CacheStats is a BlockCache at one moment.
type CacheStats struct {
	Hits, Misses uint64
	Bytes        uint64 // held now
	MaxBytes     uint64
}

// DefaultCacheBytes is the size of a BlockCache that is given none.
const DefaultCacheBytes = 64 << 20

// NewBlockCache returns a cache for at most maxBytes of decoded blocks; 0 is DefaultCacheBytes.
func NewBlockCache(maxBytes int64) *BlockCache {
	if maxBytes <= 0 {
		maxBytes = DefaultCacheBytes
	}
	return &BlockCache{
		maxBytes: uint64(maxBytes),
		blocks: otter.Must(&otter.Options[cacheKey, cached]{
			MaximumWeight: uint64(maxBytes),
			Weigher: func(_ cacheKey, c cached) uint32 {
				return uint32(min(c.memory(), math.MaxUint32))
			},
			// Evictions are done by whoever fills the cache: no goroutine outlives a call.
			Executor: func(f func()) { f() },
		}),
	}
}

// Stats reports the cache's counters.
func (c *BlockCache) Stats() CacheStats {
	return CacheStats{c.hits.Load(), c.misses.Load(), c.blocks.WeightedSize(), c.maxBytes}
}

// newTable returns a number for a table's blocks. A nil cache is no cache.
func (c *BlockCache) newTable() uint64 {
	if c == nil {
		return 0
	}
	return c.tables.Add(1)
}

func (c *BlockCache) get(k cacheKey) (cached, bool) {
	if c == nil {
		return cached{}, false
	}
	v, ok := c.blocks.GetIfPresent(k)
	if ok {
		c.hits.Add(1)
	} else {
		c.misses.Add(1)
	}
	return v, ok
}

func (c *BlockCache) put(k cacheKey, v cached) {
	if c != nil {
		c.blocks.Set(k, v)
	}
}
