package sstable

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"sort"

	"github.com/scribe-ledger/scribe/segfile"
)

// The index finds the one data block that an entry is in, by key and seq or by ordinal.
//
//	count u32
//	per block: offset u64 · stored length u32 (top bit: the separator has a seq) · first ordinal u32
//	         · end of the separator among the separators u32
//	separators: per block a key, then, where the top bit says so, a seq u64
//
// The separator of block i is a point after block i-1's last entry, at or before block i's first, in the order by key
// ascending and seq descending. Where the key changes between the two it is the shortest prefix of the new key that
// tells them apart, before all its versions; where one key's versions go on it is that key and the last seq of block
// i-1, less one. So every (key, seq) belongs to exactly one block. Blocks of OpSegment entries come first and, like
// the first block of keys, have an empty separator.
const (
	indexRecordLen = 20
	separatorSeq   = 1 << 31
)

// separator is a point in the order by key ascending and seq descending.
type separator struct {
	key []byte
	seq uint64 // math.MaxUint64: before all versions of key
}

// after reports whether the point stands after (key, seq).
func (s separator) after(key []byte, seq uint64) bool { return compare(s.key, s.seq, key, seq) > 0 }

// compare orders two points by key ascending and seq descending.
func compare(aKey []byte, aSeq uint64, bKey []byte, bSeq uint64) int {
	if c := bytes.Compare(aKey, bKey); c != 0 {
		return c
	}
	return cmp.Compare(bSeq, aSeq)
}

// separate returns the separator between a block's last entry and the next block's first.
func separate(lastKey []byte, lastSeq uint64, firstKey []byte) separator {
	n := commonPrefix(lastKey, firstKey)
	if n == len(firstKey) { // the keys are equal, as lastKey is not after firstKey; so lastSeq is not 0
		return separator{firstKey, lastSeq - 1}
	}
	return separator{firstKey[:n+1], math.MaxUint64}
}

// indexBuilder gathers the index while blocks are written.
type indexBuilder struct {
	records    []byte
	separators []byte
}

func (b *indexBuilder) add(h segfile.Handle, ordinal uint64, s separator) {
	length := uint32(h.Length)
	b.separators = append(b.separators, s.key...)
	if len(s.key) > 0 && s.seq != math.MaxUint64 {
		b.separators = binary.LittleEndian.AppendUint64(b.separators, s.seq)
		length |= separatorSeq
	}
	b.records = binary.LittleEndian.AppendUint64(b.records, h.Offset)
	b.records = binary.LittleEndian.AppendUint32(b.records, length)
	b.records = binary.LittleEndian.AppendUint32(b.records, uint32(ordinal))
	b.records = binary.LittleEndian.AppendUint32(b.records, uint32(len(b.separators)))
}

func (b *indexBuilder) finish() []byte {
	dst := binary.LittleEndian.AppendUint32(nil, uint32(len(b.records)/indexRecordLen))
	return append(append(dst, b.records...), b.separators...)
}

// blockIndex is the index of a table. It is immutable, and searched as it stands in the file.
type blockIndex struct {
	count      int
	keyed      int // the first block of puts and deletes; count when there is none
	entries    uint64
	records    []byte
	separators []byte
}

