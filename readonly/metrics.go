package readonly

import "github.com/prometheus/client_golang/prometheus"

// metrics of one Archive.
type metrics struct {
	registerer prometheus.Registerer
	all        []prometheus.Collector
	looks      *prometheus.CounterVec
}

func newMetrics(a *Archive, r prometheus.Registerer) *metrics {
	m := &metrics{registerer: r, looks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scribe_reader_looks_total",
		Help: "Looks for a newer publication, by what came of them."}, []string{"result"})}
	for _, result := range []string{"ok", "failed"} {
		m.looks.WithLabelValues(result)
	}
	m.all = []prometheus.Collector{m.looks,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scribe_reader_published_entries",
			Help: "Entries of the publication that is served."},
			func() float64 { return float64(a.current.Load().Checkpoint.Size) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scribe_reader_published_version",
			Help: "Version of the manifest that is served."},
			func() float64 { return float64(a.current.Load().Version) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scribe_reader_behind_seconds",
			Help: "For how long looks for a newer publication have failed; 0 while they do not."},
			func() float64 {
				if t := a.trouble.Load(); t != nil {
					return a.opts.Now().Sub(t.since).Seconds()
				}
				return 0
			})}
	if r != nil {
		for _, c := range m.all {
			r.MustRegister(c)
		}
	}
	return m
}

func (m *metrics) looked(err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.looks.WithLabelValues(result).Inc()
}

func (m *metrics) unregister() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.all {
		m.registerer.Unregister(c)
	}
}
