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
		edit(o)
		o.Restore = p
	})
	next.store, next.serial = c.store, c.serial
	next.now = c.now
	return next
}

// TestRestoredWhileOldGoesOn restores a cluster whose old one goes on and publishes more than the new one has. The new one
// cannot compare roots, and says that they have parted all the same: it does not take the other's publication for its own,
// and uploads and evicts nothing from there on.
func TestRestoredWhileOldGoesOn(t *testing.T) {
	tune, edit := func(*TierOptions) {}, func(o *Options) { o.Ledger.CompactFanIn = -1 }
	old := newTierCluster(t, 3, tune, edit)
	old.fill(2)
	if r, err := old.round(old.leader(), false); err != nil || r.Published == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	p, err := archive.Read(context.Background(), old.store)
	if err != nil {
		t.Fatal(err)
	}
	c := old.restored(p, tune, edit)
	c.until("the store is ready", func() bool { return c.everywhere(func(n *Node) bool { return n.TierStatus().Usable }) })
	old.fill(4)
	r, err := old.round(old.leader(), true)
	if err != nil {
		t.Fatal(err)
	}
	c.fill(1)
	lead := c.leader()
	if lead.ledger.NextSeq() >= r.Published {
		t.Fatalf("the new ledger has %d entries, and the old one published %d", lead.ledger.NextSeq(), r.Published)
	}
	parted := func() bool {
		st := c.leader().TierStatus()
		return !st.Usable && strings.Contains(st.Problem, "they have parted")
	}
	c.until("the leader sees it", parted)
	names := c.objects()
	c.fill(1)
	if r, err := c.round(c.leader(), true); !errors.Is(err, tier.ErrUnavailable) || r.Waiting == 0 || r.Published > lead.ledger.NextSeq() {
		t.Fatalf("%+v, %v", r, err)
	}
	if !parted() || !slices.Equal(c.objects(), names) {
		t.Fatalf("%+v; %q, before %q", c.leader().TierStatus(), c.objects(), names)
	}
	id := c.leader().opts.NodeID
	c.kill(id)
	c.restart(id) // another leads, or the same one anew
	c.tick(100)
	c.until("the next leader sees it", parted)
	old.checkAll()
}
