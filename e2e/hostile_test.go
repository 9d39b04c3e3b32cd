package e2e

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// TestHostileFrames talks to the raft port of every node of a live cluster as no node would. All of it is refused or
// counted, the cluster goes on in its term, and no node takes memory for what was only claimed.
func TestHostileFrames(t *testing.T) {
	c := formCluster(t, clusterOptions{})
	f := c.startTraffic("hostile", 4, 500, c.nodes...)
	f.awaitAck(time.Now())
	before := make(map[*peer]int64)
	for _, p := range c.nodes {
		before[p] = p.rss("RssAnon")
	}
	c.holdTerm(f, c.nodes, func() {
		for _, p := range c.nodes {
			c.greetWrongly(p)
			c.frameWrongly(p)
			c.floodWith(p)
		}
	})
	for _, p := range c.nodes {
		if grown := p.rss("RssAnon") - before[p]; grown > 256<<20 && !raceEnabled {
			t.Errorf("node %d takes %d MiB more", p.id, grown>>20)
		}
	}
	f.end()
	f.verify(t, c.replayAll(c.nodes...))
}

const (
	refusedTotal   = "scribe_transport_refused_total"
	badFramesTotal = "scribe_transport_bad_frames_total"
)

// greetWrongly says hellos that are refused.
func (c *cluster) greetWrongly(p *peer) {
	t := c.t
	t.Helper()
	for _, v := range []struct {
		name   string
		change func(s *stranger)
		says   string
		label  string
	}{
		{"another cluster", func(s *stranger) { s.cluster[3] ^= 1 }, "cluster", `reason="cluster"`},
		{"meant for another node", func(s *stranger) { s.to = 77 }, "77", `reason="to"`},
		{"under its own number", func(s *stranger) { s.from = p.id }, fmt.Sprint(p.id), `reason="own_id"`},
		{"another version", func(s *stranger) { s.version = 9 }, "version", `reason="version"`},
		{"another instance of a member", func(s *stranger) { s.from = p.id%3 + 1 }, "", `reason="not_admitted"`},
	} {
		s := p.stranger()
		v.change(s)
		counted := p.mustMetric(refusedTotal, v.label)
		reason := s.greet(p)
		if reason == "" || !strings.Contains(reason, v.says) {
			t.Errorf("%s (%s): refused with %q", v.name, s, reason)
		}
		if got := p.mustMetric(refusedTotal, v.label); got <= counted {
			t.Errorf("%s: %s{%s} stays at %v", v.name, refusedTotal, v.label, got)
		}
		p.awaitLine(reason)
	}
	// What is no hello at all gets no answer.
	counted := p.mustMetric(refusedTotal, `reason="hello"`)
	s := p.stranger()
	torn := s.hello()
	torn[40] ^= 1
	garbage := [][]byte{[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), bytes.Repeat([]byte{0xff}, 4096), noise(1<<20, "hello"),
		make([]byte, 4096), torn}
	for _, b := range garbage {
		s.dial(p)
		s.send(b)
		s.awaitEnd()
	}
	eventually(t, func() string {
		if got := p.mustMetric(refusedTotal, `reason="hello"`); got < counted+float64(len(garbage)) {
			return fmt.Sprintf("%v of %d hellos that make no sense are counted", got-counted, len(garbage))
		}
		return ""
	})
	if p == c.nodes[0] { // half a hello, and silence: the node gives up on it, which takes it some seconds
		s.dial(p)
		s.send(s.hello()[:50])
		s.awaitEnd()
	}
}

