package sstable

import (
	"bytes"
	"fmt"

	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
)

// block returns data block n, decoded and checked against the index. fill puts it into the cache.
func (t *Table) block(n int, fill bool) (*dataBlock, error) {
	h := t.index.handle(n)
	key := cacheKey{t.number, h.Offset}
	if c, ok := t.cache.get(key); ok {
		return c.block, nil
	}
	raw, err := t.file.Block(h, nil)
	if err != nil {
		return nil, err
	}
	b, err := decodeBlock(raw, t.props.FirstSeq, t.props.LastSeq)
	if err == nil {
		err = t.checkBlock(n, b)
	}
	if err != nil {
		return nil, t.corrupt(h.Offset, err)
	}
	if fill {
		t.cache.put(key, cached{block: b})
	}
	return b, nil
}

// checkBlock holds a decoded block against the index: what the index says of where entries are must be true of every
// block that is searched, else a damaged one could pass for the absence of a key.
func (t *Table) checkBlock(n int, b *dataBlock) error {
	first, end := t.index.ordinals(n)
	if uint64(len(b.entries)) != end-first {
		return fmt.Errorf("block has %d entries, the index says %d", len(b.entries), end-first)
	}
	last := len(b.entries) - 1
	if n < t.index.keyed {
		if b.entries[0].op() != tlog.OpSegment { // one of them means all of them, by their order
			return fmt.Errorf("block of segment entries holds others")
		}
		return nil
	}
	if b.entries[0].op() == tlog.OpSegment {
		return fmt.Errorf("block of keys holds segment entries")
	}
	if sep := t.index.separator(n); sep.after(b.key(0), b.entries[0].seq) {
		return fmt.Errorf("block begins before its separator in the index")
	}
	if n+1 < t.index.count && !t.index.separator(n+1).after(b.key(last), b.entries[last].seq) {
		return fmt.Errorf("block ends after the next one's separator in the index")
	}
	if n == t.index.keyed && !bytes.Equal(b.key(0), t.props.MinKey) ||
		n+1 == t.index.count && !bytes.Equal(b.key(last), t.props.MaxKey) {
		return fmt.Errorf("block's first or last key is not the segment's")
	}
	return nil
}

// tile returns tile i of an array.
func (t *Table) tile(a tileArray, i uint64, fill bool) ([]byte, error) {
	h := a.handle(i)
	key := cacheKey{t.number, h.Offset}
	if c, ok := t.cache.get(key); ok {
		return c.tile, nil
	}
	b, err := t.file.Block(h, nil)
	if err != nil {
		return nil, err
	}
	if uint64(len(b)) != h.Length-segfile.BlockOverhead {
		return nil, t.corrupt(h.Offset, fmt.Errorf("tile of %d bytes in a block of %d", len(b), h.Length))
	}
	if fill {
		t.cache.put(key, cached{tile: b})
	}
	return b, nil
}
