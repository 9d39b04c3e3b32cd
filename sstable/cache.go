package sstable

// BlockCache keeps decoded blocks of many tables in memory, bounded by their bytes. It is safe for concurrent use.
type BlockCache struct{}

// CacheStats is a BlockCache at one moment.
type CacheStats struct {
	Hits, Misses uint64
	Bytes        uint64 // held now
	MaxBytes     uint64
}

// NewBlockCache returns a cache for at most maxBytes of decoded blocks.
func NewBlockCache(maxBytes int64) *BlockCache { return &BlockCache{} }

// Stats reports the cache's counters.
func (c *BlockCache) Stats() CacheStats { return CacheStats{} }
