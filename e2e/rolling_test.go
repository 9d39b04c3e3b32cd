package e2e

import (
	"testing"
	"time"
)

// TestRollingRestart restarts every node in turn by SIGTERM, under load at all of them. Every write succeeds when it is
// sent again with its idempotency key, and at no step writes stand still for long.
func TestRollingRestart(t *testing.T) {
	const longest = 300 * time.Millisecond
	c := formCluster(t, clusterOptions{})
	f := c.startTraffic("rolling", 9, 500, c.nodes...)
	// The leader last: a node that was restarted has to lead then, or one that was not twice.
	leader := c.leader()
	order := append(c.except(leader), leader)
	for _, p := range order {
		f.awaitAck(time.Now())
		role := p.status().Role
		began := time.Now()
		p.stop()
		stopped := time.Now()
		p.start()
		c.awaitReady(p)
		ready := time.Now()
		end := f.awaitAck(ready).done
		gap, at := f.gap(began, end)
		t.Logf("node %d, %s: stopped in %v, ready %v later; writes stood still for %v at most, %v into it", p.id, role,
			stopped.Sub(began).Round(time.Millisecond), ready.Sub(stopped).Round(time.Millisecond), gap.Round(time.Millisecond),
			at.Round(time.Millisecond))
		within(t, "longest time without an acknowledged write", gap, longest)
		within(t, "stop", stopped.Sub(began), 10*time.Second)
	}
	f.end()
	acks := f.since(time.Time{})
	attempts := 0
	for _, a := range acks {
		attempts += a.attempts
	}
	t.Logf("%d writes acknowledged in %d attempts, the slowest after %v", len(acks), attempts,
		quantile(latencies(acks), 1).Round(time.Millisecond))
	f.verify(t, c.replayAll(c.nodes...))
}
