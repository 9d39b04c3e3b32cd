package httpapi

import (
	"context"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/node"
)

// Backend is what the HTTP layer needs of a node. *node.Node is the real one.
type Backend interface {
	Reader
	// Write proposes cmd and returns once it is durable on a quorum and applied. Errors: *ledger.NotFoundError,
	// *ledger.PreconditionError, ledger.ErrIdempotencyMismatch, *vfs.CorruptError, *ledger.ColdError (nothing appended for
	// any of these), and *node.Unavailable. The context may have a deadline and never be done.
	Write(ctx context.Context, cmd *ledger.Command) (ledger.Receipt, error)
	// Barrier returns once a read of the local state is linearizable: it reflects every write acknowledged before the
	// call. Errors: *node.Unavailable.
	Barrier(ctx context.Context) error
	// Seal makes everything committed before the call part of durable, recorded segments.
	Seal(ctx context.Context) (node.SealResult, error)
	// Compact merges segments until nothing more is due or, with all set, until as few are left as the limits allow.
	// Errors: *node.Unavailable.
	Compact(ctx context.Context, all bool) (node.CompactResult, error)
	// Tier does a round of the cold tier, with evict set one that gives up every local copy that may go. TierStatus is
	// what this node knows of it, without a Store where there is none; it never blocks. Errors: ledger.ErrNoCold,
	// *node.TierError, *tier.Error, *node.Unavailable.
	Tier(ctx context.Context, evict bool) (node.TierResult, error)
	TierStatus() node.TierStatus
	// Scrub reads and checks every copy that this node has, or reads in the store, and repairs what it can.
	Scrub(ctx context.Context) (node.ScrubResult, error)
	// Join, Leave, Promote and Transfer change the members, or who leads them, from any node, and return once that is
	// committed. What holds already is no error. Transfer to 0 is to the member that is furthest. Errors:
	// *node.MemberError (nothing was changed) and *node.Unavailable.
	Join(ctx context.Context, r node.JoinRequest) (node.JoinResult, error)
	Leave(ctx context.Context, id uint64) error
	Promote(ctx context.Context, id uint64) error
	Transfer(ctx context.Context, id uint64) error
	// Status is a snapshot of the node's view of itself and the cluster; it never blocks.
	Status() node.Status
}

// Reader reads this node's applied state. *ledger.Ledger has these methods. Errors are those of package ledger and
// *vfs.CorruptError, and tier.ErrUnavailable, in a *ledger.ColdError or not, for what is in the object store only.
type Reader interface {
	// NextSeq is the seq the next entry will get: the ledger's size.
	NextSeq() uint64
	// Get returns a live version with its value. *NotFoundError, ErrVersionNotFound.
	Get(key []byte, sel ledger.Selector) (*ledger.Entry, error)
	// Peek is Get, except that the Value of an entry may be nil though it has one; ValueSize and ValueHash are set then.
	Peek(key []byte, sel ledger.Selector) (*ledger.Entry, error)
	// OpenValue opens the value of a put that Peek has found, to be read piece by piece. ErrVersionNotFound.
	OpenValue(seq uint64) (ledger.Value, error)
	// History walks the versions of a key with seq < before, newest first, tombstones included. The iterator is empty
	// when there are none; Exists tells a key never written from one whose versions are all at or after before.
	History(key []byte, before uint64, values bool) (ledger.Iterator, error)
	// Exists says whether the key was ever written.
	Exists(key []byte) (bool, error)
	// Scan walks newest live versions in key order.
	Scan(opts ledger.ScanOptions) (ledger.Iterator, error)
	// Entries walks the ledger in seq order from a seq up to its present end.
	Entries(from uint64, keysOnly bool) (ledger.Iterator, error)
	// SeqAtTime returns how many entries have a time at or before t (microseconds): as_of_time t means seqs below that.
	SeqAtTime(t int64) (uint64, error)
	// Prove proves the newest version of a key (a tombstone too), or with BySeq that version. *NotFoundError when the
	// key was never written, ErrVersionNotFound.
	Prove(key []byte, sel ledger.Selector) (*ledger.Proof, error)
	// Consistency returns the roots at two sizes, from <= to <= NextSeq, and the RFC 6962 proof between them.
	Consistency(from, to uint64) (fromRoot, toRoot merkle.Hash, proof []merkle.Hash, err error)
	// Manifest is the recorded state: version, applied index, segments.
	Manifest() ledger.ManifestInfo
}
