package sim

import (
	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/raft"
)

// raftCheck holds what nodes say and do against Raft's five safety properties (Raft figure 3) and the ledger's one:
//
//   - Election safety: of each term, one node alone speaks as its leader.
//   - Leader append-only: a leader never sends another entry at an index at which it has sent one in this term.
//   - Log matching: an index and a term name one entry, and one that stands before it.
//   - Leader completeness: whoever becomes leader of a term has every entry that was applied in an earlier one. That is the
//     term of who applied it, not the entry's: a leader of a term before the one that committed an entry, elected late, by
//     votes that were long under way, need not have it.
//   - State machine safety: no two nodes apply different entries at one index.
//   - Ledgers of one size have one root.
type raftCheck struct {
	leaders map[uint64]uint64 // term: who has spoken as its leader
	seen    map[raft.Position]identity
	older   map[raft.Position]uint64 // index, and term of the leader that sent it: the term of the entry, when older
	applied []identity               // what stands at each index, from 1
	term    []uint64                 // of these entries
	in      []uint64                 // the least term of a node that applied them: that of their commit, or a later one
	roots   []merkle.Hash            // by size
}

// identity is what an entry is: its bytes and kind, and the term of the entry before it.
type identity struct{ hash, before uint64 }

// observed is what has been seen of one life of a node.
type observed struct {
	begun      bool
	rebuilding bool
	applied    uint64
	term       uint64
	led        uint64 // the last term that it was seen to lead
	size       uint64
}

func (c *raftCheck) begin() {
	c.leaders = make(map[uint64]uint64)
	c.seen = make(map[raft.Position]identity)
	c.older = make(map[raft.Position]uint64)
}

func hashEntry(e *raft.Entry) uint64 { return xxhash.Sum64(e.Data) + uint64(e.Kind) }

// sent looks at a message that a node sends.
func (c *raftCheck) sent(w *World, r *replica, m *raft.Message) {
	switch m.Kind {
	case raft.MsgAppend, raft.MsgHeartbeat, raft.MsgSnapshot, raft.MsgTimeoutNow:
	default:
		return
	}
	c.leads(w, m.From, m.Term)
	before := m.LogTerm
	for i := range m.Entries {
		e := &m.Entries[i]
		at := raft.Position{Index: e.Index, Term: e.Term}
		is := identity{hash: hashEntry(e), before: before}
		before = e.Term
		was, known := c.seen[at]
		if known && was != is {
			w.violated("log matching: two entries at index %d of term %d: %x after term %d, and %x after term %d, which node "+
				"%d sends", e.Index, e.Term, was.hash, was.before, is.hash, is.before, r.id)
			return
		}
		c.seen[at] = is
		c.appendOnly(w, m, e, known)
	}
}

// leads takes note that a node acts as the leader of a term.
func (c *raftCheck) leads(w *World, id, term uint64) {
	if leader, ok := c.leaders[term]; !ok {
		c.leaders[term] = id
	} else if leader != id {
		w.violated("election safety: nodes %d and %d both lead term %d", leader, id, term)
	}
}

// appendOnly looks at an entry that a leader sends; known says whether it has been sent before.
func (c *raftCheck) appendOnly(w *World, m *raft.Message, e *raft.Entry, known bool) {
	own := raft.Position{Index: e.Index, Term: m.Term}
	if e.Term == m.Term {
		if t, ok := c.older[own]; ok && !known {
			w.violated("leader append-only: node %d leads term %d and replaces its entry %d of term %d", m.From, m.Term,
				e.Index, t)
		}
		return
	}
	if _, ok := c.seen[own]; ok {
		w.violated("leader append-only: node %d leads term %d and replaces its own entry %d by one of term %d", m.From,
			m.Term, e.Index, e.Term)
	}
	c.older[own] = e.Term
}

