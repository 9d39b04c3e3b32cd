package node

import (
	"errors"
	"fmt"
	"slices"

	"github.com/scribe-ledger/scribe/raft"
)

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
