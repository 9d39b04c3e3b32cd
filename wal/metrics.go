package wal

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	reg      prometheus.Registerer
	appends  prometheus.Counter
	bytes    prometheus.Counter
	sync     prometheus.Histogram
	files    prometheus.Gauge
	recycled prometheus.Counter
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "scribe", Subsystem: "wal", Name: name, Help: help})
	}
	return &metrics{
		appends: counter("appends_total", "Batches made durable."),
		bytes:   counter("bytes_total", "Bytes written to log files, headers and padding included."),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "scribe", Subsystem: "wal", Name: "sync_seconds",
			Help:    "Time to make a written batch durable.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 16),
		}),
		files: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "scribe", Subsystem: "wal", Name: "files", Help: "Log files in use, spares not counted."}),
		recycled: counter("recycled_total", "Log files taken from spares instead of made new."),
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.appends, m.bytes, m.sync, m.files, m.recycled}
}

func (m *metrics) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	for i, c := range m.all() {
		if err := reg.Register(c); err != nil {
			for _, c := range m.all()[:i] {
				reg.Unregister(c)
			}
			return fmt.Errorf("wal: register metrics: %w", err)
		}
	}
	m.reg = reg
	return nil
}

func (m *metrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range m.all() {
		m.reg.Unregister(c)
	}
	m.reg = nil
}
