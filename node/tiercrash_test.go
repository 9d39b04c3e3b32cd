package node

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// tierSteps are the steps by which a segment moves into the object store, in their order.
var tierSteps = []string{
	"upload begins", "upload is done", // the object is there
	"read-back begins", "read-back is answered", // it is what it should be
	"propose",             // the log is asked to record it
	"apply on the leader", // it is recorded
	"apply on a follower",
	// The leader gives up its file.
	"manifest is written", "manifest is in place", "manifest is durable",
	"meta tail is begun", "meta tail is asked for", "meta tail is in place", "meta tail is durable",
	"view is swapped, and the file is removed",
}

// stepper names the steps of one segment's way as a cluster takes them.
type stepper struct {
	c    *tierCluster
	lead uint64
	seen []string
	at   func(step string, m *member)
}

// reach tells of a step when it comes for the first time.
func (s *stepper) reach(step string, m *member) {
	if !slices.Contains(s.seen, step) {
		s.seen = append(s.seen, step)
		s.at(step, m)
	}
}

func (s *stepper) watch() {
	s.c.asked = func(m *member, r tier.Request, answered bool) {
		if m.id != s.lead || !strings.HasPrefix(r.Key, tier.SegmentPrefix) {
			return
		}
		whole := r.Op == tier.OpGet && r.Off == 0
		switch {
		case r.Op == tier.OpPut && !answered:
			s.reach("upload begins", m)
		case r.Op == tier.OpPut:
			s.reach("upload is done", m)
		case whole && !answered:
			s.reach("read-back begins", m)
		case whole:
			s.reach("read-back is answered", m)
		case r.Op == tier.OpGet && !answered:
			s.reach("meta tail is asked for", m)
		}
	}
	s.c.before = func(m *member, step string) {
		n := m.node
		switch {
		case step == "turn" && m.id == s.lead && n.tiering.verified.Load() != nil && len(*n.tiering.verified.Load()) > 0 &&
			len(n.tieredWants()) > 0:
			s.reach("propose", m)
		case step == "apply" && n.appliesTiered() && m.id == s.lead:
			s.reach("apply on the leader", m)
		case step == "apply" && n.appliesTiered() && slices.Contains(s.seen, "apply on the leader"):
			s.reach("apply on a follower", m)
		}
	}
	for _, m := range s.c.nodes {
		inner := m.hook
		m.hook = func(op vfs.Op) vfs.Decision {
			if m.id == s.lead && !m.down && slices.Contains(s.seen, "apply on the leader") {
				s.disk(m, op)
			}
			return inner(op)
		}
	}
}

// disk names the steps of an eviction by the changes of the disk that they begin with.
func (s *stepper) disk(m *member, op vfs.Op) {
	name := path.Base(op.Name)
	swapped := slices.Contains(s.seen, "meta tail is in place")
	switch {
	case op.Kind == vfs.OpCreate && name == "MANIFEST.tmp":
		s.reach("manifest is written", m)
	case op.Kind == vfs.OpRename && name == "MANIFEST.tmp":
		s.reach("manifest is in place", m)
	case op.Kind == vfs.OpSyncDir && name == "data" && slices.Contains(s.seen, "manifest is in place"):
		s.reach("manifest is durable", m)
	case op.Kind == vfs.OpCreate && strings.HasSuffix(name, ".meta.tmp"):
		s.reach("meta tail is begun", m)
	case op.Kind == vfs.OpRename && strings.HasSuffix(name, ".meta.tmp"):
		s.reach("meta tail is in place", m)
	case op.Kind == vfs.OpSyncDir && name == "segments" && swapped:
		s.reach("meta tail is durable", m)
	case segmentGoes(op):
		s.reach("view is swapped, and the file is removed", m)
	}
}

// appliesTiered says whether the next step of the apply loop applies that a segment has an object.
func (n *Node) appliesTiered() bool {
	n.applier.mu.Lock()
	defer n.applier.mu.Unlock()
	return slices.ContainsFunc(n.applier.queue, func(b batch) bool {
		return slices.ContainsFunc(b.entries, func(e raft.Entry) bool {
			return e.Kind == raft.EntryNormal && len(e.Data) > 0 && e.Data[0] == 6
		})
	})
}

