package raft

import "slices"

// VoteResult is the state of an election or of any other yes-or-no question to the voters.
type VoteResult uint8

const (
	// VotePending means that the votes still missing decide.
	VotePending VoteResult = iota
	// VoteWon means that a majority of every set said yes.
	VoteWon
	// VoteLost means that a set can no longer reach a majority.
	VoteLost
)

// Tally counts votes, keyed by node. Votes of those who have none are not counted. Without voters nothing is ever won.
func (m Membership) Tally(votes map[uint64]bool) VoteResult {
	in := m.tallySet(votes, MemberRole.incoming)
	out := m.tallySet(votes, MemberRole.outgoing)
	switch {
	case in == VoteLost || out == VoteLost:
		return VoteLost
	case in == VoteWon && out == VoteWon:
		return VoteWon
	}
	return VotePending
}

func (m Membership) tallySet(votes map[uint64]bool, inSet func(MemberRole) bool) VoteResult {
	n, yes, no := 0, 0, 0
	for _, mb := range m.Members {
		if !inSet(mb.Role) {
			continue
		}
		n++
		if granted, voted := votes[mb.ID]; voted && granted {
			yes++
		} else if voted {
			no++
		}
	}
	majority := n/2 + 1
	switch {
	case n > 0 && yes >= majority:
		return VoteWon
	case n == 0 || n-no < majority:
		return VoteLost
	}
	return VotePending
}

// QuorumIndex returns the highest index that a majority of every set of voters holds, given the index each node holds
// durably. Without voters it is 0.
func (m Membership) QuorumIndex(match func(id uint64) uint64) uint64 {
	return min(m.quorumIndexSet(match, MemberRole.incoming), m.quorumIndexSet(match, MemberRole.outgoing))
}

func (m Membership) quorumIndexSet(match func(id uint64) uint64, inSet func(MemberRole) bool) uint64 {
	var buf [8]uint64 // clusters of up to 8 voters are counted without an allocation
	held := buf[:0]
	for _, mb := range m.Members {
		if inSet(mb.Role) {
			held = append(held, match(mb.ID))
		}
	}
	if len(held) == 0 {
		return 0
	}
	slices.Sort(held)
	// n/2+1 voters hold at least the element with n/2 others above it or equal to it.
	return held[(len(held)-1)/2]
}
