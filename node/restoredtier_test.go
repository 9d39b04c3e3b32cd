package node

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tier"
)

// TestRestoreGoesOn lives in one bucket through several clusters, each of which is restored from what the one before has
// published, at whatever moment that lost all its disks: among seals, merges, uploads and evictions. Each has what was
// published, records and publishes all of it again, and sweeps what the one before had uploaded and not published.
func TestRestoreGoesOn(t *testing.T) {
	tune := func(o *TierOptions) { o.MaxLocalBytes, o.DeleteAfter = 30<<10, 5*time.Second }
	edit := func(o *Options) { o.Ledger.CompactFanIn = 2 }
	first := newTierCluster(t, 3, tune, edit)
	c, before := first, uint64(0)
	for round := range 6 {
		c.writeMore()
		c.until("something published", func() bool { return c.leader().TierStatus().Published > before })
		for range round * 3 { // to end in the midst of something else each time
			c.writeSome(5)
			c.tick(1)
		}
		lead := c.leader()
		id, cluster := lead.LedgerID(), lead.ClusterID()
		p, err := archive.Read(context.Background(), c.store)
		if err != nil {
			t.Fatal(err)
		}
		before = p.Checkpoint.Size
		t.Logf("published are %d entries in %d segments, recorded through %d; the ledger has %d", before, len(p.State.Segments),
			p.State.RecordedThrough(), lead.ledger.NextSeq())
		kept := map[string]string{}
		for key, value := range c.wrote {
			if e, err := lead.ledger.Get([]byte(key), ledger.Selector{}); err == nil && e.Seq < p.Checkpoint.Size {
				kept[key] = value
			}
		}
		if len(kept) == 0 {
			t.Fatal("nothing is published")
		}
		c = c.restored(p, tune, edit)
		c.wrote = kept
		lead = c.leader()
		if lead.LedgerID() != id || lead.ClusterID() == cluster {
			t.Fatalf("ledger %s of cluster %s, was %s of %s", lead.LedgerID(), lead.ClusterID(), id, cluster)
		}
		c.checkAll()
		if root, err := lead.ledger.RootAt(p.Checkpoint.Size); err != nil || root != p.Checkpoint.Root {
			t.Fatalf("root %s, published was %s: %v", root, p.Checkpoint.Root, err)
		}
	}
	c.writeMore()
	c.until("all is recorded and published", func() bool {
		lead := c.leader()
		return c.tiered() && len(lead.ledger.Unsettled()) == 0 && lead.ledger.MergesDone() &&
			lead.TierStatus().Published == lead.ledger.Candidate().TreeSize
	})
	first.now = first.now.Add(time.Hour) // the store's clock, which has stood still since the first restore
	c.until("what was left over is swept", func() bool { return len(c.objects()) == len(c.leader().ledger.Recorded()) })
	c.checkOneEach()
	c.checkAll()
}

// writeMore writes a few segments, while those there are get merged.
func (c *tierCluster) writeMore() {
	c.t.Helper()
	for range 40 {
		c.writeSome(8)
		c.tick(1)
	}
}

// restored is a cluster of three over the same store that begins with a published state.
func (c *tierCluster) restored(p *archive.Published, tune func(*TierOptions), edit func(*Options)) *tierCluster {
	c.t.Helper()
	instant := func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	next := newTierCluster(c.t, 3, func(o *TierOptions) {
		tune(o)
		o.Store = c.store
		o.Ranges = tier.NewRanges(c.store, tier.RangesOptions{Inline: true, HedgeShare: -1, AheadBytes: -1, Sleep: instant})
	}, func(o *Options) {
		o.Restore = p
		edit(o)
	})
	next.store, next.serial = c.store, c.serial
	next.now = c.now
	return next
}

// TestRestoredWhileOldGoesOn restores a cluster whose old one goes on. The archive is the new one's from then on, and it
// publishes, merges and sweeps. The old one takes writes, and uploads, publishes, sweeps and evicts nothing any more, on any
// of its nodes, whoever leads; it says so, and loses nothing that it has.
func TestRestoredWhileOldGoesOn(t *testing.T) {
	tune, edit := func(o *TierOptions) { o.DeleteAfter = 5 * time.Second }, func(o *Options) { o.Ledger.CompactFanIn = 2 }
	old := newTierCluster(t, 3, tune, edit)
	old.writeMore()
	if r, err := old.round(old.leader(), false); err != nil || r.Published == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	p, err := archive.Read(context.Background(), old.store)
	if err != nil {
		t.Fatal(err)
	}
	c := old.restored(p, tune, edit)
	c.until("the archive is the new one's", func() bool { return old.owner().Cluster == c.leader().ClusterID() })
	for _, m := range old.nodes { // an old one whose looks are seldom
		m.node.tiering.opts.MaxLocalBytes = 1
	}
	lost := func() bool {
		return old.everywhere(func(n *Node) bool {
			st := n.TierStatus()
			return !st.Usable && strings.Contains(st.Problem, "belongs to cluster "+c.leader().ClusterID())
		})
	}
	old.until("every node of the old one knows", lost)
	names, colds := old.objects(), 0
	for _, m := range old.nodes {
		colds += old.colds(m.node)
	}
	if colds > 0 {
		t.Fatalf("%d segments were evicted", colds)
	}
	for range 3 {
		old.writeMore()
		for _, m := range old.nodes {
			if r, err := old.round(m.node, true); !errors.Is(err, tier.ErrUnavailable) || len(r.Uploaded)+len(r.Evicted) > 0 ||
				!strings.Contains(err.Error(), "belongs to cluster") {
				t.Fatalf("node %d: %+v, %v", m.id, r, err)
			}
		}
		if now := old.objects(); !slices.Equal(now, names) {
			t.Fatalf("%q, before %q", now, names)
		}
		id := old.leader().opts.NodeID
		old.kill(id)
		old.restart(id)
		old.tick(100)
		old.until("the next leader knows", lost)
		old.checkAll()
	}
	c.writeMore()
	c.until("the new one publishes, and all is merged", func() bool {
		lead := c.leader()
		return c.tiered() && len(lead.ledger.Unsettled()) == 0 && lead.ledger.MergesDone() &&
			lead.TierStatus().Published == lead.ledger.Candidate().TreeSize
	})
	if r, err := c.round(c.follower(), true); err != nil || len(r.Evicted) == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	old.now = old.now.Add(time.Hour) // the store's clock
	c.until("what was left over is swept", func() bool { return len(c.objects()) == len(c.leader().ledger.Recorded()) })
	old.tick(30)
	if !lost() {
		t.Fatal("the old one has forgotten")
	}
	c.checkOneEach()
	c.checkAll()
	for key, value := range old.wrote {
		for _, m := range old.nodes {
			if e, err := m.node.ledger.Get([]byte(key), ledger.Selector{}); err != nil || string(e.Value) != value {
				t.Fatalf("node %d: %s: %v", m.id, key, err)
			}
		}
	}
}
