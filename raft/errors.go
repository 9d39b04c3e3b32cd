package raft

import (
	"errors"
	"fmt"
)

var (
	// ErrNotLeader says that only a leader can do this. The error in hand is a *NotLeaderError.
	ErrNotLeader = errors.New("raft: not the leader")
	// ErrOverloaded says that a bound of Config is reached; nothing was done, a later try may succeed.
	ErrOverloaded = errors.New("raft: overloaded")
	// ErrNotVoter says that this node has no vote, so it cannot campaign.
	ErrNotVoter = errors.New("raft: not a voter")
	// ErrRefused says that a message must not be acted upon: another cluster, a member that was
	// wiped or removed, a number out of range.
	// The core is unchanged.
	ErrRefused = errors.New("raft: message refused")
	// ErrMembershipPending says that the members cannot be changed yet: one change is under way, or the leader has not
	// committed an entry of its term. A later try may succeed.
	ErrMembershipPending = errors.New("raft: a change of members is under way")
	// ErrUnsupported says that the core does not speak this kind of message. It speaks all there are; kept for shells
	// that tell it from ErrRefused.
	ErrUnsupported = errors.New("raft: message kind is not supported")
	// ErrInvalidState says that durable state contradicts itself, or that the shell broke the contract of Ready and
	// Advance. The process must stop: going on could lose what was acknowledged.
	ErrInvalidState = errors.New("raft: invalid state")
)

// NotLeaderError is ErrNotLeader together with who is the leader.
type NotLeaderError struct {
	Leader uint64 // 0 when unknown
}

func (e *NotLeaderError) Error() string {
	if e.Leader == 0 {
		return "raft: not the leader, and none is known"
	}
	return fmt.Sprintf("raft: not the leader, which is node %d", e.Leader)
}

// Unwrap makes errors.Is(err, ErrNotLeader) hold.
func (e *NotLeaderError) Unwrap() error { return ErrNotLeader }

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidState, fmt.Sprintf(format, args...))
}

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}
