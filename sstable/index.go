package sstable

import (
	"encoding/binary"
	"fmt"
	"math"
	"sort"

	"github.com/scribe-ledger/scribe/segfile"
)

// The index finds the one data block that an entry is in, by key and seq or by ordinal. It has two levels: a partition
// indexes some hundred neighbouring data blocks and has a filter over their keys, the top level says which partition to
// look into (topIndex). A partition is of OpSegment blocks only, or of none.
//
//	count u32
//	per block: offset u64 · stored length u32 (top bit: the separator has a seq) · first ordinal u32
//	         · end of the separator among the separators u32
//	separators: per block a key, then, where the top bit says so, a seq u64
//
// The separator of block i is a point after block i-1's last entry, at or before block i's first, in the order by key
// ascending and seq descending. Where the key changes between the two it is the shortest prefix of the new key that
// tells them apart, before all its versions; where one key's versions go on it is that key and the last seq of block
// i-1, less one. So every (key, seq) belongs to exactly one block. That of a partition's first block is kept in the top
// level, and empty here; those of OpSegment blocks are all empty.
const (
	indexRecordLen = 20
	separatorSeq   = 1 << 31
)

// indexBuilder gathers one partition while its blocks are written.
type indexBuilder struct {
	records    []byte
	separators []byte
}

func (b *indexBuilder) count() int { return len(b.records) / indexRecordLen }

func (b *indexBuilder) size() int { return 4 + len(b.records) + len(b.separators) }

func (b *indexBuilder) add(h segfile.Handle, ordinal uint64, s separator) {
	length := uint32(h.Length)
	var hasSeq bool
	if b.separators, hasSeq = s.append(b.separators); hasSeq {
		length |= separatorSeq
	}
	b.records = binary.LittleEndian.AppendUint64(b.records, h.Offset)
	b.records = binary.LittleEndian.AppendUint32(b.records, length)
	b.records = binary.LittleEndian.AppendUint32(b.records, uint32(ordinal))
	b.records = binary.LittleEndian.AppendUint32(b.records, uint32(len(b.separators)))
}

// finish returns the partition and makes the builder empty.
func (b *indexBuilder) finish() []byte {
	dst := binary.LittleEndian.AppendUint32(make([]byte, 0, b.size()), uint32(b.count()))
	dst = append(append(dst, b.records...), b.separators...)
	b.records, b.separators = b.records[:0], b.separators[:0]
	return dst
}

// blockIndex is one partition. It is immutable, and searched as it stands in the file.
type blockIndex struct {
	count      int
	end        uint64 // ordinal behind its last entry
	records    []byte
	separators []byte
}

// indexBounds is what the top level says of a partition.
type indexBounds struct {
	first, end         uint64 // ordinals
	blocks             uint64
	dataAt, dataEnd    uint64    // its blocks lie there
	separator, nextSep separator // of its first block, and of the block behind its last; nextSep has no key at the end
	keyed              bool      // puts and deletes, not OpSegment entries
}

// parseIndex reads and checks a partition: everything in range and in order. Its errors are reasons for a
// *vfs.CorruptError. It keeps b.
func parseIndex(b []byte, in *indexBounds) (*blockIndex, error) {
	if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) != in.blocks || in.blocks == 0 ||
		in.blocks > uint64(len(b)-4)/indexRecordLen {
		return nil, fmt.Errorf("index partition of %d bytes for %d blocks", len(b), in.blocks)
	}
	n := 4 + in.blocks*indexRecordLen
	ix := &blockIndex{count: int(in.blocks), end: in.end, records: b[4:n], separators: b[n:]}
	end, sepEnd, lastSep := in.dataAt, uint32(0), in.separator
	for i := range ix.count {
		h, sepLen := ix.handle(i), int64(ix.separatorEnd(i))-int64(sepEnd)
		if h.Offset < end || h.Offset > in.dataEnd || h.Length > in.dataEnd-h.Offset || h.Length == 0 {
			return nil, fmt.Errorf("block %d at %d, %d bytes, is out of bounds or order", i, h.Offset, h.Length)
		}
		end = h.Offset + h.Length
		if ord := ix.firstOrdinal(i); i == 0 && ord != in.first || i > 0 && ord <= ix.firstOrdinal(i-1) || ord >= in.end {
			return nil, fmt.Errorf("block %d begins at entry %d, of [%d, %d)", i, ord, in.first, in.end)
		}
		empty := i == 0 || !in.keyed
		if sepLen < 0 || uint64(ix.separatorEnd(i)) > uint64(len(ix.separators)) ||
			ix.hasSeq(i) && sepLen <= 8 || empty != (sepLen == 0) {
			return nil, fmt.Errorf("separator of block %d has %d bytes", i, sepLen)
		}
		sepEnd = ix.separatorEnd(i)
		if empty {
			continue
		}
		sep := ix.separator(i)
		if !sep.after(lastSep.key, lastSep.seq) {
			return nil, fmt.Errorf("separator of block %d is out of order", i)
		}
		lastSep = sep
	}
	switch {
	case uint64(sepEnd) != uint64(len(ix.separators)):
		return nil, fmt.Errorf("index has %d bytes after its last separator", len(ix.separators)-int(sepEnd))
	case end != in.dataEnd:
		return nil, fmt.Errorf("index ends at %d, its partition at %d", end, in.dataEnd)
	case in.keyed && len(in.nextSep.key) > 0 && !in.nextSep.after(lastSep.key, lastSep.seq):
		return nil, fmt.Errorf("separators go beyond the next partition's")
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
		return ix.firstOrdinal(i), ix.end
	}
	return ix.firstOrdinal(i), ix.firstOrdinal(i + 1)
}

func (ix *blockIndex) separator(i int) separator {
	var start uint32
	if i > 0 {
		start = ix.separatorEnd(i - 1)
	}
	return parseSeparator(ix.separators[start:ix.separatorEnd(i)], ix.hasSeq(i))
}

// search returns the block that (key, seq) belongs to, if it belongs to the partition.
func (ix *blockIndex) search(key []byte, seq uint64) int {
	lo, hi := 1, ix.count // the first block whose separator is after the point
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s := ix.separator(mid); s.after(key, seq) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo - 1
}

// byOrdinal returns the block that holds an ordinal, which must be the partition's.
func (ix *blockIndex) byOrdinal(ordinal uint64) int {
	return sort.Search(ix.count, func(i int) bool { return ix.firstOrdinal(i) > ordinal }) - 1
}

// hasSeparatorSeq marks a separator that has a seq, in the top level.
func hasSeparatorSeq(end uint32) bool { return end&separatorSeq != 0 }

func parseSeparator(b []byte, hasSeq bool) separator {
	if hasSeq {
		n := len(b) - 8
		return separator{b[:n:n], binary.LittleEndian.Uint64(b[n:])}
	}
	return separator{b, math.MaxUint64}
}
