package sstable

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// blockBuilder gathers the entries of one data block.
type blockBuilder struct {
	firstSeq  uint64 // of the segment
	weight    int    // about what the entries take in the block
	seqs      []uint64
	times     []uint64
	kindOf    []uint64
	keys      []byte // whole
	keyEnds   []uint64
	values    []byte
	valueEnds []uint64
	kinds     []kind
	// unordered: keys go back somewhere, as those of segment entries do, which stand by seq. The first and the last of a
	// group then do not tell what all have in common, and no prefix is cut off.
	unordered bool
}

func (b *blockBuilder) count() int { return len(b.seqs) }

// full reports whether another entry could break a limit of the format.
func (b *blockBuilder) full() bool {
	return b.count() == maxBlockEntries || len(b.kinds) == maxBlockKinds
}

// add appends e. large is where a large value was stored; nil puts the value into the block.
func (b *blockBuilder) add(e *Entry, large *largeValue) {
	k := kind{flags: byte(e.Op), contentType: e.ContentType, principal: e.Principal}
	if large != nil {
		k.flags |= flagLarge
	}
	place := slices.Index(b.kinds, k)
	if place < 0 {
		place = len(b.kinds)
		b.kinds = append(b.kinds, k)
		b.weight += 3 + len(k.contentType) + len(k.principal)
	}
	values, shared := len(b.values), 0
	if n := b.count(); n > 0 {
		before := b.key(n - 1)
		shared = commonPrefix(before, e.Key)
		b.unordered = b.unordered || shared < len(before) && (shared == len(e.Key) || before[shared] > e.Key[shared])
	}
	b.seqs = append(b.seqs, e.Seq-b.firstSeq)
	b.times = append(b.times, uint64(e.Time))
	b.kindOf = append(b.kindOf, uint64(place))
	b.keys = append(b.keys, e.Key...)
	b.keyEnds = append(b.keyEnds, uint64(len(b.keys)))
	if large != nil {
		b.values = large.append(b.values)
	} else {
		b.values = append(b.values, e.Value...)
	}
	b.valueEnds = append(b.valueEnds, uint64(len(b.values)))
	b.weight += 8 + len(e.Key) - shared + len(b.values) - values
}

func (b *blockBuilder) key(i int) []byte {
	at := uint64(0)
	if i > 0 {
		at = b.keyEnds[i-1]
	}
	return b.keys[at:b.keyEnds[i]]
}

// finish appends the block to dst and makes the builder empty.
func (b *blockBuilder) finish(dst []byte) []byte {
	n, shift := b.count(), b.bestShift()
	keyLen, oneKeyLen := uniform(b.keyEnds)
	valueLen, oneValueLen := uniform(b.valueEnds)
	valueLen++
	if !oneKeyLen {
		keyLen = 0
	}
	if !oneValueLen {
		valueLen = 0
	}
	baseSeq, baseTime := b.rebase()

	dst = append(binary.AppendUvarint(dst, uint64(n)), byte(shift))
	dst = binary.AppendUvarint(dst, keyLen)
	dst = binary.AppendUvarint(dst, valueLen)
	dst = binary.AppendUvarint(dst, baseSeq)
	dst = binary.AppendVarint(dst, baseTime)
	widths := len(dst)
	dst = append(dst, make([]byte, 5)...)
	dst = b.appendKinds(dst)
	for i := 0; i < n; i += 1 << shift {
		p := b.prefix(i, shift)
		dst = append(binary.AppendUvarint(dst, uint64(len(p))), p...)
	}
	suffixes := b.cutKeys(shift)
	columns := [5][]uint64{b.seqs, b.times, b.kindOf, b.keyEnds, b.valueEnds}
	if oneKeyLen {
		columns[3] = nil
	}
	if oneValueLen {
		columns[4] = nil
	}
	for c, values := range columns {
		width := byte(0)
		if len(values) > 0 {
			width = byte(bits.Len64(slices.Max(values))+7) / 8
		}
		dst[widths+c] = width
		for _, v := range values {
			var word [8]byte
			binary.LittleEndian.PutUint64(word[:], v)
			dst = append(dst, word[:width]...)
		}
	}
	dst = append(append(dst, suffixes...), b.values...)
	b.reset()
	return dst
}

