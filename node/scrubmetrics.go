package node

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// What is scrubbed, in metrics and logs.
const (
	whatFile   = "file"
	whatMeta   = "meta"
	whatObject = "object"
)

// scrubMetrics count what is read again, found and repaired.
type scrubMetrics struct {
	registerer prometheus.Registerer
	all        []prometheus.Collector
	bytes      *prometheus.CounterVec // by what
	copies     *prometheus.CounterVec // by what
	findings   *prometheus.CounterVec // by what
	repairs    *prometheus.CounterVec // by what and source
}

func newScrubMetrics(s *scrubber, r prometheus.Registerer) *scrubMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &scrubMetrics{
		registerer: r,
		bytes:      counter("scribe_scrub_bytes_total", "Bytes read again by the scrubber.", "what"),
		copies:     counter("scribe_scrub_copies_total", "Files, meta tails and objects read again whole by the scrubber.", "what"),
		findings:   counter("scribe_scrub_findings_total", "Damaged copies that the scrubber found, each time it did.", "what"),
		repairs: counter("scribe_scrub_repairs_total",
			"Damaged copies that another one took the place of, whoever found the damage.", "what", "source"),
	}
	for _, what := range [...]string{whatFile, whatMeta, whatObject} {
		m.bytes.WithLabelValues(what)
		m.copies.WithLabelValues(what)
		m.findings.WithLabelValues(what)
	}
	m.all = []prometheus.Collector{m.bytes, m.copies, m.findings, m.repairs,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scribe_scrub_bad_objects",
			Help: "Objects that this node found damaged and that are not good again."}, func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(len(s.bad))
		}),
	}
	if r != nil {
		r.MustRegister(m.all...)
	}
	return m
}

func (m *scrubMetrics) unregister() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.all {
		m.registerer.Unregister(c)
	}
}

// repairSource is where a good copy came from, without which member it was.
func repairSource(from string) string {
	if strings.HasPrefix(from, fromMember) {
		return "member"
	}
	return strings.ReplaceAll(from, " ", "_")
}
