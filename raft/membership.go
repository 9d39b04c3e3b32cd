package raft

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// MemberRole is a member's part in decisions. While a change of voters is under way (joint consensus, Raft §6), two
// sets of voters exist, the outgoing and the incoming one, and each decision needs a majority of both.
type MemberRole uint8

const (
	// Voter votes: in the only set, or in both while the configuration is joint.
	Voter MemberRole = 1
	// Learner receives the log and has no vote.
	Learner MemberRole = 2
	// IncomingVoter votes in the incoming set only; it becomes a Voter when the joint phase ends.
	IncomingVoter MemberRole = 3
	// LeavingVoter votes in the outgoing set only; it is gone when the joint phase ends.
	LeavingVoter MemberRole = 4
	// DemotedVoter votes in the outgoing set only; it becomes a Learner when the joint phase ends.
	DemotedVoter MemberRole = 5
	// Joining receives the log and has no vote; it is to become a Voter once it has caught up.
	Joining MemberRole = 6
)

// String returns the role in lower case.
func (r MemberRole) String() string {
	switch r {
	case Voter:
		return "voter"
	case Learner:
		return "learner"
	case IncomingVoter:
		return "incoming"
	case LeavingVoter:
		return "leaving"
	case DemotedVoter:
		return "demoted"
	case Joining:
		return "joining"
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// Learns says whether a member of that role receives the log without a vote.
func (r MemberRole) Learns() bool { return r == Learner || r == Joining }

func (r MemberRole) incoming() bool { return r == Voter || r == IncomingVoter }
func (r MemberRole) outgoing() bool { return r == Voter || r == LeavingVoter || r == DemotedVoter }

const (
	// MaxMembers bounds a membership.
	MaxMembers = 64
	// MaxDeparted bounds the removed members that a membership remembers.
	MaxDeparted = 64
	// MaxAddrBytes bounds each address of a member.
	MaxAddrBytes = 255
)

// Member is one node of the cluster. After it has left, its id may be used again by a node with other data, that is
// with another instance.
type Member struct {
	ID       uint64
	Instance uint64 // tells its data from any other under the same id; 0 until the node has introduced itself
	Role     MemberRole
	RaftAddr string // host:port that peers dial
	HTTPAddr string // host:port that clients dial
}

// Membership is one configuration of the cluster: its members by ascending id. It is a value: whoever holds one does
// not change its members in place. The empty Membership belongs to a node that waits to be told whom it belongs to.
type Membership struct {
	Members []Member
	Removed []Departed // the last MaxDeparted that left, the latest at the end; kept by the core
}

// Departed is a member that left. The node with this data is refused for good.
type Departed struct {
	ID       uint64
	Instance uint64 // 0 when it never introduced itself
}

// NewMembership sorts the members and validates them.
func NewMembership(members ...Member) (Membership, error) {
	m := Membership{Members: slices.Clone(members)}
	slices.SortFunc(m.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return m, m.Validate()
}

// Validate checks the invariants: ids ascending and not 0, known roles, bounded sizes, and a voter in each set.
func (m Membership) Validate() error {
	if len(m.Members) > MaxMembers {
		return fmt.Errorf("raft: membership: %d members, at most %d", len(m.Members), MaxMembers)
	}
	if len(m.Removed) > MaxDeparted {
		return fmt.Errorf("raft: membership: %d removed members, at most %d", len(m.Removed), MaxDeparted)
	}
	for _, d := range m.Removed {
		if d.ID == 0 {
			return errors.New("raft: membership: a removed member has id 0")
		}
	}
	var prev uint64
	in, out := 0, 0
	for _, mb := range m.Members {
		switch {
		case mb.ID <= prev:
			return fmt.Errorf("raft: membership: id %d after %d: ids ascend from 1", mb.ID, prev)
		case mb.Role < Voter || mb.Role > Joining:
			return fmt.Errorf("raft: membership: node %d: unknown role %d", mb.ID, mb.Role)
		case len(mb.RaftAddr) > MaxAddrBytes || len(mb.HTTPAddr) > MaxAddrBytes:
			return fmt.Errorf("raft: membership: node %d: address longer than %d bytes", mb.ID, MaxAddrBytes)
		}
		prev = mb.ID
		if mb.Role.incoming() {
			in++
		}
		if mb.Role.outgoing() {
			out++
		}
	}
	if len(m.Members) > 0 && in == 0 {
		return errors.New("raft: membership: no voter")
	}
	if len(m.Members) > 0 && out == 0 {
		return errors.New("raft: membership: joint, and no voter in the outgoing set")
	}
	return nil
}

// Get returns the member with that id.
func (m Membership) Get(id uint64) (Member, bool) {
	i, ok := slices.BinarySearchFunc(m.Members, id, func(mb Member, id uint64) int { return cmp.Compare(mb.ID, id) })
	if !ok {
		return Member{}, false
	}
	return m.Members[i], true
}

// Joint says whether two sets of voters exist.
func (m Membership) Joint() bool {
	return slices.ContainsFunc(m.Members, func(mb Member) bool {
		return mb.Role == IncomingVoter || mb.Role == LeavingVoter || mb.Role == DemotedVoter
	})
}

// IsVoter says whether the node votes in one of the sets.
func (m Membership) IsVoter(id uint64) bool {
	mb, ok := m.Get(id)
	return ok && !mb.Role.Learns()
}

// SoleVoter says whether the node's own vote decides everything.
func (m Membership) SoleVoter(id uint64) bool {
	for _, mb := range m.Members {
		if !mb.Role.Learns() && mb.ID != id {
			return false
		}
	}
	return m.IsVoter(id)
}

// Equal says whether both list the same members, and the same that were removed.
func (m Membership) Equal(o Membership) bool {
	return slices.Equal(m.Members, o.Members) && slices.Equal(m.Removed, o.Removed)
}
