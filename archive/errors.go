package archive

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

var (
	// ErrNothingPublished: the store holds no published state.
	ErrNothingPublished = errors.New("archive: nothing is published")
	// ErrBehind: what is published is newer than what was to be published.
	ErrBehind = errors.New("archive: what is published is newer")
	// ErrFormat: a later program has written it, which this one cannot read.
	ErrFormat = errors.New("archive: unknown format")
)

// ForeignError says that a store holds another ledger's archive.
type ForeignError struct {
	Store     string
	Has, Want Identity
}

func (e *ForeignError) Error() string {
	if e.Has.LedgerID == e.Want.LedgerID {
		return fmt.Sprintf("%s/%s says that the origin of ledger %s is %.200q, and here it is %.200q; set it to what it was",
			e.Store, tier.LedgerName, e.Has.LedgerID, e.Has.Origin, e.Want.Origin)
	}
	return fmt.Sprintf("%s is the archive of ledger %.64s, as %s says, and not of ledger %.64s; use another bucket or prefix",
		e.Store, e.Has.LedgerID, tier.LedgerName, e.Want.LedgerID)
}

// ConflictError says that what is published and what was to be published have parted: both extend the same beginning, and
// neither extends the other. Nothing was changed.
type ConflictError struct {
	Store  string
	Object string // which has what is published
	Size   uint64 // of the tree
	// Published and Own are the roots at Size; zero where there is none: Own of a ledger that has fewer entries, Published when
	// the difference was met before they were compared.
	Published, Own merkle.Hash
}

func (e *ConflictError) Error() string {
	root := func(h merkle.Hash) string {
		if h == (merkle.Hash{}) {
			return ""
		}
		return fmt.Sprintf(" (root %s)", h)
	}
	return fmt.Sprintf("%s/%s: what is published of the ledger's first %d entries%s is not what this ledger has%s: "+
		"they have parted, as after a restore while members of the old cluster go on; stop the one that is not wanted, or give it a "+
		"bucket or prefix of its own", e.Store, e.Object, e.Size, root(e.Published), root(e.Own))
}

// OwnerError says that the archive belongs to another cluster of the same ledger: one that was restored from it, or one that
// was the first to publish. Nothing was changed.
type OwnerError struct {
	Store string
	Owner Owner
	Own   string // the cluster that has asked
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("the archive %s belongs to cluster %.64s since version %d, and this is cluster %.64s: it uploads, publishes, "+
		"sweeps and evicts nothing any more; stop the cluster that is not wanted, or give this one a copy of the archive "+
		"(docs/tiering.md)", e.Store, e.Owner.Cluster, e.Owner.Since, cmp.Or(e.Own, "without a name"))
}

// damaged is the error of an object that is not what it should be, or is not there. The reason says what to do, too.
func damaged(s tier.Store, name, format string, args ...any) error {
	return &vfs.CorruptError{File: s.Name() + "/" + name, Reason: fmt.Sprintf(format, args...)}
}

// failed is the store's error with what was being done.
func failed(s tier.Store, doing string, err error) error {
	return fmt.Errorf("archive %s: %s: %w", s.Name(), doing, err)
}
