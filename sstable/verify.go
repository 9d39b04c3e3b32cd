package sstable

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// Verify reads the whole segment from its source again: every byte is checked against its checksum, order and
// coverage of seqs and keys against index, filter and seq index, every leaf is computed again by leaf, and the root
// from them. The first difference is a *vfs.CorruptError. leaf gets entries with value and ValueHash; nil stands for
// the canonical record's leaf hash.
func (t *Table) Verify(ctx context.Context, leaf func(*Entry) merkle.Hash) error {
	// A table opened afresh and without a cache trusts nothing that was read before.
	info := t.props.Info
	fresh, err := Open(t.src, Options{Expect: &info})
	if err != nil {
		return err
	}
	if _, err := fresh.LedgerNodes(); err != nil {
		return err
	}
	if leaf == nil {
		leaf = func(e *Entry) merkle.Hash { return e.LeafHash() }
	}
	v := &verifier{t: fresh, leaf: leaf}
	if err := v.readOrdinals(); err != nil {
		return err
	}
	for n := range fresh.index.count {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.block(n); err != nil {
			return err
		}
	}
	if v.offset != fresh.file.MetaOffset() {
		return fresh.corrupt(v.offset, fmt.Errorf("%d bytes that belong to no block", fresh.file.MetaOffset()-v.offset))
	}
	return v.tail()
}

// verifier walks a table in segment order. It holds 36 bytes an entry.
type verifier struct {
	t        *Table
	leaf     func(*Entry) merkle.Hash
	ordinals []byte // the seq index
	leaves   []byte // as computed
	offset   uint64 // behind the last block seen
	ordinal  uint64
	keys     uint64
	lastKey  []byte
}

func (v *verifier) readOrdinals() error {
	for i := range v.t.seqs.tiles() {
		b, err := v.t.tile(v.t.seqs, i, false)
		if err != nil {
			return err
		}
		v.ordinals = append(v.ordinals, b...)
	}
	return nil
}

// block checks data block n, and the values that belong to it, which stand before it.
func (v *verifier) block(n int) error {
	t, at := v.t, v.t.index.handle(n)
	b, err := t.block(n, false)
	if err != nil {
		return err
	}
	for i := range b.entries {
		if b.entries[i].flags&flagLarge != 0 {
			h, _ := b.large(i)
			if h.Offset != v.offset || h.Length > at.Offset-v.offset {
				return t.corrupt(at.Offset, fmt.Errorf("value of entry %d is at %d, not at %d",
					b.entries[i].seq, h.Offset, v.offset))
			}
			v.offset += h.Length
		}
		var e Entry
		if err := t.entry(&e, b, i, false); err != nil {
			return err
		}
		if err := v.entry(&e); err != nil {
			return t.corrupt(at.Offset, err)
		}
	}
	if v.offset != at.Offset {
		return t.corrupt(v.offset, fmt.Errorf("%d bytes that belong to no block", at.Offset-v.offset))
	}
	v.offset += at.Length
	return nil
}

// entry checks one entry; its errors are reasons. That entries are in order is known of each block, and of the blocks
// by their separators.
func (v *verifier) entry(e *Entry) error {
	t := v.t
	sum := merkle.Hash(sha256.Sum256(e.Value))
	if e.ValueHash != (merkle.Hash{}) && e.ValueHash != sum {
		return fmt.Errorf("value of entry %d hashes to %s, not to %s", e.Seq, sum, e.ValueHash)
	}
	e.ValueHash = sum
	leaf := v.leaf(e)
	v.leaves = append(v.leaves, leaf[:]...)
	at := uint64(binary.LittleEndian.Uint32(v.ordinals[4*(e.Seq-t.props.FirstSeq):]))
	if at != v.ordinal {
		return fmt.Errorf("entry %d is at ordinal %d, the seq index says %d", e.Seq, v.ordinal, at)
	}
	if e.Seq == t.props.FirstSeq && e.Time != t.props.FirstTime || e.Seq == t.props.LastSeq && e.Time != t.props.LastTime {
		return fmt.Errorf("time %d of entry %d is not the segment's", e.Time, e.Seq)
	}
	if e.Op != tlog.OpSegment && (v.keys == 0 || !bytes.Equal(e.Key, v.lastKey)) {
		if !t.MayContain(e.Key) {
			return fmt.Errorf("filter denies the key of entry %d", e.Seq)
		}
		v.keys++
		v.lastKey = e.Key
	}
	v.ordinal++
	return nil
}

// tail compares what was computed with the meta tail. Seqs are all there by now: each entry stands where the seq index,
// which has one place for each seq, says, and no two stand at one ordinal.
func (v *verifier) tail() error {
	t := v.t
	if v.keys != t.props.keys {
		return t.corrupt(0, fmt.Errorf("segment has %d keys, its properties say %d", v.keys, t.props.keys))
	}
	leaves := v.leaves
	for i := range t.leaves.tiles() {
		b, err := t.leafTile(i, false)
		if err != nil {
			return err
		}
		if !bytes.Equal(b, leaves[:len(b)]) {
			return t.corrupt(t.leaves.handle(i).Offset, fmt.Errorf("leaf tile %d is not that of the entries", i))
		}
		leaves = leaves[len(b):]
	}
	upper, root, err := treeOf(v.leaves)
	if err != nil {
		return err
	}
	at, _ := t.file.SectionAt(sectionUpper)
	for i, h := range upper.Level8() {
		if h != t.upper.Level8()[i] {
			return t.corrupt(at.Offset+uint64(i)*merkle.HashSize, fmt.Errorf("node %d of level 8 is %s, computed %s",
				i, t.upper.Level8()[i], h))
		}
	}
	if root != t.props.Root {
		return t.corrupt(0, fmt.Errorf("entries have the root %s, the properties say %s", root, t.props.Root))
	}
	return nil
}
