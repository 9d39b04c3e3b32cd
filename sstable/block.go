package sstable

import (
	"bytes"
	"encoding/binary"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
)

// A data block before compression is a header, columns of fixed width, then keys and values. It is searched as it
// stands: with fixed widths every field of every entry is one load away, forwards, backwards and by ordinal.
//
//	count uvarint · group shift u8 · key length uvarint · value length uvarint · base seq uvarint · base time varint
//	· widths u8: seq, time, kind, key end, value end
//	· strings uvarint, per string: length u8, bytes
//	· kinds uvarint, per kind: op and flags u8, content type uvarint, principal uvarint (0 none, else 1 + place)
//	· per group: prefix length uvarint, prefix
//	columns, count × width each: seq - segment's first - base · time - base · kind · key end · value end
//	keys, each without its group's prefix · values
//
// A group is 1 << shift neighbours, its prefix what their keys begin with: the restart points of other formats, with
// the difference that an entry's key needs no other entry's. Key length is that of every key, and then there are no
// key ends; else 0. Value length is 1 + that of every value, and then there are no value ends; else 0. Ends count from
// the first key, or value. The width of a column that says the same of all entries is 0.
const (
	opMask    = 0x03
	flagLarge = 0x80 // in place of the value: offset uvarint, stored length uvarint, size uvarint, SHA-256

	maxBlockEntries = 1024
	maxBlockKinds   = 256
	maxGroupShift   = 10
)

// A kind is what most entries of a block have in common.
type kind struct {
	flags                  byte
	contentType, principal string
}

// keyGroup says where in the block the prefix of a group is, and where in keys its first entry's key begins.
type keyGroup struct {
	prefix    []byte
	suffixes  uint32
	suffixLen uint32 // of each, when all keys of the block have one length
}

// column is an array of unsigned integers of width bytes each, little-endian.
type column struct {
	at    uint32 // in the block's data
	width uint32
	mask  uint64
}

// dataBlock is a decoded data block. It is immutable.
type dataBlock struct {
	data     []byte // all else lies in it
	count    int
	shift    uint8
	keyLen   int // of every key; 0: keyEnds
	valueLen int // of every value; -1: valueEnds
	baseSeq  uint64
	baseTime int64

	seqs, times, kindOf, keyEnds, valueEnds column

	keys   []byte
	values []byte
	groups []keyGroup
	kinds  []kind

	oneGroup [1]keyGroup // room for groups and kinds of most blocks
	oneKind  [1]kind
}

func (b *dataBlock) column(c *column, i int) uint64 {
	at := int(c.at) + i*int(c.width)
	if at+8 <= len(b.data) {
		return binary.LittleEndian.Uint64(b.data[at:]) & c.mask
	}
	var word [8]byte
	copy(word[:], b.data[at:])
	return binary.LittleEndian.Uint64(word[:]) & c.mask
}

func (b *dataBlock) seq(i int) uint64 { return b.baseSeq + b.column(&b.seqs, i) }

func (b *dataBlock) time(i int) int64 { return b.baseTime + int64(b.column(&b.times, i)) }

func (b *dataBlock) kind(i int) *kind { return &b.kinds[b.column(&b.kindOf, i)] }

func (b *dataBlock) op(i int) tlog.Op { return tlog.Op(b.kind(i).flags & opMask) }

func (b *dataBlock) isLarge(i int) bool { return b.kind(i).flags&flagLarge != 0 }

// key returns the two parts of a key.
func (b *dataBlock) key(i int) (prefix, suffix []byte) {
	g := &b.groups[i>>b.shift]
	if b.keyLen > 0 {
		at := int(g.suffixes) + (i&(1<<b.shift-1))*int(g.suffixLen)
		return g.prefix, b.keys[at : at+int(g.suffixLen)]
	}
	at := 0
	if i > 0 {
		at = int(b.column(&b.keyEnds, i-1))
	}
	return g.prefix, b.keys[at:b.column(&b.keyEnds, i)]
}

// appendKey appends a key to dst.
func (b *dataBlock) appendKey(dst []byte, i int) []byte {
	prefix, suffix := b.key(i)
	return append(append(dst, prefix...), suffix...)
}

// compareKey orders entry i's key and key.
func (b *dataBlock) compareKey(i int, key []byte) int {
	prefix, suffix := b.key(i)
	n := min(len(prefix), len(key))
	if c := bytes.Compare(prefix, key[:n]); c != 0 {
		return c
	}
	return bytes.Compare(suffix, key[n:])
}

// compare orders entry i and the point (key, seq), by key ascending and seq descending.
func (b *dataBlock) compare(i int, key []byte, seq uint64) int {
	if c := b.compareKey(i, key); c != 0 {
		return c
	}
	if got := b.seq(i); got != seq {
		if got > seq {
			return -1
		}
		return 1
	}
	return 0
}

// compareKeys orders the keys of two entries.
func (b *dataBlock) compareKeys(i, j int) int {
	p, s := b.key(i)
	q, u := b.key(j)
	if len(p) == len(q) && i>>b.shift == j>>b.shift {
		return bytes.Compare(s, u)
	}
	if len(p) > len(q) {
		return -b.compareKeys(j, i)
	}
	n := len(p) // p is the shorter prefix
	if c := bytes.Compare(p, q[:n]); c != 0 {
		return c
	}
	m := min(len(s), len(q)-n)
	if c := bytes.Compare(s[:m], q[n:]); c != 0 {
		return c
	}
	return bytes.Compare(s[m:], u)
}

// search returns the place of the first entry at or after (key, seq) in segment order.
func (b *dataBlock) search(key []byte, seq uint64) int {
	lo, hi := 0, b.count
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if b.compare(mid, key, seq) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// stored is what the block holds of entry i's value: a small value, or what stands for a large one.
func (b *dataBlock) stored(i int) []byte {
	if b.valueLen >= 0 {
		at, end := i*b.valueLen, (i+1)*b.valueLen
		return b.values[at:end:end]
	}
	at := uint64(0)
	if i > 0 {
		at = b.column(&b.valueEnds, i-1)
	}
	end := b.column(&b.valueEnds, i)
	return b.values[at:end:end]
}

// valueSize is the length of entry i's value, large or not.
func (b *dataBlock) valueSize(i int) uint64 {
	if b.isLarge(i) {
		v, _ := parseLarge(b.stored(i))
		return v.size
	}
	return uint64(len(b.stored(i)))
}

// large says where the large value of entry i is. It was checked when the block was decoded.
func (b *dataBlock) large(i int) largeValue {
	v, _ := parseLarge(b.stored(i))
	return v
}

// memory is what the block weighs in a cache.
func (b *dataBlock) memory() int {
	return cap(b.data) + 32*cap(b.groups) + 64*cap(b.kinds) + 400
}

// largeValue says where a value of its own blocks is stored, and its hash.
type largeValue struct {
	at   segfile.Handle
	size uint64
	hash merkle.Hash
}

func (v *largeValue) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, v.at.Offset)
	dst = binary.AppendUvarint(dst, v.at.Length)
	dst = binary.AppendUvarint(dst, v.size)
	return append(dst, v.hash[:]...)
}

// parseLarge reads what append wrote; false when b is anything else.
func parseLarge(b []byte) (v largeValue, ok bool) {
	r := blockReader{b: b}
	v.at = segfile.Handle{Offset: r.uvarint(), Length: r.uvarint()}
	v.size = r.uvarint()
	if hash := r.take(merkle.HashSize); hash != nil {
		v.hash = merkle.Hash(hash)
	}
	return v, !r.failed && r.at == len(b) && v.size <= MaxValueBytes
}
