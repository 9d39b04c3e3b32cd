package node

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/raft"
)

// changeOp is a kind of change; it stands in requests.
type changeOp uint8

const (
	changeJoin     changeOp = 1
	changeLeave    changeOp = 2
	changePromote  changeOp = 3
	changeTransfer changeOp = 4
)

const (
	// maxChanges bounds the changes of the cluster that wait on one node.
	maxChanges = 64
	// maxChangeWait is how long a change that came without a deadline, or from another node, is worked at.
	maxChangeWait = 30 * time.Second
	// caughtUpEntries is how close to the leader's last entry a learner must be to become a voter.
	caughtUpEntries = 64
)

// change is one change of the cluster that somebody waits for: a state that the cluster is to have.
type change struct {
	op       changeOp
	id       uint64
	raftAddr string
	httpAddr string
	learner  bool
	deadline int64 // Unix nanoseconds; 0 until the raft loop has set one

	done    chan error      // capacity 1; nil when another node waits
	members raft.Membership // the outcome of a join, before done
	from    uint64          // who waits, and its life; 0: somebody here
	life    uint64
	number  uint64 // of the asking node, to tell its changes apart

	since   uint64 // tick in which it came
	asked   uint64 // tick in which the leader is asked again, when that is another node
	tried   bool   // it may have been proposed, or be under way elsewhere
	started bool   // of a transfer: it is under way
	led     uint64 // of a transfer: the term in which it was started
}

func newChange(op changeOp, id uint64) *change {
	return &change{op: op, id: id, done: make(chan error, 1)}
}

// changes is state of the raft loop.
type changes struct {
	waiting []*change // in order of arrival
	last    uint64    // number of the last one asked for here
}

// takeChanges takes in what was asked for here.
func (n *Node) takeChanges(asked []*change) {
	for _, c := range asked {
		n.changes.last++
		c.number = n.changes.last
		n.addChange(c)
	}
}

func (n *Node) addChange(c *change) {
	if len(n.changes.waiting) >= maxChanges {
		n.endChange(c, &Unavailable{Reason: Overloaded, Detail: "too many changes of the cluster wait already"})
		return
	}
	if c.deadline == 0 {
		c.deadline = n.opts.Now().Add(maxChangeWait).UnixNano()
	}
	c.since = n.ticks
	n.changes.waiting = append(n.changes.waiting, c)
}

// takeChange takes in what another node was asked for. One that is asked for again is under way already.
func (n *Node) takeChange(from uint64, payload []byte) error {
	life, c, err := parseChange(payload)
	if err != nil {
		return err
	}
	c.from, c.life = from, life
	if n.core.SoftState().Role != raft.Leader {
		n.endChange(c, errElsewhere)
		return nil
	}
	if !slices.ContainsFunc(n.changes.waiting, func(x *change) bool {
		return x.from == from && x.life == life && x.number == c.number
	}) {
		n.addChange(c)
	}
	return nil
}

// takeChanged learns what became of a change at the leader.
func (n *Node) takeChanged(_ uint64, payload []byte) error {
	outcome, err := parseChanged(payload)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(n.changes.waiting, func(c *change) bool { return c.from == 0 && c.number == outcome.number })
	if outcome.life != n.forwards.life || i < 0 {
		return nil
	}
	c := n.changes.waiting[i]
	if errors.Is(outcome.err, errElsewhere) {
		c.asked = n.ticks + 1
		return nil
	}
	c.members = outcome.members
	n.changes.waiting = slices.Delete(n.changes.waiting, i, i+1)
	n.endChange(c, outcome.err)
	return nil
}

// endChange tells whoever waits.
func (n *Node) endChange(c *change, err error) {
	if c.from != 0 {
		out := changed{life: c.life, number: c.number, members: n.status.Load().Members, err: err}
		n.net().SendRequest(c.from, out.encode())
		return
	}
	if err == nil && len(c.members.Members) == 0 {
		c.members = n.status.Load().Members
	}
	c.done <- err
}

