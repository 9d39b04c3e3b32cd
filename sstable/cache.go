package sstable

import (
	"math"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
)

// BlockCache keeps decoded blocks and tiles of many tables in memory, bounded by their bytes. It is safe for
// concurrent use. What it holds is immutable and on the heap, so it outlives the tables it came from. A nil BlockCache
// holds nothing.
//
// What comes in newly takes a small part of the space and stays beyond that only if it is asked for more often than what
// would have to go (W-TinyLFU): a scan of everything does not push out what point reads live on. Passes that read each
// block once leave the cache alone altogether (ScanOptions.NoFill), and large values pass it by (Value).
type BlockCache struct {
	blocks    *otter.Cache[cacheKey, cached]
	maxBytes  uint64
	tables    atomic.Uint64 // numbers handed to tables, so that a file opened again starts afresh
	hits      atomic.Uint64
	misses    atomic.Uint64
	evictions atomic.Uint64
}

const (
	// cacheOverhead is what a block costs in the cache beside its own memory: the cache's node and its places in the hash
	// table, in the queues and in the sketch of frequencies, rounded up to what the allocator gives.
	cacheOverhead = 136
	// cacheShare bounds one block: it takes no more than that part of the cache.
	cacheShare = 8
)

type cacheKey struct{ table, offset uint64 }

// cached is a decoded data block, a tile, or a partition of an index.
type cached struct {
	block *dataBlock
	tile  []byte
	part  *partition
}

// memory is what c takes in the cache.
func (c cached) memory() int {
	if c.block != nil {
		return cacheOverhead + c.block.memory()
	}
	if c.part != nil {
		return cacheOverhead + c.part.memory
	}
	return cacheOverhead + cap(c.tile)
}

// CacheStats is a BlockCache at one moment.
type CacheStats struct {
	Hits, Misses uint64
	Evictions    uint64 // blocks that went for want of space, those among them that never got beyond the entrance
	Bytes        uint64 // held now
	MaxBytes     uint64
}

// DefaultCacheBytes is the size of a BlockCache that is given none.
const DefaultCacheBytes = 64 << 20

// NewBlockCache returns a cache for at most maxBytes of decoded blocks; 0 is DefaultCacheBytes, and less is none: nil.
func NewBlockCache(maxBytes int64) *BlockCache {
	switch {
	case maxBytes < 0:
		return nil
	case maxBytes == 0:
		maxBytes = DefaultCacheBytes
	}
	c := &BlockCache{maxBytes: uint64(maxBytes)}
	c.blocks = otter.Must(&otter.Options[cacheKey, cached]{
		MaximumWeight: uint64(maxBytes),
		Weigher: func(_ cacheKey, c cached) uint32 {
			return uint32(min(c.memory(), math.MaxUint32))
		},
		OnAtomicDeletion: func(e otter.DeletionEvent[cacheKey, cached]) {
			if e.WasEvicted() {
				c.evictions.Add(1)
			}
		},
		// Evictions are done by whoever fills the cache: no goroutine outlives a call.
		Executor: func(f func()) { f() },
	})
	return c
}

// Stats reports the cache's counters.
func (c *BlockCache) Stats() CacheStats {
	if c == nil {
		return CacheStats{}
	}
	return CacheStats{Hits: c.hits.Load(), Misses: c.misses.Load(), Evictions: c.evictions.Load(),
		Bytes: c.blocks.WeightedSize(), MaxBytes: c.maxBytes}
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

// holds says whether k is there, and leaves counters and order as they are.
func (c *BlockCache) holds(k cacheKey) bool {
	if c == nil {
		return false
	}
	_, ok := c.blocks.GetEntryQuietly(k)
	return ok
}

func (c *BlockCache) put(k cacheKey, v cached) {
	if c != nil && uint64(v.memory()) <= c.maxBytes/cacheShare {
		c.blocks.Set(k, v)
	}
}

// walkShare is how many bytes a walk puts into the cache that does not want its blocks to stay: so much that one over
// a part of the cache's size finds them there the next time, and a longer one does not push out its own beginning.
func (c *BlockCache) walkShare() uint64 {
	if c == nil {
		return 0
	}
	return c.maxBytes / 4
}
