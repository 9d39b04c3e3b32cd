package sstable

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
)

// The meta tail begins with two arrays in tiles: blocks stored as they are, all of one length but the last, so that a
// tile's place is computed, and a read touches and verifies one tile only.
//
//	leaf tiles: the leaf hashes in segment order, 256 to a tile
//	seq tiles:  per seq, from the first on, its ordinal in as few bytes as the largest takes, 4,096 to a tile
const (
	seqTileWidth  = 4096
	leafTileBytes = merkle.TileWidth * merkle.HashSize
)

// ordinalBytes is what an ordinal takes in a seq tile.
func ordinalBytes(entries uint64) uint64 { return max(1, uint64(bits.Len64(entries-1)+7)/8) }

// tileArray says where an array of count items lies.
type tileArray struct {
	base      uint64
	itemBytes uint64
	width     uint64 // items in a full tile
	count     uint64
}

// tileArrays lays out the leaf and the seq tiles of a segment behind base.
func tileArrays(base, entries uint64) (leaves, seqs tileArray) {
	leaves = tileArray{base, merkle.HashSize, merkle.TileWidth, entries}
	return leaves, tileArray{leaves.end(), ordinalBytes(entries), seqTileWidth, entries}
}

// tiles is the number of tiles.
func (a tileArray) tiles() uint64 { return (a.count + a.width - 1) / a.width }

// end is the offset behind the last tile.
func (a tileArray) end() uint64 {
	return a.base + a.count*a.itemBytes + a.tiles()*segfile.BlockOverhead
}

// handle is where tile i lies.
func (a tileArray) handle(i uint64) segfile.Handle {
	items := min(a.width, a.count-i*a.width)
	return segfile.Handle{
		Offset: a.base + i*(a.width*a.itemBytes+segfile.BlockOverhead),
		Length: items*a.itemBytes + segfile.BlockOverhead,
	}
}

// item is item i of a tile of ordinals.
func (a tileArray) item(tile []byte, i uint64) uint64 {
	var word [8]byte
	copy(word[:], tile[i*a.itemBytes:(i+1)*a.itemBytes])
	return binary.LittleEndian.Uint64(word[:])
}

// leafTile returns the hashes of leaf tile i, as bytes.
func (t *Table) leafTile(i uint64, fill bool) ([]byte, error) { return t.tile(t.leaves, i, fill) }

// Ordinal returns the place of a seq in segment order.
func (t *Table) Ordinal(seq uint64) (uint64, error) {
	if seq < t.props.FirstSeq || seq > t.props.LastSeq {
		return 0, fmt.Errorf("sstable: seq %d is not of segment %s", seq, t.props.ID)
	}
	return t.ordinal(seq, true)
}

func (t *Table) ordinal(seq uint64, fill bool) (uint64, error) {
	at := seq - t.props.FirstSeq
	tile, err := t.tile(t.seqs, at/seqTileWidth, fill)
	if err != nil {
		return 0, err
	}
	ordinal := t.seqs.item(tile, at%seqTileWidth)
	if ordinal >= t.props.Entries {
		return 0, t.corrupt(t.seqs.handle(at/seqTileWidth).Offset, fmt.Errorf("seq %d has ordinal %d of %d",
			seq, ordinal, t.props.Entries))
	}
	return ordinal, nil
}
