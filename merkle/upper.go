package merkle

import "fmt"

// upperStride is how many levels lie between two stored ones. With all of them stored, Upper would be twice the size;
// at a stride of 4 it is 1.07 times its lowest level, and a node between is folded from at most 8 stored ones.
const upperStride = 4

// upperLevels is enough for 2^64 leaves: levels 8, 12, … 60.
const upperLevels = (64 - TileHeight) / upperStride

// Upper holds the upper part of a tree: its complete nodes at levels >= TileHeight, about 0.13 bytes a leaf. With a
// reader of leaf tiles beside it, it gives all nodes of the tree (Nodes), each with at most 255 hashings of leaves.
//
// Its durable form is the level-8 nodes in order; the rest is recomputed, in about 8 ms for 2^24 leaves.
//
// The zero Upper is empty. A copy made by assignment is a snapshot that stays valid and unchanged while the original
// grows; of an Upper and its copies only one may be appended to. Reading is safe for concurrent use, and beside an
// Append to another copy.
type Upper struct {
	levels [upperLevels][]Hash // levels[i] has the nodes of level TileHeight + i*upperStride, in order
}

// NewUpper builds the upper part from the hashes of all complete leaf tiles, in order.
func NewUpper(level8 []Hash) *Upper {
	u := &Upper{}
	u.levels[0] = make([]Hash, 0, len(level8))
	for _, h := range level8 {
		u.Append(h)
	}
	return u
}

// UpperOf builds the upper part of the tree over leaves.
func UpperOf(leaves []Hash) *Upper {
	u := &Upper{}
	u.levels[0] = make([]Hash, 0, len(leaves)/TileWidth)
	for len(leaves) >= TileWidth {
		u.Append(RootOf(leaves[:TileWidth]))
		leaves = leaves[TileWidth:]
	}
	return u
}

// Append adds the hash of the next complete leaf tile: RootOf its 256 leaves.
func (u *Upper) Append(tile Hash) {
	for i := range u.levels {
		u.levels[i] = append(u.levels[i], tile)
		n := len(u.levels[i])
		if n%(1<<upperStride) != 0 {
			return
		}
		tile = RootOf(u.levels[i][n-1<<upperStride:])
	}
}

// Tiles is the number of complete leaf tiles.
func (u *Upper) Tiles() uint64 { return uint64(len(u.levels[0])) }

// Level8 is the hashes of all complete leaf tiles, in order. The slice is the Upper's own and must not be changed.
func (u *Upper) Level8() []Hash { return u.levels[0][:len(u.levels[0]):len(u.levels[0])] }

// Node is the complete node at level >= TileHeight and index; ErrRange when the tree has no such node yet.
func (u *Upper) Node(level uint, index uint64) (Hash, error) {
	if level >= TileHeight && level < 64 {
		i, up := (level-TileHeight)/upperStride, (level-TileHeight)%upperStride
		stored := u.levels[i]
		if index < uint64(len(stored))>>up {
			return RootOf(stored[index<<up : (index+1)<<up]), nil
		}
	}
	return Hash{}, fmt.Errorf("%w: node %d of level %d over %d tiles", ErrRange, index, level, u.Tiles())
}

// TileFunc returns the leaf hashes of a tile: 256 of them, or as many as there are in the tree's last one. The prover
// only reads the slice, and not after its proof is made.
type TileFunc func(tile uint64) ([]Hash, error)

// Nodes returns a NodeFunc over all levels of the tree, for one proof or root. It keeps the last tile it read, as a
// proof needs all of a tile's levels in a row; so it is not safe for concurrent use, and a new one costs nothing.
func (u *Upper) Nodes(leaves TileFunc) NodeFunc {
	var (
		tile []Hash
		at   uint64
	)
	return func(level uint, index uint64) (Hash, error) {
		if level >= TileHeight {
			return u.Node(level, index)
		}
		want := index >> (TileHeight - level)
		if tile == nil || at != want {
			var err error
			if tile, err = leaves(want); err != nil {
				tile = nil
				return Hash{}, err
			}
			at = want
		}
		first := index << level & (TileWidth - 1)
		end := first + 1<<level
		if end > uint64(len(tile)) {
			return Hash{}, fmt.Errorf("%w: leaf %d of tile %d, which has %d", ErrRange, end-1, want, len(tile))
		}
		return RootOf(tile[first:end]), nil
	}
}
