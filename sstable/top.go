package sstable

import (
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/scribe-ledger/scribe/segfile"
)

// The top level of the index says where partitions are, and which one to look into. It is small (some 50 bytes for
// about 8 MiB of data) and always in memory.
//
//	count u32
//	per partition: end of its data blocks u64 · first ordinal u32 · data blocks u32 · index length u32
//	             · filter length u32 (0: no filter) · end of its separator u32 (top bit: it has a seq)
//	separators
//
// The blocks of the partitions follow the seq tiles without a gap, of each its index, then its filter; lengths are
// those of the stored blocks. The separator is that of the partition's first data block; the first partition of keys,
// and those before it, have empty ones.
const (
	topRecordLen = 28

	maxPartitionBlocks = 1024    // data blocks
	maxPartitionKeys   = 1 << 16 // distinct keys: what a filter is built over
	maxPartitionBytes  = 96 << 10
)

type partitionRef struct {
	indexBounds
	index  segfile.Handle
	filter segfile.Handle // Length 0: none
}

type topIndex struct {
	parts []partitionRef
	keyed int // the first partition of puts and deletes; len(parts) when there is none
	bytes uint64
}

// topBuilder gathers the top level while partitions are closed.
type topBuilder struct {
	records    []byte
	separators []byte
}

func (b *topBuilder) add(dataEnd, firstOrdinal uint64, blocks int, index, filter uint64, s separator) {
	le := binary.LittleEndian
	var hasSeq bool
	b.separators, hasSeq = s.append(b.separators)
	end := uint32(len(b.separators))
	if hasSeq {
		end |= separatorSeq
	}
	b.records = le.AppendUint64(b.records, dataEnd)
	for _, v := range [...]uint32{uint32(firstOrdinal), uint32(blocks), uint32(index), uint32(filter), end} {
		b.records = le.AppendUint32(b.records, v)
	}
}

func (b *topBuilder) finish() []byte {
	dst := binary.LittleEndian.AppendUint32(nil, uint32(len(b.records)/topRecordLen))
	return append(append(dst, b.records...), b.separators...)
}

// parseTop reads and checks the top level. The partitions' own blocks lie in [at, end), data blocks in [0, dataEnd).
// Its errors are reasons for a *vfs.CorruptError. It keeps b.
func parseTop(b []byte, entries, segments, at, end, dataEnd uint64) (*topIndex, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("top index of %d bytes", len(b))
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n == 0 || n > uint64(len(b)-4)/topRecordLen {
		return nil, fmt.Errorf("top index of %d partitions in %d bytes", n, len(b))
	}
	records, separators := b[4:4+n*topRecordLen], b[4+n*topRecordLen:]
	t := &topIndex{parts: make([]partitionRef, n), keyed: int(n), bytes: end - at}
	le := binary.LittleEndian
	var data, sepEnd uint64
	for i := range t.parts {
		p, r := &t.parts[i], records[i*topRecordLen:]
		p.dataAt, p.dataEnd = data, le.Uint64(r)
		p.first, p.blocks = uint64(le.Uint32(r[8:])), uint64(le.Uint32(r[12:]))
		p.index = segfile.Handle{Offset: at, Length: uint64(le.Uint32(r[16:]))}
		p.filter = segfile.Handle{Offset: at + p.index.Length, Length: uint64(le.Uint32(r[20:]))}
		sep := le.Uint32(r[24:])
		next := uint64(sep &^ separatorSeq)
		p.keyed = p.first >= segments
		switch {
		case p.dataEnd <= data || p.dataEnd > dataEnd:
			return nil, fmt.Errorf("partition %d has data from %d to %d of %d", i, data, p.dataEnd, dataEnd)
		case i == 0 && p.first != 0 || i > 0 && p.first <= t.parts[i-1].first || p.first >= entries:
			return nil, fmt.Errorf("partition %d begins at entry %d of %d", i, p.first, entries)
		case p.blocks == 0 || p.blocks > maxPartitionBlocks:
			return nil, fmt.Errorf("partition %d has %d blocks", i, p.blocks)
		case p.index.Length == 0 || p.index.Length > end-at || p.filter.Length > end-at-p.index.Length:
			return nil, fmt.Errorf("partition %d is out of bounds", i)
		case next < sepEnd || next > uint64(len(separators)) || hasSeparatorSeq(sep) && next-sepEnd <= 8:
			return nil, fmt.Errorf("separator of partition %d ends at %d", i, next)
		}
		p.separator = parseSeparator(separators[sepEnd:next], hasSeparatorSeq(sep))
		if p.keyed && t.keyed == int(n) {
			t.keyed = i
			if p.first != segments {
				return nil, fmt.Errorf("no partition begins with the first key")
			}
		}
		if (i <= t.keyed) != (len(p.separator.key) == 0) {
			return nil, fmt.Errorf("separator of partition %d has %d bytes", i, next-sepEnd)
		}
		if i > t.keyed {
			if last := t.parts[i-1].separator; !p.separator.after(last.key, last.seq) {
				return nil, fmt.Errorf("separator of partition %d is out of order", i)
			}
			t.parts[i-1].nextSep = p.separator
		}
		if i > 0 {
			t.parts[i-1].end = p.first
		}
		data, sepEnd, at = p.dataEnd, next, at+p.index.Length+p.filter.Length
	}
	t.parts[n-1].end = entries
	if segments < entries && t.keyed == int(n) {
		return nil, fmt.Errorf("no partition of keys for %d entries", entries-segments)
	}
	if at != end || data != dataEnd || sepEnd != uint64(len(separators)) {
		return nil, fmt.Errorf("partitions end at %d of %d, their data at %d of %d", at, end, data, dataEnd)
	}
	return t, nil
}

// search returns the partition that (key, seq) belongs to. There must be one of keys.
func (t *topIndex) search(key []byte, seq uint64) int {
	lo, hi := t.keyed+1, len(t.parts)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if t.parts[mid].separator.after(key, seq) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo - 1
}

// byOrdinal returns the partition that holds an ordinal, which must be below the number of entries.
func (t *topIndex) byOrdinal(ordinal uint64) int {
	return sort.Search(len(t.parts), func(i int) bool { return t.parts[i].first > ordinal }) - 1
}

// nextSeparator is the separator of the block behind block i of partition p; false when there is none.
func (p *partition) nextSeparator(i int) (separator, bool) {
	if i+1 < p.count {
		return p.separator(i + 1), true
	}
	return p.ref.nextSep, len(p.ref.nextSep.key) > 0
}

// partition is a partition as it is searched. It is immutable.
type partition struct {
	*blockIndex
	number int
	ref    *partitionRef
	filter keyFilter
	memory int
}

// separatorOf is the separator of block i, wherever it is kept.
func (p *partition) separatorOf(i int) separator {
	if i == 0 {
		return separator{p.ref.separator.key, p.ref.separator.seq}
	}
	return p.separator(i)
}
