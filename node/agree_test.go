package node

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/scribe-ledger/scribe/ledger"
)

func isRoots(p packet) bool { return len(p.request) > 0 && requestKind(p.request[0]) == requestRoots }

// tamper changes the roots that nodes report: who says which.
func tamper(p packet, say func(from uint64) bool) packet {
	if !isRoots(p) || !say(p.from) {
		return p
	}
	r, err := parseRootReport(slices.Clone(p.request))
	if err != nil {
		panic(err)
	}
	for i := range r.segments {
		r.segments[i].Root[0] ^= 1
	}
	for i := range r.checks {
		r.checks[i].Root[0] ^= 1
	}
	p.request = r.encode()
	return p
}

// fill writes enough for a few segments and roots to agree on.
func (c *cluster) fill(prefix string) {
	c.t.Helper()
	n := c.leader()
	for i := range 40 {
		c.mustWrite(n, fmt.Sprintf("%s-%03d", prefix, i), string(make([]byte, 1000)))
	}
}

func recorded(n *Node) int { return len(n.Ledger().Manifest().Segments) }

func agreeing(o *Options) { o.Ledger.CheckEvery = 16 }

// TestRootsNeedAQuorum: no segment is recorded on the leader's word alone, nor any root of the ledger; with the other
// members' word they are.
func TestRootsNeedAQuorum(t *testing.T) {
	c := newCluster(t, 3, agreeing)
	c.leader()
	c.lost = isRoots
	c.fill("a")
	c.tick(5)
	for _, m := range c.nodes {
		if n := recorded(m.node); n > 0 {
			t.Fatalf("node %d has %d segments that nobody has agreed on", m.id, n)
		}
		if len(m.node.ledger.PendingChecks()) == 0 {
			t.Fatalf("node %d has no root to be agreed on", m.id)
		}
	}
	c.lost = nil
	c.until("all segments recorded, all roots agreed on", func() bool {
		return !slices.ContainsFunc(c.nodes, func(m *member) bool {
			return recorded(m.node) < 2 || len(m.node.ledger.BuiltRoots())+len(m.node.ledger.PendingChecks()) > 0
		})
	})
	c.agree()
}

// TestOneVoterDisagrees: the others are a quorum.
func TestOneVoterDisagrees(t *testing.T) {
	c := newCluster(t, 3, agreeing)
	odd := c.follower().opts.NodeID
	c.edit = func(p packet) packet { return tamper(p, func(from uint64) bool { return from == odd }) }
	c.fill("a")
	c.until("segments are recorded", func() bool { return recorded(c.leader()) >= 2 })
}

// TestQuorumDisagreesWithTheLeader: it is the leader that has diverged, so that nothing it says gets recorded. It notes
// that it must be rebuilt, and the others go on without it.
func TestQuorumDisagreesWithTheLeader(t *testing.T) {
	t.Run("about a segment", func(t *testing.T) { quorumDisagrees(t, func(o *Options) { o.Ledger.CheckEvery = 1 << 20 }) })
	t.Run("about the ledger", func(t *testing.T) {
		quorumDisagrees(t, func(o *Options) { o.Ledger.CheckEvery, o.Ledger.SealBytes = 16, 64<<20 })
	})
}

func quorumDisagrees(t *testing.T, edit func(*Options)) {
	c := newCluster(t, 3, edit)
	lead := c.leader()
	c.mustWrite(lead, "before", "")
	c.edit = func(p packet) packet { return tamper(p, func(uint64) bool { return true }) }
	for i := range 40 {
		if lead.Err() != nil {
			break
		}
		lead.Begin(put(fmt.Sprint("key-", i), string(make([]byte, 1000))), c.now)
		c.tick(1)
	}
	var diverged *ledger.DivergedError
	if !errors.As(lead.Err(), &diverged) {
		t.Fatalf("the leader goes on: %v", lead.Err())
	}
	if !lead.WantsRebuild() {
		t.Error("it does not want to be rebuilt")
	}
	if st := lead.Status(); st.Ready || st.Fault == "" {
		t.Errorf("its status: %+v", st)
	}
	c.edit = nil
	c.kill(lead.opts.NodeID)
	c.mustWrite(c.leader(), "after", "")
}
