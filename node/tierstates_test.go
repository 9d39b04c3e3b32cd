package node

import (
	"slices"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/tier"
)

// TestTierSweepsStates: what was published before the newest state goes in time, whoever leads by then; its checkpoints stay.
func TestTierSweepsStates(t *testing.T) {
	c := newTierCluster(t, 3, nil, nil)
	listed := func(prefix string) (keys []string) {
		page, err := c.store.List(t.Context(), prefix, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Objects {
			keys = append(keys, o.Key)
		}
		return keys
	}
	for range 4 {
		c.fill(1)
		if r, err := c.round(c.leader(), false); err != nil || r.Published == 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	states, tiles, ends := listed(tier.ManifestPrefix), listed(tier.TilePrefix), listed(tier.CheckpointPrefix)
	if len(states) < 4 || len(ends) < 4 {
		t.Fatalf("published are %q", states)
	}
	c.tick(50)
	if now := listed(tier.ManifestPrefix); !slices.Equal(now, states) {
		t.Fatalf("swept before their time: %q of %q are left", now, states)
	}
	if err := c.changed(c.leader().BeginTransfer(c.follower().opts.NodeID, c.now.Add(10*time.Second))); err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(2 * time.Hour)
	c.until("the sweep", func() bool { return len(listed(tier.ManifestPrefix)) == 1 })
	if now := listed(tier.TilePrefix); len(now) >= len(tiles) {
		t.Fatalf("tiles %q, before the sweep %q", now, tiles)
	}
	if now := listed(tier.CheckpointPrefix); !slices.Equal(now, ends) {
		t.Fatalf("checkpoints %q, before the sweep %q", now, ends)
	}
	p, err := archive.Read(t.Context(), c.store)
	if err != nil || p.Name != states[len(states)-1] {
		t.Fatal(err)
	}
}
