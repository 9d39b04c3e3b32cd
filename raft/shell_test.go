package raft

import (
	"fmt"
	"slices"
)

var testCluster = ClusterID{0xc1}

// testNode is the shell around one core: a log writer and an apply loop that move only when they are told to.
// It checks as it goes what the shell may rely on.
type testNode struct {
	cfg   Config
	core  *Core
	disk  *testDisk
	snap  Snapshot
	queue []Ready // handed out and not durable

	log       []Entry // every entry handed out as committed in this life, after the snapshot
	applied   uint64  // reported as applied in this life
	commit    uint64  // as last seen in this life
	number    uint64  // of the last Ready
	reads     []ReadState
	lastRole  SoftState
	maxTerm   uint64 // as last seen in this life
	offer     *Offer // the last one, not taken up yet
	lives     uint64
	delivered func(n *testNode, e Entry) error
}

func newTestNode(cfg Config, members Membership) (*testNode, error) {
	n := &testNode{cfg: cfg, disk: &testDisk{}, snap: Snapshot{Members: members}}
	return n, n.start()
}

// start begins a life from what is durable.
func (n *testNode) start() error {
	cfg := n.cfg
	cfg.Seed += n.lives << 32 // no life draws what an earlier one drew
	n.lives++
	c, err := New(cfg, n.disk.hard, n.snap, n.disk)
	if err != nil {
		return err
	}
	n.core, n.queue, n.log, n.reads, n.offer = c, nil, nil, nil, nil
	n.applied, n.commit, n.number, n.maxTerm = n.snap.Index, 0, 0, 0
	n.lastRole = SoftState{Term: n.disk.hard.Term}
	return n.observe()
}

// observe checks that terms and commit never go back.
func (n *testNode) observe() error {
	s := n.core.Status()
	switch {
	case s.Term < n.maxTerm:
		return fmt.Errorf("node %d: term went from %d to %d", s.ID, n.maxTerm, s.Term)
	case s.Commit < n.commit:
		return fmt.Errorf("node %d: commit went from %d to %d", s.ID, n.commit, s.Commit)
	case s.Applied > s.Commit || s.Commit > s.Last || s.Durable > s.Last:
		return fmt.Errorf("node %d: out of order: %+v", s.ID, s)
	}
	n.maxTerm, n.commit = s.Term, s.Commit
	return nil
}

// ready takes one Ready. The messages that may leave at once are returned with it.
func (n *testNode) ready() (Ready, error) {
	rd, err := n.core.Ready()
	if err != nil {
		return rd, err
	}
	if rd.Number != n.number+1 {
		return rd, fmt.Errorf("node %d: ready %d after %d", n.cfg.ID, rd.Number, n.number)
	}
	n.number = rd.Number
	for _, e := range rd.Committed {
		if want := n.snap.Index + uint64(len(n.log)) + 1; e.Index != want {
			return rd, fmt.Errorf("node %d: handed out entry %d as committed, %d is next", n.cfg.ID, e.Index, want)
		}
		if !n.disk.holds(Position{Index: e.Index, Term: e.Term}) {
			return rd, fmt.Errorf("node %d: handed out entry %d as committed, it is not durable", n.cfg.ID, e.Index)
		}
		n.log = append(n.log, e)
		if n.delivered != nil {
			if err := n.delivered(n, e); err != nil {
				return rd, err
			}
		}
	}
	if rd.Offer != nil {
		n.offer = rd.Offer
	}
	n.reads = append(n.reads, rd.ReadStates...)
	if rd.SoftState != nil {
		n.lastRole = *rd.SoftState
	}
	n.queue = append(n.queue, rd)
	return rd, n.observe()
}

// sync makes the first k queued Readys durable with one report, and returns the messages that may leave now.
func (n *testNode) sync(k int) ([]Message, error) {
	var out []Message
	done := Progress{Persisted: n.queue[k-1].Number}
	for _, rd := range n.queue[:k] {
		if err := n.write(rd); err != nil {
			return nil, err
		}
		out = append(out, rd.AfterSync...)
		if rd.Install != nil {
			done.Applied = rd.Install.Index
			n.log, n.applied = nil, rd.Install.Index
		}
	}
	n.queue = slices.Clone(n.queue[k:])
	if err := n.core.Advance(done); err != nil {
		return nil, err
	}
	return out, n.observe()
}

// write makes one Ready durable: the snapshot first, then the log, with nothing between them that a crash could show.
func (n *testNode) write(rd Ready) error {
	if s := rd.Install; s != nil {
		if at := (Position{Index: s.Index, Term: s.Term}); rd.InstallKeepsLog && !n.disk.holds(at) {
			return fmt.Errorf("node %d: ready %d keeps a log without entry %d/%d", n.cfg.ID, rd.Number, s.Index, s.Term)
		} else if !rd.InstallKeepsLog {
			n.disk.reset(at)
		}
		n.snap = *s
	}
	if err := n.disk.write(rd.HardState, rd.Entries); err != nil {
		return fmt.Errorf("node %d: ready %d: %w", n.cfg.ID, rd.Number, err)
	}
	return nil
}

// crash ends a life: the first k queued Readys reached the disk, though no one was told; the rest is gone.
func (n *testNode) crash(k int) error {
	for _, rd := range n.queue[:k] {
		if err := n.write(rd); err != nil {
			return err
		}
	}
	return n.start()
}

// apply reports everything up to index as applied.
func (n *testNode) apply(index uint64) error {
	n.applied = index
	if err := n.core.Advance(Progress{Applied: index}); err != nil {
		return err
	}
	return n.observe()
}

// handed is the last index handed out as committed.
func (n *testNode) handed() uint64 { return n.snap.Index + uint64(len(n.log)) }

// snapshot makes the state machine durable up to an applied entry and drops the log below it.
func (n *testNode) snapshot(index uint64) error {
	err := n.makeSnapshot(index)
	n.disk.compact(index)
	return err
}

// makeSnapshot leaves the log as it is.
func (n *testNode) makeSnapshot(index uint64) error {
	if index <= n.snap.Index {
		return nil
	}
	t, err := n.core.log.term(index)
	if err != nil {
		return err
	}
	s := Snapshot{Index: index, Term: t, Members: n.membersAt(index)}
	if err := n.core.Compact(s); err != nil {
		return err
	}
	n.log = slices.Clone(n.log[index-n.snap.Index:])
	n.snap = s
	return n.observe()
}

// membersAt finds the members as a state machine does: from what it was given.
func (n *testNode) membersAt(index uint64) Membership {
	out := n.snap.Members
	for _, e := range n.log {
		if e.Kind == EntryMembers && e.Index <= index {
			out, _ = ParseMembership(e.Data)
		}
	}
	return out
}

func voters(ids ...uint64) []Member {
	var out []Member
	for _, id := range ids {
		out = append(out, Member{ID: id, Role: Voter})
	}
	return out
}
