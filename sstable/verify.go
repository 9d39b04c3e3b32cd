package sstable

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash/maphash"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// Verify reads the whole segment from its source again: every byte is checked against its checksum, order and
// coverage of seqs and keys against index, filter and seq index, every leaf is computed again by leaf, and the root
// from them. The first difference is a *vfs.CorruptError. leaf gets entries with ValueHash, and with their values but for
// large ones, and must not keep them, nor anything of them; nil stands for the canonical record's leaf hash.
func (t *Table) Verify(ctx context.Context, leaf func(*Entry) merkle.Hash) error {
	fresh, err := t.reopened()
	if err != nil {
		return err
	}
	if leaf == nil {
		leaf = func(e *Entry) merkle.Hash { return e.LeafHash() }
	}
	v := &verifier{t: fresh, leaf: leaf, seed: maphash.MakeSeed(), keyArena: keyArena{again: true}}
	for n := range fresh.top.parts {
		p, err := fresh.loadPartition(n)
		if err != nil {
			return err
		}
		for i := range p.count {
			if err := ctx.Err(); err != nil {
				return err
			}
			v.ahead.moving(fresh, blockAt{p, i})
			if err := v.block(blockAt{p, i}); err != nil {
				return err
			}
		}
	}
	if v.offset != fresh.file.MetaOffset() {
		return fresh.corrupt(v.offset, fmt.Errorf("%d bytes that belong to no block", fresh.file.MetaOffset()-v.offset))
	}
	return v.tail(ctx)
}

// reopened is the table opened afresh and without a cache, which trusts nothing that was read before.
func (t *Table) reopened() (*Table, error) {
	info := t.props.Info
	fresh, err := Open(t.src, Options{Expect: &info, ResidentBytes: -1})
	if err != nil {
		return nil, err
	}
	_, err = fresh.LedgerNodes()
	return fresh, err
}

// verifier walks a table in segment order. Its memory does not grow with the segment, but for the tree's upper part.
type verifier struct {
	t       *Table
	leaf    func(*Entry) merkle.Hash
	ahead   readAhead
	leaves  []byte // as computed, of the tile being gathered
	upper   merkle.Upper
	offset  uint64 // behind the last block seen
	ordinal uint64
	keys    uint64
	lastKey []byte // a copy: what follows is used again

	own                          dataBlock // the block that is looked at
	e                            Entry     // of it
	keyArena                     keyArena
	tile                         []byte // that was read last
	hashes                       []merkle.Hash
	blocks, keyBytes, valueBytes uint64

	// The seq index is in another order than the entries. Both are maps from seqs to ordinals, so they are compared as
	// sets: each has the sum of a hash over its pairs, under a seed of this run. Two sets that differ have the same sum
	// with probability 2^-64.
	seed            maphash.Seed
	seqSum, tileSum uint64
}

func (v *verifier) pair(seq, ordinal uint64) uint64 {
	return maphash.Comparable(v.seed, [2]uint64{seq, ordinal})
}

// block checks a data block, and the values that belong to it, which stand before it.
func (v *verifier) block(at blockAt) error {
	t, h := v.t, at.handle()
	b, err := t.blockInto(at, &v.own) // it has no cache
	if err != nil {
		return err
	}
	v.blocks++
	for i := range b.count {
		if b.isLarge(i) {
			large := b.large(i).at
			if large.Offset != v.offset || large.Length > h.Offset-v.offset {
				return t.corrupt(h.Offset, fmt.Errorf("value of entry %d is at %d, not at %d", b.seq(i), large.Offset, v.offset))
			}
			v.offset += large.Length
		}
		e := &v.e
		*e = Entry{}
		if err := t.entry(e, b, i, true, &v.keyArena); err != nil {
			return err
		}
		if !b.isLarge(i) {
			e.Value = b.stored(i)
		}
		if e.ValueHash, err = v.value(b, i); err != nil {
			return err
		}
		if err := v.entry(e, at.p, h.Offset); err != nil {
			return err
		}
	}
	if v.offset != h.Offset {
		return t.corrupt(v.offset, fmt.Errorf("%d bytes that belong to no block", h.Offset-v.offset))
	}
	v.offset += h.Length
	return nil
}

// value reads a value, a large one by pieces, and returns its hash.
func (v *verifier) value(b *dataBlock, i int) (sum merkle.Hash, err error) {
	if !b.isLarge(i) {
		return sha256.Sum256(b.stored(i)), nil
	}
	large := b.large(i)
	run, err := v.t.file.OpenRun(large.at, large.size)
	if err != nil {
		return sum, err
	}
	digest, piece := sha256.New(), []byte(nil)
	for i := range run.Pieces() {
		if piece, err = run.Piece(i, piece[:0]); err != nil {
			return sum, err
		}
		digest.Write(piece)
	}
	if digest.Sum(sum[:0]); sum != large.hash {
		return sum, v.t.corrupt(large.at.Offset, fmt.Errorf("value of entry %d hashes to %s, not to %s", b.seq(i), sum,
			large.hash))
	}
	return sum, nil
}

