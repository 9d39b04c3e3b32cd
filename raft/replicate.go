package raft

import "errors"

// setPeers makes the peers those of the configuration in force. A member that it removes is sent to for a while
// longer, so that it learns of that.
func (c *Core) setPeers() {
	last := len(c.configs) - 1
	var peers []*peer
	old := c.peers
	for _, mb := range c.members.Members { // by ascending id, as peers are
		for len(old) > 0 && old[0].id < mb.ID {
			peers = append(peers, old[0].depart(c.configs[last].index))
			old = old[1:]
		}
		switch {
		case mb.ID == c.cfg.ID:
		case len(old) > 0 && old[0].id == mb.ID:
			p := old[0]
			if p.leaving != 0 { // it left and came back: whether with the same log is not known
				p = &peer{id: mb.ID, next: c.log.last()}
			}
			peers, old = append(peers, p), old[1:]
		default:
			peers = append(peers, &peer{id: mb.ID, next: c.log.last()})
		}
	}
	for _, p := range old {
		peers = append(peers, p.depart(c.configs[last].index))
	}
	c.peers = peers
}

func (p *peer) depart(index uint64) *peer {
	if p.leaving == 0 {
		p.leaving, p.gone = index, 0
	}
	return p
}

// dropDeparted ends sending to removed members: those that know of their removal and its commit, and those that had two
// election timeouts to learn of it.
func (c *Core) dropDeparted() {
	kept := c.peers[:0]
	for _, p := range c.peers {
		if p.leaving == 0 || (p.gone < 2*c.cfg.ElectionTicks && (p.lastRound == 0 || p.round < p.lastRound)) {
			kept = append(kept, p)
		}
	}
	clear(c.peers[len(kept):])
	c.peers = kept
}

// wants says what the next Ready has for a peer: entries, or news of the commit index, or an offer of a snapshot.
func (c *Core) wants(p *peer) (entries, news, offer bool) {
	switch p.state {
	case PeerSnapshot:
		offer = p.offerDue
	case PeerProbe:
		entries = !p.paused && p.next <= c.log.last()
	case PeerReplicate:
		entries = p.next <= c.log.last() &&
			len(p.flights) < c.cfg.MaxInflightAppends && p.bytes < c.cfg.MaxInflightBytes
	}
	return entries, p.told < min(p.match, c.log.commit), offer
}

func (c *Core) hasSupplies() bool {
	for _, p := range c.peers {
		if entries, news, offer := c.wants(p); entries || news || offer {
			return true
		}
	}
	return false
}

// supply makes at most one message for each peer: what was proposed since the last Ready goes as one append, and the
// commit index rides along. On its own it goes as a heartbeat that asks for no answer.
func (c *Core) supply() error {
	var shared batch
	for _, p := range c.peers {
		entries, news, offer := c.wants(p)
		if entries {
			if err := c.sendAppend(p, &shared); err != nil {
				return err
			}
			offer = p.offerDue
		} else if news {
			c.sendHeartbeat(p, 0)
		}
		if offer {
			c.sendOffer(p)
		}
	}
	return nil
}

// batch is a run of entries that several peers get in the same Ready; they share its memory.
type batch struct {
	first   uint64
	entries []Entry
}

// take returns the entries from index on that go into one message.
func (b *batch) take(c *Core, first uint64) ([]Entry, error) {
	if b.first == first {
		return b.entries, nil
	}
	hi := min(c.log.last()+1, first+MaxMessageEntries)
	entries, err := c.log.slice(first, hi, c.cfg.MaxAppendBytes)
	if err == nil {
		b.first, b.entries = first, entries
	}
	return entries, err
}

// sendAppend sends the entries from p.next on; with a nil batch none, only the question whether the logs agree below.
func (c *Core) sendAppend(p *peer, shared *batch) error {
	m := c.message(MsgAppend, p.id)
	m.Index, m.Commit = p.next-1, c.log.commit
	var err error
	if m.LogTerm, err = c.log.term(m.Index); err == nil && shared != nil {
		m.Entries, err = shared.take(c, p.next)
	}
	if errors.Is(err, ErrCompacted) {
		p.state, p.offerDue = PeerSnapshot, true
		p.land()
		return nil
	}
	if err != nil {
		return err
	}
	c.messages = append(c.messages, m)
	last := m.Index + uint64(len(m.Entries))
	p.told = max(p.told, min(m.Commit, last))
	if len(m.Entries) == 0 {
		return nil
	}
	if p.state == PeerProbe {
		p.paused = true
		return nil
	}
	f := flight{last: last}
	for i := range m.Entries {
		f.bytes += uint64(len(m.Entries[i].Data))
	}
	p.flights, p.bytes, p.next = append(p.flights, f), p.bytes+f.bytes, last+1
	return nil
}

// onAppendReply learns how far a peer's log matches. Replies may be late, repeated or out of order: match never goes
// back, for what was durable there in this term stays, and a rejection counts only for what is not known to match.
func (c *Core) onAppendReply(m Message) error {
	p := c.peer(m.From)
	if p == nil || m.Index > c.log.last() {
		return nil
	}
	if m.Reject {
		return c.onAppendRefused(p, m)
	}
	p.waited = 0
	p.match = max(p.match, m.Index)
	p.next = max(p.next, p.match+1)
	p.landTo(p.match)
	if p.state == PeerProbe || (p.state == PeerSnapshot && p.match+1 >= c.log.first()) {
		p.replicate()
	}
	if err := c.advanceCommit(); err != nil {
		return err
	}
	c.tryTransfer()
	return nil
}

// onAppendRefused goes back to where the logs may agree: the hint says how far the peer's log can, ours how far it
// does.
func (c *Core) onAppendRefused(p *peer, m Message) error {
	stale := m.Index <= p.match || (p.state == PeerProbe && m.Index != p.next-1)
	if stale || p.state == PeerSnapshot {
		return nil
	}
	hint := max(p.match, min(m.Hint, m.Index-1))
	floor := max(p.match, c.log.first()-1)
	at, err := c.log.agree(min(floor, hint), hint, m.HintTerm)
	if errors.Is(err, ErrCompacted) {
		at, err = hint, nil // compaction went on meanwhile; sendAppend finds out whether this is still held
	}
	if err != nil {
		return err
	}
	p.probe(at + 1)
	return nil
}

// advanceCommit counts copies. Only an entry of the own term commits by counting; those before it commit with it
// (Raft §5.4.2, figure 8). The own copy counts as far as it is durable.
func (c *Core) advanceCommit() error {
	quorum := c.members.QuorumIndex(c.matchOf)
	if quorum <= c.log.commit {
		return nil
	}
	t, err := c.log.term(quorum)
	if err != nil {
		return err
	}
	if t != c.term {
		return nil
	}
	c.log.commitTo(quorum)
	c.releaseReads()
	return c.onMembersCommitted()
}

// matchOf is the last entry known to be durable on a node. Raft counts a copy only once its node cannot forget it.
func (c *Core) matchOf(id uint64) uint64 {
	if id == c.cfg.ID {
		return c.log.durable
	}
	if p := c.peer(id); p != nil {
		return p.match
	}
	return 0
}
