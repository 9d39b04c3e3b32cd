package sstable

import (
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
)

// hashes cuts b, which is hashes joined.
func hashes(b []byte) []merkle.Hash {
	return appendCut(make([]merkle.Hash, 0, len(b)/merkle.HashSize), b)
}

// appendCut appends what hashes returns.
func appendCut(dst []merkle.Hash, b []byte) []merkle.Hash {
	for ; len(b) >= merkle.HashSize; b = b[merkle.HashSize:] {
		dst = append(dst, merkle.Hash(b))
	}
	return dst
}

func appendHashes(dst []byte, hashes []merkle.Hash) []byte {
	for i := range hashes {
		dst = append(dst, hashes[i][:]...)
	}
	return dst
}

// nodes gives the nodes of the segment tree, for one proof.
func (t *Table) nodes() merkle.NodeFunc {
	return t.upper.Nodes(func(tile uint64) ([]merkle.Hash, error) {
		b, err := t.leafTile(tile, true)
		if err != nil {
			return nil, err
		}
		return hashes(b), nil
	})
}

// Leaf returns the leaf hash at an ordinal.
func (t *Table) Leaf(ordinal uint64) (merkle.Hash, error) {
	if err := t.checkOrdinal(ordinal); err != nil {
		return merkle.Hash{}, err
	}
	return new(leafReader).read(t, ordinal, true)
}

// leafReader reads leaf hashes and holds the last tile, for walks that mostly go on in it.
type leafReader struct {
	tile []byte
	at   uint64
}

func (r *leafReader) read(t *Table, ordinal uint64, fill bool) (merkle.Hash, error) {
	if at := ordinal / merkle.TileWidth; r.tile == nil || at != r.at {
		var err error
		if r.tile, err = t.leafTile(at, fill); err != nil {
			return merkle.Hash{}, err
		}
		r.at = at
	}
	return merkle.Hash(r.tile[ordinal%merkle.TileWidth*merkle.HashSize:][:merkle.HashSize]), nil
}

// Leaves fills dst with the leaf hashes of the seqs first, first+1, …, all of which must be the segment's.
func (t *Table) Leaves(first uint64, dst []merkle.Hash) error {
	var leaves leafReader
	for i := range dst {
		ordinal, err := t.Ordinal(first + uint64(i))
		if err != nil {
			return err
		}
		if dst[i], err = leaves.read(t, ordinal, true); err != nil {
			return err
		}
	}
	return nil
}

// Inclusion proves the entry at ordinal under Info.Root (RFC 6962 §2.1.1), leaf to root.
func (t *Table) Inclusion(ordinal uint64) ([]merkle.Hash, error) {
	if err := t.checkOrdinal(ordinal); err != nil {
		return nil, err
	}
	return merkle.InclusionProof(ordinal, t.props.Entries, t.nodes())
}

// LedgerNodes returns what Writer.SetLedgerNodes was given. They are read from the source, not held in memory.
func (t *Table) LedgerNodes() ([]merkle.Hash, error) {
	b, err := t.file.Section(sectionLedgerNodes)
	if err != nil {
		return nil, err
	}
	if len(b)%merkle.HashSize != 0 {
		at, _ := t.file.SectionAt(sectionLedgerNodes)
		return nil, t.corrupt(at.Offset, fmt.Errorf("ledger nodes of %d bytes", len(b)))
	}
	return hashes(b), nil
}

func (t *Table) checkOrdinal(ordinal uint64) error {
	if ordinal >= t.props.Entries {
		return fmt.Errorf("sstable: ordinal %d of segment %s, which has %d entries", ordinal, t.props.ID, t.props.Entries)
	}
	return nil
}
