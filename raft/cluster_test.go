package raft

import (
	"errors"
	"fmt"
	"slices"

	"pgregory.net/rapid"
)

// clusterModel is a cluster on a network that loses, repeats, delays and reorders, with disks that lag, crashes,
// snapshots, changes of members and a node that loses its data. Nodes that are no founders wait for their membership
// from the start. What must hold is in cluster_check_test.go.
type clusterModel struct {
	nodes []*testNode // node i+1
	net   []Message
	next  int // of the commands
	wiped *testNode
	history
}

// clusterSize is how many nodes there are, members or not.
const clusterSize = 6

func newClusterModel(t *rapid.T, founders int) *clusterModel {
	m := &clusterModel{history: newHistory()}
	m.founders = founders
	var members []Member
	for id := uint64(1); id <= uint64(founders); id++ {
		members = append(members, Member{ID: id, Instance: id, Role: Voter})
	}
	for id := uint64(1); id <= clusterSize; id++ {
		cfg := Config{
			ID: id, ClusterID: testCluster, Instance: id, Seed: id, ElectionTicks: 4,
			MaxAppendBytes: 6, MaxCommittedBytes: 20, MaxInflightAppends: 3, MaxInflightBytes: 20, MaxPendingReads: 6,
		}
		first := Membership{}
		if id <= uint64(founders) {
			first.Members = members
		}
		node, err := newTestNode(cfg, first)
		check(t, err)
		m.nodes = append(m.nodes, m.watch(node))
	}
	return m
}

func (m *clusterModel) watch(n *testNode) *testNode {
	n.delivered = m.decide
	return n
}

func (m *clusterModel) pick(t *rapid.T) *testNode { return rapid.SampledFrom(m.nodes).Draw(t, "node") }

// pickLeader is any node that leads, or nil.
func (m *clusterModel) pickLeader(t *rapid.T) *testNode {
	var leaders []*testNode
	for _, n := range m.nodes {
		if n.core.role == Leader {
			leaders = append(leaders, n)
		}
	}
	if len(leaders) == 0 {
		return nil
	}
	return rapid.SampledFrom(leaders).Draw(t, "leader")
}

func (m *clusterModel) tick(t *rapid.T) {
	n := m.pick(t)
	check(t, n.core.Tick())
	m.see(t, n)
}

// timeout makes a node lose patience with its leader, and those around it that are to vote.
func (m *clusterModel) timeout(t *rapid.T) {
	n := m.pick(t)
	for _, other := range m.nodes {
		if other != n && other.core.role != Leader && rapid.Bool().Draw(t, "lapsed") {
			other.core.elapsed = other.core.cfg.ElectionTicks
		}
	}
	if n.core.role != Leader {
		n.core.elapsed = 2 * n.core.cfg.ElectionTicks
	}
	check(t, n.core.Tick())
	m.see(t, n)
}

func (m *clusterModel) campaign(t *rapid.T) {
	n := m.pick(t)
	if err := n.core.Campaign(); !errors.Is(err, ErrNotVoter) {
		check(t, err)
	}
	m.see(t, n)
}

func (m *clusterModel) propose(t *rapid.T) {
	if n := m.pickLeader(t); n != nil {
		m.proposeTo(t, n)
	}
}

func (m *clusterModel) proposeTo(t *rapid.T, n *testNode) {
	_, err := n.core.Propose([][]byte{fmt.Appendf(nil, "%d", m.next)})
	m.next++
	if !errors.Is(err, ErrOverloaded) {
		check(t, err)
	}
	m.see(t, n)
}

func (m *clusterModel) ready(t *rapid.T, n *testNode) {
	if n.core.HasReady() {
		rd, err := n.ready()
		check(t, err)
		m.net = append(m.net, rd.Messages...)
		m.answered(t, n, rd.ReadStates)
		m.see(t, n)
	}
}

func (m *clusterModel) syncSome(t *rapid.T, n *testNode, k int) {
	if k > 0 {
		msgs, err := n.sync(k)
		check(t, err)
		m.net = append(m.net, msgs...)
		m.see(t, n)
	}
}

func (m *clusterModel) sync(t *rapid.T) {
	n := m.pick(t)
	m.syncSome(t, n, rapid.IntRange(0, len(n.queue)).Draw(t, "readys"))
}

func (m *clusterModel) apply(t *rapid.T) {
	n := m.pick(t)
	check(t, n.apply(rapid.Uint64Range(n.applied, max(n.applied, n.handed())).Draw(t, "applied")))
}