// tickChanges gives up on changes whose deadline has passed, and earlier on those for which there is no leader.
func (n *Node) tickChanges() {
	now := n.opts.Now().UnixNano()
	n.changes.waiting = slices.DeleteFunc(n.changes.waiting, func(c *change) bool {
		noLeader := !c.tried && n.leaderless(c.since)
		if now <= c.deadline && !noLeader {
			return false
		}
		refusal := &Unavailable{Reason: NoLeader, Detail: "no leader was found in time to change the cluster"}
		if c.tried {
			refusal = &Unavailable{Reason: OutcomeUnknown, Detail: "the change of the cluster was not confirmed in time"}
		}
		n.endChange(c, refusal)
		return true
	})
}

// changeMembers works at the changes that are asked for, and at those that the leader makes by itself.
func (n *Node) changeMembers() error {
	known := n.core.SoftState()
	if len(n.changes.waiting) == 0 && (known.Role != raft.Leader || (len(n.intro.heard) == 0 && n.promoteAt > n.ticks)) {
		return nil
	}
	st := n.core.Status()
	var failure error
	n.changes.waiting = slices.DeleteFunc(n.changes.waiting, func(c *change) bool {
		if failure != nil {
			return false
		}
		ended, err := n.workChange(c, &st)
		switch {
		case !ended:
			failure = err
			return false
		default:
			n.endChange(c, err)
			return true
		}
	})
	if failure != nil || known.Role != raft.Leader {
		return failure
	}
	return n.changeUnasked()
}

// workChange does the next thing for a change. When it has ended err is its outcome, else an error is one of the core.
func (n *Node) workChange(c *change, st *raft.Status) (ended bool, err error) {
	switch {
	case st.Role == raft.Leader && c.op == changeTransfer:
		return n.workTransfer(c, st)
	case st.Role == raft.Leader:
		return n.workMembers(c, st)
	case c.op == changeTransfer && c.started:
		// It was this node that handed leadership over.
		if st.Leader != 0 && st.Term > c.led {
			return true, nil
		}
		return false, nil
	case c.op == changeLeave && c.id == n.opts.NodeID && st.Removed:
		return true, nil
	case c.from != 0:
		return true, errElsewhere
	case c.op == changeTransfer && c.id != 0 && st.Leader == c.id:
		return true, nil
	case st.Leader != 0 && n.ticks >= c.asked && n.net().SendRequest(st.Leader, c.encode(n.forwards.life)):
		c.asked, c.tried = n.ticks+uint64(2*n.opts.ElectionTicks), true
	}
	return false, nil
}

// workTransfer is workChange for a transfer, on the leader.
func (n *Node) workTransfer(c *change, st *raft.Status) (ended bool, err error) {
	m, ok := st.Members.Get(c.id)
	switch {
	case c.id == n.opts.NodeID:
		return true, nil
	case c.started && st.Transferee != 0:
		return false, nil
	case c.started:
		return true, &MemberError{MemberConflict, "the transfer was given up: the other node did not take over in time"}
	case c.id == 0 && st.Members.SoleVoter(n.opts.NodeID):
		return true, &MemberError{MemberConflict, "there is no other voter to lead"}
	case c.id != 0 && !ok:
		return true, unknownMember(c.id)
	case c.id != 0 && !st.Members.IsVoter(c.id):
		return true, &MemberError{MemberConflict, fmt.Sprintf("node %d is a %s and cannot lead", c.id, m.Role)}
	}
	switch err := n.core.Transfer(c.id); {
	case err == nil:
		c.started, c.tried, c.led = true, true, st.Term
	case errors.Is(err, raft.ErrOverloaded), errors.Is(err, raft.ErrNotLeader): // it is tried again
	default:
		return true, &MemberError{MemberConflict, err.Error()}
	}
	return false, nil
}

// workMembers is workChange for a change of members, on the leader.
func (n *Node) workMembers(c *change, st *raft.Status) (ended bool, err error) {
	target, err := c.target(st)
	switch {
	case err != nil:
		return true, err
	case st.MembersPending: // also when it is this change
		return false, nil
	case target.Equal(st.Members):
		return true, nil
	}
	switch _, err := n.core.ProposeMembers(target); {
	case err == nil:
		c.tried = true
		*st = n.core.Status()
		n.publishStatus()
	case errors.Is(err, raft.ErrMembershipPending), errors.Is(err, raft.ErrOverloaded), errors.Is(err, raft.ErrNotLeader):
	default:
		return true, &MemberError{MemberConflict, err.Error()}
	}
	return false, nil
}

func unknownMember(id uint64) error {
	return &MemberError{MemberUnknown, fmt.Sprintf("node %d is no member of the cluster", id)}
}

