package raft

// Role is what a node is at the moment.
type Role uint8

const (
	// Follower accepts entries from a leader; every node starts as one. Learners are followers always.
	Follower Role = iota
	// Candidate asks for votes.
	Candidate
	// Leader takes proposals and replicates them.
	Leader
	// PreCandidate asks whether it would get votes, before it begins a term (thesis §9.6).
	PreCandidate
)

// String returns the role in lower case.
func (r Role) String() string {
	switch r {
	case Follower:
		return "follower"
	case Candidate:
		return "candidate"
	case Leader:
		return "leader"
	case PreCandidate:
		return "pre-candidate"
	}
	return "unknown"
}

// SoftState is what need not survive a restart.
type SoftState struct {
	Role   Role
	Leader uint64 // 0 when unknown
	Term   uint64
}

// Position names one entry of the log: an index alone does not, because an entry that never committed may be replaced.
type Position struct {
	Index uint64
	Term  uint64
}

// ReadState answers one ReadIndex.
type ReadState struct {
	Context uint64 // as given to ReadIndex
	// Index: a state machine that has applied up to here may serve the read. Not valid when Lost.
	Index uint64
	// Lost: leadership ended before the read could be confirmed; it may be asked again, here or elsewhere.
	Lost bool
}

// Offer is a snapshot that a leader offers.
type Offer struct {
	From     uint64 // who offers it and certainly has its content
	Snapshot Snapshot
}

// Ready is work for the shell. Each piece is handed out exactly once, and several Readys may be outstanding; what
// must be kept between the pieces is told at the fields. Slices belong to the receiver, the Data of entries to no
// one: it is never changed.
type Ready struct {
	// Number counts the Readys of this core from 1. Progress.Persisted refers to it.
	Number uint64

	// SoftState is set when it changed.
	SoftState *SoftState

	// HardState (when not nil) and Entries are to be made durable, both or neither, in the order of the Readys; one
	// sync may cover several Readys. Entries whose indexes the log has already replace those and all that follow.
	HardState *HardState
	Entries   []Entry

	// Messages may be sent at once.
	Messages []Message
	// AfterSync may be sent once this Ready, and so all before it, is durable: each promises something that must
	// survive a crash.
	AfterSync []Message

	// Committed entries are to be applied in order; they are durable here. They follow those of the Ready before.
	Committed []Entry

	// ReadStates answers reads.
	ReadStates []ReadState

	// Offer, when not nil, is a snapshot that the leader would have this node take over, because the log alone does not
	// lead there any more. The core goes on as it is. The shell fetches the content beside the loop and calls Restore.
	Offer *Offer

	// Install, when not nil, follows a call of Restore: the state machine is to hold this snapshot. The shell puts it
	// in place durably before anything else of this Ready: then the log begins anew after Install.Index (unless
	// InstallKeepsLog), together with HardState, then come Entries. Only then is this Ready persisted. Committed
	// entries follow the snapshot. It counts as applied once the shell reports Applied: Install.Index or more.
	Install *Snapshot
	// InstallKeepsLog says that the log holds the snapshot's last entry, so that what follows it stays.
	InstallKeepsLog bool
}

// Progress is what the shell reports back. Zero fields report nothing, so one report may carry either or both.
type Progress struct {
	// Persisted is the Number of a Ready that is durable together with all before it: their HardState and Entries
	// survive a crash. A number, not an index, because an index says nothing of a vote, and an entry that was replaced
	// while its write was under way must not be counted for its successor.
	Persisted uint64
	// Applied is the index of the last entry of Ready.Committed that the state machine has taken in.
	Applied uint64
}

// write is a Ready that is handed out and not yet durable.
type write struct {
	number uint64
	hard   HardState
	// last is the last entry that the log as it stands now owes to this write. A conflict cuts it back, so that the
	// acknowledgement of a replaced entry never counts for the entry in its place.
	last     uint64
	installs bool // it carries an Install
}

