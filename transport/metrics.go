package transport

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are counted where things happen and put together when they are asked for. The label "peer" is a node id; a
// peer that is dropped takes its metrics along.
type metrics struct {
	t        *Transport
	noPeer   [len(classes)]atomic.Uint64
	refused  [lastRefusal + 1]atomic.Uint64 // by us
	refusing [lastRefusal + 1]atomic.Uint64 // us, by peers
	bad      [len(badReasons)]atomic.Uint64
}

var (
	byPeer = []string{"peer", "class"}

	descSent       = desc("sent_bytes_total", "Bytes written to peers.", byPeer...)
	descSentFrames = desc("sent_frames_total", "Messages, requests and bulk payloads written to peers.", byPeer...)
	descReceived   = desc("received_bytes_total", "Bytes read from peers.", byPeer...)
	descFrames     = desc("received_frames_total", "Messages, requests and bulk payloads read from peers.", byPeer...)
	descDropped    = desc("dropped_frames_total", "Frames that were not sent.", "peer", "class", "reason")
	descConnects   = desc("connects_total", "Connections to peers that were opened.", byPeer...)
	descQueue      = desc("queue_bytes", "Bytes that wait to be written to peers.", byPeer...)
	descConnected  = desc("connected", "1 while this node has a connection to the peer.", byPeer...)
	descRefused    = desc("refused_total", "Connections that this node refused.", "reason")
	descRefusing   = desc("refused_by_peer_total", "Connections that a peer refused to this node.", "reason")
	descBad        = desc("bad_frames_total", "Frames that ended their connection.", "reason")
	descInbound    = desc("accepted_connections", "Connections of peers to this node that are open.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("scribe_transport_"+name, help, labels, nil)
}

func (m *metrics) register(t *Transport) error {
	m.t = t
	if t.o.Registerer == nil {
		return nil
	}
	if err := t.o.Registerer.Register(m); err != nil {
		return fmt.Errorf("transport: register metrics: %w", err)
	}
	return nil
}

func (m *metrics) unregister() {
	if m.t.o.Registerer != nil {
		m.t.o.Registerer.Unregister(m)
	}
}

// refuse counts a refusal.
func (m *metrics) refuse(no *refusedError) {
	if no.byPeer {
		m.refusing[no.reason].Add(1)
	} else {
		m.refused[no.reason].Add(1)
	}
}

// badFrame counts err if it is a *frameError.
func (m *metrics) badFrame(err error) {
	var bad *frameError
	if !errors.As(err, &bad) {
		return
	}
	for i, r := range badReasons {
		if r == bad.reason {
			m.bad[i].Add(1)
		}
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descSent, descSentFrames, descReceived, descFrames, descDropped, descConnects, descQueue, descConnected,
		descRefused, descRefusing, descBad, descInbound,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	value := func(d *prometheus.Desc, t prometheus.ValueType, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, float64(v), labels...)
	}
	table := m.t.table()
	for _, id := range ids(table) {
		p := table[id]
		peer := strconv.FormatUint(id, 10)
		for i, c := range classes {
			s, class := p.streams[i], c.String()
			_, queued := s.queue.load()
			var up uint64
			if s.up() {
				up = 1
			}
			value(descSent, prometheus.CounterValue, s.sent.bytes.Load(), peer, class)
			value(descSentFrames, prometheus.CounterValue, s.sent.frames.Load(), peer, class)
			value(descReceived, prometheus.CounterValue, p.received[i].bytes.Load(), peer, class)
			value(descFrames, prometheus.CounterValue, p.received[i].frames.Load(), peer, class)
			value(descConnects, prometheus.CounterValue, s.connects.Load(), peer, class)
			value(descQueue, prometheus.GaugeValue, uint64(queued), peer, class)
			value(descConnected, prometheus.GaugeValue, up, peer, class)
			for r := dropFull; r < dropReasons; r++ {
				value(descDropped, prometheus.CounterValue, s.dropped[r].Load(), peer, class, r.String())
			}
		}
	}
	for i, c := range classes {
		value(descDropped, prometheus.CounterValue, m.noPeer[i].Load(), "none", c.String(), dropPeer.String())
	}
	for r := refusedMagic; r <= lastRefusal; r++ {
		value(descRefused, prometheus.CounterValue, m.refused[r].Load(), r.String())
		value(descRefusing, prometheus.CounterValue, m.refusing[r].Load(), r.String())
	}
	for i, r := range badReasons {
		value(descBad, prometheus.CounterValue, m.bad[i].Load(), string(r))
	}
	value(descInbound, prometheus.GaugeValue, uint64(m.t.inbound()))
}
