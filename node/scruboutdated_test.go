package node

import (
	"errors"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
)

// TestBehindAMergeWithoutItsObjects: a member that has evicted what the others have merged, and that can merge it no more
// since an object is damaged, or swept, takes the others' state. Damage on the way is no reason to.
func TestBehindAMergeWithoutItsObjects(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(s *tier.Mem, object string)
	}{
		{"damaged", func(s *tier.Mem, object string) {
			s.Tamper(object, func(b []byte) []byte { b[50] ^= 4; return b })
		}},
		{"swept", func(s *tier.Mem, object string) {
			if err := s.Delete(t.Context(), object); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newScrubCluster(t, 3, 2, nil, nil)
			behind := c.follower()
			id := behind.opts.NodeID
			c.evictAll(behind)
			// Else the leader puts the merge there, too, and the member takes that.
			putting := func(r tier.Request) tier.Fault {
				if r.Op == tier.OpPut && strings.HasPrefix(r.Key, tier.SegmentPrefix) {
					return tier.Fault{Kind: tier.Refused}
				}
				return tier.Fault{}
			}
			c.faults = putting
			c.member(id).lazy["compact"] = true
			for _, w := range c.leader().ledger.MergesLeft(true) {
				if _, err := c.outcome(c.command(c.leader(), w.Data)); err != nil {
					t.Fatal(err)
				}
			}
			c.until("the others have merged", func() bool { return c.leader().ledger.MergesDone() })
			outdated := behind.ledger.Placed()[0].Segment
			if _, ok := behind.ledger.Outdated(tlog.SegmentID(outdated.FirstSeq, outdated.LastSeq)); !ok {
				t.Fatalf("%+v is not outdated", outdated)
			}

			// On the way only, it is tried again.
			n := 0
			c.faults = func(r tier.Request) tier.Fault {
				if n++; r.Op == tier.OpGet && r.Key == outdated.Object.Name {
					return tier.Fault{Kind: tier.Flipped, At: int64(n)}
				}
				return putting(r)
			}
			clear(c.member(id).lazy)
			for range 5 {
				behind.ScrubStep()
				c.tick(1)
			}
			if err := behind.Err(); err != nil {
				t.Fatal(err)
			}
			c.faults = putting

			test.spoil(c.store, outdated.Object.Name)
			c.until("the node ends", func() bool {
				if behind.Err() == nil {
					behind.ScrubStep()
				}
				c.tick(10)
				return behind.Err() != nil
			})
			if !isCorrupt(behind.Err()) || !behind.WantsRebuild() {
				t.Fatal(behind.Err())
			}
			c.kill(id)
			c.restart(id)
			c.until("the others' state", func() bool {
				n := c.node(id)
				return n.Err() == nil && n.Status().Ready && n.ledger.MergesDone()
			})
			c.faults = nil
			c.checkAll()
			c.clean()
		})
	}
}

// TestBehindAMergeThatHasAnObject: a member that has evicted what the others have merged, and whose objects were swept, takes
// the merge from the store, and not the others' state.
func TestBehindAMergeThatHasAnObject(t *testing.T) {
	c := newScrubCluster(t, 3, 2, nil, nil)
	behind := c.behindAMerge()
	id := behind.opts.NodeID
	outdated := behind.ledger.Placed()[0].Segment
	if _, ok := behind.ledger.Outdated(tlog.SegmentID(outdated.FirstSeq, outdated.LastSeq)); !ok {
		t.Fatalf("%+v is not outdated", outdated)
	}
	if err := c.store.Delete(t.Context(), outdated.Object.Name); err != nil {
		t.Fatal(err)
	}
	met := false
	for key := range c.wrote {
		if _, err := behind.ledger.Get([]byte(key), ledger.Selector{}); err != nil {
			if met = errors.As(err, new(*ledger.ColdError)); !met || isCorrupt(err) {
				t.Fatalf("a read of what is merged is told %v", err)
			}
		}
	}
	if !met {
		t.Fatal("no read has met what is missing")
	}
	for range 10 {
		behind.ScrubStep()
		c.tick(1)
	}
	if err := behind.Err(); err != nil {
		t.Fatal(err)
	}
	clear(c.member(id).lazy)
	c.until("the merge here", func() bool { return behind.ledger.MergesDone() })
	c.checkAll()
	c.clean()
}

