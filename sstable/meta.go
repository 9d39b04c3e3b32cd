package sstable

import (
	"context"
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
)

// MetaOffset is where the meta tail of the segment's file begins: all that a table needs but its entries.
func (t *Table) MetaOffset() uint64 { return t.file.MetaOffset() }

// ResidentFrom is where the bytes begin, up to the file's end, of which a table with its index in memory keeps what it
// keeps: all behind the tiles of leaves and of the seq index. metaOffset and entries are what the manifest says.
func ResidentFrom(metaOffset, entries uint64) uint64 {
	_, seqs := tileArrays(metaOffset, entries)
	return seqs.end()
}

// VerifyMeta reads the whole meta tail from its source again and none of the entries: index, filters, seq index, and the
// leaf hashes, from which the root is computed. The first difference is a *vfs.CorruptError. What it cannot tell is whether
// index and filters are those of the entries; Verify can.
func (t *Table) VerifyMeta(ctx context.Context) error {
	fresh, err := t.reopened()
	if err != nil {
		return err
	}
	for n := range fresh.top.parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := fresh.loadPartition(n); err != nil {
			return err
		}
	}
	for i := range fresh.leaves.tiles() {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := fresh.leafTile(i, false)
		if err != nil {
			return err
		}
		// Open has computed the root from the upper part and the last tile, when that is not full.
		if level8 := fresh.upper.Level8(); i < uint64(len(level8)) && merkle.RootOf(hashes(b)) != level8[i] {
			return fresh.corrupt(fresh.leaves.handle(i).Offset, fmt.Errorf("leaf tile %d is not that of its node", i))
		}
	}
	for i := range fresh.seqs.tiles() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := fresh.tile(fresh.seqs, i, false); err != nil {
			return err
		}
	}
	return nil
}
