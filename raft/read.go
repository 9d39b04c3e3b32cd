package raft

import "fmt"

// ReadIndex asks for an index at which a linearizable read may be served (Raft §8). Each call that returns nil is
// answered by exactly one ReadState with its context: with an index, or as lost when leadership ends first.
// Errors: *NotLeaderError, ErrOverloaded; ErrUnsupported where other voters would have to confirm the leadership.
func (c *Core) ReadIndex(context uint64) error {
	switch {
	case c.fault != nil:
		return c.fault
	case c.role != Leader:
		return &NotLeaderError{Leader: c.leader}
	case !c.members.SoleVoter(c.cfg.ID):
		return fmt.Errorf("%w: a read that other voters confirm", ErrUnsupported)
	case len(c.pendingReads)+len(c.readStates) >= c.cfg.MaxPendingReads:
		return ErrOverloaded
	}
	c.pendingReads = append(c.pendingReads, context)
	c.releaseReads()
	return nil
}

// releaseReads answers the waiting reads once an entry of the own term is committed: before that, the leader's commit
// index may lag behind what an earlier leader has acknowledged (Raft §8). A sole voter needs no one's confirmation.
func (c *Core) releaseReads() {
	if c.log.commit < c.ownFirst {
		return
	}
	for _, ctx := range c.pendingReads {
		c.readStates = append(c.readStates, ReadState{Context: ctx, Index: c.log.commit})
	}
	c.pendingReads = c.pendingReads[:0]
}
