package sstable

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
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
type Table struct {
	src    segfile.Source
	file   *segfile.Reader
	props  properties
	index  *blockIndex
	filter keyFilter
	upper  *merkle.Upper
	leaves tileArray
	seqs   tileArray
	cache  *BlockCache
	number uint64 // in cache
}

// Open checks the footer, the section table and every section that searches rely on, and cross-checks them with
// opts.Expect. Damage, or another segment than the expected one, is a *vfs.CorruptError.
func Open(src segfile.Source, opts Options) (*Table, error) {
	file, err := segfile.Open(src)
	if err != nil {
		return nil, err
	}
	t := &Table{src: src, file: file, cache: opts.Cache, number: opts.Cache.newTable()}
	for _, s := range []struct {
		kind  uint32
		parse func([]byte) error
	}{
		{sectionProperties, t.parseProperties},
		{sectionIndex, t.parseIndex},
		{sectionFilter, t.parseFilter},
		{sectionUpper, t.parseUpper},
	} {
		b, err := file.Section(s.kind)
		if err != nil {
			return nil, err
		}
		if err := s.parse(b); err != nil {
			at, _ := file.SectionAt(s.kind)
			return nil, t.corrupt(at.Offset, err)
		}
	}
	if err := t.expect(opts.Expect); err != nil {
		return nil, t.corrupt(0, err)
	}
	// The root ties the upper part, and the last tile's leaves, to the properties.
	root, err := merkle.RootAt(t.props.Entries, t.nodes())
	if err != nil {
		return nil, err
	}
	if root != t.props.Root {
		return nil, t.corrupt(0, fmt.Errorf("root is %s, computed %s", t.props.Root, root))
	}
	return t, nil
}

func (t *Table) parseProperties(b []byte) (err error) {
	if t.props, err = parseProperties(b); err != nil {
		return err
	}
	t.props.Bytes = t.file.Size()
	if t.file.Salt() != saltOf(t.props.ID) {
		return fmt.Errorf("file's salt is not that of segment %s", t.props.ID)
	}
	t.leaves, t.seqs = tileArrays(t.file.MetaOffset(), t.props.Entries)
	if t.seqs.end() != t.file.BlocksEnd() {
		return fmt.Errorf("tiles of %d entries end at %d, not at %d", t.props.Entries, t.seqs.end(), t.file.BlocksEnd())
	}
	return nil
}

func (t *Table) parseIndex(b []byte) (err error) {
	t.index, err = parseIndex(b, t.props.Entries, t.props.segments, t.file.MetaOffset())
	return err
}

func (t *Table) parseFilter(b []byte) (err error) {
	t.filter, err = parseFilter(b)
	return err
}

func (t *Table) parseUpper(b []byte) error {
	if uint64(len(b)) != t.props.Entries/merkle.TileWidth*merkle.HashSize {
		return fmt.Errorf("upper tree of %d bytes for %d entries", len(b), t.props.Entries)
	}
	t.upper = merkle.NewUpper(hashes(b))
	return nil
}

// expect compares what the file says of itself with what the manifest does.
func (t *Table) expect(want *Info) error {
	got := &t.props.Info
	switch {
	case want == nil:
		return nil
	case got.FirstSeq != want.FirstSeq || got.LastSeq != want.LastSeq:
		return fmt.Errorf("this is segment %s, not %s", got.ID, tlog.SegmentID(want.FirstSeq, want.LastSeq))
	case got.Entries != want.Entries:
		return fmt.Errorf("segment has %d entries, not %d", got.Entries, want.Entries)
	case got.Root != want.Root:
		return fmt.Errorf("segment's root is %s, not %s", got.Root, want.Root)
	case want.Bytes != 0 && got.Bytes != want.Bytes:
		return fmt.Errorf("segment's file has %d bytes, not %d", got.Bytes, want.Bytes)
	}
	return nil
}

// Info describes the segment.
func (t *Table) Info() Info { return t.props.Info }

// SegmentEntries is how many OpSegment entries the segment holds; theirs are the ordinals below it.
func (t *Table) SegmentEntries() uint64 { return t.props.segments }

// Keys is how many distinct keys the segment's puts and deletes have.
func (t *Table) Keys() uint64 { return t.props.keys }

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
	if err := t.entry(&e, b, i, false); err != nil {
		return Entry{}, false, err
	}
	return e, true, nil
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
	return e, t.entry(&e, b, i, false)
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

// block returns data block n, decoded and checked against the index. fill puts it into the cache.
func (t *Table) block(n int, fill bool) (*dataBlock, error) {
	h := t.index.handle(n)
	key := cacheKey{t.number, h.Offset}
	if c, ok := t.cache.get(key); ok {
		return c.block, nil
	}
	raw, err := t.file.Block(h, nil)
	if err != nil {
		return nil, err
	}
	b, err := decodeBlock(raw, t.props.FirstSeq, t.props.LastSeq)
	if err == nil {
		err = t.checkBlock(n, b)
	}
	if err != nil {
		return nil, t.corrupt(h.Offset, err)
	}
	if fill {
		t.cache.put(key, cached{block: b})
	}
	return b, nil
}

// checkBlock holds a decoded block against the index: what the index says of where entries are must be true of every
// block that is searched, else a damaged one could pass for the absence of a key.
func (t *Table) checkBlock(n int, b *dataBlock) error {
	first, end := t.index.ordinals(n)
	if uint64(len(b.entries)) != end-first {
		return fmt.Errorf("block has %d entries, the index says %d", len(b.entries), end-first)
	}
	last := len(b.entries) - 1
	if n < t.index.keyed {
		if b.entries[0].op() != tlog.OpSegment { // one of them means all of them, by their order
			return fmt.Errorf("block of segment entries holds others")
		}
		return nil
	}
	if b.entries[0].op() == tlog.OpSegment {
		return fmt.Errorf("block of keys holds segment entries")
	}
	if sep := t.index.separator(n); sep.after(b.key(0), b.entries[0].seq) {
		return fmt.Errorf("block begins before its separator in the index")
	}
	if n+1 < t.index.count && !t.index.separator(n+1).after(b.key(last), b.entries[last].seq) {
		return fmt.Errorf("block ends after the next one's separator in the index")
	}
	if n == t.index.keyed && !bytes.Equal(b.key(0), t.props.MinKey) ||
		n+1 == t.index.count && !bytes.Equal(b.key(last), t.props.MaxKey) {
		return fmt.Errorf("block's first or last key is not the segment's")
	}
	return nil
}

// tile returns tile i of an array.
func (t *Table) tile(a tileArray, i uint64, fill bool) ([]byte, error) {
	h := a.handle(i)
	key := cacheKey{t.number, h.Offset}
	if c, ok := t.cache.get(key); ok {
		return c.tile, nil
	}
	b, err := t.file.Block(h, nil)
	if err != nil {
		return nil, err
	}
	if uint64(len(b)) != h.Length-segfile.BlockOverhead {
		return nil, t.corrupt(h.Offset, fmt.Errorf("tile of %d bytes in a block of %d", len(b), h.Length))
	}
	if fill {
		t.cache.put(key, cached{tile: b})
	}
	return b, nil
}

func (t *Table) corrupt(offset uint64, reason error) error {
	return &vfs.CorruptError{File: t.file.Name(), Offset: int64(min(offset, math.MaxInt64)), Reason: reason.Error()}
}
