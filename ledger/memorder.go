package ledger

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

// maxHeight bounds the levels of the order: with a quarter of each level's keys in the next one, 4^12 keys fit well.
const maxHeight = 12

// keyOrder is a memtable's keys in order: a skip list (Pugh, 1990) that is linked both ways at its lowest level. It has
// one writer and never loses a key, so readers follow it without a lock: a key's own links are set before the first link
// to it, and a reader that misses a key which is being added misses none that it may see (see memtable).
//
// Key 0 is none: it stands before the first key and behind the last one.
type keyOrder struct {
	keys   slab[memKey]
	towers slab[tower]
	height int               // levels in use; the writer's
	top    atomic.Uint32     // the same, for readers
	before [maxHeight]uint32 // the writer's: at each level the last key before the one that is being added
}

// memKey is a key of a memtable. It carries the key's first 16 bytes, so that most comparisons look nowhere else.
type memKey struct {
	hi, lo     uint64 // big-endian, zeros behind a shorter key
	next, prev atomic.Uint32
	newest     atomic.Uint32 // link to its newest version
	tower      uint32        // number of its links above the lowest level; 0 for none
	at         place
	size       uint16
}

// tower is a key's links at the levels from 1 on.
type tower struct {
	next [maxHeight - 1]atomic.Uint32
}

func headOf(key []byte) (hi, lo uint64) {
	if len(key) >= 16 {
		return binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])
	}
	var head [16]byte
	copy(head[:], key)
	return binary.BigEndian.Uint64(head[:]), binary.BigEndian.Uint64(head[8:])
}

func (k *memKey) bytes(d *dataArena) []byte { return d.get(k.at, uint32(k.size)) }

// compare compares the key with another one, whose first bytes are hi and lo.
func (k *memKey) compare(hi, lo uint64, key []byte, d *dataArena) int {
	switch {
	case k.hi != hi:
		if k.hi < hi {
			return -1
		}
		return 1
	case k.lo != lo:
		if k.lo < lo {
			return -1
		}
		return 1
	case k.size <= 16 && len(key) <= 16:
		return int(k.size) - len(key) // alike up to the shorter one's end, and zeros behind it
	}
	return bytes.Compare(k.bytes(d), key)
}

func (o *keyOrder) init() {
	o.keys.add()
	o.towers.add()
	o.height = 1
	o.top.Store(1)
}

// newKey adds a key that is not in the order yet.
func (o *keyOrder) newKey(key []byte, d *dataArena) (number uint32, k *memKey) {
	number, k = o.keys.add()
	k.hi, k.lo = headOf(key)
	k.size = uint16(len(key))
	k.at = d.put(key)
	return number, k
}

// follow returns the key behind k at a level. Above the lowest level only keys with a tower are found, and key 0, whose
// tower is number 0.
func (o *keyOrder) follow(k uint32, level int) *atomic.Uint32 {
	if level == 0 {
		return &o.keys.at(k).next
	}
	return &o.towers.at(o.keys.at(k).tower).next[level-1]
}

// link gives a key its place, and makes it visible. Its height comes from the hash, which nobody can choose.
func (o *keyOrder) link(number uint32, hash uint64, d *dataArena) {
	k := o.keys.at(number)
	height := 1 + min(bits.TrailingZeros32(uint32(hash>>32))/2, maxHeight-1)
	o.search(k.hi, k.lo, k.bytes(d), d, &o.before)
	for o.height < height {
		o.before[o.height] = 0
		o.height++
	}
	var own *tower
	if height > 1 {
		k.tower, own = o.towers.add()
		for level := 1; level < height; level++ {
			own.next[level-1].Store(o.follow(o.before[level], level).Load())
		}
	}
	behind := o.keys.at(o.before[0]).next.Load()
	k.next.Store(behind)
	k.prev.Store(o.before[0])
	o.keys.at(o.before[0]).next.Store(number)
	o.keys.at(behind).prev.Store(number)
	for level := 1; level < height; level++ {
		o.follow(o.before[level], level).Store(number)
	}
	o.top.Store(uint32(o.height))
}

// search returns the last key before key; 0 when there is none. before, if not nil, gets the last one of each level.
func (o *keyOrder) search(hi, lo uint64, key []byte, d *dataArena, before *[maxHeight]uint32) uint32 {
	at, beyond := uint32(0), uint32(0)
	for level := int(o.top.Load()) - 1; level >= 0; level-- {
		for {
			next := o.follow(at, level).Load()
			// A key that a higher level has found to be too far needs no second look.
			if next == 0 || next == beyond || o.keys.at(next).compare(hi, lo, key, d) >= 0 {
				beyond = next
				break
			}
			at = next
		}
		if before != nil {
			before[level] = at
		}
	}
	return at
}

// seek returns the last key before key; 0 when there is none. What is behind it is the first one at or after key.
func (o *keyOrder) seek(key []byte, d *dataArena) uint32 {
	hi, lo := headOf(key)
	return o.search(hi, lo, key, d, nil)
}

// next returns the key behind one, or the first one for 0; 0 at the end.
func (o *keyOrder) next(k uint32) uint32 { return o.keys.at(k).next.Load() }

// prev returns the key before one, or the last one for 0; 0 at the end.
func (o *keyOrder) prev(k uint32) uint32 { return o.keys.at(k).prev.Load() }
