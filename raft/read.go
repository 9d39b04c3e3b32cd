package raft

import "slices"

// read is one ReadIndex that a leader has not answered yet.
type read struct {
	context uint64
	from    uint64 // who asked by MsgReadIndex; 0 for this node
	index   uint64 // the commit index when it came; 0 before the first commit of the term
	round   uint64 // the round of heartbeats, begun after it came, that must be confirmed
}

// asked is a group of reads that a follower has passed on with one MsgReadIndex.
type asked struct {
	token    uint64 // names the group in messages
	contexts []uint64
	age      int  // ticks
	closed   bool // the message is handed out; later reads must not join, for it may be answered already
}

// ReadIndex asks for an index at which a linearizable read may be served (Raft §8, thesis §6.4): on the leader, or on
// any node that knows one. Each call that returns nil is answered by exactly one ReadState with its context: with an
// index, or as lost when the leader changes or does not answer within an election timeout. Errors: *NotLeaderError
// when no leader is known, ErrOverloaded.
func (c *Core) ReadIndex(context uint64) error {
	switch {
	case c.fault != nil:
		return c.fault
	case c.leader == 0:
		return &NotLeaderError{}
	case len(c.reads)+c.askedReads+len(c.readStates) >= c.cfg.MaxPendingReads:
		return ErrOverloaded
	case c.role == Leader:
		c.addRead(0, context)
	default:
		c.ask(context)
	}
	return nil
}

// addRead takes a read on the leader. It shares a round of heartbeats with all that come before the round begins; one
// that began earlier would not do, for another leader may have taken over and committed since (thesis §6.4).
func (c *Core) addRead(from, context uint64) {
	r := read{context: context, from: from, round: c.round + 1}
	if c.log.commit >= c.ownFirst {
		r.index = c.log.commit
	}
	c.reads = append(c.reads, r)
	if c.confirmed == c.round {
		c.beginRound()
	}
}

// releaseReads answers the reads whose round is confirmed, none before an entry of the own term is committed: until
// then the commit index may lag behind what an earlier leader has acknowledged (Raft §8).
func (c *Core) releaseReads() {
	if c.log.commit < c.ownFirst {
		return
	}
	n := 0
	for i := range c.reads {
		r := &c.reads[i]
		if r.index == 0 {
			r.index = c.log.commit
		}
		if r.round > c.confirmed {
			continue // the rounds ascend; go on only to set the index
		}
		n++
		if r.from == 0 {
			c.readStates = append(c.readStates, ReadState{Context: r.context, Index: r.index})
		} else {
			m := c.message(MsgReadIndexReply, r.from)
			m.Context, m.Index = r.context, r.index
			c.messages = append(c.messages, m)
		}
	}
	c.reads = slices.Delete(c.reads, 0, n)
}

// onReadIndex is the leader's side of a follower's read.
func (c *Core) onReadIndex(m Message) {
	if c.role == Leader && len(c.reads)+len(c.readStates) < c.cfg.MaxPendingReads {
		c.addRead(m.From, m.Context)
		return
	}
	reply := c.message(MsgReadIndexReply, m.From)
	reply.Context, reply.Reject = m.Context, true
	c.messages = append(c.messages, reply)
}

// ask passes a read on to the leader. The reads of one Ready share a message.
func (c *Core) ask(context uint64) {
	if n := len(c.asked); n == 0 || c.asked[n-1].closed {
		c.token++
		c.asked = append(c.asked, asked{token: c.token})
		c.sendReadIndex(c.token)
	}
	group := &c.asked[len(c.asked)-1]
	group.contexts = append(group.contexts, context)
	c.askedReads++
}

func (c *Core) sendReadIndex(token uint64) {
	m := c.message(MsgReadIndex, c.leader)
	m.Context = token
	c.messages = append(c.messages, m)
}

// onReadIndexReply answers the reads of a group. A token is used once, so that a late reply answers nobody else.
func (c *Core) onReadIndexReply(m Message) {
	for i := range c.asked {
		if c.asked[i].token == m.Context {
			c.answerAsked(i, ReadState{Index: m.Index, Lost: m.Reject})
			return
		}
	}
}

func (c *Core) answerAsked(i int, s ReadState) {
	for _, context := range c.asked[i].contexts {
		s.Context = context
		c.readStates = append(c.readStates, s)
	}
	c.askedReads -= len(c.asked[i].contexts)
	c.asked = slices.Delete(c.asked, i, i+1)
}

// ageReads asks once more halfway through an election timeout, and gives up at its end.
func (c *Core) ageReads() {
	for i := 0; i < len(c.asked); {
		g := &c.asked[i]
		g.age++
		if g.age >= c.cfg.ElectionTicks {
			c.answerAsked(i, ReadState{Lost: true})
			continue
		}
		if g.age == (c.cfg.ElectionTicks+1)/2 && c.leader != 0 {
			c.sendReadIndex(g.token)
		}
		i++
	}
}

// loseReads answers all reads as lost: leadership, here or there, has ended. Whoever asked a leader that stepped down
// finds out by the change of leader.
func (c *Core) loseReads() {
	for _, r := range c.reads {
		if r.from == 0 {
			c.readStates = append(c.readStates, ReadState{Context: r.context, Lost: true})
		}
	}
	c.reads = nil
	for len(c.asked) > 0 {
		c.answerAsked(0, ReadState{Lost: true})
	}
}