// reign lets some of the nodes, cut off from the rest, lose patience with whoever led them and elect one that proposes:
// so logs come to differ. What is sent to the rest arrives later or never.
func (m *clusterModel) reign(t *rapid.T) {
	among := rapid.UintRange(1, 1<<clusterSize-1).Draw(t, "among")
	first := true
	for range rapid.IntRange(2, 6).Draw(t, "rounds") {
		for _, n := range m.nodes {
			if among&(1<<(n.cfg.ID-1)) == 0 {
				continue
			}
			if c := n.core; first && c.role != Leader {
				c.elapsed = 2 * c.cfg.ElectionTicks
				check(t, c.Tick())
				first = false
			} else if c.role != Leader && c.leader != 0 && among&(1<<(c.leader-1)) == 0 {
				c.elapsed = c.cfg.ElectionTicks
			} else if c.role == Leader {
				m.proposeTo(t, n)
			}
			m.runAmong(t, n, among)
		}
	}
}

// run lets a node do all its work and the network bring it everything once, so that long runs get somewhere.
func (m *clusterModel) run(t *rapid.T, n *testNode) { m.runAmong(t, n, 1<<clusterSize-1) }

func (m *clusterModel) runAmong(t *rapid.T, n *testNode, among uint) {
	m.ready(t, n)
	m.syncSome(t, n, len(n.queue))
	check(t, n.apply(n.handed()))
	arriving := m.net
	m.net = nil
	for _, msg := range arriving {
		if msg.To == n.cfg.ID && among&(1<<(msg.From-1)) != 0 {
			m.step(t, msg)
		} else {
			m.net = append(m.net, msg)
		}
	}
	m.ready(t, n)
	m.syncSome(t, n, len(n.queue))
}

