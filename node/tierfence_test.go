package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// latest reads what is published, whatever faults there are.
func (c *tierCluster) latest() archive.Latest {
	c.t.Helper()
	defer c.well()()
	now, err := archive.ReadLatest(context.Background(), c.store)
	if err != nil {
		c.t.Fatal(err)
	}
	return now
}

func (c *tierCluster) owner() archive.Owner { return c.latest().Owner }

// take has another cluster, of which there is nothing more, take the archive over.
func (c *tierCluster) take(cluster string) {
	c.t.Helper()
	defer c.well()()
	if _, err := archive.TakeOver(context.Background(), c.store, func(archive.Latest) string { return cluster }); err != nil {
		c.t.Fatal(err)
	}
}

// giveBack takes the owner out of latest, as an operator does.
func (c *tierCluster) giveBack() {
	c.t.Helper()
	b, o, err := tier.ReadAll(context.Background(), c.store, tier.LatestName, 1<<20)
	if err != nil {
		c.t.Fatal(err)
	}
	var left []string
	for line := range strings.Lines(string(b)) {
		if !strings.Contains(line, `"cluster`) && !strings.Contains(line, `"restored`) {
			left = append(left, line)
		}
	}
	text := strings.Replace(strings.Join(left, ""), ",\n}", "\n}", 1)
	if _, err := c.store.Replace(context.Background(), tier.LatestName, tier.BytesBody([]byte(text)), o.ETag,
		tier.PutOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *tierCluster) allLost() bool {
	return c.everywhere(func(n *Node) bool {
		st := n.TierStatus()
		return !st.Usable && strings.Contains(st.Problem, "belongs to cluster")
	})
}

// TestArchiveTaken: the archive is taken over at any moment of a cluster's life: before each of its requests. From the next
// look on it uploads, publishes, sweeps and evicts nothing. The log has it in one line. When the archive is given back it
// goes on.
func TestArchiveTaken(t *testing.T) {
	for _, when := range []struct {
		name string
		at   func(r tier.Request) bool
	}{
		{"at rest", nil},
		{"uploading", func(r tier.Request) bool { return r.Op == tier.OpPut && strings.HasPrefix(r.Key, tier.SegmentPrefix) }},
		{"reading back", func(r tier.Request) bool { return r.Op == tier.OpGet && strings.HasPrefix(r.Key, tier.SegmentPrefix) }},
		{"publishing", func(r tier.Request) bool { return r.Op == tier.OpPut && strings.HasPrefix(r.Key, tier.ManifestPrefix) }},
		{"moving latest", func(r tier.Request) bool { return r.Op == tier.OpReplace && r.Key == tier.LatestName }},
		{"deleting", func(r tier.Request) bool {
			return r.Op == tier.OpDelete && strings.HasPrefix(r.Key, tier.SegmentPrefix)
		}},
	} {
		t.Run(when.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			c := newTierCluster(t, 3, func(o *TierOptions) { o.DeleteAfter = 5 * time.Second }, func(o *Options) {
				o.Ledger.CompactFanIn = 2
				if o.NodeID == 1 {
					o.Logger = slog.New(slog.NewTextHandler(&log, nil))
				}
			})
			c.writeSome(80)
			c.until("a segment", func() bool { return len(c.leader().ledger.Recorded()) > 0 })
			if r, err := c.round(c.leader(), false); err != nil || r.Published == 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			taken := false
			c.asked = func(_ *member, r tier.Request, answered bool) {
				if when.at != nil && !taken && !answered && when.at(r) {
					taken = true
					c.take("another")
				}
			}
			for i := 0; when.at != nil && !taken; i++ {
				if i > 300 {
					t.Fatal("it never comes to that")
				}
				c.writeSome(8)
				c.tick(1)
			}
			if when.at == nil {
				c.take("another")
			}
			then := c.latest()
			if then.Owner.Cluster != "another" {
				t.Fatalf("the owner is %+v", then.Owner)
			}
			c.until("every node knows", c.allLost)
			names := c.objects()
			for _, m := range c.nodes {
				m.node.tiering.opts.MaxLocalBytes = 1
			}
			colds := c.allColds()
			c.writeSome(50)
			for _, m := range c.nodes {
				if _, err := c.round(m.node, true); !errors.Is(err, tier.ErrUnavailable) {
					t.Fatalf("node %d: %v", m.id, err)
				}
			}
			c.now = c.now.Add(2 * time.Hour)
			c.tick(100)
			if now := c.objects(); !slices.Equal(now, names) || c.latest() != then || c.allColds() > colds {
				t.Fatalf("%q, before %q; %+v, before %+v; %d and %d cold", now, names, c.latest(), then, c.allColds(), colds)
			}
			for _, m := range c.nodes {
				if m.node.scrub.leads() {
					t.Fatalf("node %d repairs objects", m.id)
				}
				if r, err := m.node.Scrub(context.Background()); err != nil || r.Objects > 0 {
					t.Fatalf("node %d: %+v, %v", m.id, r, err)
				}
			}
			c.checkAll()
			if n := strings.Count(log.String(), "not this cluster's"); n != 1 {
				t.Errorf("%d lines of the log tell of it:\n%s", n, &log)
			}
			c.asked = nil
			c.giveBack()
			c.until("all is uploaded and published", func() bool {
				lead := c.leader()
				return c.tiered() && lead.TierStatus().Usable && lead.TierStatus().Published == lead.ledger.Candidate().TreeSize
			})
			if got := c.owner().Cluster; got != c.leader().ClusterID() {
				t.Fatalf("the owner is %s", got)
			}
			c.until("evictions", func() bool { return c.everywhere(func(n *Node) bool { return c.colds(n) > 0 }) })
			c.checkAll()
		})
	}
}

