package ledger

import (
	"fmt"
	"sync"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// RootCheck is a root that the members agree on: of the ledger's first Size entries.
type RootCheck struct {
	Size uint64
	Root merkle.Hash
}

// maxPendingChecks bounds the roots that wait for agreement. Of more the oldest are dropped: a later root covers them.
const maxPendingChecks = 64

// checks are this replica's roots at the sizes to be agreed on.
type checks struct {
	next uint64 // the next size; owned by the apply loop

	mu      sync.Mutex
	pending []RootCheck // by ascending size; guarded by mu
}

// restart begins anew behind size.
func (c *checks) restart(size, every uint64) {
	c.next = (size/every + 1) * every
	c.mu.Lock()
	c.pending = nil
	c.mu.Unlock()
}

// crossChecks takes the root at each size to be agreed on that the last command has reached. For the apply loop.
func (l *Ledger) crossChecks() error {
	c := &l.checks
	for l.next >= c.next {
		root, err := l.tree.Load().RootAt(c.next, l)
		if err != nil {
			return err
		}
		c.mu.Lock()
		if len(c.pending) == maxPendingChecks {
			c.pending = append(c.pending[:0], c.pending[1:]...)
		}
		c.pending = append(c.pending, RootCheck{Size: c.next, Root: root})
		c.mu.Unlock()
		c.next += l.opts.CheckEvery
	}
	return nil
}

// applyCheck compares an agreed root with this replica's. Every replica has the same entries before it, so that one
// which does not reach its size has diverged too.
func (l *Ledger) applyCheck(agreed RootCheck) error {
	what := fmt.Sprintf("the ledger's first %d entries", agreed.Size)
	if agreed.Size > l.next {
		return &DivergedError{What: what, Detail: fmt.Sprintf("this replica has %d", l.next)}
	}
	own, err := l.tree.Load().RootAt(agreed.Size, l)
	if err != nil {
		return err
	}
	if own != agreed.Root {
		return &DivergedError{What: what, Detail: fmt.Sprintf("agreed root %v, own root %v", agreed.Root, own)}
	}
	c := &l.checks
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.pending) > 0 && c.pending[0].Size <= agreed.Size {
		c.pending = c.pending[1:]
	}
	return nil
}

// PendingChecks returns this replica's roots at the multiples of CheckEvery that were reached and not agreed on yet, by
// ascending size; at most 64, the newest.
func (l *Ledger) PendingChecks() []RootCheck {
	c := &l.checks
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]RootCheck(nil), c.pending...)
}

// RootAt returns the root of the ledger's first size entries; merkle.ErrRange when it has fewer.
func (l *Ledger) RootAt(size uint64) (merkle.Hash, error) {
	root, err := l.tree.Load().RootAt(size, l)
	l.noteDamage(err)
	return root, err
}

// TileHashes returns the hashes of a tile of the ledger tree; merkle.ErrRange when the ledger has too few entries for it.
func (l *Ledger) TileHashes(t merkle.Tile) ([]merkle.Hash, error) {
	hashes, err := l.tree.Load().TileHashes(t, l)
	l.noteDamage(err)
	return hashes, err
}

// Checkpoint returns the text of the checkpoint of the ledger's first size entries; merkle.ErrRange when it has fewer.
func (l *Ledger) Checkpoint(size uint64) (string, error) {
	root, err := l.RootAt(size)
	if err != nil {
		return "", err
	}
	c := tlog.Checkpoint{Origin: l.opts.Origin, Size: size, Root: root}
	return c.Text()
}

// Origin is the first line of the ledger's checkpoints.
func (l *Ledger) Origin() string { return l.opts.Origin }

// BuiltRoots returns what describes the segments that are built here of memtables and not recorded, by ascending seq.
func (l *Ledger) BuiltRoots() []tlog.Descriptor {
	v := l.peek()
	var out []tlog.Descriptor
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	for i := len(v.sealed) - 1; i >= 0; i-- {
		if s := v.sealed[i]; s.built != nil && s.recorded == nil {
			out = append(out, descriptorOf(s.info))
		}
	}
	return out
}

// RecordWant is the want to record a segment that the members agree on. RecordWant and CheckWant are for whoever has
// gathered their agreement; a sole voter's is its own (Wanted).
func RecordWant(d tlog.Descriptor) Want {
	return Want{Key: WantKey{Kind: kindRecord, First: d.FirstSeq, Last: d.LastSeq}, Data: encodeRecord(d)}
}

// CheckWant is the want to compare every replica's root with the one that the members agree on.
func CheckWant(c RootCheck) Want {
	return Want{Key: WantKey{Kind: kindCheck, First: c.Size}, Data: encodeCheck(c)}
}
