package raft

import (
	"fmt"
	"math/rand/v2"
)

// Core is one node's consensus state machine. It has one owner and no locks.
type Core struct {
	cfg     Config
	rng     *rand.Rand
	members Membership
	log     *raftLog

	term, vote uint64
	role       Role
	leader     uint64

	votes   map[uint64]bool // Candidate only
	elapsed int             // ticks since the leader was last heard, or since the campaign began
	timeout int             // ticks after which a follower campaigns

	peers        map[uint64]*peer // Leader only: every other member
	ownFirst     uint64           // Leader only: index of the no-op that began the term
	pendingReads []uint64         // Leader only: reads that wait for the term's first commit

	number      uint64    // the last Ready handed out
	persisted   uint64    // the last Ready reported durable
	writes      []write   // handed out and not durable, in order
	handedHard  HardState // as last handed out
	durableHard HardState // as last reported durable
	handedSoft  SoftState
	messages    []Message
	afterSync   []Message
	readStates  []ReadState

	fault error // set once the log could not be read or the shell broke the contract; final
}

// New builds a core from what is durable: the hard state, the snapshot that the state machine starts from, and the log.
// The state machine must hold exactly the snapshot; the committed entries after it are handed out again.
// Errors: ErrInvalidState when these contradict each other, and those of the LogReader.
func New(cfg Config, hs HardState, snap Snapshot, log LogReader) (*Core, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := snap.Members.Validate(); err != nil {
		return nil, err
	}
	l, err := newLog(log, hs, snap)
	if err != nil {
		return nil, err
	}
	c := &Core{
		cfg:         cfg,
		rng:         rand.New(rand.NewPCG(cfg.Seed, cfg.ID)),
		members:     snap.Members,
		log:         l,
		term:        hs.Term,
		vote:        hs.Vote,
		handedHard:  hs,
		durableHard: hs,
	}
	c.handedSoft = c.softState()
	c.drawTimeout()
	return c, nil
}

// Tick tells that one tick of time went by. It fails only as Ready does.
func (c *Core) Tick() error {
	if c.fault != nil {
		return c.fault
	}
	c.elapsed++
	switch {
	case c.role == Leader:
		if c.elapsed >= c.cfg.HeartbeatTicks {
			c.elapsed = 0
			c.fault = c.heartbeat()
		}
	case !c.members.IsVoter(c.cfg.ID):
	case c.members.SoleVoter(c.cfg.ID): // no one else to wait for
		if c.role == Follower {
			c.fault = c.campaign()
		}
	case c.elapsed >= c.timeout:
		c.fault = c.campaign()
	}
	return c.fault
}

// Step takes a message from a peer. ErrRefused and ErrUnsupported leave the core unchanged; other errors are those of
// the LogReader or ErrInvalidState, and final.
func (c *Core) Step(m Message) error {
	if c.fault != nil {
		return c.fault
	}
	if err := c.admit(m); err != nil {
		return err
	}
	c.fault = c.step(m)
	return c.fault
}

// step acts on an admitted message.
func (c *Core) step(m Message) error {
	if m.Term > c.term {
		c.becomeFollower(m.Term, 0)
	}
	switch m.Kind {
	case MsgVote:
		return c.onVote(m)
	case MsgVoteReply:
		return c.onVoteReply(m)
	case MsgAppend:
		return c.onAppend(m)
	case MsgAppendReply:
		return c.onAppendReply(m)
	}
	return invalid("%s was admitted and has no handler", m.Kind)
}

// admit refuses what must not be acted upon.
func (c *Core) admit(m Message) error {
	switch {
	case m.ClusterID != c.cfg.ClusterID:
		return refused("from node %d of cluster %s", m.From, m.ClusterID)
	case m.To != c.cfg.ID:
		return refused("for node %d, this is node %d", m.To, c.cfg.ID)
	case m.From == c.cfg.ID:
		return refused("from this node's own id %d", m.From)
	}
	if _, ok := c.members.Get(m.From); !ok {
		return refused("from node %d, which is no member", m.From)
	}
	if err := m.validate(); err != nil {
		return err
	}
	switch m.Kind {
	case MsgVote, MsgVoteReply, MsgAppendReply:
		return nil
	case MsgAppend:
		if m.Term == c.term && c.role == Leader {
			return refused("append from node %d, and this node leads term %d", m.From, m.Term)
		}
		for _, e := range m.Entries {
			if e.Kind == EntryMembers {
				return fmt.Errorf("%w: entry %d changes the membership", ErrUnsupported, e.Index)
			}
		}
		return nil
	}
	return fmt.Errorf("%w: %s from node %d", ErrUnsupported, m.Kind, m.From)
}

// message begins a message of this term.
func (c *Core) message(kind MessageKind, to uint64) Message {
	return Message{Kind: kind, ClusterID: c.cfg.ClusterID, From: c.cfg.ID, To: to, Instance: c.cfg.Instance, Term: c.term}
}
