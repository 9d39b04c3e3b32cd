package tier

import "github.com/prometheus/client_golang/prometheus"

// cacheMetrics are those of a RangeCache.
type cacheMetrics struct {
	registerer prometheus.Registerer
	all        []prometheus.Collector

	hits, misses, written, evictions, errors, full prometheus.Counter
}

func newCacheMetrics(c *RangeCache, r prometheus.Registerer) *cacheMetrics {
	m := &cacheMetrics{registerer: r}
	counter := func(name, help string) prometheus.Counter {
		n := prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_tier_cache_" + name, Help: help})
		m.all = append(m.all, n)
		return n
	}
	m.hits = counter("hits_total", "Ranges that the disk cache had.")
	m.misses = counter("misses_total", "Ranges that the disk cache did not have.")
	m.written = counter("written_bytes_total", "Bytes that the disk cache took in.")
	m.evictions = counter("evictions_total", "Ranges that went for want of space.")
	m.errors = counter("errors_total", "Files of the disk cache that could not be read or written, and damaged ranges.")
	m.full = counter("full_total", "Times that the disk cache could not grow because the disk has no room for it.")
	gauge := func(name, help string, value func() float64) {
		m.all = append(m.all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scribe_tier_cache_" + name, Help: help},
			func() float64 {
				c.mu.Lock()
				defer c.mu.Unlock()
				return value()
			}))
	}
	gauge("bytes", "Disk space that the disk cache takes.", func() float64 { return float64(c.bytes) })
	gauge("ranges", "Ranges in the disk cache.", func() float64 { return float64(len(c.index)) })
	register(r, m.all)
	return m
}

func (m *cacheMetrics) close() { unregister(m.registerer, m.all) }