func (b *blockBuilder) reset() {
	b.weight, b.unordered = 0, false
	b.seqs, b.times, b.kindOf = b.seqs[:0], b.times[:0], b.kindOf[:0]
	b.keys, b.keyEnds = b.keys[:0], b.keyEnds[:0]
	b.values, b.valueEnds, b.kinds = b.values[:0], b.valueEnds[:0], b.kinds[:0]
}

// rebase makes seqs and times count from the smallest of each.
func (b *blockBuilder) rebase() (seq uint64, time int64) {
	if b.count() == 0 {
		return 0, 0
	}
	seq, time = slices.Min(b.seqs), int64(b.times[0])
	for _, t := range b.times {
		time = min(time, int64(t))
	}
	for i := range b.seqs {
		b.seqs[i] -= seq
		b.times[i] -= uint64(time)
	}
	return seq, time
}

func (b *blockBuilder) appendKinds(dst []byte) []byte {
	var strings []string
	place := func(s string) uint64 {
		if s == "" {
			return 0
		}
		if i := slices.Index(strings, s); i >= 0 {
			return uint64(i) + 1
		}
		strings = append(strings, s)
		return uint64(len(strings))
	}
	kinds := binary.AppendUvarint(nil, uint64(len(b.kinds)))
	for _, k := range b.kinds {
		kinds = append(kinds, k.flags)
		kinds = binary.AppendUvarint(kinds, place(k.contentType))
		kinds = binary.AppendUvarint(kinds, place(k.principal))
	}
	dst = binary.AppendUvarint(dst, uint64(len(strings)))
	for _, s := range strings {
		dst = append(append(dst, byte(len(s))), s...)
	}
	return append(dst, kinds...)
}

// prefix is what the keys of the group that begins with entry i have in common. They are in order, so the first and
// the last tell.
func (b *blockBuilder) prefix(i, shift int) []byte {
	if b.unordered {
		return nil
	}
	first, last := b.key(i), b.key(min(i+1<<shift, b.count())-1)
	return first[:commonPrefix(first, last)]
}

// bestShift is the group size that makes the keys shortest.
func (b *blockBuilder) bestShift() int {
	best, bestSaved := maxGroupShift, -1
	for shift := maxGroupShift; shift >= 2; shift-- {
		saved := 0
		for i := 0; i < b.count(); i += 1 << shift {
			p := len(b.prefix(i, shift))
			saved += p*(min(i+1<<shift, b.count())-i) - p - 1
		}
		if saved > bestSaved {
			best, bestSaved = shift, saved
		}
	}
	return best
}

// cutKeys takes the prefixes off the keys, and counts the ends anew.
func (b *blockBuilder) cutKeys(shift int) []byte {
	out, at, cut := b.keys[:0], uint64(0), 0
	for i, end := range b.keyEnds {
		if i&(1<<shift-1) == 0 {
			// b.prefix would look at ends that are counted anew by now.
			last := b.keyEnds[min(i+1<<shift, len(b.keyEnds))-1]
			lastAt := at
			if n := min(i+1<<shift, len(b.keyEnds)); n-i > 1 {
				lastAt = b.keyEnds[n-2]
			}
			if cut = 0; !b.unordered {
				cut = commonPrefix(b.keys[at:end], b.keys[lastAt:last])
			}
		}
		out = append(out, b.keys[int(at)+cut:end]...) // moves bytes towards the front only
		b.keyEnds[i] = uint64(len(out))
		at = end
	}
	return out
}

// uniform reports whether all lengths that ends tell are one.
func uniform(ends []uint64) (length uint64, ok bool) {
	if len(ends) == 0 {
		return 0, true
	}
	for i, end := range ends {
		if end != uint64(i+1)*ends[0] {
			return 0, false
		}
	}
	return ends[0], true
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for ; i < n; i++ {
		if a[i] != b[i] {
			break
		}
	}
	return i
}