// frameWrongly says hello as it should, and then sends frames that end the connection.
func (c *cluster) frameWrongly(p *peer) {
	t := c.t
	t.Helper()
	for _, v := range []struct {
		name  string
		class byte
		send  func(s *stranger) []byte
		label string
	}{
		{"garbage", classMessages, func(s *stranger) []byte { return noise(4096, "frame") }, `reason="header"`},
		{"4 GiB claimed", classMessages, func(s *stranger) []byte { return s.frameOf(frameMessage, math.MaxUint32, nil) }, `reason="length"`},
		{"over the limit of bulk", classBulk, func(s *stranger) []byte { return s.frameOf(frameBulk, 200<<20, nil) }, `reason="length"`},
		{"of another class", classBulk, func(s *stranger) []byte { return s.frame(frameMessage, []byte("x")) }, `reason="kind"`},
		{"of no kind", classMessages, func(s *stranger) []byte { return s.frame(200, []byte("x")) }, `reason="kind"`},
		{"replayed", classMessages, func(s *stranger) []byte {
			b := s.frame(frameRequest, nil)
			return append(b, b...)
		}, `reason="number"`},
		{"out of turn", classMessages, func(s *stranger) []byte {
			s.number = math.MaxUint64
			return s.frame(frameRequest, nil)
		}, `reason="number"`},
		{"a flipped bit", classMessages, func(s *stranger) []byte {
			b := s.frame(frameRequest, []byte("payload"))
			b[len(b)-1] ^= 1
			return b
		}, `reason="payload"`},
		{"no message", classMessages, func(s *stranger) []byte { return s.frame(frameMessage, []byte("no message")) }, `reason="message"`},
		{"a term of 2^64-1", classMessages, func(s *stranger) []byte {
			return s.frame(frameMessage, s.message(1, math.MaxUint64))
		}, `reason="message"`},
		{"an append of term 2^63", classMessages, func(s *stranger) []byte {
			return s.frame(frameMessage, s.message(5, 1<<63))
		}, `reason="message"`},
		{"in another's name", classMessages, func(s *stranger) []byte {
			s.from = p.id%3 + 1
			return s.frame(frameMessage, s.message(1, 1<<20))
		}, `reason="sender"`},
		{"of another cluster", classMessages, func(s *stranger) []byte {
			s.cluster[0] ^= 1
			return s.frame(frameMessage, s.message(1, 1<<20))
		}, `reason="sender"`},
	} {
		counted := p.mustMetric(badFramesTotal, v.label)
		s := p.stranger()
		s.class = v.class
		if reason := s.greet(p); reason != "" {
			t.Errorf("%s: refused with %q before it was sent", v.name, reason)
			continue
		}
		s.send(v.send(s))
		s.awaitEnd()
		if got := p.mustMetric(badFramesTotal, v.label); got <= counted {
			t.Errorf("%s: %s{%s} stays at %v", v.name, badFramesTotal, v.label, got)
		}
	}
	// Half a frame, and the end.
	counted := p.mustMetric(badFramesTotal, `reason="half"`)
	s := p.stranger()
	s.greet(p)
	s.send(s.frameOf(frameRequest, 100<<20, noise(1000, "half")))
	s.conn.Close()
	eventually(t, func() string {
		if got := p.mustMetric(badFramesTotal, `reason="half"`); got <= counted {
			return "half a frame is not counted"
		}
		return ""
	})
}

// floodWith opens many connections that claim much and send little, and keeps them open.
func (c *cluster) floodWith(p *peer) {
	c.t.Helper()
	for i := range 100 {
		s := p.stranger()
		s.from = uint64(1000 + i)
		if s.greet(p) == "" {
			s.send(s.frameOf(frameRequest, 150<<20, noise(100, "flood")))
		}
	}
}

// TestWrongPeer: a node of another cluster, and one that answers at another node's address, are told from a peer, with a
// line on both sides that says which is which.
func TestWrongPeer(t *testing.T) {
	c := formCluster(t, clusterOptions{})
	stranger := newCluster(t, clusterOptions{})
	// A cluster of three whose other two addresses are those of this cluster's nodes.
	p := stranger.nodes[0]
	p.args = append(p.args[:len(p.args)-1], fmt.Sprintf("1=%s,2=%s,3=%s", p.raft, c.nodes[1].raft, c.nodes[2].raft))
	f := c.startTraffic("wrong", 2, 100, c.nodes...)
	c.holdTerm(f, c.nodes, func() {
		p.start()
		p.awaitLine("cluster " + c.nodes[0].status().ClusterID)
		eventually(t, func() string {
			if p.metricOr0("scribe_transport_refused_by_peer_total", `reason="cluster"`) == 0 {
				return "the stranger counts no refusal"
			}
			return ""
		})
		for _, q := range c.nodes[1:] {
			line := q.awaitLine(q.status().ClusterID + ", node 1 to cluster ")
			t.Logf("node %d: %s", q.id, line)
		}
	})
	f.end()
}

// metricOr0 is metric for those who wait for one.
func (p *peer) metricOr0(name string, labels ...string) float64 {
	v, _ := p.metric(name, labels...)
	return v
}
