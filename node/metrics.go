package node

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	registerer    prometheus.Registerer
	all           []prometheus.Collector
	batchSize     prometheus.Histogram
	commitSeconds prometheus.Histogram

	forwarded       prometheus.Counter
	droppedForwards prometheus.Counter
	lostAnswers     prometheus.Counter
	badRequests     prometheus.Counter
	droppedFrames   prometheus.Counter
	refusedMessages prometheus.Counter
	spaceRefusals   prometheus.Counter
}

func newMetrics(n *Node, r prometheus.Registerer) *metrics {
	m := &metrics{
		registerer: r,
		batchSize: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "scribe_node_proposal_batch_size",
			Help: "Writes proposed to raft at once.", Buckets: prometheus.ExponentialBuckets(1, 2, 11)}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "scribe_node_log_write_seconds",
			Help: "Time to make one group of entries durable.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 14)}),
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		m.all = append(m.all, c)
		return c
	}
	m.forwarded = counter("scribe_node_forwarded_writes_total", "Writes that were sent on to the leader.")
	m.droppedForwards = counter("scribe_node_dropped_forwards_total",
		"Batches of forwarded writes that were repeats, or came too late to tell, and were dropped.")
	m.lostAnswers = counter("scribe_node_lost_answers_total",
		"Outcomes of forwarded writes that could not be sent to the node that waits for them.")
	m.badRequests = counter("scribe_node_bad_requests_total", "Requests of peers that were malformed and were dropped.")
	m.droppedFrames = counter("scribe_node_dropped_frames_total",
		"Messages and requests of peers that were dropped, for want of room.")
	m.refusedMessages = counter("scribe_node_refused_messages_total",
		"Raft messages of peers that were refused: of another cluster, of a removed or replaced member, out of range.")
	m.spaceRefusals = counter("scribe_node_disk_refused_writes_total",
		"Writes that this node, as the leader, refused for want of disk space.")
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m.all = append(m.all, m.batchSize, m.commitSeconds,
		gauge("scribe_node_queued_writes", "Writes that wait for the raft loop.", func() float64 {
			return float64(n.queued.Load())
		}),
		gauge("scribe_node_queued_write_bytes", "Bytes of writes that wait for the raft loop.", func() float64 {
			return float64(n.queuedBytes.Load())
		}),
		gauge("scribe_node_applied_index", "Raft index of the last applied entry.", func() float64 {
			return float64(n.applier.applied.Load())
		}),
		gauge("scribe_node_term", "Current raft term.", func() float64 { return float64(n.status.Load().Term) }),
		gauge("scribe_node_ready", "1 when this node has a leader and has caught up.", func() float64 {
			if n.isReady() {
				return 1
			}
			return 0
		}),
		gauge("scribe_node_disk_full", "1 while less than the reserve is free on the disk, or the log finds no space.",
			func() float64 {
				if n.diskFull.Load() || n.space.short.Load() {
					return 1
				}
				return 0
			}),
		gauge("scribe_node_disk_free_bytes", "Bytes free on the data directory's file system, as of about a second ago.",
			func() float64 { return float64(n.space.free.Load()) }),
		gauge("scribe_node_disk_reserve_bytes", "Bytes that must be free for clients' writes to be taken.",
			func() float64 { return float64(n.space.reserve.Load()) }),
	)
	if n.tiering != nil {
		n.tiering.metrics = newTierMetrics(n)
		m.all = append(m.all, n.tiering.metrics.all...)
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
