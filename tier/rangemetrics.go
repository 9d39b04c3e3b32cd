package tier

import "github.com/prometheus/client_golang/prometheus"

// rangeMetrics are those of one Ranges.
type rangeMetrics struct {
	registerer prometheus.Registerer
	all        []prometheus.Collector

	requests, bytes, failures, timeouts, retried, rejected, joined, hedged, hedgesWon, ahead prometheus.Counter
}

func newRangeMetrics(r *Ranges, registerer prometheus.Registerer) *rangeMetrics {
	m := &rangeMetrics{registerer: registerer}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "scribe_tier_read_" + name, Help: help})
		m.all = append(m.all, c)
		return c
	}
	m.requests = counter("requests_total", "Range requests to the object store that ended.")
	m.bytes = counter("bytes_total", "Bytes that range requests brought.")
	m.failures = counter("failures_total", "Range requests that failed, but for those that took too long.")
	m.timeouts = counter("timeouts_total", "Range requests that took too long.")
	m.retried = counter("retries_total", "Range requests that were made again after a failure.")
	m.rejected = counter("rejected_total", "Reads that failed at once because the store is known to be failing.")
	m.joined = counter("joined_total", "Reads that waited for the same request of another read.")
	m.hedged = counter("hedges_total", "Second requests because the first was slow.")
	m.hedgesWon = counter("hedges_won_total", "Second requests that answered first.")
	m.ahead = counter("ahead_requests_total", "Range requests for what a scan had announced.")
	m.all = append(m.all,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scribe_tier_read_in_flight",
			Help: "Range requests under way."}, func() float64 { return float64(len(r.slots)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scribe_tier_read_circuit_open",
			Help: "1 while reads fail at once because the store is known to be failing."}, func() float64 {
			if r.circuit.isOpen() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scribe_tier_read_ahead_bytes",
			Help: "Bytes of memory for what is read ahead of walks."}, func() float64 {
			r.ahead.mu.Lock()
			defer r.ahead.mu.Unlock()
			return float64(r.ahead.bytes + r.ahead.spared)
		}))
	register(registerer, m.all)
	return m
}

func register(r prometheus.Registerer, all []prometheus.Collector) {
	if r != nil {
		r.MustRegister(all...)
	}
}

func unregister(r prometheus.Registerer, all []prometheus.Collector) {
	for _, c := range all {
		if r != nil {
			r.Unregister(c)
		}
	}
}

func (m *rangeMetrics) close() { unregister(m.registerer, m.all) }
