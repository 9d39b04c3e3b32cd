package raft

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// soleModel is what a cluster of one must keep over all its lives.
type soleModel struct {
	node      *testNode
	next      int               // names the next command
	position  map[int]Position  // where each proposed command was placed
	decided   []Entry           // everything ever handed out as committed, from entry 1
	confirmed int               // as far as a client of this or an earlier life was told
	reads     uint64            // contexts given out
	asked     map[uint64]uint64 // unanswered reads: what was acknowledged before they were asked
}

func (m *soleModel) deliver(n *testNode, e Entry) error {
	i := int(e.Index) - 1
	switch {
	case i > len(m.decided):
		return fmt.Errorf("entry %d is handed out, %d entries are decided", e.Index, len(m.decided))
	case i == len(m.decided):
		m.decided = append(m.decided, e)
	case m.decided[i].Term != e.Term || !bytes.Equal(m.decided[i].Data, e.Data):
		return fmt.Errorf("entry %d was decided as %v and is handed out as %v", e.Index, m.decided[i], e)
	}
	return nil
}

// TestSoleVoterUnderAnySchedule drives proposals, reads, hand-outs, late syncs, late applies, snapshots and crashes in
// any order. testNode checks the order of hand-outs, their durability, and that commit and term never go back.
func TestSoleVoterUnderAnySchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, err := NewMembership(Member{ID: 1, Role: Voter})
		check(t, err)
		cfg := Config{
			ID: 1, ClusterID: testCluster, Seed: rapid.Uint64().Draw(t, "seed"),
			MaxUncommittedBytes: 1000, MaxCommittedBytes: 10, MaxApplyingBytes: 600, MaxPendingReads: 8,
		}
		m := &soleModel{position: map[int]Position{}, asked: map[uint64]uint64{}}
		m.node, err = newTestNode(cfg, members)
		check(t, err)
		m.node.delivered = m.deliver
		schedule(t, m.invariants, []action{
			{"tick", 2, func(t *rapid.T) { check(t, m.node.core.Tick()) }},
			{"propose", 4, m.propose},
			{"read", 2, m.read},
			{"ready", 6, m.ready},
			{"sync", 5, m.sync},
			{"apply", 3, m.apply},
			{"snapshot", 1, m.snapshot},
			{"crash", 1, m.crash},
		})
		m.finish(t)
	})
}

// action is one thing that may happen next, as often as its weight says.
type action struct {
	name   string
	weight int
	do     func(*rapid.T)
}

// schedule draws a long sequence of actions and checks the invariants after each. rapid's own Repeat ends too early for
// a cluster to get anywhere.
func schedule(t *rapid.T, invariants func(*rapid.T), actions []action) {
	var bag []action
	for _, a := range actions {
		for range a.weight {
			bag = append(bag, a)
		}
	}
	// Without a least length most sequences would be short; the list begins with what is simplest, for shrinking.
	least := rapid.SampledFrom([]int{0, 50, 200}).Draw(t, "steps at least")
	for i, k := range rapid.SliceOfN(rapid.IntRange(0, len(bag)-1), least, 250).Draw(t, "schedule") {
		t.Logf("step %d: %s", i, bag[k].name)
		bag[k].do(t)
		invariants(t)
	}
}

func check(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m *soleModel) propose(t *rapid.T) {
	var cmds [][]byte
	for range rapid.IntRange(1, 4).Draw(t, "commands") {
		cmds = append(cmds, fmt.Appendf(nil, "%d", m.next+len(cmds)))
	}
	before := m.node.core.Status()
	p, err := m.node.core.Propose(cmds)
	switch {
	case before.Role != Leader:
		if err == nil {
			t.Fatalf("a %s took a proposal", before.Role)
		}
		return
	case err == ErrOverloaded:
		if before.TailBytes == 0 {
			t.Fatal("overloaded with nothing in memory")
		}
		return
	}
	check(t, err)
	if p.Index != before.Last+1 || p.Term != before.Term {
		t.Fatalf("placed at %v after entry %d in term %d", p, before.Last, before.Term)
	}
	for range cmds {
		m.position[m.next] = p
		p.Index++
		m.next++
	}
}

func (m *soleModel) read(t *rapid.T) {
	m.reads++
	before := m.node.core.Status()
	err := m.node.core.ReadIndex(m.reads)
	if (err == nil) && before.Role != Leader {
		t.Fatalf("a %s took a read", before.Role)
	}
	if err == nil {
		m.asked[m.reads] = uint64(m.confirmed)
	}
}

