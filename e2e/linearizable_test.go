package e2e

import (
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
	wanted, clients := *operations, 16
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
	// Every fault once, and on until enough operations are done.
	for round := 0; ; round++ {
		for _, i := range n.rnd.Perm(len(faults)) {
			if round > 0 && h.done() >= wanted {
				break
			}
			n.strike(faults[i])
			if t.Failed() {
				close(stop)
				<-over
				t.FailNow()
			}
		}
		if h.done() >= wanted {
			break
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
