package raft

// onAppend is the receiver's side of AppendEntries (Raft figure 2).
func (c *Core) onAppend(m Message) error {
	c.becomeFollower(m.Term, m.From)
	reply := c.message(MsgAppendReply, m.From)
	reply.Index = m.Index
	if m.Index < c.log.commit {
		// What is committed here equals the leader's log, so the message brings nothing below commit.
		skip := min(c.log.commit-m.Index, uint64(len(m.Entries)))
		m.Index += skip
		m.Entries = m.Entries[skip:]
		if m.Index < c.log.commit {
			reply.Index = c.log.commit
			c.answer(reply, reply.Index)
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
		c.answer(reply, 0)
		return nil
	}
	if err := c.accept(m.Entries); err != nil {
		return err
	}
	// Only what this message verified may commit: beyond it, entries of a former leader may still stand.
	verified := m.Index + uint64(len(m.Entries))
	c.log.commitTo(min(m.Commit, verified))
	reply.Index = verified
	c.answer(reply, verified)
	return nil
}

// answer sends a reply which promises that the entries up to promised, the term and the vote survive a crash: at once
// when they do already, else after the sync.
func (c *Core) answer(reply Message, promised uint64) {
	if promised <= c.log.durable && c.hardDurable() {
		c.messages = append(c.messages, reply)
	} else {
		c.afterSync = append(c.afterSync, reply)
	}
}

// hardDurable says that a crash would not take away the term or the vote, nor a snapshot that is being installed.
func (c *Core) hardDurable() bool {
	return c.durableHard.Term == c.term && c.durableHard.Vote == c.vote && c.installing == 0
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
		return c.adopt(entries[i:])
	}
	return nil
}

// truncate drops the entries from index i on, the configurations among them, and what the writes under way owe to them.
func (c *Core) truncate(i uint64) {
	c.log.truncate(i)
	for w := range c.writes {
		c.writes[w].last = min(c.writes[w].last, i-1)
	}
	c.rollBack(i)
}