// entry checks one entry of the block at an offset. That entries are in order is known of each block, and of the blocks by
// their separators.
func (v *verifier) entry(e *Entry, p *partition, block uint64) error {
	t := v.t
	leaf := v.leaf(e)
	v.leaves = append(v.leaves, leaf[:]...)
	if len(v.leaves) == leafTileBytes {
		if err := v.leafTile(); err != nil {
			return err
		}
	}
	v.seqSum += v.pair(e.Seq, v.ordinal)
	if e.Seq == t.props.FirstSeq && e.Time != t.props.FirstTime || e.Seq == t.props.LastSeq && e.Time != t.props.LastTime {
		return t.corrupt(block, fmt.Errorf("time %d of entry %d is not the segment's", e.Time, e.Seq))
	}
	if e.Op != tlog.OpSegment {
		if !p.filter.mayContain(HashKey(e.Key)) {
			return t.corrupt(block, fmt.Errorf("filter denies the key of entry %d", e.Seq))
		}
		if v.keys == 0 || !bytes.Equal(e.Key, v.lastKey) {
			v.keys++
			v.lastKey = append(v.lastKey[:0], e.Key...)
		}
	}
	v.keyBytes += uint64(len(e.Key))
	v.valueBytes += e.ValueSize
	v.ordinal++
	return nil
}

// leafTile compares the tile of leaves gathered with the file's.
func (v *verifier) leafTile() error {
	i := v.ordinal / merkle.TileWidth
	b, err := v.t.readTile(v.t.leaves, i, v.tile)
	if err != nil {
		return err
	}
	v.tile = b
	if !bytes.Equal(b, v.leaves) {
		return v.t.corrupt(v.t.leaves.handle(i).Offset, fmt.Errorf("leaf tile %d is not that of the entries", i))
	}
	if len(v.leaves) == leafTileBytes {
		v.hashes = appendCut(v.hashes[:0], v.leaves)
		v.upper.Append(merkle.RootOf(v.hashes))
		v.leaves = v.leaves[:0]
	}
	return nil
}

// tail compares what was computed with the meta tail. Seqs are all there then: as many pairs of seq and ordinal as there
// are entries, with all ordinals, are those of the seq index, which has all seqs.
func (v *verifier) tail(ctx context.Context) error {
	t := v.t
	if v.keys != t.props.keys || v.blocks != t.props.blocks || v.keyBytes != t.props.keyBytes ||
		v.valueBytes != t.props.valueBytes {
		at, _ := t.file.SectionAt(sectionProperties)
		return t.corrupt(at.Offset, fmt.Errorf("segment has %d keys in %d blocks, %d bytes of keys, %d of values; "+
			"its properties say %d, %d, %d, %d", v.keys, v.blocks, v.keyBytes, v.valueBytes, t.props.keys, t.props.blocks,
			t.props.keyBytes, t.props.valueBytes))
	}
	if len(v.leaves) > 0 {
		v.ordinal-- // the last tile ends with the last entry
		if err := v.leafTile(); err != nil {
			return err
		}
	}
	at, _ := t.file.SectionAt(sectionUpper)
	for i, h := range v.upper.Level8() {
		if h != t.upper.Level8()[i] {
			return t.corrupt(at.Offset+uint64(i)*merkle.HashSize, fmt.Errorf("node %d of level 8 is %s, computed %s",
				i, t.upper.Level8()[i], h))
		}
	}
	// Open has computed the root from the upper part and the last tile.
	return v.seqs(ctx)
}

// seqs compares the seq index with the entries.
func (v *verifier) seqs(ctx context.Context) error {
	t := v.t
	for i := range t.seqs.tiles() {
		if err := ctx.Err(); err != nil {
			return err
		}
		tile, err := t.readTile(t.seqs, i, v.tile)
		if err != nil {
			return err
		}
		v.tile = tile
		for k := range uint64(len(tile)) / t.seqs.itemBytes {
			v.tileSum += v.pair(t.props.FirstSeq+i*seqTileWidth+k, t.seqs.item(tile, k))
		}
	}
	if v.seqSum != v.tileSum {
		return t.corrupt(t.seqs.base, fmt.Errorf("the seq index is not that of the entries"))
	}
	return nil
}
