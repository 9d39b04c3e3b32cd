package raft

import "math/rand/v2"

// Core is one node's consensus state machine. It has one owner and no locks.
type Core struct {
	cfg     Config
	rng     *rand.Rand
	members Membership // in force: the last of configs
	configs []config   // that of the newest snapshot, and those of entries behind it
	log     *raftLog

	term, vote uint64
	role       Role
	leader     uint64

	votes   map[uint64]bool // Candidate and PreCandidate only
	elapsed int             // ticks since the leader was heard, the campaign or, on a leader, the round began
	timeout int             // ticks after which a follower campaigns

	// What follows up to reads is a leader's.
	peers       []*peer // every other member, and those that left and are still told so; by id
	ownFirst    uint64  // index of the no-op that began the term
	round       uint64  // the last round of heartbeats begun
	confirmed   uint64  // the last round that a quorum answered
	reads       []read  // not answered yet, in the order of their rounds
	transferee  uint64  // whom leadership goes to; 0 for none
	transferred int     // ticks since that was asked

	asked      []asked // reads passed on to the leader, not answered yet
	askedReads int     // how many reads they are
	token      uint64  // of the last group; begins at random, so that no answer to an earlier life fits

	snapshot        Snapshot  // the newest durable one, which peers are offered
	offeredBy       uint64    // who made the last offer, and of what
	offeredAt       Position  //
	offer           *Offer    // not handed out yet
	install         *Snapshot // not handed out yet
	installKeepsLog bool
	installing      int // Installs that are not reported persisted

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
		log:         l,
		snapshot:    snap,
		term:        hs.Term,
		vote:        hs.Vote,
		handedHard:  hs,
		durableHard: hs,
	}
	if err := c.loadConfigs(snap, log); err != nil {
		return nil, err
	}
	c.handedSoft = c.softState()
	c.token = c.rng.Uint64()
	c.drawTimeout()
	return c, nil
}

// Tick tells that one tick of time went by. It fails only as Ready does.
func (c *Core) Tick() error {
	if c.fault != nil {
		return c.fault
	}
	c.elapsed++
	c.ageReads()
	switch {
	case c.role == Leader:
		c.fault = c.tickLeader()
	case !c.mayCampaign():
		if c.leader != 0 && c.elapsed >= c.timeout { // as a voter would no longer count on it
			c.becomeFollower(c.term, 0)
		}
	case c.members.SoleVoter(c.cfg.ID): // no one else to wait for
		if c.role == Follower {
			c.fault = c.campaign(false)
		}
	case c.elapsed >= c.timeout:
		c.fault = c.preCampaign()
	}
	return c.fault
}

// message begins a message of this term.
func (c *Core) message(kind MessageKind, to uint64) Message {
	return Message{
		Kind: kind, ClusterID: c.cfg.ClusterID, From: c.cfg.ID, To: to, Instance: c.cfg.Instance, Term: c.term,
	}
}
