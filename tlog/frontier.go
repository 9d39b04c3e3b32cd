package tlog

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/scribe-ledger/scribe/merkle"
)

// MaxTreeSize bounds the size that UnmarshalFrontier takes, far beyond any ledger, so that appending never overflows.
const MaxTreeSize = 1 << 62

// MaxFrontierBytes is the length of the longest frontier in its binary form.
const MaxFrontierBytes = 8 + 62*merkle.HashSize

// Frontier is the right edge of a tree (its compact range): the roots of the complete subtrees that its leaves fall
// into, one for each bit of the size. It is all that is needed to append leaves and to know the root.
//
// The zero Frontier is the empty tree. It is a plain value of 2 KiB: assignment clones it.
type Frontier struct {
	size  uint64
	nodes [64]merkle.Hash // nodes[l], for a set bit l of size, is the complete subtree of 2^l leaves
}

// Size is the number of leaves.
func (f *Frontier) Size() uint64 { return f.size }

// Append adds a leaf: one NodeHash on average, at most log2(size).
func (f *Frontier) Append(leaf merkle.Hash) { f.appendLeaf(leaf) }

// appendLeaf is Append; it returns the hash of the leaf's tile when the leaf completes it.
func (f *Frontier) appendLeaf(leaf merkle.Hash) (tile merkle.Hash) {
	// Adding one to size carries through its trailing ones; each carry joins two subtrees.
	node, level := leaf, 0
	for ; f.size>>level&1 == 1; level++ {
		node = merkle.NodeHash(f.nodes[level], node)
		if level+1 == merkle.TileHeight {
			tile = node
		}
	}
	f.nodes[level] = node
	f.size++
	return tile
}

// Root is the root of the tree.
func (f *Frontier) Root() merkle.Hash {
	// The error is that of the NodeFunc, and this one has none: RootAt asks for the subtrees of the set bits alone.
	root, _ := merkle.RootAt(f.size, func(level uint, _ uint64) (merkle.Hash, error) { return f.nodes[level], nil })
	return root
}

// Clone is a copy that grows on its own.
func (f *Frontier) Clone() *Frontier {
	c := *f
	return &c
}

// Marshal is the binary form of f: size u64, big-endian, and the nodes from left to right, which is from the largest
// subtree to the smallest.
func (f *Frontier) Marshal() []byte {
	dst := make([]byte, 0, 8+bits.OnesCount64(f.size)*merkle.HashSize)
	dst = binary.BigEndian.AppendUint64(dst, f.size)
	for rest := f.size; rest != 0; {
		level := bits.Len64(rest) - 1
		dst = append(dst, f.nodes[level][:]...)
		rest &^= 1 << level
	}
	return dst
}

// UnmarshalFrontier reads a frontier that takes up all of b. It returns ErrMalformed for a size beyond MaxTreeSize, and
// unless there is exactly one node for each bit of the size.
func UnmarshalFrontier(b []byte) (*Frontier, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("%w: frontier of %d bytes", ErrMalformed, len(b))
	}
	size, nodes := binary.BigEndian.Uint64(b), b[8:]
	if size > MaxTreeSize {
		return nil, fmt.Errorf("%w: frontier of %d leaves", ErrMalformed, size)
	}
	if want := bits.OnesCount64(size) * merkle.HashSize; len(nodes) != want {
		return nil, fmt.Errorf("%w: frontier of %d leaves with %d bytes of nodes, want %d",
			ErrMalformed, size, len(nodes), want)
	}
	f := &Frontier{size: size}
	for rest := size; rest != 0; {
		level := bits.Len64(rest) - 1
		nodes = nodes[copy(f.nodes[level][:], nodes):]
		rest &^= 1 << level
	}
	return f, nil
}