// target is the membership that a change asks for: the present one when it holds already. Errors: *MemberError.
func (c *change) target(st *raft.Status) (raft.Membership, error) {
	at := slices.IndexFunc(st.Members.Members, func(m raft.Member) bool { return m.ID == c.id })
	switch {
	case c.op == changeJoin:
		return c.joined(st.Members, at)
	case c.op == changeLeave && at < 0:
		return st.Members, nil
	case c.op == changeLeave && st.Members.SoleVoter(c.id):
		return st.Members, &MemberError{MemberConflict, fmt.Sprintf("node %d is the last voter", c.id)}
	case c.op == changeLeave:
		return raft.Membership{Members: slices.Delete(slices.Clone(st.Members.Members), at, at+1),
			Removed: st.Members.Removed}, nil
	case at < 0:
		return st.Members, unknownMember(c.id)
	case !st.Members.Members[at].Role.Learns():
		return st.Members, nil
	}
	if lag, ok := lagOf(st, c.id); !ok || lag > caughtUpEntries {
		return st.Members, &MemberError{MemberConflict, fmt.Sprintf(
			"node %d has not caught up: it lacks %d entries; promote it when it has", c.id, lag)}
	}
	return withRole(st.Members, at, raft.Voter), nil
}

func (c *change) joined(members raft.Membership, at int) (raft.Membership, error) {
	if at >= 0 {
		m := members.Members[at]
		if m.RaftAddr != c.raftAddr || (m.HTTPAddr != c.httpAddr && m.HTTPAddr != "" && c.httpAddr != "") {
			return members, &MemberError{MemberConflict, fmt.Sprintf("node %d is a member already, at %s and %s", c.id,
				m.RaftAddr, m.HTTPAddr)}
		}
		return members, nil
	}
	if len(members.Members) == raft.MaxMembers {
		return members, &MemberError{MemberConflict, fmt.Sprintf("the cluster has %d members, and may have no more",
			raft.MaxMembers)}
	}
	for _, m := range members.Members {
		if m.RaftAddr == c.raftAddr {
			return members, &MemberError{MemberConflict, fmt.Sprintf("%s is the address of node %d", m.RaftAddr, m.ID)}
		}
	}
	role := raft.Joining
	if c.learner {
		role = raft.Learner
	}
	target, err := raft.NewMembership(append(slices.Clone(members.Members),
		raft.Member{ID: c.id, Role: role, RaftAddr: c.raftAddr, HTTPAddr: c.httpAddr})...)
	if err != nil {
		return members, &MemberError{MemberInvalid, err.Error()}
	}
	target.Removed = members.Removed
	return target, nil
}

func withRole(members raft.Membership, at int, role raft.MemberRole) raft.Membership {
	members.Members = slices.Clone(members.Members)
	members.Members[at].Role = role
	return members
}

// lagOf is how many entries the leader has that a member lacks; false when it is not heard from.
func lagOf(st *raft.Status, id uint64) (uint64, bool) {
	for _, p := range st.Peers {
		if p.ID == id {
			return st.Last - min(p.Match, st.Last), p.Active
		}
	}
	return st.Last, false
}

// changeUnasked proposes what the leader does by itself: those who were to become voters do once they have caught up, and
// what members say of themselves is recorded.
func (n *Node) changeUnasked() error {
	st := n.core.Status()
	if st.MembersPending || st.Role != raft.Leader {
		return nil
	}
	target := n.introduced(st.Members)
	if target.Equal(st.Members) && n.promoteAt <= n.ticks {
		n.promoteAt = n.ticks + 1
		for at, m := range st.Members.Members {
			if m.Role != raft.Joining || m.Instance == 0 {
				continue
			}
			if lag, ok := lagOf(&st, m.ID); ok && lag <= caughtUpEntries {
				target = withRole(st.Members, at, raft.Voter)
				break
			}
		}
	}
	if target.Equal(st.Members) {
		return nil
	}
	_, err := n.core.ProposeMembers(target)
	switch {
	case err == nil:
		n.publishStatus()
		return nil
	case errors.Is(err, raft.ErrMembershipPending), errors.Is(err, raft.ErrOverloaded), errors.Is(err, raft.ErrNotLeader),
		errors.Is(err, raft.ErrUnsupported):
		return nil
	}
	return err
}
