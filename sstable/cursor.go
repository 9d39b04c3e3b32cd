package sstable

import "math"

// cursor stands on one put or delete of a table, or nowhere (b is nil). It knows no bounds; Iter does. An error puts
// it nowhere for good.
type cursor struct {
	t    *Table
	fill bool
	at   blockAt
	i    int // entry in the block
	b    *dataBlock
	err  error

	ahead readAhead

	// With reuse, a walk that has put its share into the cache reads on past it, each block in place of the last one.
	reuse  bool
	filled uint64 // bytes offered to the cache
	own    *dataBlock
}

func (c *cursor) valid() bool { return c.b != nil }

func (c *cursor) seq() uint64 { return c.b.seq(c.i) }

// compareKey orders the current key and key.
func (c *cursor) compareKey(key []byte) int { return c.b.compareKey(c.i, key) }

// key returns a copy of the current key.
func (c *cursor) key() []byte { return c.b.appendKey(nil, c.i) }

// ordinal is where the cursor stands in segment order.
func (c *cursor) ordinal() uint64 { return c.at.firstOrdinal() + uint64(c.i) }

// load makes block i of a partition the current block; i may be one before the partition, or one behind it. Outside
// the blocks of keys the cursor stands nowhere.
func (c *cursor) load(p *partition, i int) bool {
	number := p.number
	switch {
	case i < 0:
		number--
	case i == p.count:
		number++
	}
	if c.err != nil || number < c.t.top.keyed || number == len(c.t.top.parts) {
		c.b = nil
		return false
	}
	if number != p.number {
		if p, c.err = c.t.partition(number, c.fill); c.err != nil {
			c.b = nil
			return false
		}
		if i < 0 {
			i = p.count - 1
		} else {
			i = 0
		}
	}
	if c.b != nil && c.at.p.number == p.number && c.at.i == i {
		return true
	}
	c.at = blockAt{p, i}
	c.ahead.moving(c.t, c.at)
	if c.b, c.err = c.block(); c.err != nil {
		c.b = nil
	}
	return c.err == nil
}

// block returns the block that the cursor has come to.
func (c *cursor) block() (*dataBlock, error) {
	if !c.reuse {
		return c.t.block(c.at, c.fill)
	}
	if b := c.t.cachedBlock(c.at); b != nil {
		return b, nil
	}
	if c.fill && c.filled < c.t.cache.walkShare() {
		b, err := c.t.blockInto(c.at, new(dataBlock))
		if err == nil {
			c.filled += uint64(b.memory())
			c.t.cache.put(c.t.cacheKey(c.at), cached{block: b})
		}
		return b, err
	}
	if c.own == nil {
		c.own = new(dataBlock)
	}
	return c.t.blockInto(c.at, c.own)
}

// partition returns a partition of keys; nil at an error, or when there is none.
func (c *cursor) partition(n int) (p *partition) {
	if c.err == nil && c.t.props.keys > 0 {
		p, c.err = c.t.partition(n, c.fill)
	}
	if p == nil || c.err != nil {
		c.b = nil
		return nil
	}
	return p
}

func (c *cursor) first() bool {
	c.i = 0
	p := c.partition(c.t.top.keyed)
	return p != nil && c.load(p, 0)
}

func (c *cursor) last() bool {
	p := c.partition(len(c.t.top.parts) - 1)
	if p == nil || !c.load(p, p.count-1) {
		return false
	}
	c.i = c.b.count - 1
	return true
}

func (c *cursor) next() bool {
	if c.i++; c.i < c.b.count {
		return true
	}
	c.i = 0
	return c.load(c.at.p, c.at.i+1)
}

func (c *cursor) prev() bool {
	if c.i > 0 {
		c.i--
		return true
	}
	if !c.load(c.at.p, c.at.i-1) {
		return false
	}
	c.i = c.b.count - 1
	return true
}

// holds reports whether the answer to seek(key, seq) is in the current block, without a look at the index.
func (c *cursor) holds(key []byte, seq uint64) bool {
	return c.b != nil && c.b.compare(0, key, seq) <= 0 && c.b.compare(c.b.count-1, key, seq) >= 0
}

// seek moves to the first entry at or after (key, seq), by key ascending and seq descending.
func (c *cursor) seek(key []byte, seq uint64) bool {
	if c.t.props.keys == 0 {
		c.b = nil
		return false
	}
	if !c.holds(key, seq) {
		p := c.partition(c.t.top.search(key, seq))
		if p == nil || !c.load(p, p.search(key, seq)) {
			return false
		}
	}
	if c.i = c.b.search(key, seq); c.i == c.b.count {
		c.i = 0
		return c.load(c.at.p, c.at.i+1)
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

// seekPast moves to the first entry whose key is after key, the current one.
func (c *cursor) seekPast(key []byte) bool {
	for range 8 { // most keys have few versions, and they are at hand
		if !c.next() || c.compareKey(key) != 0 {
			return c.valid()
		}
	}
	return c.seek(append(key[:len(key):len(key)], 0), math.MaxUint64) // the next possible key
}

// prevKey moves to the last entry whose key is before key, the current one.
func (c *cursor) prevKey(key []byte) bool {
	for range 8 {
		if !c.prev() || c.compareKey(key) != 0 {
			return c.valid()
		}
	}
	return c.seekBefore(key)
}

// newest moves from the oldest version of key, whose seq is at most asOf, to the newest such one.
func (c *cursor) newest(key []byte, asOf uint64) bool {
	for c.i > 0 { // within the block that is at hand
		if c.b.compareKey(c.i-1, key) != 0 || c.b.seq(c.i-1) > asOf {
			return true
		}
		c.i--
	}
	return c.seek(key, asOf)
}