// TestLeaderBehindADamagedMerge: as above, but the merge's object is damaged, too, and it leads, so that it is the one to
// make it good. It takes the others' state, and whoever leads then has the file for that.
func TestLeaderBehindADamagedMerge(t *testing.T) {
	c := newScrubCluster(t, 3, 2, nil, nil)
	behind := c.behindAMerge()
	id := behind.opts.NodeID
	outdated := behind.ledger.Placed()[0].Segment
	if err := c.changed(c.leader().BeginTransfer(id, c.now.Add(1e10))); err != nil {
		t.Fatal(err)
	}
	if err := c.store.Delete(t.Context(), outdated.Object.Name); err != nil {
		t.Fatal(err)
	}
	merge := behind.ledger.Objects()[0].Object.Name
	if merge == outdated.Object.Name || !c.store.Tamper(merge, func(b []byte) []byte { b[50] ^= 4; return b }) {
		t.Fatal("the merge has no object")
	}
	if f := c.found(behind); f.Repaired || !behind.scrub.distrusts(f.Segment) {
		t.Fatalf("%+v", f)
	}
	for key := range c.wrote { // reads meet what is missing, which is looked at then
		behind.ledger.Get([]byte(key), ledger.Selector{})
	}
	c.until("the node ends", func() bool {
		if behind.Err() == nil {
			behind.ScrubStep()
		}
		c.tick(10)
		return behind.Err() != nil
	})
	if !isCorrupt(behind.Err()) || !behind.WantsRebuild() {
		t.Fatal(behind.Err())
	}
	c.kill(id)
	c.restart(id)
	c.until("the others' state", func() bool {
		n := c.node(id)
		return n.Err() == nil && n.Status().Ready && n.ledger.MergesDone()
	})
	if f := c.found(c.leader()); !f.Repaired {
		t.Fatalf("%+v", f)
	}
	c.checkAll()
	c.clean()
}

// TestFollowerBehindADamagedMerge waits: the leader has the merge's file, and makes its object good.
func TestFollowerBehindADamagedMerge(t *testing.T) {
	c := newScrubCluster(t, 3, 2, nil, nil)
	behind := c.behindAMerge()
	id := behind.opts.NodeID
	merge := behind.ledger.Objects()[0]
	if err := c.store.Delete(t.Context(), behind.ledger.Placed()[0].Segment.Object.Name); err != nil {
		t.Fatal(err)
	}
	if !c.store.Tamper(merge.Object.Name, func(b []byte) []byte { b[len(b)-300] ^= 4; return b }) {
		t.Fatal("the merge has no object")
	}
	for range 3 { // its meta tail is damaged
		behind.ledger.CompactStep()
	}
	meet := func() {
		for range 150 { // seconds: what was looked at is left alone for one minute
			for key := range c.wrote {
				behind.ledger.Get([]byte(key), ledger.Selector{})
			}
			if _, err := behind.ScrubStep(); err != nil {
				t.Fatal(err)
			}
			c.tick(10)
		}
	}
	meet()
	if !behind.scrub.distrusts(objectID(merge)) {
		t.Fatal("it does not know of the damage")
	}
	if f := c.found(c.leader()); !f.Repaired {
		t.Fatalf("%+v", f)
	}
	meet()
	clear(c.member(id).lazy)
	c.until("the merge here", func() bool { return behind.ledger.MergesDone() })
	c.checkAll()
	c.clean()
}

// behindAMerge returns a follower that has evicted what the others have merged since. The merge has an object.
func (c *tierCluster) behindAMerge() *Node {
	c.t.Helper()
	behind := c.follower()
	c.evictAll(behind)
	c.member(behind.opts.NodeID).lazy["compact"] = true
	for _, w := range c.leader().ledger.MergesLeft(true) {
		if _, err := c.outcome(c.command(c.leader(), w.Data)); err != nil {
			c.t.Fatal(err)
		}
	}
	c.until("the merge has an object", func() bool { return c.leader().ledger.MergesDone() && c.tiered() })
	return behind
}
