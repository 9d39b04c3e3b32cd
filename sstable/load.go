package sstable

import (
	"fmt"

	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
)

// blockAt names a data block: block i of a partition.
type blockAt struct {
	p *partition
	i int
}

func (at blockAt) handle() segfile.Handle { return at.p.handle(at.i) }

func (at blockAt) firstOrdinal() uint64 { return at.p.firstOrdinal(at.i) }

// partition returns partition n: from memory if the table keeps them all there, else from the cache or the source.
func (t *Table) partition(n int, fill bool) (*partition, error) {
	if t.parts != nil {
		return t.parts[n], nil
	}
	key := cacheKey{t.number, t.top.parts[n].index.Offset}
	if c, ok := t.cache.get(key); ok {
		return c.part, nil
	}
	p, err := t.loadPartition(n)
	if err == nil && fill {
		t.cache.put(key, cached{part: p})
	}
	return p, err
}

// loadPartition reads a partition and checks it against the top level.
func (t *Table) loadPartition(n int) (*partition, error) {
	ref := &t.top.parts[n]
	b, err := t.file.Block(ref.index, nil)
	if err != nil {
		return nil, err
	}
	p := &partition{number: n, ref: ref, memory: cap(b) + 200}
	if p.blockIndex, err = parseIndex(b, &ref.indexBounds); err != nil {
		return nil, t.corrupt(ref.index.Offset, err)
	}
	if ref.filter.Length == 0 {
		return p, nil
	}
	if b, err = t.file.Block(ref.filter, nil); err != nil {
		return nil, err
	}
	if p.filter, err = parseFilter(b); err != nil {
		return nil, t.corrupt(ref.filter.Offset, err)
	}
	p.memory += cap(b)
	return p, nil
}

// keepPartitions loads all partitions for good, which is cheap for all but the largest segments.
func (t *Table) keepPartitions() error {
	parts := make([]*partition, len(t.top.parts))
	for n := range parts {
		p, err := t.loadPartition(n)
		if err != nil {
			return err
		}
		parts[n] = p
	}
	t.parts = parts
	return nil
}

// blockOf finds the block that (key, seq) belongs to. There must be one of keys.
func (t *Table) blockOf(key []byte, seq uint64, fill bool) (blockAt, error) {
	p, err := t.partition(t.top.search(key, seq), fill)
	if err != nil {
		return blockAt{}, err
	}
	return blockAt{p, p.search(key, seq)}, nil
}

// blockOfOrdinal finds the block that holds an ordinal.
func (t *Table) blockOfOrdinal(ordinal uint64, fill bool) (blockAt, error) {
	p, err := t.partition(t.top.byOrdinal(ordinal), fill)
	if err != nil {
		return blockAt{}, err
	}
	return blockAt{p, p.byOrdinal(ordinal)}, nil
}

// block returns a data block, decoded and checked against the index. fill puts it into the cache.
func (t *Table) block(at blockAt, fill bool) (*dataBlock, error) {
	if b := t.cachedBlock(at); b != nil {
		return b, nil
	}
	b, err := t.blockInto(at, new(dataBlock))
	if err == nil && fill {
		t.cache.put(t.cacheKey(at), cached{block: b})
	}
	return b, err
}

func (t *Table) cacheKey(at blockAt) cacheKey { return cacheKey{t.number, at.handle().Offset} }

// cachedBlock returns a data block that the cache holds, else nil.
func (t *Table) cachedBlock(at blockAt) *dataBlock {
	c, _ := t.cache.get(t.cacheKey(at))
	return c.block
}

// blockInto reads a data block past the cache into b, in whose memory it lies from then on, if that is large enough.
func (t *Table) blockInto(at blockAt, b *dataBlock) (*dataBlock, error) {
	h := at.handle()
	raw, err := t.file.Block(h, b.data)
	if err != nil {
		return nil, err
	}
	err = b.decode(raw, t.props.FirstSeq, t.props.LastSeq)
	if err == nil {
		err = t.checkBlock(at, b)
	}
	if err != nil {
		return nil, t.corrupt(h.Offset, err)
	}
	return b, nil
}

// checkBlock holds a decoded block against the index: what the index says of where entries are must be true of every
// block that is searched, else a damaged one could pass for the absence of a key.
func (t *Table) checkBlock(at blockAt, b *dataBlock) error {
	first, end := at.p.ordinals(at.i)
	if uint64(b.count) != end-first {
		return fmt.Errorf("block has %d entries, the index says %d", b.count, end-first)
	}
	if (b.op(0) == tlog.OpSegment) == at.p.ref.keyed { // one of them means all of them, by their order
		return fmt.Errorf("block has segment entries among keys, or keys among segment entries")
	}
	if !at.p.ref.keyed {
		return nil
	}
	last := b.count - 1
	if sep := at.p.separatorOf(at.i); b.compare(0, sep.key, sep.seq) < 0 {
		return fmt.Errorf("block begins before its separator in the index")
	}
	if sep, ok := at.p.nextSeparator(at.i); ok && b.compare(last, sep.key, sep.seq) >= 0 {
		return fmt.Errorf("block ends after the next one's separator in the index")
	}
	if first == t.props.segments && b.compareKey(0, t.props.MinKey) != 0 ||
		end == t.props.Entries && b.compareKey(last, t.props.MaxKey) != 0 {
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
	b, err := t.readTile(a, i, nil)
	if err != nil {
		return nil, err
	}
	if fill {
		t.cache.put(key, cached{tile: b})
	}
	return b, nil
}

// readTile reads tile i of an array from the source, into room as far as it reaches.
func (t *Table) readTile(a tileArray, i uint64, room []byte) ([]byte, error) {
	h := a.handle(i)
	b, err := t.file.Block(h, room[:0])
	if err != nil {
		return nil, err
	}
	if uint64(len(b)) != h.Length-segfile.BlockOverhead {
		return nil, t.corrupt(h.Offset, fmt.Errorf("tile of %d bytes in a block of %d", len(b), h.Length))
	}
	return b, nil
}
