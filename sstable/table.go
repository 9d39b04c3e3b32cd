package sstable

import (
	"context"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
)

// Options of Open. The zero value is the documented default.
type Options struct {
	Cache  *BlockCache // shared between tables; default none: every read decodes its block
	Expect *Info       // what the manifest says of the segment (Bytes 0 is not compared); nil skips the cross-check
}

// Table reads one sealed segment. It is immutable and safe for concurrent use by any number of goroutines. It holds
// no file: the caller closes the source once no call is under way.
//
// Entries it returns alias immutable decoded blocks on the heap: they stay valid for good, and must not be modified.
// Their Leaf is zero unless a method says otherwise.
type Table struct{}

// Open checks the footer, the section table and every section that searches rely on, and cross-checks them with
// opts.Expect. Damage, or another segment than the expected one, is a *vfs.CorruptError.
func Open(src segfile.Source, opts Options) (*Table, error) { return nil, errTodo }

// Info describes the segment.
func (t *Table) Info() Info { return Info{} }

// SegmentEntries is how many OpSegment entries the segment holds; theirs are the ordinals below it.
func (t *Table) SegmentEntries() uint64 { return 0 }

// MayContain is false only if the segment has no entry of key. It reads nothing.
func (t *Table) MayContain(key []byte) bool { return false }

// Get returns the newest version of key whose seq is at most maxSeq, tombstones included. It reads one block at most,
// and the value's when that is a large one.
func (t *Table) Get(key []byte, maxSeq uint64) (Entry, bool, error) { return Entry{}, false, errTodo }

// Find is Get for a proof: ordinal is where the version stands in segment order, or, when none is found, where it
// would stand: the entries ordinal-1 and ordinal are its neighbours, as far as the segment has them. The entry's value
// is nil. The answer is in [SegmentEntries, Entries].
func (t *Table) Find(key []byte, maxSeq uint64) (e Entry, ordinal uint64, found bool, err error) {
	return Entry{}, 0, false, errTodo
}

// GetBySeq returns the entry with this seq, which must be the segment's.
func (t *Table) GetBySeq(seq uint64) (Entry, error) { return Entry{}, errTodo }

// At returns the entry at an ordinal, without its value when keysOnly is set.
func (t *Table) At(ordinal uint64, keysOnly bool) (Entry, error) { return Entry{}, errTodo }

// Ordinal returns the place of a seq in segment order.
func (t *Table) Ordinal(seq uint64) (uint64, error) { return 0, errTodo }

// TimeAt returns the time of the entry with this seq.
func (t *Table) TimeAt(seq uint64) (int64, error) { return 0, errTodo }

// Leaf returns the leaf hash at an ordinal.
func (t *Table) Leaf(ordinal uint64) (merkle.Hash, error) { return merkle.Hash{}, errTodo }

// Leaves fills dst with the leaf hashes of the seqs first, first+1, …, all of which must be the segment's.
func (t *Table) Leaves(first uint64, dst []merkle.Hash) error { return errTodo }

// Inclusion proves the entry at ordinal under Info.Root (RFC 6962 §2.1.1), leaf to root.
func (t *Table) Inclusion(ordinal uint64) ([]merkle.Hash, error) { return nil, errTodo }

// LedgerNodes returns what Writer.SetLedgerNodes was given.
func (t *Table) LedgerNodes() ([]merkle.Hash, error) { return nil, errTodo }

// Verify reads the whole segment: every byte is checked against its checksum, order and coverage of seqs and keys
// against index, filter and seq index, every leaf is computed again by leaf, and the root from them. The first
// difference is a *vfs.CorruptError.
func (t *Table) Verify(ctx context.Context, leaf func(*Entry) merkle.Hash) error { return errTodo }