func (c *tierCluster) allColds() (n int) {
	for _, m := range c.nodes {
		if m.node != nil {
			n += c.colds(m.node)
		}
	}
	return n
}

// TestFollowerLooks: a follower that was asked to give up its files looks first, however long its last round is ago, and
// gives up nothing while it cannot.
func TestFollowerLooks(t *testing.T) {
	c := newTierCluster(t, 3, nil, nil)
	c.fill(3)
	c.until("objects", c.tiered)
	n := c.follower()
	for _, m := range c.nodes {
		m.node.tiering.roundAt = c.now.Add(100 * time.Hour)
	}
	c.asked = func(m *member, r tier.Request, answered bool) { // once the leader is through
		if m.node == n && r.Key == tier.LatestName && !answered {
			c.asked = nil
			c.take("another")
		}
	}
	if r, err := c.round(n, true); err == nil || !strings.Contains(err.Error(), "belongs to cluster another") || len(r.Evicted) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	c.giveBack()
	c.until("it knows", func() bool { return n.TierStatus().Usable })
	for _, m := range c.nodes {
		m.node.tiering.roundAt = c.now
	}
	c.faults = func(r tier.Request) tier.Fault {
		if r.Key == tier.LatestName {
			return tier.Fault{Kind: tier.Refused}
		}
		return tier.Fault{}
	}
	n.tiering.opts.MaxLocalBytes = 1
	c.tick(100)
	if r, err := c.round(n, true); !errors.Is(err, tier.ErrUnavailable) || len(r.Evicted) > 0 || c.colds(n) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	c.faults = nil
	c.until("evictions", func() bool { return c.colds(n) >= 3 })
	c.checkAll()
}

