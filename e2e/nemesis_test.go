package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// nemesis makes things fail.
type nemesis struct {
	c     *cluster
	t     *testing.T
	rnd   *rand.Rand
	count map[string]int

	reading       sync.WaitGroup // reads at paused nodes
	queued, fresh atomic.Int64
}

// fault is one way to fail. strike ends with the fault still there, or healed; who called it heals all.
type fault struct {
	name   string
	strike func(n *nemesis)
}

// foremost is how many of the faults come first in every run.
const foremost = 3

var faults = []fault{
	{"kill leader", func(n *nemesis) { n.c.leader().kill(); n.hold(700*time.Millisecond, 1200*time.Millisecond) }},
	{"pause leader", (*nemesis).pauseLeader},
	{"stall leader's links", func(n *nemesis) { n.isolate(n.c.leader(), condition{stalled: true}, time.Second) }},
	{"kill follower", func(n *nemesis) { n.follower().kill(); n.hold(300*time.Millisecond, time.Second) }},
	{"kill all", func(n *nemesis) {
		for _, p := range n.c.nodes {
			p.kill()
		}
	}},
	{"kill two", func(n *nemesis) {
		n.c.leader().kill()
		n.c.up()[n.rnd.IntN(2)].kill()
		n.hold(100*time.Millisecond, 500*time.Millisecond)
	}},
	{"pause follower", func(n *nemesis) {
		p := n.follower()
		p.signal(syscall.SIGSTOP)
		n.hold(500*time.Millisecond, 2*time.Second)
		p.signal(syscall.SIGCONT)
	}},
	{"cut leader's links", func(n *nemesis) { n.isolate(n.c.leader(), condition{cut: true}, time.Second) }},
	{"cut follower's links", func(n *nemesis) { n.isolate(n.follower(), condition{cut: true}, time.Second) }},
	{"leader deaf", func(n *nemesis) {
		leader := n.c.leader()
		for _, p := range n.c.except(leader) {
			n.c.links.set(p, leader, condition{stalled: true})
		}
		n.hold(time.Second, 2*time.Second)
	}},
	{"follower deaf", func(n *nemesis) {
		p := n.follower()
		for _, q := range n.c.except(p) {
			n.c.links.set(q, p, condition{stalled: true})
		}
		n.hold(time.Second, 2*time.Second)
	}},
	{"one link cut", func(n *nemesis) {
		leader := n.c.leader()
		n.c.links.between([]*peer{leader}, []*peer{n.follower()}, condition{cut: true})
		n.hold(time.Second, 2*time.Second)
	}},
	{"slow links", func(n *nemesis) {
		for _, p := range n.c.nodes {
			n.c.links.between([]*peer{p}, n.c.except(p), condition{delay: time.Duration(n.rnd.Int64N(int64(60 * time.Millisecond)))})
		}
		n.hold(time.Second, 2*time.Second)
	}},
	{"flapping link", func(n *nemesis) {
		p := n.follower()
		for range 5 {
			n.c.links.between([]*peer{p}, n.c.except(p), condition{cut: n.rnd.IntN(2) == 0, stalled: true})
			n.hold(20*time.Millisecond, 300*time.Millisecond)
			n.c.links.heal()
			n.hold(20*time.Millisecond, 300*time.Millisecond)
		}
	}},
}

func (n *nemesis) follower() *peer {
	n.t.Helper()
	others := n.c.except(n.c.leader())
	return others[n.rnd.IntN(len(others))]
}

func (n *nemesis) isolate(p *peer, how condition, least time.Duration) {
	n.c.links.between([]*peer{p}, n.c.except(p), how)
	n.hold(least, least+500*time.Millisecond)
}

// pauseLeader stops the leader's process until the others have gone on without it, queues reads at it, and lets it go on.
// It still believes that it leads, and must not answer a single one of them from what it knew.
func (n *nemesis) pauseLeader() {
	leader := n.c.leader()
	others := n.c.except(leader)
	key := fmt.Sprintf("pause/%d", n.count["pause leader"])
	client := clientOf(n.t)
	write := func(value string, nodes ...*peer) {
		eventually(n.t, func() string {
			a, v, err := nodes[0].attempt(client, attemptPatience, "PUT", "/v1/kv/"+key, []byte(value))
			nodes = append(nodes[1:], nodes[0])
			if v != answered || a.status != 201 {
				return fmt.Sprintf("write %s: %+v, %v", value, a, err)
			}
			return ""
		})
	}
	write("old", leader)
	leader.signal(syscall.SIGSTOP)
	write("new", others...)
	var sent sync.WaitGroup
	for range 32 {
		sent.Add(1)
		n.reading.Go(func() { n.readQueued(leader, key, sync.OnceFunc(sent.Done)) })
	}
	sent.Wait()
	leader.signal(syscall.SIGCONT)
}

// readQueued reads at a node that is paused, and calls sent once the request is in the node's hands.
func (n *nemesis) readQueued(p *peer, key string, sent func()) {
	defer sent()
	ctx, cancel := context.WithTimeout(context.Background(), attemptPatience)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent() }})
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+p.addr+"/v1/kv/"+key, nil)
	if err != nil {
		n.t.Error(err)
		return
	}
	n.queued.Add(1)
	resp, err := quick.Transport.RoundTrip(req)
	if err != nil {
		return // no answer is a right answer
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil, resp.StatusCode == 503, resp.StatusCode == 504:
	case resp.StatusCode == 200 && string(body) == "new":
		n.fresh.Add(1)
	default:
		n.t.Errorf("node %d, which led before it was paused, answers %d %.200q to a read that came when the others had gone on",
			p.id, resp.StatusCode, body)
	}
}
