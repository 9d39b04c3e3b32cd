package raft

import (
	"errors"
	"slices"
)

// peer is what a leader knows of another member's log (Raft figure 2, volatile state on leaders). Invariant: match < next.
type peer struct {
	match   uint64 // last entry known to be durable there and equal to ours
	next    uint64 // first entry to send
	told    uint64 // highest commit index sent
	waiting bool   // an append with entries is under way; the next one leaves with its reply
	missing bool   // the entries it needs are compacted here
}

// replicate sends every peer what it lacks.
func (c *Core) replicate() error {
	for _, mb := range c.members.Members { // in order of ids, so that runs repeat
		if p := c.peers[mb.ID]; p != nil {
			if err := c.supply(mb.ID, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// supply sends a peer entries or the commit index that it lacks, unless an append is under way to it.
func (c *Core) supply(id uint64, p *peer) error {
	if p.waiting || (p.next > c.log.last() && p.told >= c.log.commit) {
		return nil
	}
	return c.sendAppend(id, p, true)
}

// heartbeat sends every peer an empty append. Its reply also tells when an append before it was lost.
func (c *Core) heartbeat() error {
	for _, mb := range c.members.Members {
		if p := c.peers[mb.ID]; p != nil {
			if err := c.sendAppend(mb.ID, p, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Core) sendAppend(id uint64, p *peer, withEntries bool) error {
	m := c.message(MsgAppend, id)
	m.Index, m.Commit = p.next-1, c.log.commit
	if p.missing && !withEntries {
		m.Index = c.log.last() // holds off an election there, and finds out when the peer has caught up by other means
	}
	var err error
	if m.LogTerm, err = c.log.term(m.Index); err == nil && withEntries && p.next <= c.log.last() {
		hi := min(c.log.last()+1, p.next+MaxMessageEntries)
		m.Entries, err = c.log.slice(p.next, hi, c.cfg.MaxAppendBytes)
	}
	if errors.Is(err, ErrCompacted) {
		p.missing = true
		return nil
	}
	if err != nil {
		return err
	}
	p.missing = p.missing && !withEntries
	p.told = m.Commit
	p.waiting = p.waiting || len(m.Entries) > 0
	c.messages = append(c.messages, m)
	return nil
}

// onAppend is the receiver's side of AppendEntries (Raft figure 2). Its replies promise durability, so they are AfterSync.
func (c *Core) onAppend(m Message) error {
	reply := c.message(MsgAppendReply, m.From)
	reply.Index = m.Index
	if m.Term < c.term {
		reply.Reject = true // the sender learns of the newer term
		c.afterSync = append(c.afterSync, reply)
		return nil
	}
	c.becomeFollower(m.Term, m.From)
	if m.Index < c.log.commit {
		// What is committed here equals the leader's log, so the message brings nothing below commit.
		skip := min(c.log.commit-m.Index, uint64(len(m.Entries)))
		m.Index += skip
		m.Entries = m.Entries[skip:]
		if m.Index < c.log.commit {
			reply.Index = c.log.commit
			c.afterSync = append(c.afterSync, reply)
			return nil
		}
	} else if ok, err := c.matches(m.Index, m.LogTerm); err != nil {
		return err
	} else if !ok {
		reply.Reject = true
		if reply.Hint, err = c.log.agree(c.log.commit, m.Index, m.LogTerm); err != nil {
			return err
		}
		if reply.HintTerm, err = c.log.term(reply.Hint); err != nil {
			return err
		}
		c.afterSync = append(c.afterSync, reply)
		return nil
	}
	if err := c.accept(m.Entries); err != nil {
		return err
	}
	// Only what this message verified may commit: beyond it, entries of a former leader may still stand.
	verified := m.Index + uint64(len(m.Entries))
	c.log.commitTo(min(m.Commit, verified))
	reply.Index = verified
	c.afterSync = append(c.afterSync, reply)
	return nil
}

// matches says whether the log has that entry.
func (c *Core) matches(index, term uint64) (bool, error) {
	if index > c.log.last() {
		return false, nil
	}
	t, err := c.log.term(index)
	return err == nil && t == term, err
}

// accept takes entries whose predecessor matches. Those already held are skipped, so that a late or repeated message
// never removes a suffix; the first one that differs replaces what follows.
func (c *Core) accept(entries []Entry) error {
	for i, e := range entries {
		held, err := c.matches(e.Index, e.Term)
		if err != nil {
			return err
		}
		if held {
			continue
		}
		if e.Index <= c.log.commit {
			return invalid("entry %d of term %d contradicts a committed one", e.Index, e.Term)
		}
		if e.Index <= c.log.last() {
			c.truncate(e.Index)
		}
		c.log.append(entries[i:]...)
		return nil
	}
	return nil
}

// truncate drops the entries from index i on, and what the writes under way owe to them.
func (c *Core) truncate(i uint64) {
	c.log.truncate(i)
	for w := range c.writes {
		c.writes[w].last = min(c.writes[w].last, i-1)
	}
}

// onAppendReply learns how far a peer's log matches. Replies may be late, repeated or out of order: match never goes back,
// and a rejection counts only for the append that next still stands for.
func (c *Core) onAppendReply(m Message) error {
	p := c.peers[m.From]
	if c.role != Leader || m.Term < c.term || p == nil || m.Index > c.log.last() {
		return nil
	}
	if m.Reject {
		if m.Index != p.next-1 || p.next-1 <= p.match {
			return nil
		}
		hint := max(p.match, min(m.Hint, p.next-2))
		floor := max(p.match, c.log.reader.FirstIndex()-1)
		at, err := c.log.agree(min(floor, hint), hint, m.HintTerm)
		if errors.Is(err, ErrCompacted) {
			at, err = hint, nil // compaction went on meanwhile; sendAppend finds out whether this is still held
		}
		if err != nil {
			return err
		}
		p.next, p.waiting = at+1, false
		return c.sendAppend(m.From, p, true)
	}
	p.match = max(p.match, m.Index)
	p.next = max(p.next, p.match+1)
	p.waiting, p.missing = false, false // whatever it lacks beyond match is tried anew
	if err := c.advanceCommit(); err != nil {
		return err
	}
	return c.supply(m.From, p)
}

// matchOf is the last entry known to be durable on a node. Raft counts a copy only once its node cannot forget it.
func (c *Core) matchOf(id uint64) uint64 {
	if id == c.cfg.ID {
		return c.log.durable
	}
	if p := c.peers[id]; p != nil {
		return p.match
	}
	return 0
}

// peerStatus lists the peers by id.
func (c *Core) peerStatus() []PeerStatus {
	var out []PeerStatus
	for _, mb := range c.members.Members {
		if p := c.peers[mb.ID]; p != nil {
			out = append(out, PeerStatus{ID: mb.ID, Match: p.match, Next: p.next, NeedsSnapshot: p.missing})
		}
	}
	return slices.Clip(out)
}
