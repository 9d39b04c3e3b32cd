package node

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/vfs"
)

func hasMerge(l *ledger.Ledger) bool {
	return slices.ContainsFunc(l.WantedMerges(), func(w ledger.Want) bool { return w.Key.IsMerge() })
}

// TestNoMergesWhileAMemberCopies: the leader plans none, although there are some to plan, until the member is there; then
// they are made, by all. A member that is killed on the way finds again what it has fetched.
func TestNoMergesWhileAMemberCopies(t *testing.T) {
	c, _ := lags(t)
	c.restart(3)
	c.member(3).lazy["fetch"] = true
	lead := c.leader()
	c.until("the leader knows that node 3 copies", func() bool { return lead.hold.on })
	before := len(lead.ledger.Manifest().Segments)
	c.fillSegments(8)
	if now := len(lead.ledger.Manifest().Segments); now != before+8 || !hasMerge(lead.ledger) {
		t.Fatalf("%d segments were %d, and 8 were made", now, before)
	}
	c.kill(3)
	c.tick(20)
	c.restart(3)
	c.tick(20)
	if !hasMerge(lead.ledger) {
		t.Fatal("a merge was planned before the member that was killed was back")
	}
	c.caughtUp()
	installed := testutil.ToFloat64(c.node(3).snapshots.metrics.installed)
	if installed != 1 {
		t.Fatalf("%v snapshots were installed", installed)
	}
	c.until("the merges are made", func() bool {
		return !slices.ContainsFunc(c.nodes, func(m *member) bool { return hasMerge(m.node.ledger) })
	})
	c.agree()
}

// TestMergesAreHeldForAWhile: they are not held for ever by a member that does not get on, nor any longer than it takes to
// notice that one has gone.
func TestMergesAreHeldForAWhile(t *testing.T) {
	seconds := func(d time.Duration) uint64 { return uint64(d / time.Second) }
	var h mergeHold
	const limit, after = uint64(holdMergesFor / time.Second), uint64(holdMergesAfter / time.Second)
	for now := uint64(5); now <= 5+2*limit; now++ {
		h.tick(now, true, seconds)
		if got := h.holds(now, seconds); got != (now-5 <= limit) {
			t.Fatalf("held is %v after %d s", got, now-5)
		}
	}
	h = mergeHold{}
	h.tick(100, true, seconds)
	for now := uint64(101); now < 200; now++ {
		h.tick(now, false, seconds)
		if got := h.holds(now, seconds); got != (now-100 <= after) {
			t.Fatalf("held is %v %d s after the copying ended", got, now-100)
		}
	}
	h.tick(200, true, seconds)
	if !h.holds(200, seconds) {
		t.Fatal("the next one is not waited for")
	}
}

// TestFetchKeepsToItsRate, over seconds of the given clock, also with two who serve as fast as they can, and when it reads
// again what it had fetched before it was restarted.
func TestFetchKeepsToItsRate(t *testing.T) {
	c := newCopyNet(t, 3)
	taker, leader, other := c.members[0], c.members[1], c.members[2]
	for range 6 {
		c.segment(6_000, leader, other)
	}
	taker.rate = 4_000
	taker.restart(vfs.CrashOptions{Keep: vfs.KeepAll})
	taker.aim(leader)
	began, restarted, back, examined := c.now, false, time.Time{}, time.Time{}
	encoded, _, err := leader.l.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	manifest := float64(len(encoded)) // which comes at once, in each life, and may be asked for again
	c.run(func() bool {
		passed := c.now.Sub(began)
		if most := float64(taker.rate)*(passed.Seconds()+0.25) + 2*testChunk + 3*manifest; float64(c.bytes) > most {
			t.Fatalf("%d bytes in %v", c.bytes, passed)
		}
		if !restarted && c.bytes > 20_000 {
			taker.restart(vfs.CrashOptions{Keep: vfs.KeepAll})
			taker.aim(leader)
			restarted = true
			back = c.now
		}
		if restarted && examined.IsZero() && taker.s.phase == copying {
			examined = c.now
		}
		return taker.staging > 0
	})
	if passed, want := c.now.Sub(began), time.Duration(c.bytes/int(taker.rate))*time.Second; !restarted || passed > 2*want {
		t.Fatalf("%d bytes took %v", c.bytes, passed)
	}
	// Three segments had come; reading one costs an eighth of fetching it, and is paid before the next.
	if took := examined.Sub(back); took < 2*6_000/readDiscount*time.Second/4_000*9/10 {
		t.Fatalf("what had come was read again in %v", took)
	}
	c.install(taker)
	c.same(taker, leader)
}
