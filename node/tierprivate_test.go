package node

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/tier"
)

// TestPrivateStore: a member on its own uses a store that nobody else reaches. Once there is another member it leaves the
// store as it is, and gives that member what is in it; once it is alone again it goes on.
func TestPrivateStore(t *testing.T) {
	c := newTierCluster(t, 1, func(o *TierOptions) { o.Private, o.MaxLocalBytes = true, 1 },
		func(o *Options) { o.KeepLogBytes, o.WAL.FileBytes = -1, 16<<10 })
	c.fill(5)
	first := c.nodes[0]
	c.until("evictions", func() bool { return c.colds(first.node) >= 5 })
	evicted := c.colds(first.node)

	second := c.join(first.node, 2, false)
	if second.opts.Tier != nil || testutil.ToFloat64(second.node.snapshots.metrics.installed) != 1 {
		t.Fatal("the other member did not take a snapshot, or has a store")
	}
	if n := c.colds(second.node); n != 0 || len(second.node.ledger.Placed()) < 5 {
		t.Fatalf("it has %d cold segments", n)
	}
	c.kill(second.id)
	second.opts.Ledger.CompactFanIn = -1
	c.restart(second.id)
	withheld := func(when string) {
		t.Helper()
		st := first.node.TierStatus()
		if st.Usable || st.Problem != privateProblem || c.colds(first.node) != evicted {
			t.Fatalf("%s: %d of %d segments are cold; %+v", when, c.colds(first.node), evicted, st)
		}
		var late *TierError
		if _, err := c.round(first.node, true); !errors.As(err, &late) || late.Problem != privateProblem {
			t.Fatalf("%s: %v", when, err)
		}
	}
	withheld("with two members")
	var asked []tier.Request
	c.asked = func(_ *member, r tier.Request, answered bool) {
		if answered && r.Op != tier.OpGet {
			asked = append(asked, r)
		}
	}
	objects := c.objects()
	c.fill(3)
	c.now = c.now.Add(24 * time.Hour) // long enough for a sweep
	c.tick(50)
	withheld("after writes")
	c.kill(first.id)
	c.restart(first.id)
	c.until("it serves", func() bool { return first.node.Status().Ready })
	c.tick(30)
	withheld("after a start")
	if err := c.changed(c.leader().BeginTransfer(second.id, c.now.Add(10*time.Second))); err != nil {
		t.Fatal(err)
	}
	c.until("the other leads", func() bool { return c.leader() == second.node })
	withheld("as a follower")
	if len(asked) != 0 || !slices.Equal(c.objects(), objects) {
		t.Fatalf("the store was changed: %v", asked)
	}
	c.asked = nil // what follows asks from several goroutines
	c.checkAll()

	if err := c.changed(first.node.BeginLeave(second.id, c.now.Add(10*time.Second))); err != nil {
		t.Fatal(err)
	}
	c.kill(second.id)
	c.until("objects of all", func() bool { return first.node.TierStatus().Usable && c.tiered() })
	c.until("the archive follows", func() bool { return first.node.TierStatus().Published > 0 && len(c.published) >= 8 })
	c.until("evictions", func() bool { return c.colds(first.node) > evicted })
	for _, name := range objects {
		if !c.published[name] {
			t.Fatalf("%s is not published", name)
		}
	}
	c.checkAll()
}

// TestPrivateStoreIsSucceeded: members that are given a store which all of them reach, in the place of one's own, bring there
// what is recorded: a pass of the scrubber puts the objects out of files, of which the other member has those that the
// first one had evicted.
func TestPrivateStoreIsSucceeded(t *testing.T) {
	c := newTierCluster(t, 1, func(o *TierOptions) { o.Private = true },
		func(o *Options) { o.KeepLogBytes, o.WAL.FileBytes = -1, 16<<10 })
	first := c.nodes[0]
	c.fill(4)
	if _, err := c.round(first.node, true); err != nil || c.colds(first.node) < 4 {
		t.Fatal(err)
	}
	second := c.join(first.node, 2, false)
	objects := c.objects()
	shared := tier.NewMem(tier.MemOptions{PartBytes: 8 << 10, Now: func() time.Time { return c.now }})
	c.kill(first.id)
	c.kill(second.id)
	for _, m := range c.nodes {
		m.opts.Ledger.CompactFanIn = -1
		m.opts.Tier = &TierOptions{Store: shared, Ranges: tier.NewRanges(shared, tier.RangesOptions{Inline: true, HedgeShare: -1,
			AheadBytes: -1, Now: func() time.Time { return c.now }, Random: func() float64 { return 0.5 }}), FetchReads: -1}
		c.open(m)
	}
	c.store = shared
	c.until("the store is open", func() bool { return c.leader().TierStatus().Usable })
	c.scrub(c.leader())
	c.until("all objects", func() bool {
		if _, err := c.leader().ScrubStep(); err != nil {
			t.Fatal(err)
		}
		return slices.Equal(c.objects(), objects)
	})
	c.clean()
	c.fill(1)
	if _, err := c.round(c.leader(), false); err != nil {
		t.Fatal(err)
	}
	if p, err := archive.Read(t.Context(), shared); err != nil || len(p.State.Segments) < 4 {
		t.Fatalf("%v", err)
	}
	c.checkAll()
}
