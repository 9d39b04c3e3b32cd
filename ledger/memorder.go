package ledger

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"
)

// keyOrder is a memtable's keys in order: a B+ tree with one writer, which readers follow without a lock.
//
// A node's slots are filled one after the other and never again, and one word says which of them count, in which order
// (Mao, Kohler, Morris: Masstree, 2012). So an insert is a slot and then a store of that word, and a reader that has
// loaded the word has the node as of one moment. A node that is full is not changed any more: two new ones take its
// place in its parent and its neighbours. A reader that still stands in it finds there all that it may see (see
// memtable), and goes on from it to nodes that were in the tree at that moment or later.
type keyOrder struct {
	keys slab[memKey]
	root atomic.Pointer[node]
	path []step // the writer's: the way to the leaf that takes the next key
}

// memKey is a key of a memtable.
type memKey struct {
	newest atomic.Uint32 // link to its newest version
	at     place
	size   uint16
}

const (
	nodeSlots = 15
	firstKid  = nodeSlots // the kid before the first separator
)

// node is a leaf, or an inner node whose keys separate its kids: kid i has the keys from key i on. It carries the first 16
// bytes of its keys, so that most comparisons look nowhere else.
type node struct {
	order  nodeOrder
	hi, lo [nodeSlots]uint64 // big-endian, zeros behind a shorter key
	key    [nodeSlots]uint32
	kids   *[nodeSlots + 1]atomic.Pointer[node] // nil in a leaf

	next, prev atomic.Pointer[node] // of a leaf
}

// nodeOrder is the word: how many slots are in use, and from the second nibble on their numbers in the order of keys.
type nodeOrder struct{ atomic.Uint64 }

func countOf(order uint64) int { return int(order & 15) }

func slotOf(order uint64, i int) int { return int(order >> (4 * (i + 1)) & 15) }

// orderWith returns an order with one more slot, at place i.
func orderWith(order uint64, i, slot int) uint64 {
	at := uint(4 * (i + 1))
	below := order & (1<<at - 1)
	return below + 1 | uint64(slot)<<at | order&^(1<<at-1)<<4
}

// head is a key with its first 16 bytes as numbers.
type head struct {
	hi, lo uint64
	key    []byte
}

func headOf(key []byte) head {
	if len(key) >= 16 {
		return head{binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:]), key}
	}
	var b [16]byte
	copy(b[:], key)
	return head{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:]), key}
}

func (o *keyOrder) init() {
	o.root.Store(new(node))
	o.keys.add() // number 0 is no key
}

// newKey adds a key that is not in the order yet.
func (o *keyOrder) newKey(key []byte, d *dataArena) (number uint32) {
	number, k := o.keys.add()
	k.size = uint16(len(key))
	k.at = d.put(key)
	return number
}

func (o *keyOrder) bytes(number uint32, d *dataArena) []byte {
	k := o.keys.at(number)
	return d.get(k.at, uint32(k.size))
}

// compare compares the key in a slot with another one.
func (o *keyOrder) compare(n *node, slot int, h *head, d *dataArena) int {
	if hi := n.hi[slot]; hi != h.hi {
		if hi < h.hi {
			return -1
		}
		return 1
	}
	if lo := n.lo[slot]; lo != h.lo {
		if lo < h.lo {
			return -1
		}
		return 1
	}
	k := o.keys.at(n.key[slot])
	if k.size <= 16 && len(h.key) <= 16 {
		return int(k.size) - len(h.key) // alike up to the shorter one's end, and zeros behind it
	}
	return bytes.Compare(d.get(k.at, uint32(k.size)), h.key)
}

// search returns the place of the first key of a node that is at or after h, or behind it if past is set.
func (o *keyOrder) search(n *node, order uint64, h *head, past bool, d *dataArena) int {
	lo, end := 0, countOf(order)
	for lo < end {
		mid := (lo + end) / 2
		if c := o.compare(n, slotOf(order, mid), h, d); c < 0 || past && c == 0 {
			lo = mid + 1
		} else {
			end = mid
		}
	}
	return lo
}

// spot is a place among the keys: before key i of a leaf as it was when order was loaded. It stays valid.
type spot struct {
	leaf  *node
	order uint64
	i     int
}

func spotAt(leaf *node, i int) spot { return spot{leaf, leaf.order.Load(), i} }

// seek returns the spot before the first key at or after key.
func (o *keyOrder) seek(key []byte, d *dataArena) spot {
	h := headOf(key)
	n := o.root.Load()
	for n.kids != nil {
		order, slot := n.order.Load(), firstKid
		if i := o.search(n, order, &h, true, d); i > 0 {
			slot = slotOf(order, i-1)
		}
		n = n.kids[slot].Load()
	}
	s := spotAt(n, 0)
	s.i = o.search(n, s.order, &h, false, d)
	return s
}

// start returns the spot before the first key.
func (o *keyOrder) start() spot {
	n := o.root.Load()
	for n.kids != nil {
		n = n.kids[firstKid].Load()
	}
	return spotAt(n, 0)
}

// end returns the spot behind the last key.
func (o *keyOrder) end() spot {
	n := o.root.Load()
	for n.kids != nil {
		order, slot := n.order.Load(), firstKid
		if count := countOf(order); count > 0 {
			slot = slotOf(order, count-1)
		}
		n = n.kids[slot].Load()
	}
	s := spotAt(n, 0)
	s.i = countOf(s.order)
	return s
}

// next moves over the key behind the spot and returns its slot in the leaf; false at the end.
func (s *spot) next() (slot int, ok bool) {
	for s.i == countOf(s.order) {
		leaf := s.leaf.next.Load()
		if leaf == nil {
			return 0, false
		}
		*s = spotAt(leaf, 0)
	}
	s.i++
	return slotOf(s.order, s.i-1), true
}

// prev moves over the key before the spot and returns its slot in the leaf; false at the beginning.
func (s *spot) prev() (slot int, ok bool) {
	for s.i == 0 {
		leaf := s.leaf.prev.Load()
		if leaf == nil {
			return 0, false
		}
		*s = spotAt(leaf, 0)
		s.i = countOf(s.order)
	}
	s.i--
	return slotOf(s.order, s.i), true
}
