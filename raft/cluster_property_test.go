package raft

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// clusterModel is a cluster of voters on a network that loses, repeats and reorders, with disks that lag and crashes.
type clusterModel struct {
	nodes    []*testNode
	net      []Message
	next     int
	decided  []Entry           // everything any node handed out as committed
	leaders  map[uint64]uint64 // term: who led it
	position map[int]Position
}

// TestClusterUnderAnySchedule checks the safety properties of the paper (figure 3) over three and five voters: election
// safety, log matching, leader completeness as far as it shows, state machine safety; and that a quorum's disks hold what
// is decided. testNode checks what the shell relies on.
func TestClusterUnderAnySchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newClusterModel(t, rapid.SampledFrom([]uint64{3, 5}).Draw(t, "voters"))
		schedule(t, m.invariants, []action{
			{"tick", 4, func(t *rapid.T) { check(t, m.pick(t).core.Tick()) }},
			{"campaign", 1, func(t *rapid.T) { check(t, m.pick(t).core.Campaign()) }},
			{"propose", 5, m.propose},
			{"run", 12, m.run},
			{"ready", 6, func(t *rapid.T) { m.ready(t, m.pick(t)) }},
			{"sync", 4, m.sync},
			{"apply", 2, m.apply},
			{"deliver", 8, m.deliver},
			{"lose", 2, m.lose},
			{"crash", 1, m.crash},
		})
		m.heal(t)
	})
}

func newClusterModel(t *rapid.T, n uint64) *clusterModel {
	m := &clusterModel{leaders: map[uint64]uint64{}, position: map[int]Position{}}
	var ids []uint64
	for id := uint64(1); id <= n; id++ {
		ids = append(ids, id)
	}
	members, err := NewMembership(voters(ids...)...)
	check(t, err)
	for _, id := range ids {
		cfg := Config{ID: id, ClusterID: testCluster, Seed: id, MaxAppendBytes: 6, MaxCommittedBytes: 20}
		node, err := newTestNode(cfg, members)
		check(t, err)
		node.delivered = m.decide
		m.nodes = append(m.nodes, node)
	}
	return m
}

// decide checks state machine safety: no two nodes apply different entries at an index.
func (m *clusterModel) decide(n *testNode, e Entry) error {
	i := int(e.Index) - 1
	if i == len(m.decided) {
		m.decided = append(m.decided, e)
	}
	if i > len(m.decided) || m.decided[i].Term != e.Term || !bytes.Equal(m.decided[i].Data, e.Data) {
		return fmt.Errorf("node %d applies %v, decided is %v", n.cfg.ID, e, m.decided[min(i, len(m.decided)):])
	}
	return nil
}

func (m *clusterModel) pick(t *rapid.T) *testNode { return rapid.SampledFrom(m.nodes).Draw(t, "node") }

func (m *clusterModel) propose(t *rapid.T) {
	n := m.pick(t)
	for _, other := range m.nodes { // a leader, if there is one
		if n.core.role != Leader {
			n = other
		}
	}
	p, err := n.core.Propose([][]byte{fmt.Appendf(nil, "%d", m.next)})
	if errors.Is(err, ErrNotLeader) {
		return
	}
	check(t, err)
	m.position[m.next] = p
	m.next++
}

func (m *clusterModel) ready(t *rapid.T, n *testNode) {
	if n.core.HasReady() {
		rd, err := n.ready()
		check(t, err)
		m.net = append(m.net, rd.Messages...)
	}
}

func (m *clusterModel) syncSome(t *rapid.T, n *testNode, k int) {
	if k > 0 {
		msgs, err := n.sync(k)
		check(t, err)
		m.net = append(m.net, msgs...)
	}
}

func (m *clusterModel) sync(t *rapid.T) {
	n := m.pick(t)
	m.syncSome(t, n, rapid.IntRange(0, len(n.queue)).Draw(t, "readys"))
}

func (m *clusterModel) apply(t *rapid.T) {
	n := m.pick(t)
	check(t, n.apply(rapid.Uint64Range(n.applied, n.handed()).Draw(t, "applied")))
}

// run lets a node do all its work and the network bring it everything once, so that long runs get somewhere.
func (m *clusterModel) run(t *rapid.T) {
	n := m.pick(t)
	m.ready(t, n)
	m.syncSome(t, n, len(n.queue))
	for i := 0; i < len(m.net); {
		if m.net[i].To == n.cfg.ID {
			m.step(t, m.net[i])
			m.net = slices.Delete(m.net, i, i+1)
		} else {
			i++
		}
	}
	m.ready(t, n)
	m.syncSome(t, n, len(n.queue))
}

