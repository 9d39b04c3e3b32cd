package tier

// CacheTable is the end of a cache file of n records of 100 bytes, and CacheTableAt where it begins.
func CacheTable(n int) []byte {
	var places []cachePlace
	for i := range n {
		places = append(places, cachePlace{cacheID{off: int64(i) * 100, n: 100}, uint32(i * (cacheRecordLen + 100))})
	}
	return appendCacheTable(nil, places, uint32(CacheTableAt(n)))
}

// CacheTableAt goes with CacheTable.
func CacheTableAt(n int) int { return n * (cacheRecordLen + 100) }

// ParseCacheTable says how many records a table has.
func ParseCacheTable(b []byte, at uint32) (int, bool) {
	places, ok := parseCacheTable(b, at)
	return len(places), ok
}
