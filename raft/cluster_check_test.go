package raft

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"

	"pgregory.net/rapid"
)

// history is what an observer of the whole cluster has seen, and what it holds the cluster to (Raft figure 3).
type history struct {
	founders  int
	leaders   map[uint64]uint64      // election safety. term: who led it
	stored    map[Position]link      // log matching. entry: what it is and what is before it
	seen      map[*testNode]sight    // leader append-only
	committed []decision             // leader completeness, state machine safety. entry i+1
	reads     uint64                 // contexts given out
	asked     map[uint64]pendingRead // reads without an answer
	adjacent  map[string]bool        // pairs of configurations already checked
}

// link is an entry and the term of the one before it.
type link struct {
	before uint64
	kind   EntryKind
	data   []byte
}

// sight is how a node was seen last: the entries of its log, where it led.
type sight struct {
	life   *Core
	role   Role
	term   uint64
	last   uint64
	commit uint64
	tail   Position // the entry at last
}

// decision is a committed entry, and the earliest term in which a node knew.
type decision struct {
	term  uint64
	known uint64
}

type pendingRead struct {
	node  *testNode
	least uint64 // how much was committed when it came
}

func newHistory() history {
	return history{
		leaders: map[uint64]uint64{}, stored: map[Position]link{}, seen: map[*testNode]sight{},
		asked: map[uint64]pendingRead{}, adjacent: map[string]bool{},
	}
}

// see looks at a node that has just done something.
func (m *clusterModel) see(t *rapid.T, n *testNode) {
	c := n.core
	now := sight{life: c, role: c.role, term: c.term, last: c.log.last(), commit: c.log.commit}
	before := m.seen[n]
	check(t, m.matching(c, before, now))
	tail, err := c.log.term(now.last)
	check(t, err)
	now.tail = Position{Index: now.last, Term: tail}
	m.seen[n] = now
	check(t, m.commits(n, before, now))
	if now.role == Leader {
		check(t, m.leads(n, before, now))
	}
	m.inForce(t, c)
}

// forget starts over with a node whose data is gone.
func (m *clusterModel) forget(n *testNode) { delete(m.seen, n) }

// leads checks election safety, leader completeness and that a leader only appends.
func (m *clusterModel) leads(n *testNode, before, now sight) error {
	if other, ok := m.leaders[now.term]; ok && other != n.cfg.ID {
		return fmt.Errorf("nodes %d and %d both lead term %d", other, n.cfg.ID, now.term)
	}
	m.leaders[now.term] = n.cfg.ID
	if before.life == now.life && before.role == Leader && before.term == now.term {
		if t, err := n.core.log.term(before.last); now.last < before.last || err == nil && t != before.tail.Term {
			return fmt.Errorf("leader %d of term %d had entry %d/%d and has %d up to %d",
				n.cfg.ID, now.term, before.last, before.tail.Term, t, now.last)
		}
		return nil
	}
	for i, d := range m.committed {
		index := uint64(i) + 1
		if d.known >= now.term || index < n.core.log.first() {
			continue
		}
		if t, err := n.core.log.term(index); err != nil || t != d.term {
			return fmt.Errorf("leader %d of term %d lacks %d/%d, committed in term %d: has term %d, %v",
				n.cfg.ID, now.term, index, d.term, d.known, t, err)
		}
	}
	return nil
}

// matching checks that an entry is the same wherever it stands, and what is before it too: by induction, logs that hold
// the same entry are equal up to it. It looks at what is new in the node's memory.
func (m *clusterModel) matching(c *Core, before, now sight) error {
	from := c.log.offset
	if before.life == now.life && before.term == now.term && now.last >= before.last && before.last >= from {
		from = before.last + 1 // within a term nothing below is replaced
	}
	for i := from; i <= now.last; i++ {
		if err := m.remember(c, c.log.live()[i-c.log.offset]); err != nil {
			return err
		}
	}
	return nil
}

func (m *clusterModel) remember(c *Core, e Entry) error {
	prev, err := c.log.term(e.Index - 1)
	if err != nil {
		return nil // compacted
	}
	at := Position{Index: e.Index, Term: e.Term}
	is := link{before: prev, kind: e.Kind, data: e.Data}
	was, ok := m.stored[at]
	switch {
	case !ok:
		m.stored[at] = is
		if e.Kind == EntryMembers {
			return m.follows(c, at, e)
		}
	case was.before != is.before || was.kind != is.kind || !bytes.Equal(was.data, is.data):
		return fmt.Errorf("node %d has entry %d/%d as %v, elsewhere it is %v", c.cfg.ID, e.Index, e.Term, is, was)
	}
	return nil
}

