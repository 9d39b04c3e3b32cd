package node

import "github.com/prometheus/client_golang/prometheus"

// tierMetrics are those of the tier daemon. The gauges look at the node when they are scraped.
type tierMetrics struct {
	all           []prometheus.Collector
	errors        [tierJobs]prometheus.Counter
	uploads       prometheus.Counter
	uploadedBytes prometheus.Counter
	swept         prometheus.Counter
}

func newTierMetrics(n *Node) *tierMetrics {
	m := &tierMetrics{}
	counter := func(name, help string, labels prometheus.Labels) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
		m.all = append(m.all, c)
		return c
	}
	for job := range tierJobs {
		m.errors[job] = counter("scribe_tier_errors_total",
			"Operations of the tier daemon that failed and are tried again, by operation.",
			prometheus.Labels{"operation": job.String()})
	}
	m.uploads = counter("scribe_tier_uploads_total", "Segments that this node has put into the object store, or found there, "+
		"and read back.", nil)
	m.uploadedBytes = counter("scribe_tier_uploaded_bytes_total", "Bytes of their objects.", nil)
	m.swept = counter("scribe_tier_swept_total", "Left over objects and uploads that this node has deleted from the "+
		"object store.", nil)
	gauge := func(name, help string, value func(*TierStatus) float64) {
		m.all = append(m.all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			st := n.TierStatus()
			return value(&st)
		}))
	}
	gauge("scribe_tier_usable", "1 when the object store was found to be usable.", func(st *TierStatus) float64 {
		if st.Usable {
			return 1
		}
		return 0
	})
	gauge("scribe_tier_waiting_segments", "Segments that are to be uploaded.", func(st *TierStatus) float64 {
		return float64(st.Waiting)
	})
	gauge("scribe_tier_waiting_bytes", "Bytes of the segments that are to be uploaded.", func(st *TierStatus) float64 {
		return float64(st.WaitingBytes)
	})
	gauge("scribe_tier_waiting_age_seconds", "How long the oldest of them has waited.", func(st *TierStatus) float64 {
		return st.WaitingAge.Seconds()
	})
	gauge("scribe_tier_published_entries", "Entries in the newest published state of the archive, as far as this node knows.",
		func(st *TierStatus) float64 { return float64(st.Published) })
	return m
}
