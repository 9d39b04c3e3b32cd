package node

import "github.com/scribe-ledger/scribe/merkle"

// SealResult says what a seal did.
type SealResult struct {
	Segments      []string // ids of the segments made, in seq order
	SealedThrough uint64   // last sealed seq; valid when Any
	Any           bool     // false when the ledger is empty
}

// Unavailable says that the node cannot do a thing now, and what became of it.
type Unavailable struct {
	Reason Reason
	Detail string // for the client
}

func (e *Unavailable) Error() string { return string(e.Reason) + ": " + e.Detail }

// Reason is the error code of the contract.
type Reason string

const (
	Overloaded     Reason = "overloaded"      // 503, not applied
	NoLeader       Reason = "no_leader"       // 503, not applied
	NotReady       Reason = "not_ready"       // 503, not applied
	OutcomeUnknown Reason = "outcome_unknown" // 504
	DiskFull       Reason = "disk_full"       // 507, not applied
	ReadOnly       Reason = "read_only"       // 405, not applied: what serves is a reader of an archive
)

// Status is a node's view of itself and the cluster.
type Status struct {
	NodeID       uint64
	ClusterID    string
	LedgerID     string // the cluster's id, but after a restore
	Role         string // "leader", "follower", "candidate", "learner"
	Leader       uint64 // 0 when unknown
	Term         uint64
	CommitIndex  uint64
	AppliedIndex uint64
	FirstIndex   uint64
	LastIndex    uint64
	TreeSize     uint64
	Root         merkle.Hash
	Ready        bool   // has a leader and has caught up
	Fault        string // why this node cannot serve; empty when it can
	WritesFault  string // why writes are refused though reads work (full disk); empty when they are not
	Warning      string // what fails, and is tried again, while nothing is refused yet; empty when nothing does
	Members      []Member
}

// Member is one member of the cluster as this node sees it.
type Member struct {
	NodeID     uint64
	RaftAddr   string
	HTTPAddr   string
	Role       string
	Voter      bool
	Healthy    bool
	MatchIndex uint64
	Lag        uint64
	Detail     string // why it is not healthy, where that is known
}