// parseIndex reads and checks an index: everything in range and in order. segments of the entries are OpSegment ones;
// blocks lie in [0, dataEnd). Its errors are reasons for a *vfs.CorruptError.
func parseIndex(b []byte, entries, segments, dataEnd uint64) (*blockIndex, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("index of %d bytes", len(b))
	}
	count := uint64(binary.LittleEndian.Uint32(b))
	if count == 0 || count > entries || count*indexRecordLen > uint64(len(b)-4) {
		return nil, fmt.Errorf("index of %d blocks in %d bytes for %d entries", count, len(b), entries)
	}
	ix := &blockIndex{
		count:      int(count),
		entries:    entries,
		records:    b[4 : 4+count*indexRecordLen],
		separators: b[4+count*indexRecordLen:],
	}
	ix.keyed = sort.Search(ix.count, func(i int) bool { return ix.firstOrdinal(i) >= segments })
	if segments < entries && (ix.keyed == ix.count || ix.firstOrdinal(ix.keyed) != segments) {
		return nil, fmt.Errorf("index has no block that begins with the first key")
	}
	var (
		end     uint64 // of the block before
		sepEnd  uint32
		lastSep separator
	)
	for i := range ix.count {
		h, sepLen := ix.handle(i), int64(ix.separatorEnd(i))-int64(sepEnd)
		if h.Offset < end || h.Offset > dataEnd || h.Length > dataEnd-h.Offset || h.Length == 0 {
			return nil, fmt.Errorf("block %d at %d, %d bytes, is out of bounds or order", i, h.Offset, h.Length)
		}
		end = h.Offset + h.Length
		if ord := ix.firstOrdinal(i); i == 0 && ord != 0 || i > 0 && ord <= ix.firstOrdinal(i-1) || ord >= entries {
			return nil, fmt.Errorf("block %d begins at entry %d of %d", i, ord, entries)
		}
		if sepLen < 0 || uint64(ix.separatorEnd(i)) > uint64(len(ix.separators)) ||
			ix.hasSeq(i) && sepLen <= 8 || i <= ix.keyed && sepLen != 0 || i > ix.keyed && sepLen == 0 {
			return nil, fmt.Errorf("separator of block %d has %d bytes", i, sepLen)
		}
		sepEnd = ix.separatorEnd(i)
		sep := ix.separator(i)
		if i > ix.keyed && !sep.after(lastSep.key, lastSep.seq) {
			return nil, fmt.Errorf("separator of block %d is out of order", i)
		}
		lastSep = sep
	}
	if uint64(sepEnd) != uint64(len(ix.separators)) {
		return nil, fmt.Errorf("index has %d bytes after its last separator", len(ix.separators)-int(sepEnd))
	}
	return ix, nil
}

func (ix *blockIndex) u32(i, at int) uint32 {
	return binary.LittleEndian.Uint32(ix.records[i*indexRecordLen+at:])
}

func (ix *blockIndex) handle(i int) segfile.Handle {
	return segfile.Handle{
		Offset: binary.LittleEndian.Uint64(ix.records[i*indexRecordLen:]),
		Length: uint64(ix.u32(i, 8) &^ separatorSeq),
	}
}

func (ix *blockIndex) hasSeq(i int) bool { return ix.u32(i, 8)&separatorSeq != 0 }

func (ix *blockIndex) firstOrdinal(i int) uint64 { return uint64(ix.u32(i, 12)) }

func (ix *blockIndex) separatorEnd(i int) uint32 { return ix.u32(i, 16) }

// ordinals is the range of block i.
func (ix *blockIndex) ordinals(i int) (first, end uint64) {
	if i+1 == ix.count {
		return ix.firstOrdinal(i), ix.entries
	}
	return ix.firstOrdinal(i), ix.firstOrdinal(i + 1)
}

func (ix *blockIndex) separator(i int) separator {
	var start uint32
	if i > 0 {
		start = ix.separatorEnd(i - 1)
	}
	b := ix.separators[start:ix.separatorEnd(i)]
	if ix.hasSeq(i) {
		n := len(b) - 8
		return separator{b[:n:n], binary.LittleEndian.Uint64(b[n:])}
	}
	return separator{b, math.MaxUint64}
}

// search returns the block that (key, seq) belongs to. There must be a block of keys.
func (ix *blockIndex) search(key []byte, seq uint64) int {
	n := sort.Search(ix.count-ix.keyed-1, func(i int) bool {
		return ix.separator(ix.keyed+1+i).after(key, seq)
	})
	return ix.keyed + n
}

// byOrdinal returns the block that holds an ordinal, which must be below the number of entries.
func (ix *blockIndex) byOrdinal(ordinal uint64) int {
	return sort.Search(ix.count, func(i int) bool { return ix.firstOrdinal(i) > ordinal }) - 1
}