// TestSweepLooks: a leader that sweeps looks before each page, however long its last round is ago: an object that it would
// delete may be the next owner's.
func TestSweepLooks(t *testing.T) {
	c := newTierCluster(t, 1, nil, nil)
	c.fill(2)
	n := c.leader()
	if _, err := c.round(n, false); err != nil {
		t.Fatal(err)
	}
	theirs := tier.SegmentName(0, 0, [32]byte{7})
	put := func() {
		if _, err := c.store.Put(t.Context(), theirs, tier.BytesBody([]byte("left over")), tier.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	later := func() {
		n.tiering.roundAt = c.now.Add(100 * time.Hour)
		c.now = c.now.Add(2 * time.Hour)
		c.tick(20)
	}
	put()
	if later(); slices.Contains(c.objects(), theirs) {
		t.Fatal("what is left over stays")
	}
	c.take("another")
	put()
	if later(); !slices.Contains(c.objects(), theirs) || !c.allLost() {
		t.Fatalf("an object of the next owner is gone; %+v", n.TierStatus())
	}
}

// TestUnpublishable: whoever asks for a round is told that the archive could not be published, also through a follower.
func TestUnpublishable(t *testing.T) {
	c := newTierCluster(t, 3, nil, nil)
	c.fill(2)
	c.until("objects", c.tiered)
	c.faults = func(r tier.Request) tier.Fault {
		if strings.HasPrefix(r.Key, tier.ManifestPrefix) {
			return tier.Fault{Kind: tier.Refused}
		}
		return tier.Fault{}
	}
	c.fill(1)
	for _, n := range []*Node{c.leader(), c.follower()} {
		if _, err := c.round(n, false); !errors.Is(err, tier.ErrUnavailable) || !strings.Contains(err.Error(), "publish") {
			t.Fatal(err)
		}
	}
	c.faults = nil
	if r, err := c.round(c.follower(), false); err != nil || r.Published != c.leader().ledger.Candidate().TreeSize {
		t.Fatalf("%+v, %v", r, err) // at once: no pause is waited for
	}
}

// taking has the founders of a cluster take the archive over before they begin with it.
func taking(t *testing.T, o *Options) {
	var err error
	if *o, err = TakeArchive(t.Context(), *o); err != nil {
		t.Fatal(err)
	}
}

// TestTakeArchive: the first founder of a cluster takes the archive over for all, whoever dies on the way; one that comes when
// they have published takes nothing, and neither does one that cannot be restored.
func TestTakeArchive(t *testing.T) {
	old := newTierCluster(t, 1, nil, nil)
	old.fill(2)
	if _, err := old.round(old.leader(), false); err != nil {
		t.Fatal(err)
	}
	before := old.latest()
	wrong := Options{Dir: "data", NodeID: 1, Tier: &TierOptions{Store: old.store}}
	wrong.Ledger.Origin = "another"
	if _, err := TakeArchive(t.Context(), wrong); !errors.As(err, new(*RefusedError)) || old.latest() != before {
		t.Fatal(err)
	}
	var after archive.Latest
	p, err := archive.Read(t.Context(), old.store)
	if err != nil {
		t.Fatal(err)
	}
	c := old.restored(p, func(*TierOptions) {}, func(o *Options) {
		for range 2 { // the first time it dies behind that
			taking(t, o)
			if now := old.latest(); after == (archive.Latest{}) {
				after = now
			} else if now != after {
				t.Fatalf("node %d makes %+v of %+v", o.NodeID, now, after)
			}
		}
		old.fill(1) // it does not come between any more
		old.tick(20)
	})
	if after.Version != before.Version+1 || after.Owner.Restored != before.ManifestSHA256 || after.Owner.Cluster != c.leader().ClusterID() {
		t.Fatalf("%+v", after)
	}
	old.until("the old one knows", old.allLost)
	c.fill(2)
	if r, err := c.round(c.leader(), true); err != nil || r.Published <= after.TreeSize {
		t.Fatalf("%+v, %v", r, err)
	}
	then := c.latest()
	late := c.nodes[2].opts
	taking(t, &late)
	if c.latest() != then || late.Restore.Owner != then.Owner {
		t.Fatalf("a founder that is late takes the archive: %+v", c.latest())
	}
	// The same founders have lost everything, and begin once more. They take the archive when they have a leader.
	again := c.restored(p, func(*TierOptions) {}, func(o *Options) {
		taking(t, o)
	})
	again.until("the archive is theirs", func() bool { return again.owner().Cluster == again.leader().ClusterID() })
	if again.owner().Cluster == then.Owner.Cluster {
		t.Fatal("two clusters have one id")
	}
	again.until("all of them know", func() bool { return again.everywhere(func(n *Node) bool { return n.TierStatus().Usable }) })
	again.fill(1)
	if r, err := again.round(again.follower(), true); err != nil || r.Published <= then.TreeSize {
		t.Fatalf("%+v, %v", r, err)
	}
	c.until("the cluster before knows", c.allLost)
	again.checkAll()
}

// TestTakeArchiveAlone restores a ledger alone: with a start that was cut short behind its log, and with another one that takes
// the archive between that start and the next.
func TestTakeArchiveAlone(t *testing.T) {
	old := newTierCluster(t, 1, nil, nil)
	old.fill(2)
	if _, err := old.round(old.leader(), false); err != nil {
		t.Fatal(err)
	}
	for _, between := range []bool{false, true} {
		cuts := 0
		c := newTierCluster(t, 1, nil, nil)
		m := c.nodes[0]
		c.kill(m.id)
		c.store, m.fsys = old.store, vfs.NewMem()
		m.opts.Tier.Store = &nodeStore{old.store, c, m}
		m.opts.Tier.Ranges = tier.NewRanges(old.store, tier.RangesOptions{Inline: true, HedgeShare: -1, AheadBytes: -1})
		hook := m.hook
		m.hook = func(op vfs.Op) vfs.Decision {
			if cuts++; strings.Contains(op.Name+op.NewName, identityName) {
				return vfs.Decision{Err: errPowerCut}
			}
			return hook(op)
		}
		taking(t, &m.opts)
		if err := c.tryOpen(m); !errors.Is(err, errPowerCut) {
			t.Fatalf("after %d changes: %v", cuts, err)
		}
		m.hook, m.fsys, m.opts.FoundAs = hook, m.fsys.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}), ""
		if between {
			other := Options{NodeID: 1, Seed: 7, Tier: m.opts.Tier}
			taking(t, &other)
		}
		taking(t, &m.opts)
		c.open(m)
		c.until("the archive is its", func() bool { return c.owner().Cluster == c.leader().ClusterID() })
		since := c.owner().Since
		c.fill(1)
		if r, err := c.round(c.leader(), true); err != nil || len(r.Evicted) == 0 || c.owner().Since != since {
			t.Fatalf("%+v, %v", r, err)
		}
		c.checkAll()
	}
	old.until("the old one knows", old.allLost)
}

// TestTakenOnce: a restored cluster takes the archive that it was restored from once, and never again from another one.
func TestTakenOnce(t *testing.T) {
	old := newTierCluster(t, 1, nil, nil)
	old.fill(2)
	if _, err := old.round(old.leader(), false); err != nil {
		t.Fatal(err)
	}
	p, err := archive.Read(t.Context(), old.store)
	if err != nil {
		t.Fatal(err)
	}
	c := old.restored(p, func(*TierOptions) {}, func(*Options) {})
	c.until("the archive is the first one's", func() bool { return c.owner().Cluster == c.leader().ClusterID() })
	c.take("another")
	then := c.latest()
	c.until("it knows", c.allLost)
	for _, m := range c.nodes {
		c.kill(m.id)
		c.restart(m.id)
	}
	c.tick(200)
	if !c.allLost() || c.latest() != then {
		t.Fatalf("%+v, was %+v", c.latest(), then)
	}
	if id := c.leader().identity; id.Restored == nil || id.Restored.Version != p.Version || id.Restored.Manifest == (merkle.Hash{}) {
		t.Fatalf("%+v", id.Restored)
	}
}
