package sstable

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// decodeBlock reads a data block of the segment with the seqs [first, last] and checks it: bounds, order, limits. Its
// errors are reasons for a *vfs.CorruptError. The block keeps data.
func decodeBlock(data []byte, first, last uint64) (*dataBlock, error) {
	r := &blockReader{b: data}
	count, strings := r.uvarint(), r.uvarint()
	if r.failed || count == 0 || count > maxBlockEntries || strings > 2*count {
		return nil, fmt.Errorf("block of %d entries and %d strings", count, strings)
	}
	b := &dataBlock{
		data:    data,
		keys:    make([]byte, 0, 16*count),
		strings: make([]string, 1, 1+strings),
		entries: make([]blockEntry, 0, count),
	}
	for range strings {
		b.strings = append(b.strings, string(r.take(uint64(r.byte()))))
	}
	base := r.varint()
	for range count {
		if err := b.decodeEntry(r, base, first, last); err != nil {
			return nil, fmt.Errorf("entry %d of the block: %w", len(b.entries), err)
		}
	}
	if r.failed || r.at != len(data) {
		return nil, fmt.Errorf("block has %d bytes, its entries end at %d", len(data), r.at)
	}
	return b, nil
}

func (b *dataBlock) decodeEntry(r *blockReader, base int64, first, last uint64) error {
	e := blockEntry{flags: r.byte()}
	shared, other := r.uvarint(), r.uvarint()
	suffix := r.take(other)
	seq := r.uvarint()
	e.time = base + r.varint()
	contentType, principal := r.uvarint(), r.uvarint()
	size := r.uvarint()
	if r.failed {
		return errors.New("ends early")
	}
	n := len(b.entries)
	var lastKey []byte
	if n > 0 {
		lastKey = b.key(n - 1)
	}
	switch {
	case e.flags&^(opMask|flagLarge) != 0 || e.op() == 0:
		return fmt.Errorf("flags %02x", e.flags)
	case shared > uint64(len(lastKey)) || shared+other == 0 || shared+other > tlog.MaxKeyBytes:
		return fmt.Errorf("key of %d and %d bytes", shared, other)
	case seq > last-first:
		return fmt.Errorf("seq %d beyond the segment's first", seq)
	case contentType >= uint64(len(b.strings)) || principal >= uint64(len(b.strings)):
		return fmt.Errorf("strings %d and %d of %d", contentType, principal, len(b.strings)-1)
	case size > MaxValueBytes:
		return fmt.Errorf("value of %d bytes", size)
	}
	e.seq = first + seq
	e.strings = [2]uint16{uint16(contentType), uint16(principal)}
	e.valueSize, e.valueAt, e.keyLen = uint32(size), uint32(r.at), uint16(shared+other)
	if e.flags&flagLarge != 0 {
		r.uvarint()
		r.uvarint()
		r.take(merkle.HashSize)
	} else {
		r.take(size)
	}
	if r.failed {
		return errors.New("value ends early")
	}
	if other == 0 && shared == uint64(len(lastKey)) { // another version of the same key
		e.keyAt = b.entries[n-1].keyAt
	} else {
		if len(b.keys)+int(e.keyLen) > maxBlockKeyBytes {
			return errors.New("keys are longer than a block may hold")
		}
		e.keyAt = uint32(len(b.keys))
		b.keys = append(append(b.keys, lastKey[:shared]...), suffix...)
	}
	b.entries = append(b.entries, e)
	if n > 0 && !b.ordered(n-1, n) {
		return errors.New("out of order")
	}
	return nil
}

// ordered reports whether entry i stands before entry j in segment order.
func (b *dataBlock) ordered(i, j int) bool {
	a, z := &b.entries[i], &b.entries[j]
	if a.op() == tlog.OpSegment || z.op() == tlog.OpSegment {
		return a.op() == z.op() && a.seq < z.seq // segment entries have blocks of their own
	}
	return compare(b.key(i), a.seq, b.key(j), z.seq) < 0
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
	return r.b[r.at-int(n) : r.at]
}
