package ledger

import (
	"bytes"
	"cmp"
	"slices"
	"sync/atomic"
)

// step is an inner node on the way to a leaf, and the slot of the kid that the way goes on to.
type step struct {
	n    *node
	slot int
}

// slotted is what a slot holds: a key, and in an inner node the kid that begins with it.
type slotted struct {
	hi, lo uint64
	key    uint32
	kid    *node
}

func (n *node) slotted(slot int) slotted {
	s := slotted{hi: n.hi[slot], lo: n.lo[slot], key: n.key[slot]}
	if n.kids != nil {
		s.kid = n.kids[slot].Load()
	}
	return s
}

// put fills the next slot and makes it the i-th in order. The node must have room.
func (n *node) put(i int, s slotted) {
	order := n.order.Load()
	slot := countOf(order)
	n.hi[slot], n.lo[slot], n.key[slot] = s.hi, s.lo, s.key
	if n.kids != nil {
		n.kids[slot].Store(s.kid)
	}
	n.order.Store(orderWith(order, i, slot))
}

// nodeOf returns a node of slots in order; an inner one if it has a first kid.
func nodeOf(slots []slotted, first *node) *node {
	n := new(node)
	if first != nil {
		n.kids = new([nodeSlots + 1]atomic.Pointer[node])
		n.kids[firstKid].Store(first)
	}
	for i, s := range slots {
		n.put(i, s)
	}
	return n
}

// with returns the slots of a full node in order, and one more at place i.
func (n *node) with(i int, s slotted) [nodeSlots + 1]slotted {
	var out [nodeSlots + 1]slotted
	order := n.order.Load()
	for j := range nodeSlots {
		to := j
		if j >= i {
			to++
		}
		out[to] = n.slotted(slotOf(order, j))
	}
	out[i] = s
	return out
}

// freshKey is a key that has a number and no place in order yet, with its first 16 bytes as in a node.
type freshKey struct {
	hi, lo uint64
	number uint32
}

func freshKeyOf(key []byte, number uint32) freshKey {
	h := headOf(key)
	return freshKey{h.hi, h.lo, number}
}

// link gives keys that the order does not hold their places, and makes them visible. It sorts them: neighbours are likely
// to go to one leaf, and if not, then over nodes that are in the processor's caches from the one before.
func (o *keyOrder) link(fresh []freshKey, d *dataArena) {
	slices.SortFunc(fresh, func(a, b freshKey) int {
		if a.hi != b.hi {
			return cmp.Compare(a.hi, b.hi)
		}
		if a.lo != b.lo {
			return cmp.Compare(a.lo, b.lo)
		}
		return bytes.Compare(o.bytes(a.number, d), o.bytes(b.number, d))
	})
	var leaf *node
	var bound step
	for _, f := range fresh {
		h := head{f.hi, f.lo, o.bytes(f.number, d)}
		if leaf == nil || bound.n != nil && o.compare(bound.n, bound.slot, &h, d) <= 0 {
			leaf, bound = o.locate(&h, d)
		}
		if !o.insert(leaf, &h, f.number, d) {
			leaf = nil
		}
	}
}

// locate returns the leaf that takes a key, with the path to it, and the separator that is the first one behind the leaf;
// none if it is the last leaf.
func (o *keyOrder) locate(h *head, d *dataArena) (leaf *node, bound step) {
	o.path = o.path[:0]
	n := o.root.Load()
	for n.kids != nil {
		order, slot := n.order.Load(), firstKid
		i := o.search(n, order, h, true, d)
		if i < countOf(order) {
			bound = step{n, slotOf(order, i)}
		}
		if i > 0 {
			slot = slotOf(order, i-1)
		}
		o.path = append(o.path, step{n, slot})
		n = n.kids[slot].Load()
	}
	return n, bound
}

// insert puts a key into its leaf, to which the path leads. It returns false when that took another leaf.
func (o *keyOrder) insert(leaf *node, h *head, number uint32, d *dataArena) bool {
	s := slotted{hi: h.hi, lo: h.lo, key: number}
	order := leaf.order.Load()
	i := o.search(leaf, order, h, false, d)
	switch {
	case countOf(order) < nodeSlots:
		leaf.put(i, s)
		return true
	case i == nodeSlots:
		// Keys that come in order fill their leaves: the full one stays as it is.
		right := nodeOf([]slotted{s}, nil)
		right.prev.Store(leaf)
		right.next.Store(leaf.next.Load())
		s.kid = right
		o.insertKid(leaf, s, d)
		if next := right.next.Load(); next != nil {
			next.prev.Store(right)
		}
		leaf.next.Store(right)
	default:
		o.splitLeaf(leaf, i, s, d)
	}
	return false
}

// splitLeaf replaces a full leaf by two, with one more key.
func (o *keyOrder) splitLeaf(leaf *node, i int, s slotted, d *dataArena) {
	all := leaf.with(i, s)
	const half = len(all) / 2
	left, right := nodeOf(all[:half], nil), nodeOf(all[half:], nil)
	before, behind := leaf.prev.Load(), leaf.next.Load()
	left.prev.Store(before)
	left.next.Store(right)
	right.prev.Store(left)
	right.next.Store(behind)
	split := all[half]
	split.kid = right
	o.insertKid(left, split, d)
	if before != nil {
		before.next.Store(left)
	}
	if behind != nil {
		behind.prev.Store(right)
	}
}

// insertKid puts a separator and the kid behind it into the innermost node on the path, and makes left the kid before
// it, which the path went to. The separator comes first: until left is in place, a reader on its way there finds the
// node that left replaces, which holds all that left does.
func (o *keyOrder) insertKid(left *node, s slotted, d *dataArena) {
	if len(o.path) == 0 {
		o.root.Store(nodeOf([]slotted{s}, left))
		return
	}
	p := o.path[len(o.path)-1]
	o.path = o.path[:len(o.path)-1]
	order := p.n.order.Load()
	i := 0 // the place behind the kid that the path went to
	for p.slot != firstKid && i < nodeSlots {
		if i++; slotOf(order, i-1) == p.slot {
			break
		}
	}
	if countOf(order) < nodeSlots {
		p.n.put(i, s)
		p.n.kids[p.slot].Store(left)
		return
	}
	if i == nodeSlots && p.n.kids[p.slot].Load() == left {
		s.kid = nodeOf(nil, s.kid)
		o.insertKid(p.n, s, d)
		return
	}
	all, first := p.n.with(i, s), p.n.kids[firstKid].Load()
	if i == 0 {
		first = left
	} else {
		all[i-1].kid = left
	}
	const half = len(all) / 2
	split := all[half]
	split.kid = nodeOf(all[half+1:], split.kid)
	o.insertKid(nodeOf(all[:half], first), split, d)
}
