package raft

import "fmt"

// ProposeMembers makes target the configuration of the cluster: its roles are Voter, Learner and Joining. The returned
// position is that of the first entry of the change. A change of voters goes through joint consensus (Raft §6): once the
// first entry is committed, the leader appends the second by itself. Anything else is one entry.
// Errors: *NotLeaderError, ErrMembershipPending, ErrOverloaded; a target that is not valid is an error of the caller's.
func (c *Core) ProposeMembers(target Membership) (Position, error) {
	return Position{}, fmt.Errorf("%w: a change of members", ErrUnsupported)
}

// Transfer makes another voter the leader (thesis §3.10); 0 picks the one that has caught up most. Proposals are answered
// ErrOverloaded until leadership has moved, or for an election timeout.
// Errors: *NotLeaderError, ErrOverloaded while another transfer is under way; a target without a vote is the caller's.
func (c *Core) Transfer(to uint64) error {
	return fmt.Errorf("%w: a transfer of leadership", ErrUnsupported)
}

// Restore tells that the shell has fetched what snap describes and can install it at once. The next Ready asks for that
// by Install. It does nothing when the log has got there by itself meanwhile.
// Errors: ErrInvalidState, final.
func (c *Core) Restore(snap Snapshot) error {
	return fmt.Errorf("%w: a snapshot", ErrUnsupported)
}