func (m *soleModel) ready(t *rapid.T) {
	if !m.node.core.HasReady() {
		return
	}
	rd, err := m.node.ready()
	check(t, err)
	if rd.SoftState == nil && rd.HardState == nil && len(rd.Entries)+len(rd.Messages)+len(rd.AfterSync)+
		len(rd.Committed)+len(rd.ReadStates) == 0 {
		t.Fatal("HasReady promised work, and there is none")
	}
	for _, r := range rd.ReadStates {
		since, ok := m.asked[r.Context]
		if !ok || (!r.Lost && r.Index < since) {
			t.Fatalf("read %d is answered with %d, %d was acknowledged before it (asked: %v)", r.Context, r.Index, since, ok)
		}
		delete(m.asked, r.Context)
	}
	m.confirmed = max(m.confirmed, len(m.decided))
}

func (m *soleModel) sync(t *rapid.T) {
	if len(m.node.queue) == 0 {
		return
	}
	msgs, err := m.node.sync(rapid.IntRange(1, len(m.node.queue)).Draw(t, "readys"))
	check(t, err)
	if len(msgs) > 0 {
		t.Fatalf("a sole voter sends %v", msgs)
	}
}

func (m *soleModel) apply(t *rapid.T) {
	check(t, m.node.apply(rapid.Uint64Range(m.node.applied, m.node.handed()).Draw(t, "applied")))
}

func (m *soleModel) snapshot(t *rapid.T) {
	if m.node.applied > m.node.snap.Index {
		check(t, m.node.snapshot(rapid.Uint64Range(m.node.snap.Index+1, m.node.applied).Draw(t, "snapshot")))
	}
}

func (m *soleModel) crash(t *rapid.T) {
	check(t, m.node.crash(rapid.IntRange(0, len(m.node.queue)).Draw(t, "written")))
	clear(m.asked) // those who asked are gone with the process
}

func (m *soleModel) invariants(t *rapid.T) {
	s := m.node.core.Status()
	if last := m.node.disk.LastIndex(); s.Role == Leader && s.Commit > last {
		t.Fatalf("committed through %d, and the only disk ends at %d", s.Commit, last)
	}
	if d := m.node.disk.hard; s.Role == Leader && (d.Term != s.Term || d.Vote != s.ID) {
		t.Fatalf("leads term %d, and the only vote on disk is for node %d in term %d", s.Term, d.Vote, d.Term)
	}
	if s.Durable > m.node.disk.LastIndex() {
		t.Fatalf("claims %d as durable, the disk ends at %d", s.Durable, m.node.disk.LastIndex())
	}
	if m.confirmed > int(m.node.disk.LastIndex()) {
		t.Fatalf("%d entries were acknowledged, the disk ends at %d", m.confirmed, m.node.disk.LastIndex())
	}
}

// finish lets everything run to the end: nothing may be stuck, and everything proposed in this life is decided.
func (m *soleModel) finish(t *rapid.T) {
	n := m.node
	check(t, n.core.Tick())
	for round := 0; n.core.HasReady() || len(n.queue) > 0 || n.applied < n.handed(); round++ {
		if round > 10000 {
			t.Fatal("does not come to rest")
		}
		m.ready(t)
		if len(n.queue) > 0 {
			_, err := n.sync(len(n.queue))
			check(t, err)
		}
		check(t, n.apply(n.handed()))
	}
	if len(m.asked) > 0 {
		t.Fatalf("reads never answered: %v", m.asked)
	}
	s := n.core.Status()
	if s.Role != Leader || s.Commit != s.Last || s.Applied != s.Last || s.TailBytes != 0 {
		t.Fatalf("at rest: %+v", s)
	}
	for cmd, p := range m.position {
		e := Entry{}
		if p.Index <= uint64(len(m.decided)) {
			e = m.decided[p.Index-1]
		}
		// Another term in its place means that the command was lost with a crash, and it is nowhere else.
		if e.Term == p.Term && string(e.Data) != fmt.Sprint(cmd) {
			t.Fatalf("command %d was placed at %v, where %q was decided", cmd, p, e.Data)
		}
		if e.Term != p.Term && p.Term == s.Term {
			t.Fatalf("command %d of this life, placed at %v, was not decided", cmd, p)
		}
	}
}
