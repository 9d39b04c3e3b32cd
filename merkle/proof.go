package merkle

import (
	"errors"
	"fmt"
	"math/bits"
)

// ErrRange is returned by provers for an index or size outside the tree.
var ErrRange = errors.New("merkle: outside the tree")

// NodeFunc returns the hash of the complete subtree over leaves [index<<level, (index+1)<<level). It is asked only for
// subtrees that lie wholly below the size at hand, at most about 3·log2(size) of them a proof, from the root downwards,
// so that those inside one tile of 256 leaves come one after another.
type NodeFunc func(level uint, index uint64) (Hash, error)

// RootAt is the root of the tree of the first size leaves. The only errors are those of node.
func RootAt(size uint64, node NodeFunc) (Hash, error) {
	if size == 0 {
		return EmptyRoot(), nil
	}
	return rangeRoot(0, size, node)
}

// rangeRoot is MTH(D[lo:lo+n]) of RFC 6962 §2.1, for n > 0 and lo a multiple of the smallest power of two >= n. The
// range falls into one complete subtree for each bit of n, largest first; they are joined from the right.
func rangeRoot(lo, n uint64, node NodeFunc) (Hash, error) {
	var root Hash
	for rest := n; rest != 0; rest &= rest - 1 {
		level := uint(bits.TrailingZeros64(rest))
		// rest has no bit below level, so lo+rest is where this subtree ends, a multiple of its width.
		h, err := node(level, (lo+rest)>>level-1)
		if err != nil {
			return Hash{}, err
		}
		if rest == n {
			root = h
		} else {
			root = NodeHash(h, root)
		}
	}
	return root, nil
}

// InclusionProof proves that a leaf stands at index in the tree of the first size leaves: PATH(index, D[size]) of
// RFC 6962 §2.1.1, from the leaf to the root. It returns ErrRange unless index < size, and the errors of node.
func InclusionProof(index, size uint64, node NodeFunc) ([]Hash, error) {
	if index >= size {
		return nil, fmt.Errorf("%w: index %d of %d leaves", ErrRange, index, size)
	}
	inner, border := inclusionShape(index, size)
	proof := make([]Hash, inner+border)
	// The recursion of the RFC, unrolled: [lo, lo+n) is the subtree that holds the leaf, and each turn halves it. The
	// sibling that was left behind at the top of the tree comes last in the proof, so it is filled from its end.
	lo, n := uint64(0), size
	for at := len(proof) - 1; n > 1; at-- {
		var err error
		if k := split(n); index < lo+k {
			proof[at], err = rangeRoot(lo+k, n-k, node)
			n = k
		} else {
			proof[at], err = rangeRoot(lo, k, node)
			lo, n = lo+k, n-k
		}
		if err != nil {
			return nil, err
		}
	}
	return proof, nil
}

// ConsistencyProof proves that the tree of the first from leaves is a prefix of the tree of the first to leaves:
// PROOF(from, D[to]) of RFC 6962 §2.1.2. It is empty when from is 0 (which the RFC leaves undefined: everything extends
// the empty tree) and when from equals to. It returns ErrRange unless from <= to, and the errors of node.
func ConsistencyProof(from, to uint64, node NodeFunc) ([]Hash, error) {
	if from > to {
		return nil, fmt.Errorf("%w: from %d to %d leaves", ErrRange, from, to)
	}
	if from == 0 || from == to {
		return nil, nil
	}
	start, inner, border := consistencyShape(from, to)
	proof := make([]Hash, start+inner+border)
	// SUBPROOF(m, D[lo:lo+n], known), unrolled like InclusionProof. The verifier knows the hash of the old subtree
	// only while the way down has never turned right: then that subtree is the whole old tree.
	lo, n, known := uint64(0), to, true
	at := len(proof) - 1
	for ; from != lo+n; at-- {
		var err error
		if k := split(n); from <= lo+k {
			proof[at], err = rangeRoot(lo+k, n-k, node)
			n = k
		} else {
			proof[at], err = rangeRoot(lo, k, node)
			lo, n, known = lo+k, n-k, false
		}
		if err != nil {
			return nil, err
		}
	}
	if !known {
		h, err := rangeRoot(lo, n, node)
		if err != nil {
			return nil, err
		}
		proof[at] = h
	}
	return proof, nil
}

// inclusionShape is the make-up of the proof of index in size leaves, for index < size. The lower inner hashes are
// siblings on either side, as the bits of index say, up to where the leaf's path meets the right edge of the tree; the
// border hashes above all stand on the left.
func inclusionShape(index, size uint64) (inner, border int) {
	inner = bits.Len64(index ^ (size - 1))
	return inner, bits.OnesCount64(index >> inner)
}

// consistencyShape is the make-up of the proof between from and to leaves, for 0 < from < to. The path is that of the
// old tree's last leaf, from the top of the largest complete subtree that ends with this leaf. That subtree's hash
// opens the proof (start = 1), unless it is the whole old tree, whose root the verifier has (start = 0).
func consistencyShape(from, to uint64) (start, inner, border int) {
	inner, border = inclusionShape(from-1, to)
	inner -= bits.TrailingZeros64(from)
	if from&(from-1) != 0 {
		start = 1
	}
	return start, inner, border
}
