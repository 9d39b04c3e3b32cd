package ledger

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/manifest"
)

// metrics of one ledger. The gauges read the ledger when they are scraped, so they cost the write path nothing.
type metrics struct {
	registerer    prometheus.Registerer
	all           []prometheus.Collector
	flushSeconds  prometheus.Histogram
	flushedBytes  prometheus.Counter
	flushFailures prometheus.Counter
	writeDelays   prometheus.Counter
	delaySeconds  prometheus.Counter

	compactions, compactRead, compactWritten, compactFailures prometheus.Counter
	compactSeconds                                            prometheus.Histogram

	evictions, fetches, applyStalls prometheus.Counter
}

func newMetrics(l *Ledger, r prometheus.Registerer) *metrics {
	m := &metrics{
		registerer: r,
		flushSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "scribe_ledger_flush_seconds",
			Help: "Time to build one segment from a sealed memtable.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 9)}),
		flushedBytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_ledger_flushed_bytes_total",
			Help: "Bytes of segment files built."}),
		flushFailures: prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_ledger_flush_failures_total",
			Help: "Flush steps that failed and were tried again."}),
		compactions: prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_ledger_compactions_total",
			Help: "Merged segments installed in the place of those that they consist of."}),
		compactRead: prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_ledger_compaction_read_bytes_total",
			Help: "Bytes of segment files that were merged."}),
		compactWritten: prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_ledger_compaction_written_bytes_total",
			Help: "Bytes of segment files that merging built."}),
		compactFailures: prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_ledger_compaction_failures_total",
			Help: "Compaction steps that failed and were tried again."}),
		compactSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "scribe_ledger_compaction_seconds",
			Help: "Time to build one segment by merging others.", Buckets: prometheus.ExponentialBuckets(0.01, 4, 10)}),
	}
	m.writeDelays = prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_ledger_write_delays_total",
		Help: "Writes that were made to wait because the flusher is behind."})
	m.delaySeconds = prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_ledger_write_delay_seconds_total",
		Help: "Time that writes were made to wait because the flusher is behind."})
	m.evictions = prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_ledger_evictions_total",
		Help: "Segments of which the file was given up for the object."})
	m.fetches = prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_ledger_fetches_total",
		Help: "Evicted segments of which the file was brought back."})
	m.applyStalls = prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_ledger_apply_stalls_total",
		Help: "Times that a committed write waited because what it depends on could not be read from the object store."})
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	count := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value)
	}
	m.all = []prometheus.Collector{m.flushSeconds, m.flushedBytes, m.flushFailures, m.compactions, m.compactRead,
		m.compactWritten, m.compactFailures, m.compactSeconds, m.writeDelays, m.delaySeconds,
		m.evictions, m.fetches, m.applyStalls,
		gauge("scribe_ledger_compactions_pending", "Merges that were decided and are not recorded yet.", func() float64 {
			return float64(len(l.partition.Load().merges))
		}),
		gauge("scribe_ledger_entries", "Entries in the ledger.", func() float64 { return float64(l.NextSeq()) }),
		gauge("scribe_ledger_installed_entries", "Entries in segments that the manifest lists.", func() float64 {
			through, _ := l.Installed()
			return float64(through)
		}),
		gauge("scribe_ledger_segments", "Segments that the manifest lists.", func() float64 {
			return float64(len(l.peek().tables))
		}),
		gauge("scribe_ledger_sealed_memtables", "Sealed memtables that wait for their flush.", func() float64 {
			return float64(len(l.peek().sealed))
		}),
		gauge("scribe_ledger_memory_bytes", "Bytes in the active memtable and the sealed ones.", func() float64 {
			return float64(l.memoryBytes())
		}),
		gauge("scribe_ledger_write_delay_seconds", "What a small write waits at present because the flusher is behind.",
			func() float64 { return l.delay().Seconds() }),
		gauge("scribe_ledger_memtable_bytes", "Bytes in the active memtable.", func() float64 {
			_, size, _, _ := l.peek().active.size()
			return float64(size)
		}),
		gauge("scribe_ledger_block_cache_bytes", "Decoded segment blocks held in memory.", func() float64 {
			return float64(l.cache.Stats().Bytes)
		}),
		gauge("scribe_ledger_block_cache_max_bytes", "Decoded segment blocks that may be held in memory.", func() float64 {
			return float64(l.cache.Stats().MaxBytes)
		}),
		count("scribe_ledger_block_cache_hits_total", "Segment blocks found in memory.", func() float64 {
			return float64(l.cache.Stats().Hits)
		}),
		count("scribe_ledger_block_cache_misses_total", "Segment blocks looked for in memory and not found.",
			func() float64 { return float64(l.cache.Stats().Misses) }),
		count("scribe_ledger_block_cache_evictions_total", "Segment blocks that went from memory to make room, or for "+
			"which none was made.", func() float64 { return float64(l.cache.Stats().Evictions) }),
	}
	for _, tier := range [...]manifest.Tier{manifest.Local, manifest.Both, manifest.Cold} {
		m.all = append(m.all, tierGauge("segments", "Segments", tier, func() float64 { n, _ := l.inTier(tier); return n }),
			tierGauge("bytes", "Bytes of segments", tier, func() float64 { _, n := l.inTier(tier); return n }))
	}
	if r != nil {
		r.MustRegister(m.all...)
	}
	return m
}

func (m *metrics) unregister() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.all {
		m.registerer.Unregister(c)
	}
}

func tierGauge(what, help string, tier manifest.Tier, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scribe_ledger_tier_" + what,
		Help:        help + " by where they are: in a file here, in an object (cold), or in both.",
		ConstLabels: prometheus.Labels{"tier": tier.String()}}, value)
}

// inTier counts the segments that are somewhere, and their bytes.
func (l *Ledger) inTier(tier manifest.Tier) (segments, bytes float64) {
	for _, s := range l.Manifest().Segments {
		if s.Tier == tier.String() {
			segments++
			bytes += float64(s.Bytes)
		}
	}
	return segments, bytes
}
