package ledger

import "sync/atomic"

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

// link gives a key that the order does not hold its place, and makes it visible.
func (o *keyOrder) link(number uint32, d *dataArena) {
	h := headOf(o.bytes(number, d))
	o.path = o.path[:0]
	leaf := o.root.Load()
	for leaf.kids != nil {
		kid, slot := o.descend(leaf, &h, d)
		o.path = append(o.path, step{leaf, slot})
		leaf = kid
	}
	s := slotted{hi: h.hi, lo: h.lo, key: number}
	order := leaf.order.Load()
	i := o.search(leaf, order, &h, false, d)
	switch {
	case countOf(order) < nodeSlots:
		leaf.put(i, s)
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
