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

	ownFirst     uint64   // Leader only: index of the no-op that began the term
	pendingReads []uint64 // Leader only: reads that wait for the term's first commit

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
	if len(snap.Members.Members) > 0 && !snap.Members.SoleVoter(cfg.ID) {
		return nil, fmt.Errorf("%w: a membership with other voters", ErrUnsupported)
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
	if c.role == Leader || !c.members.IsVoter(c.cfg.ID) {
		return nil
	}
	if c.role == Follower && (c.members.SoleVoter(c.cfg.ID) || c.elapsed >= c.timeout) {
		c.fault = c.campaign()
	}
	return c.fault
}

// Step takes a message from a peer. ErrRefused and ErrUnsupported leave the core unchanged.
func (c *Core) Step(m Message) error {
	if c.fault != nil {
		return c.fault
	}
	if err := c.admit(m); err != nil {
		return err
	}
	return ErrUnsupported
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
	return m.validate()
}