// deliver takes any message from the network, and leaves it there for another time now and then.
func (m *clusterModel) deliver(t *rapid.T) {
	if len(m.net) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.net)-1).Draw(t, "message")
	msg := m.net[i]
	if !rapid.Bool().Draw(t, "again") {
		m.net = slices.Delete(m.net, i, i+1)
	}
	m.step(t, msg)
}

func (m *clusterModel) lose(t *rapid.T) {
	if len(m.net) > 0 {
		i := rapid.IntRange(0, len(m.net)-1).Draw(t, "message")
		m.net = slices.Delete(m.net, i, i+1)
	}
}

func (m *clusterModel) step(t *rapid.T, msg Message) {
	parsed, err := ParseMessage(AppendMessage(nil, msg)) // the wire takes part in the test
	check(t, err)
	n := m.nodes[msg.To-1]
	check(t, n.core.Step(parsed))
	check(t, n.observe())
}

func (m *clusterModel) crash(t *rapid.T) {
	n := m.pick(t)
	check(t, n.crash(rapid.IntRange(0, len(n.queue)).Draw(t, "written")))
}

func (m *clusterModel) invariants(t *rapid.T) {
	for _, n := range m.nodes {
		s := n.core.Status()
		if s.Role == Leader {
			if other, ok := m.leaders[s.Term]; ok && other != s.ID {
				t.Fatalf("nodes %d and %d both lead term %d", other, s.ID, s.Term)
			}
			m.leaders[s.Term] = s.ID
			m.complete(t, n)
		}
		m.held(t, s)
	}
	m.matching(t)
}

// held checks that what a node calls committed is on a majority of disks.
func (m *clusterModel) held(t *rapid.T, s Status) {
	if s.Commit == 0 {
		return
	}
	term, err := m.nodes[s.ID-1].core.log.term(s.Commit)
	check(t, err)
	held := 0
	for _, n := range m.nodes {
		if n.disk.holds(Position{Index: s.Commit, Term: term}) {
			held++
		}
	}
	if held <= len(m.nodes)/2 {
		t.Fatalf("node %d calls %d/%d committed, %d of %d disks hold it", s.ID, s.Commit, term, held, len(m.nodes))
	}
}

// complete checks that a leader of the newest term seen has every decided entry (leader completeness).
func (m *clusterModel) complete(t *rapid.T, n *testNode) {
	s := n.core.Status()
	for term := range m.leaders {
		if term > s.Term {
			return
		}
	}
	for _, e := range m.decided {
		if e.Index > s.Last {
			t.Fatalf("leader %d of term %d lacks the decided entry %d", s.ID, s.Term, e.Index)
		}
		if term, err := n.core.log.term(e.Index); err != nil || term != e.Term {
			t.Fatalf("leader %d of term %d has %d/%d, decided is term %d: %v", s.ID, s.Term, e.Index, term, e.Term, err)
		}
	}
}

// matching checks that two logs which have an entry with the same index and term are equal up to it.
func (m *clusterModel) matching(t *rapid.T) {
	for i, a := range m.nodes {
		for _, b := range m.nodes[i+1:] {
			same := false
			for k := min(a.core.log.last(), b.core.log.last()); k > 0; k-- {
				ta, errA := a.core.log.term(k)
				tb, errB := b.core.log.term(k)
				check(t, errors.Join(errA, errB))
				if same && ta != tb {
					t.Fatalf("nodes %d and %d agree above entry %d and not on it", a.cfg.ID, b.cfg.ID, k)
				}
				same = same || ta == tb
			}
		}
	}
}

// heal lets time go by on a network that works: a leader must emerge, and everyone must end with the same log.
func (m *clusterModel) heal(t *rapid.T) {
	for range 400 {
		for _, n := range m.nodes {
			check(t, n.core.Tick())
		}
		for range 3 {
			for _, n := range m.nodes {
				m.ready(t, n)
				m.syncSome(t, n, len(n.queue))
				check(t, n.apply(n.handed()))
			}
			arriving := m.net
			m.net = nil
			for _, msg := range arriving {
				m.step(t, msg)
			}
		}
		m.invariants(t)
		if m.agreed() {
			return
		}
	}
	for _, n := range m.nodes {
		t.Logf("%+v", n.core.Status())
	}
	t.Fatal("the cluster does not come to agree")
}

func (m *clusterModel) agreed() bool {
	leaders := 0
	for _, n := range m.nodes {
		s := n.core.Status()
		if s.Role == Leader {
			leaders++
		}
		if s.Leader == 0 || s.Applied != s.Last || s.Last != uint64(len(m.decided)) {
			return false
		}
	}
	return leaders == 1
}
