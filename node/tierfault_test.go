package node

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/tier"
)

// TestTierFaults: for five minutes the store does one thing wrong to every request, or all of them to some. Writes go on, what is
// recorded is right, nothing goes that is not, and once the store is well everything is uploaded. Later nothing is left over.
func TestTierFaults(t *testing.T) {
	every := func(kind tier.FaultKind) func(tier.Request) tier.Fault {
		return func(r tier.Request) tier.Fault {
			return tier.Fault{Kind: kind, At: max(0, r.Len/2), RetryAfter: time.Second}
		}
	}
	mix := tier.FaultMix{Overloaded: .1, Stalled: .05, AnswerLost: .1, Cut: .1, Flipped: .1, Refused: .05}
	for _, x := range []struct {
		name   string
		faults func(tier.Request) tier.Fault
	}{
		{"503", every(tier.Overloaded)}, {"stalled", every(tier.Stalled)}, {"answers lost", every(tier.AnswerLost)},
		{"slow", every(tier.Slow)}, {"cut", every(tier.Cut)}, {"flipped", every(tier.Flipped)}, {"refused", every(tier.Refused)},
		{"mix 1", mix.Draw(1)}, {"mix 2", mix.Draw(2)}, {"mix 3", mix.Draw(3)},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			c := newTierCluster(t, 3, func(o *TierOptions) { o.MaxLocalBytes = 40 << 10 }, nil)
			c.fill(1)
			c.until("the first object", c.tiered)
			c.faults = x.faults
			for range 5 * 60 / 10 {
				c.writeSome(2)
				c.tick(10)
				c.now = c.now.Add(9 * time.Second)
			}
			for _, m := range c.nodes {
				if c.colds(m.node) > len(c.leader().ledger.Objects()) {
					t.Fatalf("node %d has gone over to more than is recorded", m.id)
				}
			}
			for _, p := range c.leader().ledger.Placed() {
				if p.Object.Exists() {
					c.checkObject(&p.Segment)
				}
			}
			c.faults = nil
			c.now = c.now.Add(2 * time.Minute) // no pause is longer
			c.until("objects", c.tiered)
			c.checkOneEachButUploads()
			c.checkAll()
			for range 12 { // an hour and a half
				c.now = c.now.Add(7*time.Minute + 30*time.Second)
				c.tick(10)
			}
			c.checkOneEach()
			c.checkNoScratch()
		})
	}
}

// TestUploadsPause: a store that refuses uploads is asked less and less, and again once a minute at least.
func TestUploadsPause(t *testing.T) {
	c := newTierCluster(t, 1, nil, nil)
	asked := 0
	c.faults = func(r tier.Request) tier.Fault {
		if r.Op != tier.OpPut && r.Op != tier.OpBegin || !strings.HasPrefix(r.Key, tier.SegmentPrefix) {
			return tier.Fault{}
		}
		if asked++; asked > 1000 {
			t.Fatal("there is no end to it")
		}
		return tier.Fault{Kind: tier.Overloaded}
	}
	c.fill(1)
	for minute := range 10 {
		before := asked
		for range 60 {
			c.tick(10)
		}
		if n := asked - before; n == 0 || n > 60 || minute > 2 && n > 18 { // six tries an upload
			t.Errorf("minute %d: %d tries", minute, n)
		}
	}
	c.faults = nil
	c.now = c.now.Add(time.Minute)
	c.until("objects", c.tiered)
}

func (c *tierCluster) checkOneEachButUploads() {
	c.t.Helper()
	var want []string
	for _, r := range c.leader().ledger.Recorded() {
		want = append(want, r.Object.Name)
	}
	if got := c.objects(); !slices.Equal(got, want) {
		c.t.Fatalf("the store has the objects\n%q, recorded are\n%q", got, want)
	}
}

func (c *tierCluster) checkNoScratch() {
	c.t.Helper()
	page, err := c.store.List(context.Background(), tier.ScratchPrefix, "", 0)
	if err != nil || len(page.Objects) > 0 {
		c.t.Fatalf("scratch objects are left: %v, %v", page.Objects, err)
	}
}

