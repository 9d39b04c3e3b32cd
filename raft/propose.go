package raft

import (
	"errors"
	"fmt"
)

var errNothing = errors.New("raft: nothing to propose")

// Propose appends commands as entries of this term and returns the position of the first; the others follow it without
// a gap. All are taken or none. The core owns the commands' bytes from then on. Whether they commit is told by
// Ready.Committed: an entry of another term at that index means that the command is lost.
// Errors: *NotLeaderError, ErrOverloaded; no commands, or one over MaxEntryBytes, is an error of the caller's.
func (c *Core) Propose(cmds [][]byte) (Position, error) {
	switch {
	case c.fault != nil:
		return Position{}, c.fault
	case c.role != Leader:
		return Position{}, &NotLeaderError{Leader: c.leader}
	case len(cmds) == 0:
		return Position{}, errNothing
	}
	if c.transferee != 0 {
		return Position{}, fmt.Errorf("%w: leadership goes to node %d", ErrOverloaded, c.transferee)
	}
	size := uint64(len(cmds)) * entryOverhead
	for _, cmd := range cmds {
		if len(cmd) > MaxEntryBytes {
			return Position{}, fmt.Errorf("raft: a command of %d bytes, at most %d", len(cmd), MaxEntryBytes)
		}
		size += uint64(len(cmd))
	}
	if c.log.bytes > 0 && c.log.bytes+size > c.cfg.MaxUncommittedBytes {
		return Position{}, ErrOverloaded
	}
	first := Position{Index: c.log.last() + 1, Term: c.term}
	if first.Index+uint64(len(cmds)) > MaxIndex {
		return Position{}, ErrOverloaded
	}
	for i, cmd := range cmds {
		c.log.append(Entry{Index: first.Index + uint64(i), Term: c.term, Kind: EntryNormal, Data: cmd})
	}
	return first, nil
}
