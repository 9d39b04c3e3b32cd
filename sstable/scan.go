package sstable

import (
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
)

// VersionIter walks the versions of one key, newest first. Use: for it.Next() { it.Entry() }; it.Err(). It is for one
// goroutine.
type VersionIter struct {
	at       cursor
	key      []byte
	maxSeq   uint64
	keysOnly bool
	begun    bool
	keys     keyArena
	leaves   leafReader
	entry    Entry
}

// Versions walks the versions of key with Seq <= maxSeq. It keeps key.
func (t *Table) Versions(key []byte, maxSeq uint64, keysOnly bool) *VersionIter {
	return &VersionIter{at: cursor{t: t, fill: true, ahead: readAhead{keysOnly: keysOnly}}, key: key, maxSeq: maxSeq, keysOnly: keysOnly}
}

// Next moves to the newest version, then to the next older one.
func (it *VersionIter) Next() bool {
	ok := false
	switch {
	case !it.begun:
		it.begun = true
		_, ok, it.at.err = it.at.t.mayContain(it.key, HashKey(it.key), it.maxSeq, true)
		ok = ok && it.at.seek(it.key, it.maxSeq)
	case it.at.valid():
		ok = it.at.next()
	}
	if !ok || it.at.compareKey(it.key) != 0 {
		it.at.b = nil
		return false
	}
	if err := it.at.t.entry(&it.entry, it.at.b, it.at.i, it.keysOnly, &it.keys); err != nil {
		it.at.err, it.at.b = err, nil
		return false
	}
	return true
}

// Entry is where the iterator stands. The struct is reused by the next move; its slices stay valid.
func (it *VersionIter) Entry() *Entry { return &it.entry }

// Leaf reads the leaf hash of the current entry.
func (it *VersionIter) Leaf() (merkle.Hash, error) {
	return it.leaves.read(it.at.t, it.at.ordinal(), it.at.fill)
}

// Err is the error that ended the walk.
func (it *VersionIter) Err() error { return it.at.err }

// ScanOptions bound a walk over all entries of a segment.
type ScanOptions struct {
	From     uint64 // first seq, or first ordinal
	KeysOnly bool   // leave values out
	Leaves   bool   // fill Entry.Leaf
	NoFill   bool   // leave the block cache as it is
	// Reuse reads past the block cache, each block into the memory of the last one: what an entry's slices point to is
	// valid until the next move only.
	Reuse bool
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
	at    blockAt
	first uint64 // ordinals of the block held in b: [first, end)
	end   uint64
	b     *dataBlock
	ahead readAhead
	i     int // entry in b
	tile  leafReader
	keys  keyArena
	own   dataBlock // the current block, with opts.Reuse
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
	return &ScanIter{t: t, opts: opts, next: opts.From, ahead: readAhead{keysOnly: opts.KeysOnly}}
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
	if it.b == nil || ordinal < it.first || ordinal >= it.end {
		if err := it.move(ordinal, fill); err != nil {
			return err
		}
	}
	it.i = int(ordinal - it.first)
	if want := it.t.props.FirstSeq + it.next; it.bySeq && it.b.seq(it.i) != want {
		return it.t.corrupt(it.at.handle().Offset,
			fmt.Errorf("seq index puts entry %d where entry %d is", want, it.b.seq(it.i)))
	}
	keysOnly := it.opts.KeysOnly || it.opts.LeaveLarge && it.b.isLarge(it.i)
	if err := it.t.entry(&it.entry, it.b, it.i, keysOnly, &it.keys); err != nil {
		return err
	}
	if it.opts.Leaves {
		var err error
		it.entry.Leaf, err = it.tile.read(it.t, ordinal, fill)
		return err
	}
	return nil
}

// move makes the block that holds an ordinal the current one.
func (it *ScanIter) move(ordinal uint64, fill bool) error {
	at := blockAt{it.at.p, it.at.i + 1} // a walk by ordinal mostly goes on in the next one
	if it.b == nil || ordinal != it.end || at.i == at.p.count {
		var err error
		if at, err = it.t.blockOfOrdinal(ordinal, fill); err != nil {
			return err
		}
	}
	if !it.bySeq {
		it.ahead.moving(it.t, at)
	}
	var b *dataBlock
	var err error
	if it.opts.Reuse {
		b, err = it.t.blockInto(at, &it.own)
	} else {
		b, err = it.t.block(at, fill)
	}
	if err != nil {
		return err
	}
	it.at, it.b = at, b
	it.first, it.end = at.p.ordinals(at.i)
	return nil
}

// OpenValue returns a handle on the value of the entry it stands on, which LeaveLarge may have left out.
func (it *ScanIter) OpenValue() (*Value, error) { return it.t.openValue(it.b, it.i) }

// Entry is where the iterator stands. The struct is reused by the next move; its slices stay valid, but for
// ScanOptions.Reuse.
func (it *ScanIter) Entry() *Entry { return &it.entry }

// Err is the error that ended the walk.
func (it *ScanIter) Err() error { return it.err }
