package ledger

import (
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
)

// Entry is one entry of the ledger.
type Entry = sstable.Entry

// Limits of the contract. Options may lower them (and raise MaxValueBytes to 64 MiB).
const (
	MaxKeyBytes         = 4096
	MaxValueBytes       = 32 << 20
	MaxValueBytesLimit  = 64 << 20
	MaxContentTypeBytes = 255
	MaxPrincipalBytes   = 255
	MaxBatchOps         = 10_000
	MaxBatchBytes       = 64 << 20
	MaxIdempotencyBytes = 64
	// MaxSnapshotBytes bounds an encoded state: a full idempotency window and a million segments fit.
	MaxSnapshotBytes = 512 << 20
)

// A Condition must hold of a key's state before the command, or the command appends nothing.
type Condition struct {
	Kind ConditionKind
	// Any stands for "*"; Seqs are the entity tags otherwise.
	Any  bool
	Seqs []uint64
}

// ConditionKind names the HTTP precondition (RFC 9110 §13.1) a Condition stands for.
type ConditionKind uint8

const (
	// IfMatch holds when the key's newest version is live and Any is set or its seq is among Seqs.
	IfMatch ConditionKind = 1
	// IfNoneMatch holds when the key has no live version or, unless Any is set, its seq is not among Seqs.
	IfNoneMatch ConditionKind = 2
)

// WriteOp is one put or delete of a Command.
type WriteOp struct {
	Op          tlog.Op // OpPut or OpDelete
	Key         []byte
	ContentType string
	Value       []byte
	Conditions  []Condition
}

// Command is an atomic list of writes: all are appended, with contiguous seqs, or none. Conditions, and whether a
// deleted key is live, are judged on the state before the command.
type Command struct {
	Ops            []WriteOp
	Principal      string
	IdempotencyKey string      // empty for none
	RequestHash    merkle.Hash // identifies the request that IdempotencyKey stands for
}

// Receipt says what a committed command appended.
type Receipt struct {
	FirstSeq uint64
	Count    uint64
	Time     int64       // microseconds since the epoch
	LeafHash merkle.Hash // of the first entry
	Replayed bool        // an earlier command with the same idempotency key appended it, not this one
}

// Selector picks a version of a key. The zero value picks the newest.
type Selector struct {
	Kind SelectorKind
	Seq  uint64 // BySeq, AsOfSeq
	Time int64  // AsOfTime: microseconds since the epoch
}

// SelectorKind says how a Selector picks.
type SelectorKind uint8

const (
	Newest   SelectorKind = iota // the newest version
	BySeq                        // exactly the version with this seq
	AsOfSeq                      // the newest version at or before this seq
	AsOfTime                     // the newest version at or before this time
)

// Errors of reads and writes. Corruption comes as *vfs.CorruptError.
var (
	// ErrVersionNotFound: the seq asked for is a tombstone, another key's entry, or beyond the end.
	ErrVersionNotFound = errors.New("ledger: no such version of the key")
	// ErrIdempotencyMismatch: the idempotency key was used for another request.
	ErrIdempotencyMismatch = errors.New("ledger: the idempotency key was used for a different request")
	// ErrClosed: the ledger was closed.
	ErrClosed = errors.New("ledger: closed")
	// ErrNoSegment: the segment asked for is not here.
	ErrNoSegment = errors.New("ledger: no such segment here")
	// ErrNoRoom: the disk has no room for the note that begins an installation; nothing was begun.
	ErrNoRoom = errors.New("ledger: no space to begin the installation of a snapshot")
	// ErrRebuilding: there is no state yet; it comes from the other members.
	ErrRebuilding = errors.New("ledger: the state is being rebuilt from the other members")
)

// NotFoundError says that a key has no live version (at the moment asked for).
type NotFoundError struct {
	Tombstone bool   // the key was deleted, by the entry Seq; otherwise it was never written
	Seq       uint64 // valid when Tombstone is set
	OpIndex   int    // the op of a Command that failed; 0 for reads
}

func (e *NotFoundError) Error() string {
	if e.Tombstone {
		return fmt.Sprintf("ledger: key was deleted by entry %d", e.Seq)
	}
	return "ledger: key not found"
}

// PreconditionError says which condition of a command failed.
type PreconditionError struct {
	OpIndex int
	Exists  bool   // the key has a newest version (live or tombstone), and Seq is it
	Seq     uint64 // valid when Exists is set
}

func (e *PreconditionError) Error() string {
	if !e.Exists {
		return fmt.Sprintf("ledger: precondition of op %d failed: the key was never written", e.OpIndex)
	}
	return fmt.Sprintf("ledger: precondition of op %d failed: the newest version is %d", e.OpIndex, e.Seq)
}

// ScanOptions bound a scan over keys. The scan sees the newest live version of each key as of AsOf.
type ScanOptions struct {
	Start, End []byte // [Start, End); nil or empty Start is the first key, nil End is no bound
	Prefix     []byte // only keys that begin with it
	Reverse    bool   // from the last key to the first
	KeysOnly   bool   // leave values out
	Leaves     bool   // fill Entry.Leaf, which otherwise may be zero: a segment's leaf hashes take reads of their own
	// AsOf is the seq at which the scan is pinned. Use Ledger.NextSeq()-1 for now; a scan of an empty ledger is empty.
	AsOf uint64
}

// Iterator walks entries. Use: for it.Next() { it.Entry() }; if err := it.Err() …; always Close. The entry and its
// slices are valid until the next call of Next or Close.
type Iterator interface {
	Next() bool
	Entry() *Entry
	Err() error
	Close() error
}

// Proof is everything a verifier needs for one entry, but trust in the root.
type Proof struct {
	Entry  *Entry // Value may be nil
	Record []byte // canonical record
	Leaf   merkle.Hash
	// Ledger tree, of the TreeSize first entries.
	TreeSize   uint64
	Root       merkle.Hash
	Inclusion  []merkle.Hash
	Checkpoint string // checkpoint note text over TreeSize and Root
	// Segment is nil until the entry is in a sealed segment.
	Segment *SegmentProof
}

// SegmentProof proves an entry's place in its sealed segment.
type SegmentProof struct {
	ID        string
	Ordinal   uint64 // leaf index in the segment tree
	Entries   uint64 // leaves of the segment tree
	Root      merkle.Hash
	Inclusion []merkle.Hash
}

// SegmentInfo describes a sealed segment for people and tools.
type SegmentInfo struct {
	ID                string
	FirstSeq, LastSeq uint64
	Entries           uint64
	Bytes             uint64 // size of the segment file
	Root              merkle.Hash
	MinKey, MaxKey    []byte // of its puts and deletes; nil when it holds none
	Tier              string // "local", "cold" or "both"
	Object            string // object name in the cold tier; empty when local
}

// ManifestInfo is the recorded state for people and tools.
type ManifestInfo struct {
	Version      uint64
	AppliedIndex uint64 // raft index of the last seal point that is recorded
	TreeSize     uint64 // entries in recorded segments
	Segments     []SegmentInfo
	Settings     map[string]string
}
