package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scribe-ledger/scribe/tier"
)

// laggingTier is a cluster of which one follower was down while so much was written that it needs a snapshot, whose segments
// all have objects. It is not started yet.
func laggingTier(t *testing.T, size int, tune func(*TierOptions)) (*tierCluster, *member) {
	t.Helper()
	c := newTierCluster(t, size, tune, func(o *Options) { o.KeepLogBytes, o.WAL.FileBytes = -1, 16<<10 })
	c.leader()
	c.fill(1)
	lag := c.member(c.follower().opts.NodeID)
	last := lag.node.log.LastIndex()
	if size == 2 { // which is no majority without it: it hears of everything, and begins anew
		c.fill(5)
		if _, err := c.round(c.leader(), false); err != nil {
			t.Fatal(err)
		}
		c.until("objects", c.tiered)
		c.kill(lag.id)
		return c, lag
	}
	c.kill(lag.id)
	c.fill(5)
	if _, err := c.round(c.leader(), false); err != nil {
		t.Fatal(err)
	}
	c.until("objects", c.tiered)
	c.fill(1) // the manifest that is fetched lists them
	if _, err := c.round(c.leader(), false); err != nil {
		t.Fatal(err)
	}
	c.until("the log is trimmed", func() bool { return c.leader().log.FirstIndex() > last+1 })
	return c, lag
}

// gave counts the bytes of segments that members give.
func (c *tierCluster) gave() map[uint64]int {
	given := map[uint64]int{}
	c.edit = func(p packet) packet {
		if f, err := parseBulk(p.bulk); p.bulk != nil && err == nil && f.kind == bulkChunk {
			given[p.from] += len(f.data)
		}
		return p
	}
	return given
}

func (c *tierCluster) caughtUpWith(m *member) {
	c.t.Helper()
	c.restart(m.id)
	c.until("the snapshot is installed", func() bool { return testutil.ToFloat64(m.node.snapshots.metrics.installed) == 1 })
	c.checkAll()
}

// TestSnapshotSparesTheLeader: segments that have objects come from a follower; from the store when there is none that has
// them; and from the leader when the store fails.
func TestSnapshotSparesTheLeader(t *testing.T) {
	stored := func(m *member) int { return int(testutil.ToFloat64(m.node.snapshots.metrics.storeSegments)) }
	t.Run("a follower has them", func(t *testing.T) {
		c, lag := laggingTier(t, 3, nil)
		lead, given := c.leader().opts.NodeID, c.gave()
		c.caughtUpWith(lag)
		if len(given) != 1 && (given[lead] > 4000 || len(given) != 2) || stored(lag) != 0 { // the last segment has no object yet
			t.Fatalf("members gave %v, the store %d segments", given, stored(lag))
		}
	})
	t.Run("the follower has none", func(t *testing.T) {
		c, lag := laggingTier(t, 3, nil)
		lead := c.leader()
		for _, m := range c.nodes {
			if m.node != nil && m.node != lead {
				c.evictAll(m.node)
			}
		}
		given := c.gave()
		c.caughtUpWith(lag)
		if given[lead.opts.NodeID] > 4000 || stored(lag) < 4 {
			t.Fatalf("members gave %v, the store %d segments", given, stored(lag))
		}
	})
	t.Run("the follower is gone and the store is away", func(t *testing.T) {
		c, lag := laggingTier(t, 3, nil)
		lead := c.leader()
		given := c.gave()
		c.faults = func(r tier.Request) tier.Fault {
			if r.Op == tier.OpGet {
				return tier.Fault{Kind: tier.Overloaded}
			}
			return tier.Fault{}
		}
		c.lost = func(p packet) bool { return p.bulk != nil && p.from != lead.opts.NodeID && p.to == lag.id }
		c.restart(lag.id)
		c.until("the snapshot is installed", func() bool { return testutil.ToFloat64(lag.node.snapshots.metrics.installed) == 1 })
		if given[lead.opts.NodeID] < 10_000 || stored(lag) != 0 {
			t.Fatalf("members gave %v, the store %d segments", given, stored(lag))
		}
		c.faults, c.lost = nil, nil
		c.checkAll()
	})
	t.Run("the store's are damaged", func(t *testing.T) {
		c, lag := laggingTier(t, 3, nil)
		lead := c.leader()
		given := c.gave()
		for _, name := range c.objects() {
			c.store.Tamper(name, func(b []byte) []byte { b[60] ^= 1; return b })
		}
		c.lost = func(p packet) bool { return p.bulk != nil && p.from != lead.opts.NodeID && p.to == lag.id }
		c.restart(lag.id)
		c.until("the snapshot is installed", func() bool { return testutil.ToFloat64(lag.node.snapshots.metrics.installed) == 1 })
		if given[lead.opts.NodeID] < 10_000 || stored(lag) != 0 {
			t.Fatalf("members gave %v, the store %d segments", given, stored(lag))
		}
		c.agree()
	})
}

// TestSnapshotLeavesWhatWouldGo: of a snapshot, what this node's policy would give up again comes as meta tails only: the
// oldest segments, but for pinned ones.
func TestSnapshotLeavesWhatWouldGo(t *testing.T) {
	for _, pins := range [][][]byte{nil, {[]byte("key-00001")}} {
		t.Run(fmt.Sprintf("%q", pins), func(t *testing.T) {
			c, lag := laggingTier(t, 3, nil)
			tune := *lag.opts.Tier
			tune.MaxLocalBytes, tune.Pins, tune.MinAge = 6000, pins, 1000*time.Hour // which keeps the daemon from it
			lag.opts.Tier = &tune
			c.caughtUpWith(lag)
			placed := lag.node.ledger.Placed()
			var local uint64
			for i, p := range placed {
				if !p.Cold {
					local += p.Bytes
				}
				if i > 0 && p.Cold && !placed[i-1].Cold && (i > 1 || pins == nil) && i-1 > 0 {
					t.Fatalf("segment %d is cold, the older one before it is not", i)
				}
			}
			if cold := c.colds(lag.node); cold < 3 || local > 12_000 {
				t.Fatalf("%d of %d segments are cold, the others have %d bytes", cold, len(placed), local)
			}
			for _, m := range c.nodes {
				if m != lag && c.colds(m.node) != 0 {
					t.Fatal("others gave up files, too")
				}
			}
		})
	}
}

// TestRepairAsksEveryone: a damaged file comes from the leader, too, before the store is asked; and when neither a member
// nor the store has the segment, the node is to be rebuilt.
func TestRepairAsksEveryone(t *testing.T) {
	c := newScrubCluster(t, 3, 2, nil, nil)
	n, lead := c.follower(), c.leader()
	for _, m := range c.nodes {
		if m.node != n && m.node != lead {
			c.evictAll(m.node)
		}
	}
	flip(t, c.fsys(n), c.fileOf(n, 0), 100)
	c.found(n)
	c.until("the repair", func() bool { return repairs(n, whatFile, "member") == 1 })
	c.evictAll(lead)
	flip(t, c.fsys(n), c.fileOf(n, 0), 100)
	c.found(n)
	c.until("the repair", func() bool { return repairs(n, whatFile, "object_store") == 1 })
	c.store.Tamper(n.ledger.Objects()[0].Object.Name, func(b []byte) []byte { b[60] ^= 1; return b })
	flip(t, c.fsys(n), c.fileOf(n, 0), 100)
	c.found(n)
	c.until("the node gives up", func() bool { return n.Err() != nil })
	if !isCorrupt(n.Err()) || !n.WantsRebuild() {
		t.Fatal(n.Err())
	}
}