// TestTierSweepsMerges: the objects of what was merged go once the merged segment has its object and is published, and not
// before, whatever fails for how long; and what nobody knows goes when it is old enough.
func TestTierSweepsMerges(t *testing.T) {
	c := newTierCluster(t, 3, nil, func(o *Options) { o.Ledger.CompactFanIn = 2 })
	var refused func(tier.Request) bool
	c.faults = func(r tier.Request) tier.Fault {
		if r.Op == tier.OpDelete && strings.HasPrefix(r.Key, tier.SegmentPrefix) {
			c.checkDeletion(r.Key)
		}
		if refused != nil && refused(r) {
			return tier.Fault{Kind: tier.Refused}
		}
		return tier.Fault{}
	}
	orphan := tier.SegmentName(0, 0, [32]byte{7})
	if _, err := c.store.Put(context.Background(), orphan, tier.BytesBody([]byte("left over")), tier.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	hours := func(n int) {
		for range 3 * n {
			c.now = c.now.Add(20 * time.Minute)
			c.tick(20)
		}
	}
	of := func(op tier.Op, prefix string) func(tier.Request) bool {
		return func(r tier.Request) bool { return r.Op == op && strings.HasPrefix(r.Key, prefix) }
	}
	for _, refused = range []func(tier.Request) bool{
		nil, of(tier.OpPut, tier.SegmentPrefix), nil, of(tier.OpPut, tier.ManifestPrefix), nil, of(tier.OpGet, tier.SegmentPrefix), nil,
	} {
		for range 16 {
			c.writeSome(8)
		}
		hours(1)
		if refused == nil {
			c.until("objects", c.tiered)
			continue
		}
		lead := c.leader()
		if err := c.changed(lead.BeginTransfer(c.follower().opts.NodeID, c.now.Add(10*time.Second))); err != nil {
			t.Fatal(err)
		}
		hours(3)
	}
	hours(4)
	if n := c.store.Count(tier.OpDelete); n == 0 {
		t.Fatal("nothing was deleted")
	}
	c.checkOneEach()
	c.checkNoScratch()
	c.checkAll()
}

// TestSweepLeavesInputsAWhile: the object of a segment that was merged goes when the merge's is as old as what goes must be,
// however old its own is: a member that is behind has that time to take the merge from the store.
func TestSweepLeavesInputsAWhile(t *testing.T) {
	c := newTierCluster(t, 3, func(o *TierOptions) { o.DeleteAfter = time.Hour }, nil)
	c.fill(3)
	c.until("objects", c.tiered)
	c.now = c.now.Add(24 * time.Hour)
	c.tick(20)
	inputs := c.objects()
	for _, w := range c.leader().ledger.MergesLeft(true) {
		if _, err := c.outcome(c.command(c.leader(), w.Data)); err != nil {
			t.Fatal(err)
		}
	}
	c.until("the merge in the archive", func() bool {
		r := c.leader().ledger.Recorded()
		return c.tiered() && c.published[r[0].Object.Name] && !slices.Contains(inputs, r[0].Object.Name)
	})
	for range 5 {
		c.now = c.now.Add(10 * time.Minute)
		c.tick(20)
	}
	if left := c.objects(); len(left) < len(inputs)+1 {
		t.Fatalf("of %q and the merge there are %q left", inputs, left)
	}
	for range 5 {
		c.now = c.now.Add(10 * time.Minute)
		c.tick(20)
	}
	c.checkOneEach()
	c.checkAll()
}

// checkDeletion holds the rule of the sweep against an object that is about to go: no member needs it.
func (c *tierCluster) checkDeletion(name string) {
	c.t.Helper()
	p, err := tier.ParseSegmentName(name)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, m := range c.nodes {
		if m.node == nil {
			continue
		}
		for _, r := range m.node.ledger.Recorded() {
			if r.Object.Name == name || tier.SegmentName(r.FirstSeq, r.LastSeq, r.Root) == name {
				c.t.Fatalf("node %d: %s goes, and is recorded, or will be", m.id, name)
			}
		}
		for _, g := range m.node.ledger.Placed() {
			if g.Cold && g.Object.Name == name {
				c.t.Errorf("node %d: %s goes, and is read here", m.id, name)
			}
		}
	}
	for _, m := range c.nodes {
		if m.node == nil || !m.node.tiering.leads() {
			continue
		}
		h, ok := m.node.ledger.Holder(manifest.Range{FirstSeq: p.FirstSeq, LastSeq: p.LastSeq})
		if !ok || !h.Object.Exists() || c.published[name] {
			c.t.Fatalf("%s goes, and what it was merged into has no object, or is not published", name)
		}
	}
}