// HasReady says whether Ready would hand out anything.
func (c *Core) HasReady() bool {
	return len(c.messages) > 0 || len(c.afterSync) > 0 || len(c.readStates) > 0 ||
		c.offer != nil || c.install != nil ||
		c.softState() != c.handedSoft || c.hardChanged() || c.log.hasUnwritten() ||
		c.log.hasCommitted(c.cfg.MaxApplyingBytes) || c.hasSupplies()
}

// Ready takes all work there is. An error comes from the LogReader; it is final, and the core hands out no more.
func (c *Core) Ready() (Ready, error) {
	if c.fault != nil {
		return Ready{}, c.fault
	}
	var committed []Entry
	err := c.supply()
	if err == nil {
		committed, err = c.log.takeCommitted(c.cfg.MaxCommittedBytes, c.cfg.MaxApplyingBytes)
	}
	if err != nil {
		c.fault = err
		return Ready{}, err
	}
	c.number++
	rd := Ready{
		Number:     c.number,
		Messages:   c.messages,
		AfterSync:  c.afterSync,
		ReadStates: c.readStates,
		Committed:  committed,
		Offer:      c.offer,
		Install:    c.install,

		InstallKeepsLog: c.installKeepsLog,
	}
	c.messages, c.afterSync, c.readStates = nil, nil, nil
	c.offer, c.install, c.installKeepsLog = nil, nil, false
	for i := range c.asked {
		c.asked[i].closed = true
	}
	if s := c.softState(); s != c.handedSoft {
		c.handedSoft = s
		rd.SoftState = &s
	}
	rd.Entries = c.log.takeUnwritten()
	// Commit rides along and never causes a write of its own: it would cost a sync for a hint.
	if hs := c.hardState(); c.hardChanged() || rd.Install != nil || (len(rd.Entries) > 0 && hs != c.handedHard) {
		c.handedHard = hs
		rd.HardState = &hs
	}
	if rd.HardState != nil || len(rd.Entries) > 0 {
		w := write{number: rd.Number, hard: c.handedHard, last: c.log.written, installs: rd.Install != nil}
		c.writes = append(c.writes, w)
	}
	return rd, nil
}

// Advance takes a report. ErrInvalidState says that the report cannot be true: something was reported that was never
// handed out, or reports went backwards. Other errors come from the LogReader. Either is final.
func (c *Core) Advance(p Progress) error {
	if c.fault != nil {
		return c.fault
	}
	err := c.advance(p)
	c.fault = err
	return err
}

func (c *Core) advance(p Progress) error {
	if p.Persisted != 0 {
		if p.Persisted > c.number || p.Persisted < c.persisted {
			return invalid("persisted ready %d, with %d handed out and %d persisted before",
				p.Persisted, c.number, c.persisted)
		}
		c.persisted = p.Persisted
		n := 0
		for n < len(c.writes) && c.writes[n].number <= p.Persisted {
			c.durableHard = c.writes[n].hard
			c.log.durableTo(c.writes[n].last)
			if c.writes[n].installs {
				c.installing--
			}
			n++
		}
		c.writes = append(c.writes[:0], c.writes[n:]...)
		if c.role != Leader { // a leader keeps to the bound by refusing proposals
			c.log.relieve(c.cfg.MaxUncommittedBytes)
		}
		if n > 0 {
			if err := c.onDurable(); err != nil {
				return err
			}
		}
	}
	if p.Applied != 0 {
		return c.log.appliedTo(p.Applied)
	}
	return nil
}

func (c *Core) softState() SoftState { return SoftState{Role: c.role, Leader: c.leader, Term: c.term} }

// hardState never names a commit index that the durable log might not reach: after a crash the log must hold it.
func (c *Core) hardState() HardState {
	return HardState{Term: c.term, Vote: c.vote, Commit: min(c.log.commit, c.log.durable)}
}

func (c *Core) hardChanged() bool { return c.term != c.handedHard.Term || c.vote != c.handedHard.Vote }
