package sstable

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
)

// inRange reports whether key can be one of the segment's, by its smallest and largest.
func (t *Table) inRange(key []byte) bool {
	return t.props.keys > 0 && bytes.Compare(key, t.props.MinKey) >= 0 && bytes.Compare(key, t.props.MaxKey) <= 0
}

// MayContain is false only if the segment has no entry of key. It reads nothing.
func (t *Table) MayContain(key []byte) bool {
	return t.inRange(key) && t.filter.mayContain(hashKey(key))
}

// Get returns the newest version of key whose seq is at most maxSeq, tombstones included. It reads one block at most,
// and the value's when that is a large one.
func (t *Table) Get(key []byte, maxSeq uint64) (Entry, bool, error) {
	e, found, err := t.Peek(key, maxSeq)
	if err == nil && found && e.Value == nil && e.ValueSize > 0 {
		e, err = t.GetBySeq(e.Seq)
	}
	return e, found && err == nil, err
}

// Peek is Get, except that it does not read a large value: the entry's Value is nil then, its ValueSize and ValueHash
// are set. Whoever wants it calls GetBySeq, and knows before how much memory that takes.
func (t *Table) Peek(key []byte, maxSeq uint64) (Entry, bool, error) {
	if maxSeq < t.props.FirstSeq || !t.MayContain(key) {
		return Entry{}, false, nil
	}
	b, err := t.block(t.index.search(key, maxSeq), true)
	if err != nil {
		return Entry{}, false, err
	}
	i := b.search(key, maxSeq)
	if i == len(b.entries) || !bytes.Equal(b.key(i), key) {
		return Entry{}, false, nil
	}
	var e Entry
	err = t.peek(&e, b, i)
	return e, err == nil, err
}

// PeekBySeq is GetBySeq as Peek is Get.
func (t *Table) PeekBySeq(seq uint64) (Entry, error) {
	b, i, err := t.locate(seq, true)
	if err != nil {
		return Entry{}, err
	}
	var e Entry
	err = t.peek(&e, b, i)
	return e, err
}

// peek fills e with entry i of b, and with its value if the block holds it.
func (t *Table) peek(e *Entry, b *dataBlock, i int) error {
	return t.entry(e, b, i, b.entries[i].flags&flagLarge != 0)
}

// Find is Get for a proof: ordinal is where the version stands in segment order, or, when none is found, where it
// would stand: the entries ordinal-1 and ordinal are its neighbours, as far as the segment has them. The entry's value
// is nil, its ValueHash set. The ordinal is in [SegmentEntries, Entries].
func (t *Table) Find(key []byte, maxSeq uint64) (e Entry, ordinal uint64, found bool, err error) {
	if t.props.keys == 0 {
		return Entry{}, t.props.Entries, false, nil
	}
	n := t.index.search(key, maxSeq)
	b, err := t.block(n, true)
	if err != nil {
		return Entry{}, 0, false, err
	}
	i := b.search(key, maxSeq)
	ordinal = t.index.firstOrdinal(n) + uint64(i)
	if i == len(b.entries) || !bytes.Equal(b.key(i), key) {
		return Entry{}, ordinal, false, nil
	}
	err = t.entry(&e, b, i, true)
	e.ValueHash = b.valueHash(i)
	return e, ordinal, err == nil, err
}

// GetBySeq returns the entry with this seq, which must be the segment's.
func (t *Table) GetBySeq(seq uint64) (Entry, error) {
	b, i, err := t.locate(seq, true)
	if err != nil {
		return Entry{}, err
	}
	var e Entry
	err = t.entry(&e, b, i, false)
	return e, err
}

// TimeAt returns the time of the entry with this seq.
func (t *Table) TimeAt(seq uint64) (int64, error) {
	b, i, err := t.locate(seq, true)
	if err != nil {
		return 0, err
	}
	return b.entries[i].time, nil
}

// At returns the entry at an ordinal, with its ValueHash, without its value when keysOnly is set.
func (t *Table) At(ordinal uint64, keysOnly bool) (Entry, error) {
	if err := t.checkOrdinal(ordinal); err != nil {
		return Entry{}, err
	}
	n := t.index.byOrdinal(ordinal)
	b, err := t.block(n, true)
	if err != nil {
		return Entry{}, err
	}
	i := int(ordinal - t.index.firstOrdinal(n))
	e := Entry{}
	err = t.entry(&e, b, i, keysOnly)
	e.ValueHash = b.valueHash(i)
	return e, err
}

// locate finds the block of a seq, and its place in it.
func (t *Table) locate(seq uint64, fill bool) (*dataBlock, int, error) {
	ordinal, err := t.Ordinal(seq)
	if err != nil {
		return nil, 0, err
	}
	n := t.index.byOrdinal(ordinal)
	b, err := t.block(n, fill)
	if err != nil {
		return nil, 0, err
	}
	i := int(ordinal - t.index.firstOrdinal(n))
	if got := b.entries[i].seq; got != seq {
		return nil, 0, t.corrupt(t.index.handle(n).Offset, fmt.Errorf("seq index puts entry %d where entry %d is", seq, got))
	}
	return b, i, nil
}

// entry fills e with entry i of b.
func (t *Table) entry(e *Entry, b *dataBlock, i int, keysOnly bool) error {
	be := &b.entries[i]
	e.Op, e.Seq, e.Time, e.Key = be.op(), be.seq, be.time, b.key(i)
	e.ContentType, e.Principal = b.strings[be.strings[0]], b.strings[be.strings[1]]
	e.ValueSize, e.ValueHash, e.Value, e.Leaf = uint64(be.valueSize), merkle.Hash{}, nil, merkle.Hash{}
	if be.flags&flagLarge != 0 {
		_, e.ValueHash = b.large(i)
	}
	if keysOnly {
		return nil
	}
	var err error
	e.Value, err = t.value(b, i)
	return err
}

// value returns the value of entry i of b; it reads a large one.
func (t *Table) value(b *dataBlock, i int) ([]byte, error) {
	if b.entries[i].flags&flagLarge == 0 {
		return b.small(i), nil
	}
	h, _ := b.large(i)
	return t.file.Run(h, uint64(b.entries[i].valueSize))
}

// valueHash is the hash of entry i's value: stored for a large one, computed for others.
func (b *dataBlock) valueHash(i int) merkle.Hash {
	if b.entries[i].flags&flagLarge != 0 {
		_, h := b.large(i)
		return h
	}
	return sha256.Sum256(b.small(i))
}
