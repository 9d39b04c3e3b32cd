package raft

// tickLeader is a leader's tick: it steps down without a quorum, and shows itself.
func (c *Core) tickLeader() error {
	for _, p := range c.peers {
		p.tick(c.cfg.ElectionTicks)
	}
	c.tickTransfer()
	// Check-quorum (thesis §6.2): a leader that a majority does not answer must not look like one to its clients, nor
	// turn down the votes for another.
	if c.members.QuorumIndex(c.activeOf) == 0 {
		c.becomeFollower(c.term, 0)
		return nil
	}
	c.dropDeparted()
	if c.elapsed >= c.cfg.HeartbeatTicks {
		c.beginRound()
	}
	return nil
}

func (p *peer) tick(electionTicks int) {
	p.silent++
	if p.underWay() {
		p.waited++
	}
	if p.leaving != 0 {
		p.gone++
	}
	if p.state == PeerSnapshot {
		if p.offerIn--; p.offerIn <= 0 {
			p.offerDue = true
		}
	}
}

// activeOf is 1 for a node heard within an election timeout, else 0.
func (c *Core) activeOf(id uint64) uint64 {
	if p := c.peer(id); id == c.cfg.ID || (p != nil && p.silent < c.cfg.ElectionTicks) {
		return 1
	}
	return 0
}

// beginRound sends a heartbeat to every peer. The answers of a quorum confirm that this node still led when the round
// began, which is what reads wait for.
func (c *Core) beginRound() {
	c.elapsed = 0
	c.round++
	for _, p := range c.peers {
		c.sendHeartbeat(p, c.round)
		if p.leaving != 0 && p.lastRound == 0 && p.told >= p.leaving {
			p.lastRound = c.round
		}
	}
	c.confirmRounds() // a sole voter has no one to wait for
}

// sendHeartbeat tells a peer the commit index as far as its log is known to match. Round 0 asks for no answer.
func (c *Core) sendHeartbeat(p *peer, round uint64) {
	m := c.message(MsgHeartbeat, p.id)
	m.Context = round
	known := min(p.match, c.log.commit)
	p.told = max(p.told, known)
	if t, err := c.log.term(known); err == nil { // else the entry is compacted; news of later ones will do
		m.Commit, m.LogTerm = known, t
	}
	c.messages = append(c.messages, m)
}

// onHeartbeat is the follower's side. It commits what it holds only: should its data have been replaced, the leader
// speaks of a log that this one is not.
func (c *Core) onHeartbeat(m Message) error {
	c.becomeFollower(m.Term, m.From)
	if m.Commit > c.log.commit {
		held, err := c.matches(m.Commit, m.LogTerm)
		if err != nil {
			return err
		}
		if held {
			c.log.commitTo(m.Commit)
		}
	}
	if m.Context != 0 {
		reply := c.message(MsgHeartbeatReply, m.From)
		reply.Context = m.Context
		c.answer(reply, 0)
	}
	return nil
}

// onHeartbeatReply confirms a round. The answer also tells that the peer lives: if it has left an append unanswered for
// longer than a round, that one or its answer was lost.
func (c *Core) onHeartbeatReply(m Message) error {
	p := c.peer(m.From)
	if p == nil || m.Context > c.round {
		return nil
	}
	p.round = max(p.round, m.Context)
	c.confirmRounds()
	c.tryTransfer()
	if p.waited <= c.cfg.HeartbeatTicks {
		return nil
	}
	p.waited = 0
	if p.state == PeerReplicate {
		return c.sendAppend(p, nil) // it is refused if one before it was lost
	}
	p.paused = false
	return nil
}

// confirmRounds finds the latest round that a quorum has answered, and answers the reads that waited for it.
func (c *Core) confirmRounds() {
	confirmed := c.members.QuorumIndex(c.roundOf)
	if confirmed <= c.confirmed {
		return
	}
	c.confirmed = confirmed
	c.releaseReads()
	if n := len(c.reads); n > 0 && c.reads[n-1].round > c.round {
		c.beginRound() // for the reads that came after the last one began
	}
}

func (c *Core) roundOf(id uint64) uint64 {
	if id == c.cfg.ID {
		return c.round
	}
	if p := c.peer(id); p != nil {
		return p.round
	}
	return 0
}
