package node

import (
	"errors"
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
	now := n.opts.Now().UnixNano()
	var failure error
	n.changes.waiting = slices.DeleteFunc(n.changes.waiting, func(c *change) bool {
		if failure != nil {
			return false
		}
		if !c.tried && now > c.deadline {
			// A process that was stopped for long finds what was asked for long ago. By now it may be wrong: the node that was to
			// leave may have joined anew.
			n.endChange(c, &Unavailable{Reason: NotReady, Detail: "the change of the cluster was not begun before its deadline"})
			return true
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