// observe looks at a node after a step.
func (c *raftCheck) observe(w *World, r *replica) {
	if r.node == nil || w.failed != nil {
		return
	}
	o := &r.observed
	soft, applied, rebuilding := r.node.Glance()
	if rebuilding {
		if !o.rebuilding {
			w.stats.Rebuilds++
			w.tell("node %d rebuilds its state: %s", r.id, r.node.Status().Fault)
		}
		*o = observed{rebuilding: true}
		return
	}
	if o.rebuilding { // all that it has was verified
		r.rotten = false
		*o = observed{}
		w.tell("node %d has rebuilt its state", r.id)
	}
	if !o.begun {
		// What the manifest holds was applied in an earlier life, or came with a snapshot.
		o.begun, o.applied = true, applied
		c.root(w, r)
	}
	if soft.Term < o.term {
		w.violated("node %d has gone back from term %d to %d", r.id, o.term, soft.Term)
	}
	o.term = soft.Term
	if soft.Role == raft.Leader && o.led != soft.Term {
		o.led = soft.Term
		w.stats.Elections++
		c.elected(w, r, soft.Term, r.node.Probe().Last)
	}
	if applied > o.applied {
		c.apply(w, r, o.applied, applied)
		o.applied = applied
		c.root(w, r)
	}
}

// elected checks leader completeness. With the log matching property, the newest entry that was applied in an earlier
// term stands for all, those before it were applied no later.
func (c *raftCheck) elected(w *World, r *replica, term, last uint64) {
	if w.tracing() {
		w.trace("node %d leads term %d", r.id, term)
	}
	c.leads(w, r.id, term)
	i := len(c.in)
	for i > 0 && c.in[i-1] >= term {
		i--
	}
	if i == 0 {
		return
	}
	index := uint64(i)
	if last < index {
		w.violated("leader completeness: node %d leads term %d with %d entries, and entry %d of term %d was applied in term %d",
			r.id, term, last, index, c.term[i-1], c.in[i-1])
		return
	}
	t, err := r.node.LogReader().Term(index)
	if err == nil && t != c.term[i-1] {
		w.violated("leader completeness: node %d leads term %d with entry %d of term %d, and one of term %d was applied",
			r.id, term, index, t, c.term[i-1])
	}
}

// apply compares what a node has applied, the entries above from up to to, with what others have. Entries that it did
// not apply itself but got with a snapshot are not in its log.
func (c *raftCheck) apply(w *World, r *replica, from, to uint64) {
	log := r.node.LogReader()
	lo := from + 1
	if seal, _, _ := r.node.Ledger().SealPoint(); seal >= lo {
		w.stats.Installs++ // it came with a snapshot; the log is about to begin behind it, and says nothing until then
		lo = seal + 1
	}
	for lo <= to {
		entries, err := log.Entries(lo, to+1, 1<<30)
		if err != nil || len(entries) == 0 {
			w.violated("node %d has applied entry %d, and its log cannot give it: %w", r.id, lo, err)
			return
		}
		for i := range entries {
			c.applies(w, r, &entries[i])
		}
		lo += uint64(len(entries))
	}
}

func (c *raftCheck) applies(w *World, r *replica, e *raft.Entry) {
	i := int(e.Index) - 1
	for len(c.applied) <= i {
		c.applied, c.term, c.in = append(c.applied, identity{}), append(c.term, 0), append(c.in, 0)
	}
	is := hashEntry(e)
	in := r.observed.term
	if c.term[i] == 0 {
		c.applied[i], c.term[i], c.in[i] = identity{hash: is}, e.Term, in
		w.note(is, e.Index)
	} else if c.term[i] != e.Term || c.applied[i].hash != is {
		w.violated("state machine safety: node %d applies entry %d of term %d, %x; another applied one of term %d, %x",
			r.id, e.Index, e.Term, is, c.term[i], c.applied[i].hash)
	}
	c.in[i] = min(c.in[i], in)
}

// root compares the root of a node's ledger with those of others at the same size.
func (c *raftCheck) root(w *World, r *replica) {
	l := r.node.Ledger()
	if l == nil {
		return
	}
	size, root := l.Root()
	if size < r.observed.size {
		w.violated("the ledger of node %d has gone back from %d entries to %d", r.id, r.observed.size, size)
	}
	r.observed.size = size
	for uint64(len(c.roots)) <= size {
		c.roots = append(c.roots, merkle.Hash{})
	}
	switch was := c.roots[size]; was {
	case merkle.Hash{}:
		c.roots[size] = root
	case root:
	default:
		w.violated("node %d has %d entries with root %v, another had %v", r.id, size, root, was)
	}
}

func (c *raftCheck) report(s *Stats) {
	s.Terms = uint64(len(c.leaders))
	s.Entries = uint64(len(c.applied))
}
