package node

import "github.com/prometheus/client_golang/prometheus"

// snapshotMetrics count what is copied between members.
type snapshotMetrics struct {
	registerer      prometheus.Registerer
	all             []prometheus.Collector
	installed       prometheus.Counter
	fetchedBytes    prometheus.Counter
	fetchedSegments prometheus.Counter
	storeBytes      prometheus.Counter
	storeSegments   prometheus.Counter
	refetches       prometheus.Counter
	timeouts        prometheus.Counter
	dropped         *prometheus.CounterVec // by reason
	servedBytes     prometheus.Counter
	unsent          prometheus.Counter
}

func newSnapshotMetrics(s *snapshots, r prometheus.Registerer) *snapshotMetrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &snapshotMetrics{
		registerer: r,
		installed:  counter("scribe_node_snapshots_installed_total", "Snapshots of other members that were installed here."),
		fetchedBytes: counter("scribe_node_snapshot_fetched_bytes_total",
			"Bytes of manifests and segments that came from other members."),
		fetchedSegments: counter("scribe_node_snapshot_fetched_segments_total",
			"Segments that came from other members and were verified."),
		storeBytes: counter("scribe_node_snapshot_store_bytes_total",
			"Bytes of segments that came from the object store, for a snapshot or in the place of damaged files."),
		storeSegments: counter("scribe_node_snapshot_store_segments_total",
			"Segments that came from the object store whole and were verified, for a snapshot or in the place of damaged files."),
		refetches: counter("scribe_node_snapshot_refetches_total", "Segments that came damaged."),
		timeouts:  counter("scribe_node_snapshot_timeouts_total", "Requests for parts of a snapshot that were not answered."),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scribe_node_bulk_dropped_total",
			Help: "Bulk frames of other members that were dropped."}, []string{"reason"}),
		servedBytes: counter("scribe_node_snapshot_served_bytes_total",
			"Bytes of manifests and segments that other members copied from here."),
		unsent: counter("scribe_node_snapshot_unsent_total", "Answers that the network had no room for."),
	}
	m.all = []prometheus.Collector{m.installed, m.fetchedBytes, m.fetchedSegments, m.storeBytes,
		m.storeSegments, m.refetches, m.timeouts, m.dropped,
		m.servedBytes, m.unsent,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scribe_node_snapshot_fetching",
			Help: "1 while this node fetches a snapshot."}, func() float64 {
			if s.progress() != "" {
				return 1
			}
			return 0
		}),
	}
	if r != nil {
		r.MustRegister(m.all...)
	}
	return m
}

func (m *snapshotMetrics) unregister() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.all {
		m.registerer.Unregister(c)
	}
}
