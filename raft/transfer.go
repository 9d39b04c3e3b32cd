package raft

import "fmt"

// Transfer makes another voter the leader (thesis §3.10); 0 picks the one that has caught up most. Proposals are
// answered ErrOverloaded until leadership has moved, or for an election timeout. Errors: *NotLeaderError,
// ErrOverloaded while another transfer is under way; a target without a vote is the caller's.
func (c *Core) Transfer(to uint64) error {
	switch {
	case c.fault != nil:
		return c.fault
	case c.role != Leader:
		return &NotLeaderError{Leader: c.leader}
	case to == c.cfg.ID || (to != 0 && to == c.transferee):
		return nil
	case c.transferee != 0:
		return fmt.Errorf("%w: leadership goes to node %d", ErrOverloaded, c.transferee)
	}
	if to == 0 {
		to = c.successor()
	}
	if mb, ok := c.members.Get(to); !ok || !mb.Role.incoming() || c.peer(to) == nil {
		return fmt.Errorf("raft: leadership cannot go to node %d: it has no vote", to)
	}
	c.transferee, c.transferred = to, 0
	c.tryTransfer()
	return nil
}

// successor is the voter that has caught up most, of those heard of late if there is one; 0 when there is no other
// voter.
func (c *Core) successor() uint64 {
	var best *peer
	for _, p := range c.peers {
		mb, ok := c.members.Get(p.id)
		if !ok || !mb.Role.incoming() {
			continue
		}
		if best == nil || c.activeOf(p.id) > c.activeOf(best.id) ||
			(c.activeOf(p.id) == c.activeOf(best.id) && p.match > best.match) {
			best = p
		}
	}
	if best == nil {
		return 0
	}
	return best.id
}

// tryTransfer tells the transferee to campaign once it has all entries: before that it could not win. It is told again
// with each of its answers, in case the message was lost; a repeated one comes with a term that is over.
func (c *Core) tryTransfer() {
	if p := c.peer(c.transferee); p != nil && p.match == c.log.last() {
		c.messages = append(c.messages, c.message(MsgTimeoutNow, p.id))
	}
}

// tickTransfer gives up a transfer that takes longer than an election timeout, so that proposals go on.
func (c *Core) tickTransfer() {
	if c.transferee == 0 {
		return
	}
	if c.transferred++; c.transferred >= c.cfg.ElectionTicks {
		c.transferee = 0
	}
}

// onTimeoutNow campaigns without asking first: the leader itself wants to be replaced.
func (c *Core) onTimeoutNow(m Message) error {
	if c.leader != m.From || !c.mayCampaign() {
		return nil
	}
	return c.campaign(true)
}
