package sstable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/scribe-ledger/scribe/tlog"
)

// decode makes b the data block in data, of the segment with the seqs [first, last], and checks it: bounds, order,
// limits. Its errors are reasons for a *vfs.CorruptError. The block keeps data. After it, nothing in the block can lead
// outside.
func (b *dataBlock) decode(data []byte, first, last uint64) error {
	r := &blockReader{b: data}
	*b = dataBlock{data: data, groups: b.groups[:0], kinds: b.kinds[:0]} // whose memory may serve again
	count, shift, keyLen, valueLen := r.uvarint(), r.byte(), r.uvarint(), r.uvarint()
	baseSeq := r.uvarint()
	b.baseTime = r.varint()
	widths := r.take(5)
	if r.failed || count == 0 || count > maxBlockEntries || shift > maxGroupShift || keyLen > tlog.MaxKeyBytes ||
		valueLen > uint64(len(data))+1 || baseSeq > last-first {
		return fmt.Errorf("block of %d entries begins with nonsense", count)
	}
	b.count, b.shift, b.keyLen, b.valueLen = int(count), shift, int(keyLen), int(valueLen)-1
	b.baseSeq = first + baseSeq
	if err := b.decodeKinds(r); err != nil {
		return err
	}
	if err := b.decodeGroups(r); err != nil {
		return err
	}
	for c, col := range [...]*column{&b.seqs, &b.times, &b.kindOf, &b.keyEnds, &b.valueEnds} {
		w := widths[c]
		if w > 8 || c == 3 && keyLen > 0 && w > 0 || c == 4 && valueLen > 0 && w > 0 {
			return fmt.Errorf("column %d of width %d", c, w)
		}
		*col = column{at: uint32(r.at), width: uint32(w), mask: 1<<(8*w) - 1}
		r.take(count * uint64(w))
	}
	if r.failed {
		return errors.New("block ends within its columns")
	}
	if err := b.split(r.at); err != nil {
		return err
	}
	return b.check(last)
}

func (b *dataBlock) decodeKinds(r *blockReader) error {
	n := r.uvarint()
	if r.failed || n > 2*maxBlockKinds {
		return fmt.Errorf("block of %d strings", n)
	}
	var few [4]string
	strings := few[:1]
	for range n {
		strings = append(strings, string(r.take(uint64(r.byte()))))
	}
	kinds := r.uvarint()
	if r.failed || kinds == 0 || kinds > maxBlockKinds {
		return fmt.Errorf("block of %d kinds of entries", kinds)
	}
	if kinds == 1 {
		b.kinds = b.oneKind[:]
	} else {
		b.kinds = slices.Grow(b.kinds, int(kinds))[:kinds]
	}
	for i := range b.kinds {
		flags, contentType, principal := r.byte(), r.uvarint(), r.uvarint()
		if r.failed || flags&^(opMask|flagLarge) != 0 || flags&opMask == 0 || contentType > n || principal > n {
			return fmt.Errorf("kind %d of entries: flags %02x, strings %d and %d of %d", i, flags, contentType, principal, n)
		}
		b.kinds[i] = kind{flags, strings[contentType], strings[principal]}
	}
	return nil
}

func (b *dataBlock) decodeGroups(r *blockReader) error {
	if n := (b.count-1)>>b.shift + 1; n == 1 {
		b.groups = b.oneGroup[:]
	} else {
		b.groups = slices.Grow(b.groups, n)[:n]
	}
	at := uint32(0)
	for i := range b.groups {
		g := &b.groups[i]
		*g = keyGroup{}
		g.prefix = r.take(r.uvarint())
		if r.failed || len(g.prefix) > tlog.MaxKeyBytes || b.keyLen > 0 && len(g.prefix) > b.keyLen {
			return fmt.Errorf("prefix of group %d is too long", i)
		}
		if b.keyLen > 0 {
			g.suffixes, g.suffixLen = at, uint32(b.keyLen-len(g.prefix))
			at += g.suffixLen << b.shift
		}
	}
	return nil
}