func (m *clusterModel) round(t *rapid.T) {
	for _, n := range m.nodes {
		m.run(t, n)
	}
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

// cut loses all that is on its way to or from a node.
func (m *clusterModel) cut(t *rapid.T) {
	id := m.pick(t).cfg.ID
	m.net = slices.DeleteFunc(m.net, func(msg Message) bool { return msg.From == id || msg.To == id })
}

func (m *clusterModel) step(t *rapid.T, msg Message) {
	parsed, err := ParseMessage(AppendMessage(nil, msg)) // the wire takes part in the test
	check(t, err)
	n := m.nodes[msg.To-1]
	if err := n.core.Step(parsed); !errors.Is(err, ErrRefused) {
		check(t, err)
	}
	check(t, n.observe())
	m.see(t, n)
}

func (m *clusterModel) crash(t *rapid.T) {
	n := m.pick(t)
	m.forgetReads(n)
	check(t, n.crash(rapid.IntRange(0, len(n.queue)).Draw(t, "written")))
	m.see(t, n)
}

// wipe takes a node's data away, once in a run, where what is left can still decide. It starts as it was founded.
func (m *clusterModel) wipe(t *rapid.T) {
	n := m.pick(t)
	if m.wiped != nil {
		return
	}
	m.forgetReads(n)
	founded := Membership{}
	if founders := m.founders; n.cfg.ID <= uint64(founders) {
		for id := uint64(1); id <= uint64(founders); id++ {
			founded.Members = append(founded.Members, Member{ID: id, Role: Voter})
		}
	}
	n.cfg.Instance += 100
	n.disk, n.snap = &testDisk{}, Snapshot{Members: founded}
	check(t, n.start())
	m.wiped = n
	m.forget(n)
}

func (m *clusterModel) read(t *rapid.T) {
	n := m.pick(t)
	m.reads++
	err := n.core.ReadIndex(m.reads)
	if errors.Is(err, ErrNotLeader) || errors.Is(err, ErrOverloaded) {
		return
	}
	check(t, err)
	m.asked[m.reads] = pendingRead{node: n, least: uint64(len(m.committed))}
	m.see(t, n)
}

func (m *clusterModel) transfer(t *rapid.T) {
	if n := m.pickLeader(t); n != nil {
		_ = n.core.Transfer(rapid.Uint64Range(0, clusterSize).Draw(t, "to")) // not every node has a vote
		m.see(t, n)
	}
}

// compact makes a snapshot and drops some of the log that it covers.
func (m *clusterModel) compact(t *rapid.T) {
	n := m.pick(t)
	if n.applied > n.snap.Index && n.core.log.start.Index == n.snap.Index {
		check(t, n.makeSnapshot(rapid.Uint64Range(n.snap.Index, n.applied).Draw(t, "snapshot")))
	}
	n.disk.compact(min(rapid.Uint64Range(0, n.snap.Index).Draw(t, "trimmed"), n.disk.LastIndex()))
}

// restore gives a node the snapshot of any other, asked for or not: it may have begun to fetch it long ago.
func (m *clusterModel) restore(t *rapid.T) {
	n, from := m.pick(t), m.pick(t)
	if from.snap.Index > 0 {
		check(t, failure(n.core.Restore(from.snap)))
		m.see(t, n)
	}
}

// change proposes other members: at least three voters of the six nodes, and learners.
func (m *clusterModel) change(t *rapid.T) {
	n := m.pickLeader(t)
	if n == nil {
		return
	}
	var target Membership
	voters := 0
	for _, other := range m.nodes {
		role := rapid.SampledFrom([]MemberRole{Voter, Voter, Learner, Joining, 0}).Draw(t, "role")
		mb := Member{ID: other.cfg.ID, Instance: other.cfg.Instance, Role: role}
		if old, ok := n.core.members.Get(mb.ID); ok {
			mb.Instance = old.Instance
		}
		if role == Voter {
			voters++
		}
		if role != 0 {
			target.Members = append(target.Members, mb)
		}
	}
	if voters >= 3 {
		m.proposeMembers(t, n, target)
	}
}

func (m *clusterModel) proposeMembers(t *rapid.T, n *testNode, target Membership) {
	before := n.core.Status()
	_, err := n.core.ProposeMembers(target)
	if n.core.fault != nil {
		t.Fatal(n.core.fault)
	}
	if err == nil {
		if own, _ := n.core.log.term(before.Commit); own != before.Term {
			t.Fatalf("leader %d of term %d changes the members, and has committed nothing", before.ID, before.Term)
		}
		if before.MembersIndex > before.Commit {
			t.Fatalf("leader %d changes the members while entry %d is not committed", before.ID, before.MembersIndex)
		}
	}
	m.see(t, n)
}

// heal lets time go by on a network that works. A leader must emerge and everyone it counts as a member must end with
// its log; a member that lost its data is removed. Reads that wait are answered.
func (m *clusterModel) heal(t *rapid.T) {
	for range 300 {
		for _, n := range m.nodes {
			check(t, n.core.Tick())
			m.see(t, n)
		}
		for range 3 {
			m.round(t)
		}
		for _, n := range m.nodes {
			m.takeOffer(t, n)
			m.dropWiped(t, n)
		}
		if m.agreed() {
			return
		}
	}
	for _, n := range m.nodes {
		t.Logf("%+v, instance %d", n.core.Status(), n.cfg.Instance)
	}
	t.Fatal("the cluster does not come to agree")
}

func (m *clusterModel) takeOffer(t *rapid.T, n *testNode) {
	if n.offer == nil {
		return
	}
	if snap := m.nodes[n.offer.From-1].snap; snap.Index >= n.offer.Snapshot.Index { // else its data is gone meanwhile
		check(t, failure(n.core.Restore(snap)))
		m.see(t, n)
	}
	n.offer = nil
}

// dropWiped has a leader remove the member whose data is gone.
func (m *clusterModel) dropWiped(t *rapid.T, n *testNode) {
	if m.wiped == nil || n.core.role != Leader {
		return
	}
	mb, ok := n.core.members.Get(m.wiped.cfg.ID)
	if !ok || mb.Instance == m.wiped.cfg.Instance || n.core.membersPending() {
		return
	}
	var target Membership
	for _, other := range n.core.members.Members {
		if other.ID != mb.ID {
			target.Members = append(target.Members, other)
		}
	}
	m.proposeMembers(t, n, target)
}

func (m *clusterModel) agreed() bool {
	if len(m.asked) > 0 {
		return false
	}
	for _, n := range m.nodes {
		if n.core.role != Leader {
			continue
		}
		s := n.core.Status()
		for _, mb := range s.Members.Members {
			other := m.nodes[mb.ID-1]
			o := other.core.Status()
			if mb.Instance != other.cfg.Instance || o.Leader != s.ID || o.Applied != s.Last || o.Last != s.Last ||
				!o.Members.Equal(s.Members) {
				return false
			}
		}
		return !s.MembersPending && s.Applied == s.Last
	}
	return false
}
