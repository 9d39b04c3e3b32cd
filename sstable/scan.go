package sstable

import (
	"bytes"
	"fmt"
)

// VersionIter walks the versions of one key, newest first. Use: for it.Next() { it.Entry() }; it.Err(). It is for one
// goroutine.
type VersionIter struct {
	at       cursor
	key      []byte
	maxSeq   uint64
	keysOnly bool
	begun    bool
	entry    Entry
}

// Versions walks the versions of key with Seq <= maxSeq. It keeps key.
func (t *Table) Versions(key []byte, maxSeq uint64, keysOnly bool) *VersionIter {
	return &VersionIter{at: cursor{t: t, fill: true}, key: key, maxSeq: maxSeq, keysOnly: keysOnly}
}

// Next moves to the newest version, then to the next older one.
func (it *VersionIter) Next() bool {
	ok := false
	switch {
	case !it.begun:
		it.begun = true
		ok = it.at.t.MayContain(it.key) && it.at.seek(it.key, it.maxSeq)
	case it.at.valid():
		ok = it.at.next()
	}
	if !ok || !bytes.Equal(it.at.key(), it.key) {
		it.at.b = nil
		return false
	}
	if err := it.at.t.entry(&it.entry, it.at.b, it.at.i, it.keysOnly); err != nil {
		it.at.err, it.at.b = err, nil
		return false
	}
	return true
}

// Entry is where the iterator stands. The struct is reused by the next move; its slices stay valid.
func (it *VersionIter) Entry() *Entry { return &it.entry }

// Err is the error that ended the walk.
func (it *VersionIter) Err() error { return it.at.err }

// ScanOptions bound a walk over all entries of a segment.
type ScanOptions struct {
	From     uint64 // first seq, or first ordinal
	KeysOnly bool   // leave values out
	Leaves   bool   // fill Entry.Leaf
	NoFill   bool   // leave the block cache as it is
	// LeaveLarge leaves the values out that have blocks of their own, for Writer.AddFrom: Entry.Value is nil then,
	// ValueSize and ValueHash are set.
	LeaveLarge bool
}

// ScanIter walks entries, OpSegment ones included. Use: for it.Next() { it.Entry() }; it.Err(). It is for one
// goroutine.
type ScanIter struct {
	t     *Table
	opts  ScanOptions
	bySeq bool
	next  uint64 // offset from FirstSeq, or ordinal
	n     int    // block held in b
	b     *dataBlock
	tile  leafReader
	entry Entry
	err   error
}

// BySeq walks the entries in ledger order, from the seq opts.From on. Entries near each other in the ledger lie far
// apart in a segment: without a cache that holds much of it, every entry costs a block.
func (t *Table) BySeq(opts ScanOptions) *ScanIter {
	return &ScanIter{t: t, opts: opts, bySeq: true, next: max(opts.From, t.props.FirstSeq) - t.props.FirstSeq}
}

// ByOrdinal walks the entries in segment order, from the ordinal opts.From on: what a merge of segments reads.
func (t *Table) ByOrdinal(opts ScanOptions) *ScanIter {
	return &ScanIter{t: t, opts: opts, next: opts.From}
}

// Next moves one entry on.
func (it *ScanIter) Next() bool {
	if it.err != nil || it.next >= it.t.props.Entries {
		return false
	}
	it.err = it.load()
	it.next++
	return it.err == nil
}

func (it *ScanIter) load() error {
	ordinal, fill := it.next, !it.opts.NoFill
	if it.bySeq {
		var err error
		if ordinal, err = it.t.ordinal(it.t.props.FirstSeq+it.next, fill); err != nil {
			return err
		}
	}
	if n := it.t.index.byOrdinal(ordinal); it.b == nil || n != it.n {
		b, err := it.t.block(n, fill)
		if err != nil {
			return err
		}
		it.n, it.b = n, b
	}
	i := int(ordinal - it.t.index.firstOrdinal(it.n))
	if want := it.t.props.FirstSeq + it.next; it.bySeq && it.b.entries[i].seq != want {
		return it.t.corrupt(it.t.index.handle(it.n).Offset,
			fmt.Errorf("seq index puts entry %d where entry %d is", want, it.b.entries[i].seq))
	}
	if err := it.t.entry(&it.entry, it.b, i, it.opts.KeysOnly); err != nil {
		return err
	}
	if it.opts.Leaves {
		var err error
		it.entry.Leaf, err = it.tile.read(it.t, ordinal, fill)
		return err
	}
	return nil
}

// Entry is where the iterator stands. The struct is reused by the next move; its slices stay valid.
func (it *ScanIter) Entry() *Entry { return &it.entry }

// Err is the error that ended the walk.
func (it *ScanIter) Err() error { return it.err }
