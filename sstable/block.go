package sstable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
)

// A data block before compression. Keys are prefix-compressed against the entry before; there are no restart points,
// since a block is decoded whole, once, and searched in its decoded form (dataBlock).
//
//	count uvarint · strings uvarint · per string: length u8, bytes · base time varint
//	per entry: op and flags u8 · shared key bytes uvarint · other key bytes uvarint, bytes
//	         · seq - segment's first seq uvarint · time - base time varint
//	         · content type uvarint · principal uvarint (0 none, else 1 + place among the strings)
//	         · value size uvarint
//	         · value | value's offset uvarint, stored length uvarint, SHA-256 (flag large)
const (
	opMask    = 0x03
	flagLarge = 0x80

	// maxBlockEntries and maxBlockKeyBytes bound what a block decodes to; prefix compression could make it anything.
	maxBlockEntries  = 1024
	maxBlockKeyBytes = 64 << 10
)

// blockBuilder gathers the entries of one data block.
type blockBuilder struct {
	firstSeq uint64 // of the segment
	count    int
	keyBytes int // that the block decodes to
	baseTime int64
	lastKey  []byte
	places   map[string]uint64 // 1 + place of a string in the block
	strings  []byte
	entries  []byte
}

func (b *blockBuilder) size() int { return len(b.entries) + len(b.strings) }

// fits reports whether the block can take another entry with this key without breaking a limit of the format.
func (b *blockBuilder) fits(key []byte) bool {
	return b.count < maxBlockEntries && b.keyBytes+len(key) <= maxBlockKeyBytes
}

// add appends e. value is where a large value was stored; nil puts the value into the block.
func (b *blockBuilder) add(e *Entry, value *segfile.Handle) {
	if b.count == 0 {
		b.baseTime = e.Time
	}
	flags := byte(e.Op)
	if value != nil {
		flags |= flagLarge
	}
	shared := commonPrefix(b.lastKey, e.Key)
	if b.count == 0 || shared < len(e.Key) || shared < len(b.lastKey) {
		b.keyBytes += len(e.Key)
	}
	d := append(b.entries, flags)
	d = binary.AppendUvarint(d, uint64(shared))
	d = binary.AppendUvarint(d, uint64(len(e.Key)-shared))
	d = append(d, e.Key[shared:]...)
	d = binary.AppendUvarint(d, e.Seq-b.firstSeq)
	d = binary.AppendVarint(d, e.Time-b.baseTime)
	d = binary.AppendUvarint(d, b.place(e.ContentType))
	d = binary.AppendUvarint(d, b.place(e.Principal))
	d = binary.AppendUvarint(d, e.ValueSize)
	if value != nil {
		d = binary.AppendUvarint(d, value.Offset)
		d = binary.AppendUvarint(d, value.Length)
		d = append(d, e.ValueHash[:]...)
	} else {
		d = append(d, e.Value...)
	}
	b.entries = d
	b.lastKey = append(b.lastKey[:0], e.Key...)
	b.count++
}

func (b *blockBuilder) place(s string) uint64 {
	if s == "" {
		return 0
	}
	p, ok := b.places[s]
	if !ok {
		if b.places == nil {
			b.places = make(map[string]uint64)
		}
		p = uint64(len(b.places)) + 1
		b.places[s] = p
		b.strings = append(append(b.strings, byte(len(s))), s...)
	}
	return p
}

// finish appends the block to dst and makes the builder empty.
func (b *blockBuilder) finish(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(b.count))
	dst = binary.AppendUvarint(dst, uint64(len(b.places)))
	dst = append(dst, b.strings...)
	dst = binary.AppendVarint(dst, b.baseTime)
	dst = append(dst, b.entries...)
	b.count, b.keyBytes = 0, 0
	b.lastKey, b.strings, b.entries = b.lastKey[:0], b.strings[:0], b.entries[:0]
	clear(b.places)
	return dst
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// dataBlock is a decoded data block. It is immutable.
type dataBlock struct {
	data    []byte // values lie in it
	keys    []byte
	strings []string // strings[0] is empty
	entries []blockEntry
}

type blockEntry struct {
	seq       uint64
	time      int64
	keyAt     uint32
	valueAt   uint32 // in data: the value, or where a large one is stored
	valueSize uint32
	keyLen    uint16
	strings   [2]uint16 // content type, principal
	flags     byte
}

func (e *blockEntry) op() tlog.Op { return tlog.Op(e.flags & opMask) }

func (b *dataBlock) key(i int) []byte {
	e := &b.entries[i]
	return b.keys[e.keyAt : e.keyAt+uint32(e.keyLen) : e.keyAt+uint32(e.keyLen)]
}

// memory is what the block weighs in a cache.
func (b *dataBlock) memory() int {
	return cap(b.data) + cap(b.keys) + 40*cap(b.entries) + 64*len(b.strings) + 128
}

// search returns the place of the first entry at or after (key, seq) in segment order, by key ascending and seq
// descending.
func (b *dataBlock) search(key []byte, seq uint64) int {
	return sort.Search(len(b.entries), func(i int) bool {
		return compare(b.key(i), b.entries[i].seq, key, seq) >= 0
	})
}

// small is the value of entry i, which is not a large one.
func (b *dataBlock) small(i int) []byte {
	e := &b.entries[i]
	return b.data[e.valueAt : e.valueAt+e.valueSize : e.valueAt+e.valueSize]
}

// large says where the large value of entry i is stored, and its hash. The bounds were checked when it was decoded.
func (b *dataBlock) large(i int) (segfile.Handle, merkle.Hash) {
	r := blockReader{b: b.data, at: int(b.entries[i].valueAt)}
	h := segfile.Handle{Offset: r.uvarint(), Length: r.uvarint()}
	return h, merkle.Hash(r.take(merkle.HashSize))
}

// decodeBlock reads a data block of the segment with the seqs [first, last] and checks it: bounds, order, limits. Its
// errors are reasons for a *vfs.CorruptError. The block keeps data.
func decodeBlock(data []byte, first, last uint64) (*dataBlock, error) {
	r := &blockReader{b: data}
	count, strings := r.uvarint(), r.uvarint()
	if r.failed || count == 0 || count > maxBlockEntries || strings > 2*count {
		return nil, fmt.Errorf("block of %d entries and %d strings", count, strings)
	}
	b := &dataBlock{data: data, strings: make([]string, 1, 1+strings), entries: make([]blockEntry, 0, count)}
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