// commits checks that committed is the same entry everywhere, and that a leader's disks bear it out: a quorum of the
// configuration that was in force, or is now, holds what it calls committed.
func (m *clusterModel) commits(n *testNode, before, now sight) error {
	c := n.core
	from := before.commit
	if before.life != now.life {
		from = 0
	}
	for i := max(from+1, c.log.first(), 1); i <= now.commit; i++ {
		t, err := c.log.term(i)
		if err != nil {
			return err
		}
		for uint64(len(m.committed)) < i-1 {
			return fmt.Errorf("node %d calls entry %d committed, %d are", c.cfg.ID, i, len(m.committed))
		}
		if uint64(len(m.committed)) < i {
			m.committed = append(m.committed, decision{term: t, known: now.term})
			if now.role == Leader || before.role == Leader {
				if err := m.borne(c, Position{Index: i, Term: t}); err != nil {
					return err
				}
			}
		}
		d := &m.committed[i-1]
		if d.term != t {
			return fmt.Errorf("node %d calls %d/%d committed, elsewhere it is %d/%d", c.cfg.ID, i, t, i, d.term)
		}
		d.known = min(d.known, now.term)
	}
	return nil
}

func (m *clusterModel) borne(c *Core, at Position) error {
	held := map[uint64]bool{}
	for _, n := range m.nodes {
		// A node whose data is gone held it when it said so.
		held[n.cfg.ID] = n == m.wiped || n.snap.Index >= at.Index || n.disk.holds(at)
	}
	configs := c.configs[max(0, len(c.configs)-2):]
	for _, cf := range configs {
		if cf.members.Tally(held) == VoteWon {
			return nil
		}
	}
	return fmt.Errorf("node %d calls %d/%d committed, held is %v, members %v",
		c.cfg.ID, at.Index, at.Term, held, configs)
}

// decide checks state machine safety: no two nodes apply different entries at an index.
func (m *clusterModel) decide(n *testNode, e Entry) error {
	if e.Index > uint64(len(m.committed)) || m.committed[e.Index-1].term != e.Term {
		return fmt.Errorf("node %d applies %d/%d, which is not what is committed", n.cfg.ID, e.Index, e.Term)
	}
	is, ok := m.stored[Position{Index: e.Index, Term: e.Term}]
	if !ok || is.kind != e.Kind || !bytes.Equal(is.data, e.Data) {
		return fmt.Errorf("node %d applies %v, stored was %v", n.cfg.ID, e, is)
	}
	return nil
}

// answered checks that reads are answered once, and never with less than was committed when they came.
func (m *clusterModel) answered(t *rapid.T, n *testNode, states []ReadState) {
	for _, s := range states {
		r, ok := m.asked[s.Context]
		if !ok || r.node != n {
			t.Fatalf("node %d answers read %d, which does not wait there", n.cfg.ID, s.Context)
		}
		delete(m.asked, s.Context)
		if !s.Lost && s.Index < r.least {
			t.Fatalf("read %d on node %d: index %d, %d entries were committed when it came",
				s.Context, n.cfg.ID, s.Index, r.least)
		}
	}
}

func (m *clusterModel) forgetReads(n *testNode) {
	for context, r := range m.asked {
		if r.node == n {
			delete(m.asked, context)
		}
	}
}

// follows checks the configuration of an entry against the one before it in the same log: any majority of the one and
// any of the other share a voter.
func (m *clusterModel) follows(c *Core, at Position, e Entry) error {
	next, err := ParseMembership(e.Data)
	if err != nil {
		return err
	}
	prev := c.membersAt(at.Index - 1)
	key := string(AppendMembership(AppendMembership(nil, prev), next))
	if m.adjacent[key] || len(prev.Members) == 0 {
		return nil
	}
	m.adjacent[key] = true
	for a := uint(0); a < 1<<clusterSize; a++ {
		if prev.Tally(votesOf(a)) != VoteWon {
			continue
		}
		if rest := ^a & (1<<clusterSize - 1); bits.OnesCount(rest) > 0 && next.Tally(votesOf(rest)) == VoteWon {
			return fmt.Errorf("entry %d/%d: %v decides by %b, %v by %b", at.Index, at.Term, prev, a, next, rest)
		}
	}
	return nil
}

func votesOf(set uint) map[uint64]bool {
	votes := map[uint64]bool{}
	for id := uint64(1); id <= clusterSize; id++ {
		if set&(1<<(id-1)) != 0 {
			votes[id] = true
		}
	}
	return votes
}

// inForce checks that the configuration in force is the last one in the node's log, or else the snapshot's.
func (m *clusterModel) inForce(t *rapid.T, c *Core) {
	want, at := c.configs[0].members, c.configs[0].index
	for i := c.log.last(); i > at; i-- {
		term, err := c.log.term(i)
		check(t, err)
		if is, ok := m.stored[Position{Index: i, Term: term}]; ok && is.kind == EntryMembers {
			p, err := ParseMembership(is.data)
			check(t, err)
			want, at = p, i
			break
		}
	}
	if got := c.members; !got.Equal(want) {
		t.Fatalf("node %d goes by %v, its log says %v in entry %d", c.cfg.ID, got, want, at)
	}
	uncommitted := slices.IndexFunc(c.configs, func(cf config) bool {
		return cf.index > c.log.commit && cf.index >= c.ownFirst
	})
	if c.role == Leader && uncommitted >= 0 && uncommitted < len(c.configs)-1 {
		t.Fatalf("leader %d has changes of members from entry %d on under way, up to %d", c.cfg.ID,
			c.configs[uncommitted].index, c.configs[len(c.configs)-1].index)
	}
}
