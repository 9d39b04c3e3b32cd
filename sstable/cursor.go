package sstable

import (
	"bytes"
	"math"
)

// cursor stands on one put or delete of a table, or nowhere (b is nil). It knows no bounds; Iter does. An error puts
// it nowhere for good.
type cursor struct {
	t    *Table
	fill bool
	n    int // block
	i    int // entry in it
	b    *dataBlock
	err  error
}

func (c *cursor) valid() bool { return c.b != nil }

func (c *cursor) key() []byte { return c.b.key(c.i) }

func (c *cursor) seq() uint64 { return c.b.entries[c.i].seq }

// ordinal is where the cursor stands in segment order.
func (c *cursor) ordinal() uint64 { return c.t.index.firstOrdinal(c.n) + uint64(c.i) }

// load makes n the current block. Outside the blocks of keys the cursor stands nowhere.
func (c *cursor) load(n int) bool {
	if c.err != nil || n < c.t.index.keyed || n >= c.t.index.count {
		c.b = nil
		return false
	}
	if c.b != nil && c.n == n {
		return true
	}
	c.n = n
	if c.b, c.err = c.t.block(n, c.fill); c.err != nil {
		c.b = nil
	}
	return c.err == nil
}

func (c *cursor) first() bool {
	c.i = 0
	return c.load(c.t.index.keyed)
}

func (c *cursor) last() bool {
	if !c.load(c.t.index.count - 1) {
		return false
	}
	c.i = len(c.b.entries) - 1
	return true
}

func (c *cursor) next() bool {
	if c.i++; c.i < len(c.b.entries) {
		return true
	}
	c.i = 0
	return c.load(c.n + 1)
}

func (c *cursor) prev() bool {
	if c.i > 0 {
		c.i--
		return true
	}
	if !c.load(c.n - 1) {
		return false
	}
	c.i = len(c.b.entries) - 1
	return true
}

// holds reports whether the answer to seek(key, seq) is in the current block, without a look at the index.
func (c *cursor) holds(key []byte, seq uint64) bool {
	if c.b == nil {
		return false
	}
	last := len(c.b.entries) - 1
	return compare(c.b.key(0), c.b.entries[0].seq, key, seq) <= 0 &&
		compare(c.b.key(last), c.b.entries[last].seq, key, seq) >= 0
}

// seek moves to the first entry at or after (key, seq), by key ascending and seq descending.
func (c *cursor) seek(key []byte, seq uint64) bool {
	if c.t.props.keys == 0 {
		c.b = nil
		return false
	}
	if !c.holds(key, seq) && !c.load(c.t.index.search(key, seq)) {
		return false
	}
	if c.i = c.b.search(key, seq); c.i == len(c.b.entries) {
		c.i = 0
		return c.load(c.n + 1)
	}
	return true
}

// seekBefore moves to the last entry whose key is before key.
func (c *cursor) seekBefore(key []byte) bool {
	if c.seek(key, math.MaxUint64) {
		return c.prev()
	}
	return c.err == nil && c.last()
}

// seekPast moves to the first entry whose key is after the current one.
func (c *cursor) seekPast() bool {
	key := c.key()
	for range 8 { // most keys have few versions, and they are at hand
		if !c.next() || !bytes.Equal(c.key(), key) {
			return c.valid()
		}
	}
	return c.seek(append(key[:len(key):len(key)], 0), math.MaxUint64) // the next possible key
}
