package e2e

import (
	"fmt"
	"net/http"
	"sort"
	"strings"
	"testing"
	"time"
)

// TestFailover kills the leader again and again, and measures how long the others take to acknowledge a write that was
// sent to them after that.
func TestFailover(t *testing.T) {
	c := formCluster(t, clusterOptions{})
	f := c.startTraffic("failover", 6, 500, c.nodes...)
	client := clientOf(t)
	var took, gaps []time.Duration
	rounds := *kills
	if raceEnabled {
		rounds = min(rounds, 3)
	}
	for n := range rounds {
		leader := c.leader()
		others := c.except(leader)
		f.use(others...)
		f.awaitAck(time.Now())
		killed := time.Now()
		leader.kill()
		first := c.awaitWrite(client, fmt.Sprintf("probe/%d", n), others...)
		took = append(took, first.Sub(killed))
		f.awaitAck(first)
		gap, _ := f.gap(killed, time.Now())
		gaps = append(gaps, gap)
		leader.start()
		c.awaitReady(leader)
		f.use(c.nodes...)
	}
	f.end()
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	sort.Slice(gaps, func(i, j int) bool { return gaps[i] < gaps[j] })
	t.Logf("%d kills: first write after %s; median %v, at most %v", rounds, spread(took), quantile(took, 0.5).Round(time.Millisecond),
		took[len(took)-1].Round(time.Millisecond))
	t.Logf("writers that were at it had nothing acknowledged for %s; median %v", spread(gaps), quantile(gaps, 0.5).Round(time.Millisecond))
	within(t, "median from the kill to the next write", quantile(took, 0.5), 1500*time.Millisecond)
	within(t, "longest from a kill to the next write", took[len(took)-1], 3*time.Second)
	within(t, "median for writers that were at it", quantile(gaps, 0.5), 1500*time.Millisecond)
	within(t, "longest for writers that were at it", gaps[len(gaps)-1], 3*time.Second)
	c.awaitReady(c.nodes...)
	f.verify(t, c.replayAll(c.nodes...))
}

func spread(times []time.Duration) string {
	texts := make([]string, len(times))
	for i, d := range times {
		texts[i] = d.Round(time.Millisecond).String()
	}
	return strings.Join(texts, " ")
}

// awaitWrite sends a write every 20 ms, each to the next of these nodes, until one is acknowledged, and returns when. What
// was sent before is left to its fate.
func (c *cluster) awaitWrite(client *http.Client, name string, nodes ...*peer) time.Time {
	c.t.Helper()
	first := make(chan time.Time, 1)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for n := 0; ; n++ {
		go func() {
			_, v, _ := nodes[n%len(nodes)].attempt(client, patience, "PUT", fmt.Sprintf("/v1/kv/%s/%d", name, n), []byte("x"))
			if v == answered {
				select {
				case first <- time.Now():
				default:
				}
			}
		}()
		select {
		case at := <-first:
			return at
		case <-deadline:
			c.t.Fatalf("no write was acknowledged in %v", patience)
		case <-ticker.C:
		}
	}
}