// TestTierSteps cuts the leader's power, and has another node lead while the step is under way, at each step of a segment's way
// into the object store. No file goes too early; in the end there is one object for the segment, which all have recorded and
// gone over to, everything is there, and nothing is left over.
func TestTierSteps(t *testing.T) {
	var seen []string
	for _, what := range []string{"nothing", "power cut", "end of the process", "another leader"} {
		for _, step := range tierSteps {
			if what == "nothing" && step != tierSteps[0] {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", what, step), func(t *testing.T) {
				s := runTierSteps(t, what, step)
				if what == "nothing" {
					seen = s.seen
				}
			})
		}
	}
	if !slices.Equal(seen, tierSteps) {
		t.Fatalf("the steps are\n%q, want\n%q", seen, tierSteps)
	}
}

func runTierSteps(t *testing.T, what, step string) *stepper {
	c := newTierCluster(t, 3, func(o *TierOptions) { o.MaxLocalBytes = 1 }, nil)
	lead := c.leader().opts.NodeID
	s := &stepper{c: c, lead: lead, at: func(string, *member) {}}
	for _, m := range c.nodes { // nothing is uploaded before the stage is set
		m.lazy["tier"] = true
	}
	c.fill(1)
	done := false
	s.at = func(at string, m *member) {
		if at != step || what == "nothing" {
			return
		}
		done = true
		switch what {
		case "power cut":
			c.cut(m, vfs.KeepNone)
		case "end of the process":
			c.cut(m, vfs.KeepAll)
		case "another leader":
			c.overtake(m)
		}
	}
	for _, m := range c.nodes {
		c.kill(m.id)
	}
	s.watch()
	for _, m := range c.nodes {
		m.lazy["tier"] = true
		c.restart(m.id)
		m.lazy["tier"] = true
	}
	first := c.leader()
	if first.opts.NodeID != lead {
		if err := c.changed(first.BeginTransfer(lead, c.now.Add(1e10))); err != nil {
			t.Fatal(err)
		}
	}
	c.until("the leader is ready", func() bool { return c.node(lead).tiering.leads() })
	for _, m := range c.nodes {
		clear(m.lazy)
	}
	c.tick(60)
	if what != "nothing" && !done {
		t.Fatalf("step %q never came: %q", step, s.seen)
	}
	for _, m := range c.nodes {
		if m.node == nil {
			c.restart(m.id)
		}
	}
	c.until("everything is in the store and nowhere else", func() bool {
		return c.tiered() && c.everywhere(func(n *Node) bool { return c.colds(n) == len(n.ledger.Recorded()) })
	})
	c.checkOneEach()
	c.checkAll()
	for _, m := range c.nodes {
		names, err := m.fsys.List("data/segments")
		if err != nil || slices.ContainsFunc(names, func(n string) bool { return path.Ext(n) != ".meta" }) {
			t.Fatalf("node %d keeps %q, %v", m.id, names, err)
		}
	}
	return s
}

// overtake has the other nodes elect a leader, and do all that they can do, while a node is in the middle of a step.
func (c *tierCluster) overtake(m *member) {
	c.pause(m.id)
	deaf := func(p packet) bool { return p.to == m.id || p.from == m.id }
	c.lost = deaf
	c.tick(60)
	c.lost = nil
	c.resume(m.id)
}

// TestTierTwoUploaders: two nodes that both take themselves for the leader upload the same segment at once, request by request.
// One object comes of it.
func TestTierTwoUploaders(t *testing.T) {
	c := newTierCluster(t, 3, nil, func(o *Options) {
		// The file of each member is another one: the object is that of the faster one.
		o.Ledger.BlockBytes = 2048 << (o.NodeID % 3)
	})
	for _, m := range c.nodes {
		m.lazy["tier"] = true
	}
	c.fill(3)
	clear(c.nodes[0].lazy)
	clear(c.nodes[1].lazy)
	a, b := c.nodes[0].node, c.nodes[1].node
	c.until("the stores are open", func() bool { return a.tiering.opening.done && b.tiering.opening.done })
	depth := 0
	c.asked = func(m *member, r tier.Request, _ bool) {
		if depth > 0 || !strings.HasPrefix(r.Key, tier.SegmentPrefix) {
			return
		}
		depth++
		defer func() { depth-- }()
		other := a
		if m.node == a {
			other = b
		}
		for _, g := range other.ledger.Untiered()[:1] {
			if _, _, err := other.tiering.put(context.Background(), &g); err != nil {
				t.Errorf("node %d: %v", other.opts.NodeID, err)
			}
		}
	}
	c.tick(30)
	c.asked = nil
	for _, m := range c.nodes {
		clear(m.lazy)
	}
	c.until("objects", c.tiered)
	c.checkOneEach()
	c.checkAll()
}
