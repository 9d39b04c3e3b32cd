package raft

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// ProposeMembers makes target the configuration of the cluster: its roles are Voter, Learner and Joining; what it
// says of removed members is not looked at, the core keeps that. The returned position is that of the first entry of
// the change. A change of voters goes through joint consensus (Raft §6): once the first entry is committed, the
// leader appends the second by itself. Anything else is one entry. Errors: *NotLeaderError, ErrMembershipPending,
// ErrOverloaded; a target that is not valid, forgets or changes a recorded instance, or changes nothing, is an error
// of the caller's.
func (c *Core) ProposeMembers(target Membership) (Position, error) {
	switch {
	case c.fault != nil:
		return Position{}, c.fault
	case c.role != Leader:
		return Position{}, &NotLeaderError{Leader: c.leader}
	case c.membersPending():
		// Two changes under way at once could each find a majority of their own (Raft §6).
		return Position{}, ErrMembershipPending
	case c.log.commit < c.ownFirst:
		// Until then an earlier leader's change, which this node does not know, may be committed (the bug in the
		// thesis' single-server changes; kept out for all).
		return Position{}, fmt.Errorf("%w: nothing of term %d is committed", ErrMembershipPending, c.term)
	case c.transferee != 0 || c.log.last() >= MaxIndex:
		return Position{}, ErrOverloaded
	}
	next, err := c.members.towards(target)
	if err != nil {
		return Position{}, err
	}
	at := Position{Index: c.log.last() + 1, Term: c.term}
	c.fault = c.appendMembers(next)
	return at, c.fault
}

// appendMembers appends a configuration, which is in force at once, and looks what it decides.
func (c *Core) appendMembers(m Membership) error {
	e := Entry{Index: c.log.last() + 1, Term: c.term, Kind: EntryMembers, Data: AppendMembership(nil, m)}
	c.log.append(e)
	if err := c.adopt([]Entry{e}); err != nil {
		return err
	}
	c.setPeers()
	return c.advanceCommit()
}

// onMembersCommitted ends the joint phase once it is decided, and the reign of a leader that the final configuration
// leaves without a vote (Raft §6).
func (c *Core) onMembersCommitted() error {
	switch {
	case c.configs[len(c.configs)-1].index > c.log.commit:
		return nil
	case c.members.Joint():
		if c.log.last() >= MaxIndex {
			return invalid("no index after %d", c.log.last())
		}
		return c.appendMembers(c.members.settled())
	case !c.members.IsVoter(c.cfg.ID):
		c.resign()
	}
	return nil
}

// resign ends the reign of a leader that has no vote any more. The others are told what is committed, and the one
// that has caught up most may campaign at once.
func (c *Core) resign() {
	for _, p := range c.peers {
		c.sendHeartbeat(p, 0)
	}
	if to := c.successor(); to != 0 {
		c.messages = append(c.messages, c.message(MsgTimeoutNow, to))
	}
	c.becomeFollower(c.term, 0)
}

// towards returns the first configuration on the way from m, which is not joint, to target.
func (m Membership) towards(target Membership) (Membership, error) {
	if err := target.Validate(); err != nil {
		return Membership{}, err
	}
	if len(target.Members) == 0 {
		return Membership{}, errors.New("raft: membership: no members")
	}
	var next Membership
	voters := false // whether they change
	for _, mb := range target.Members {
		old, known := m.Get(mb.ID)
		switch {
		case mb.Role != Voter && !mb.Role.Learns():
			return Membership{}, fmt.Errorf("raft: membership: node %d: %s is no role to ask for", mb.ID, mb.Role)
		case known && old.Instance != 0 && mb.Instance != old.Instance:
			return Membership{}, fmt.Errorf("raft: membership: node %d: its instance is recorded and must stay", mb.ID)
		case known && old.Role == Voter && mb.Role == Joining:
			return Membership{}, fmt.Errorf("raft: membership: node %d: a voter cannot be joining", mb.ID)
		case mb.Role == Voter && !(known && old.Role == Voter):
			mb.Role, voters = IncomingVoter, true
		case mb.Role == Learner && known && old.Role == Voter:
			mb.Role, voters = DemotedVoter, true
		}
		next.Members = append(next.Members, mb)
	}
	for _, old := range m.Members {
		if _, stays := target.Get(old.ID); !stays && old.Role == Voter {
			old.Role, voters = LeavingVoter, true
			next.Members = append(next.Members, old)
		}
	}
	slices.SortFunc(next.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	next.Removed = m.removedOnTheWayTo(next)
	if !voters && slices.Equal(next.Members, m.Members) {
		return Membership{}, errors.New("raft: membership: nothing would change")
	}
	return next, next.Validate()
}

// settled returns the configuration that ends the joint phase.
func (m Membership) settled() Membership {
	var next Membership
	for _, mb := range m.Members {
		switch mb.Role {
		case LeavingVoter:
			continue
		case IncomingVoter:
			mb.Role = Voter
		case DemotedVoter:
			mb.Role = Learner
		}
		next.Members = append(next.Members, mb)
	}
	next.Removed = m.removedOnTheWayTo(next)
	return next
}

// removedOnTheWayTo lists those removed when next follows m: the latest last, and none that is back with the same data.
func (m Membership) removedOnTheWayTo(next Membership) []Departed {
	out := slices.Clone(m.Removed)
	for _, mb := range m.Members {
		if _, stays := next.Get(mb.ID); !stays {
			d := Departed{ID: mb.ID, Instance: mb.Instance}
			out = append(slices.DeleteFunc(out, func(o Departed) bool { return o == d }), d)
		}
	}
	out = slices.DeleteFunc(out, func(d Departed) bool {
		mb, back := next.Get(d.ID)
		return back && mb.Instance == d.Instance
	})
	return out[max(0, len(out)-MaxDeparted):]
}
