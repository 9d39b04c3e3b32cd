package sstable

import (
	"encoding/binary"
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