// split cuts what is behind the columns into keys and values.
func (b *dataBlock) split(at int) error {
	rest := b.data[at:]
	keys, values := uint64(0), uint64(0)
	if b.keyLen > 0 {
		g := &b.groups[len(b.groups)-1]
		keys = uint64(g.suffixes) + uint64(g.suffixLen)*uint64((b.count-1)&(1<<b.shift-1)+1)
	} else {
		keys = b.column(&b.keyEnds, b.count-1)
	}
	if b.valueLen >= 0 {
		values = uint64(b.count) * uint64(b.valueLen)
	} else {
		values = b.column(&b.valueEnds, b.count-1)
	}
	if keys > uint64(len(rest)) || values != uint64(len(rest))-keys {
		return fmt.Errorf("block has %d bytes of keys and values, for %d and %d", len(rest), keys, values)
	}
	b.keys, b.values = rest[:keys:keys], rest[keys:]
	return nil
}

// check holds the entries to their bounds and their order. It runs whenever a block is read, so it does little, and that
// column by column.
func (b *dataBlock) check(last uint64) error {
	if err := b.checkEnds(); err != nil {
		return err
	}
	maxSeq := last - b.baseSeq
	for i := range b.count {
		if b.column(&b.seqs, i) > maxSeq {
			return fmt.Errorf("entry %d of the block has a seq beyond the segment's last", i)
		}
	}
	if err := b.checkKinds(); err != nil {
		return err
	}
	return b.checkKeys()
}

// checkKinds holds entries to the kinds that there are, and the references to large values among them to their form.
func (b *dataBlock) checkKinds() error {
	large := false
	for i := range b.kinds {
		large = large || b.kinds[i].flags&flagLarge != 0
	}
	if b.kindOf.width == 0 && !large {
		return nil // all are of the first kind
	}
	for i := range b.count {
		if b.column(&b.kindOf, i) >= uint64(len(b.kinds)) {
			return fmt.Errorf("entry %d of the block is of a kind that is not there", i)
		}
		if b.isLarge(i) {
			if _, ok := parseLarge(b.stored(i)); !ok {
				return fmt.Errorf("entry %d of the block has a large value that is no reference", i)
			}
		}
	}
	return nil
}

// checkKeys holds the entries to their order, and keys to their limits.
func (b *dataBlock) checkKeys() error {
	plain := len(b.kinds) == 1 && b.op(0) != tlog.OpSegment // in the order of keys alone
	var before []byte                                       // the suffix of the key before, in the same group
	for i := range b.count {
		prefix, suffix := b.key(i)
		if n := len(prefix) + len(suffix); n == 0 || n > tlog.MaxKeyBytes {
			return fmt.Errorf("entry %d of the block has a key of %d bytes", i, n)
		}
		higher := plain && i&(1<<b.shift-1) != 0 && bytes.Compare(before, suffix) < 0
		if i > 0 && !higher && !b.ordered(i-1, i) {
			return fmt.Errorf("entry %d of the block is out of order", i)
		}
		before = suffix
	}
	return nil
}

func (b *dataBlock) checkEnds() error {
	for _, c := range [...]struct {
		is   bool
		ends *column
	}{{b.keyLen == 0, &b.keyEnds}, {b.valueLen < 0, &b.valueEnds}} {
		end := uint64(0)
		for i := 0; c.is && i < b.count; i++ {
			next := b.column(c.ends, i)
			if next < end { // the last end is in bounds, so all are
				return fmt.Errorf("entry %d of the block ends before it begins", i)
			}
			end = next
		}
		if end > math.MaxUint32 {
			return errors.New("block is too long")
		}
	}
	return nil
}

// ordered reports whether entry i stands before entry j in segment order.
func (b *dataBlock) ordered(i, j int) bool {
	if a, z := b.op(i), b.op(j); a == tlog.OpSegment || z == tlog.OpSegment {
		return a == z && b.seq(i) < b.seq(j) // segment entries have blocks of their own
	}
	c := b.compareKeys(i, j)
	return c < 0 || c == 0 && b.seq(i) > b.seq(j)
}

// blockReader reads a block front to back. After the first thing that does not fit, it gives zeros and failed is set.
type blockReader struct {
	b      []byte
	at     int
	failed bool
}

func (r *blockReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b[r.at:])
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.at += n
	return v
}

func (r *blockReader) varint() int64 {
	v, n := binary.Varint(r.b[r.at:])
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.at += n
	return v
}

func (r *blockReader) byte() byte {
	if r.at == len(r.b) {
		r.failed = true
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *blockReader) take(n uint64) []byte {
	if n > uint64(len(r.b)-r.at) {
		r.failed = true
		return nil
	}
	r.at += int(n)
	return r.b[r.at-int(n) : r.at : r.at]
}
