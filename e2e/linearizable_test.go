package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestLinearizable lets clients read and write through random nodes while nodes are killed and paused and links fail.
// Then all heals, and the history must be linearizable, nothing acknowledged lost, nothing refused there, and the ledger
// the same on every node.
func TestLinearizable(t *testing.T) {
	// With so little log kept, a node that was away for a while is given the segments.
	c := formCluster(t, clusterOptions{linked: true, env: append(small(), "SCRIBE_STORAGE_KEEP_LOG_BYTES=1MiB")})
	h := &history{c: c, nodes: c.nodes, keys: 100}
	n := &nemesis{c: c, t: t, rnd: rand.New(rand.NewPCG(*faultSeed, 1)), count: make(map[string]int)}
	wanted, clients := *operations, 32
	if raceEnabled {
		wanted = min(wanted, 4000)
	}
	over := make(chan struct{})
	stop := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(over)
		h.run(clients, stop, *faultSeed)
	}()
	// Between two faults the clients get so much done; and all faults have struck before one strikes again.
	const between = 1500
	var order []int
	for least := between; h.done() < wanted; least += between {
		eventually(t, func() string {
			if n := h.done(); n < least {
				return fmt.Sprintf("%d operations of %d are done", n, least)
			}
			return ""
		})
		if len(order) == 0 {
			order = n.order()
		}
		n.strike(faults[order[0]])
		order = order[1:]
		least = max(least, h.done())
		if t.Failed() {
			close(stop)
			<-over
			t.FailNow()
		}
	}
	close(stop)
	<-over
	c.awaitReady(c.nodes...)
	n.reading.Wait()
	took := time.Since(began)
	acked, refused, unsure, reads := h.count()
	t.Logf("seed %d: %d operations in %v: %d writes acknowledged, %d refused by their conditions, %d with an unclear outcome, "+
		"%d reads", *faultSeed, len(h.ops), took.Round(time.Millisecond), acked, refused, unsure, reads)
	t.Logf("faults: %v; %d reads were queued at paused leaders, %d of them answered with the new value", n.count, n.queued.Load(),
		n.fresh.Load())
	at := h.settle(t, c.replayAll(c.nodes...))
	h.check(t, at)
}

// order is an order of all faults: those that any test must have seen, and the others at random.
func (n *nemesis) order() (out []int) {
	for i := range foremost {
		out = append(out, i)
	}
	for _, i := range n.rnd.Perm(len(faults) - foremost) {
		out = append(out, foremost+i)
	}
	return out
}

// strike lets one fault happen and heal, and waits until all nodes are well again.
func (n *nemesis) strike(f fault) {
	n.t.Helper()
	n.count[f.name]++
	began := time.Now()
	f.strike(n)
	n.c.links.heal()
	for _, p := range n.c.nodes {
		if !p.running() {
			p.start()
		}
	}
	healed := time.Now()
	n.c.awaitReady(n.c.nodes...)
	n.t.Logf("%-22s for %v, well again %v later", f.name, healed.Sub(began).Round(time.Millisecond),
		time.Since(healed).Round(time.Millisecond))
}

// hold lets a fault last for a while: its length is a part of the experiment.
func (n *nemesis) hold(least, most time.Duration) {
	<-time.After(least + time.Duration(n.rnd.Int64N(int64(most-least))))
}
