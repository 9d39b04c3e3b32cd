package sstable

import (
	"bytes"
	"math"

	"github.com/scribe-ledger/scribe/merkle"
)

// IterOptions bound an Iter. The zero value walks every version of every key, values included.
type IterOptions struct {
	Lower, Upper []byte // [Lower, Upper); empty Lower is the first key, nil Upper is no bound
	KeysOnly     bool   // leave values out (see Iter.Value); blocks of large values are not read then
	// Newest walks one version of each key: the newest with Seq <= AsOf. Keys without one are passed over.
	Newest bool
	AsOf   uint64 // only with Newest
	Leaves bool   // fill Entry.Leaf
	// NoFill leaves the block cache as it is: for compaction and other passes over everything.
	NoFill bool
	// Reuse keeps what an entry's slices point to until the next move only. A long walk then puts a part of its blocks
	// into the cache, and reads all others into the memory of the one before.
	Reuse bool
}

// Iter walks puts and deletes by key ascending, within a key by seq descending; OpSegment entries do not show. Moving
// methods report whether the iterator stands on an entry; false means the end, or an error that Err returns and that
// is final. A new Iter stands nowhere: Next then means First, and Prev means Last. After the end it stands nowhere
// again. It is for one goroutine.
type Iter struct {
	opts   IterOptions
	at     cursor
	leaves leafReader
	keys   keyArena
	entry  Entry // its key is that of the entry shown last, whether the cursor has moved or not
}

// Iter returns an iterator within the bounds of opts. It keeps the bounds' slices.
func (t *Table) Iter(opts IterOptions) *Iter {
	return &Iter{opts: opts, keys: keyArena{again: opts.Reuse}, at: cursor{t: t, fill: !opts.NoFill, reuse: opts.Reuse,
		ahead: readAhead{upper: opts.Upper, keysOnly: opts.KeysOnly}}}
}

// First moves to the first entry.
func (it *Iter) First() bool {
	if len(it.opts.Lower) > 0 {
		return it.forward(it.at.seek(it.opts.Lower, math.MaxUint64))
	}
	return it.forward(it.at.first())
}

// Last moves to the last entry.
func (it *Iter) Last() bool {
	if it.opts.Upper != nil {
		return it.backward(it.at.seekBefore(it.opts.Upper))
	}
	return it.backward(it.at.last())
}

// SeekGE moves to the first entry whose key is at or after key.
func (it *Iter) SeekGE(key []byte) bool {
	if bytes.Compare(key, it.opts.Lower) < 0 {
		key = it.opts.Lower
	}
	return it.forward(it.at.seek(key, math.MaxUint64))
}

// SeekLT moves to the last entry whose key is before key.
func (it *Iter) SeekLT(key []byte) bool {
	if it.opts.Upper != nil && bytes.Compare(key, it.opts.Upper) > 0 {
		key = it.opts.Upper
	}
	return it.backward(it.at.seekBefore(key))
}

// Next moves one entry on.
func (it *Iter) Next() bool {
	if !it.at.valid() {
		return it.First()
	}
	if it.opts.Newest {
		return it.forward(it.at.seekPast(it.entry.Key))
	}
	return it.forward(it.at.next())
}

// Prev moves one entry back.
func (it *Iter) Prev() bool {
	if !it.at.valid() {
		return it.Last()
	}
	if it.opts.Newest {
		return it.backward(it.at.prevKey(it.entry.Key))
	}
	return it.backward(it.at.prev())
}

// forward settles on the first entry from the cursor on that opts let show.
func (it *Iter) forward(ok bool) bool {
	for ok && it.below() {
		if !it.opts.Newest || it.at.seq() <= it.opts.AsOf {
			return it.show()
		}
		// The cursor came from before this key, so its newest version is here, and too new. The next place in order is
		// this key's version as of AsOf, or the next key.
		ok = it.at.seek(it.at.key(), it.opts.AsOf)
	}
	it.at.b = nil
	return false
}

// backward settles on the first entry from the cursor back that opts let show.
func (it *Iter) backward(ok bool) bool {
	for ok && it.above() {
		if !it.opts.Newest {
			return it.show()
		}
		// The cursor stands on the oldest version of its key.
		key := it.keys.key(it.at.b, it.at.i)
		if it.at.seq() <= it.opts.AsOf {
			return it.at.newest(key, it.opts.AsOf) && it.show()
		}
		ok = it.at.prevKey(key)
	}
	it.at.b = nil
	return false
}

func (it *Iter) below() bool {
	return it.opts.Upper == nil || it.at.compareKey(it.opts.Upper) < 0
}

func (it *Iter) above() bool { return len(it.opts.Lower) == 0 || it.at.compareKey(it.opts.Lower) >= 0 }

// show fills the entry from the cursor.
func (it *Iter) show() bool {
	c := &it.at
	err := c.t.entry(&it.entry, c.b, c.i, it.opts.KeysOnly, &it.keys)
	if err == nil && it.opts.Leaves {
		it.entry.Leaf, err = it.leaves.read(c.t, c.ordinal(), c.fill)
	}
	if err != nil {
		c.err, c.b = err, nil
	}
	return err == nil
}

// Entry is where the iterator stands. The struct is reused by the next move; its slices stay valid, but for
// IterOptions.Reuse.
func (it *Iter) Entry() *Entry { return &it.entry }

// Ordinal is the entry's place in segment order. The iterator must stand on an entry.
func (it *Iter) Ordinal() uint64 { return it.at.ordinal() }

// Leaf reads the leaf hash of the current entry, for walks that want it of some entries only.
func (it *Iter) Leaf() (merkle.Hash, error) { return it.leaves.read(it.at.t, it.Ordinal(), it.at.fill) }

// Value reads the value of the current entry, which a walk over keys only left out.
func (it *Iter) Value() ([]byte, error) { return it.at.t.value(it.at.b, it.at.i) }

// Err is the error that ended the walk.
func (it *Iter) Err() error { return it.at.err }

// Close releases the blocks held.
func (it *Iter) Close() error {
	it.at.b = nil
	return it.at.err
}
