package sstable

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// inRange reports whether key can be one of the segment's, by its smallest and largest.
func (t *Table) inRange(key []byte) bool {
	return t.props.keys > 0 && bytes.Compare(key, t.props.MinKey) >= 0 && bytes.Compare(key, t.props.MaxKey) <= 0
}

// MayContain is false only if the segment has no entry of key. It reads at most a partition of the index; one that
// cannot be read may contain anything, and whoever looks for the key meets the error.
func (t *Table) MayContain(key []byte) bool {
	_, may, err := t.mayContain(key, HashKey(key), math.MaxUint64, true)
	return may || err != nil
}

// mayContain asks the filter of the partition that (key, maxSeq) belongs to, and returns the partition.
func (t *Table) mayContain(key []byte, hash, maxSeq uint64, fill bool) (*partition, bool, error) {
	if !t.inRange(key) {
		return nil, false, nil
	}
	p, err := t.partition(t.top.search(key, maxSeq), fill)
	if err != nil {
		return nil, false, err
	}
	return p, p.filter.mayContain(hash), nil
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
	return t.PeekHashed(key, HashKey(key), maxSeq)
}

// PeekHashed is Peek for a key whose HashKey is known.
func (t *Table) PeekHashed(key []byte, hash, maxSeq uint64) (Entry, bool, error) {
	if maxSeq < t.props.FirstSeq {
		return Entry{}, false, nil
	}
	p, may, err := t.mayContain(key, hash, maxSeq, true)
	if err != nil || !may {
		return Entry{}, false, err
	}
	b, err := t.block(blockAt{p, p.search(key, maxSeq)}, true)
	if err != nil {
		return Entry{}, false, err
	}
	i := b.search(key, maxSeq)
	if i == b.count || b.compareKey(i, key) != 0 {
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
	return t.entry(e, b, i, b.isLarge(i), &keyArena{})
}

// Find is Get for a proof: ordinal is where the version stands in segment order, or, when none is found, where it
// would stand: the entries ordinal-1 and ordinal are its neighbours, as far as the segment has them. The entry's value
// is nil, its ValueHash set. The ordinal is in [SegmentEntries, Entries].
func (t *Table) Find(key []byte, maxSeq uint64) (e Entry, ordinal uint64, found bool, err error) {
	if t.props.keys == 0 {
		return Entry{}, t.props.Entries, false, nil
	}
	at, err := t.blockOf(key, maxSeq, true)
	if err != nil {
		return Entry{}, 0, false, err
	}
	b, err := t.block(at, true)
	if err != nil {
		return Entry{}, 0, false, err
	}
	i := b.search(key, maxSeq)
	ordinal = at.firstOrdinal() + uint64(i)
	if i == b.count || b.compareKey(i, key) != 0 {
		return Entry{}, ordinal, false, nil
	}
	err = t.entry(&e, b, i, true, &keyArena{})
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
	err = t.entry(&e, b, i, false, &keyArena{})
	return e, err
}

// TimeAt returns the time of the entry with this seq.
func (t *Table) TimeAt(seq uint64) (int64, error) {
	b, i, err := t.locate(seq, true)
	if err != nil {
		return 0, err
	}
	return b.time(i), nil
}

// At returns the entry at an ordinal, with its ValueHash, without its value when keysOnly is set.
func (t *Table) At(ordinal uint64, keysOnly bool) (Entry, error) {
	if err := t.checkOrdinal(ordinal); err != nil {
		return Entry{}, err
	}
	at, err := t.blockOfOrdinal(ordinal, true)
	if err != nil {
		return Entry{}, err
	}
	b, err := t.block(at, true)
	if err != nil {
		return Entry{}, err
	}
	i := int(ordinal - at.firstOrdinal())
	e := Entry{}
	err = t.entry(&e, b, i, keysOnly, &keyArena{})
	e.ValueHash = b.valueHash(i)
	return e, err
}

// locate finds the block of a seq, and its place in it.
func (t *Table) locate(seq uint64, fill bool) (*dataBlock, int, error) {
	ordinal, err := t.Ordinal(seq)
	if err != nil {
		return nil, 0, err
	}
	at, err := t.blockOfOrdinal(ordinal, fill)
	if err != nil {
		return nil, 0, err
	}
	b, err := t.block(at, fill)
	if err != nil {
		return nil, 0, err
	}
	i := int(ordinal - at.firstOrdinal())
	if got := b.seq(i); got != seq {
		return nil, 0, t.corrupt(at.handle().Offset, fmt.Errorf("seq index puts entry %d where entry %d is", seq, got))
	}
	return b, i, nil
}

// entry fills e with entry i of b. Its key is made in keys.
func (t *Table) entry(e *Entry, b *dataBlock, i int, keysOnly bool, keys *keyArena) error {
	k := b.kind(i)
	e.Op, e.Seq, e.Time, e.Key = tlog.Op(k.flags&opMask), b.seq(i), b.time(i), keys.key(b, i)
	e.ContentType, e.Principal = k.contentType, k.principal
	e.ValueHash, e.Value, e.Leaf = merkle.Hash{}, nil, merkle.Hash{}
	stored := b.stored(i)
	if k.flags&flagLarge == 0 {
		e.ValueSize = uint64(len(stored))
		if !keysOnly {
			e.Value = stored
		}
		return nil
	}
	large := b.large(i)
	e.ValueSize, e.ValueHash = large.size, large.hash
	if keysOnly {
		return nil
	}
	var err error
	e.Value, err = t.readLarge(large)
	return err
}

// value returns the value of entry i of b; it reads a large one.
func (t *Table) value(b *dataBlock, i int) ([]byte, error) {
	if !b.isLarge(i) {
		return b.stored(i), nil
	}
	return t.readLarge(b.large(i))
}

func (t *Table) readLarge(v largeValue) ([]byte, error) {
	run, err := t.file.OpenRun(v.at, v.size)
	if err != nil {
		return nil, err
	}
	return run.All()
}

// valueHash is the hash of entry i's value: stored for a large one, computed for others.
func (b *dataBlock) valueHash(i int) merkle.Hash {
	if b.isLarge(i) {
		return b.large(i).hash
	}
	return sha256.Sum256(b.stored(i))
}

// keyArena makes keys from their two parts, many to an allocation. A walk has one for its life: each key lies behind
// the one before, and is never written again; or, with again, in its place, apart from its block.
type keyArena struct {
	free  []byte
	again bool
}

const keyArenaBytes = 4 << 10

// key returns entry i's key, which stays valid for good, or until the next one is made.
func (a *keyArena) key(b *dataBlock, i int) []byte {
	prefix, suffix := b.key(i)
	if a.again {
		a.free = append(append(a.free[:0], prefix...), suffix...)
		return a.free[:len(a.free):len(a.free)]
	}
	if len(prefix) == 0 {
		return suffix[:len(suffix):len(suffix)]
	}
	n := len(prefix) + len(suffix)
	if n > len(a.free) {
		// The first key gets just its own room: a point read makes one.
		room := n
		if a.free != nil {
			room = max(n, keyArenaBytes)
		}
		a.free = make([]byte, room)
	}
	key := a.free[:n:n]
	a.free = a.free[n:]
	copy(key[copy(key, prefix):], suffix)
	return key
}
