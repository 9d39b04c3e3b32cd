package merkle

import (
	"errors"
	"fmt"
	"math/bits"
)

// ErrVerify is returned, wrapped with what was wrong, for every proof that does not verify.
var ErrVerify = errors.New("merkle: proof does not verify")

// VerifyInclusion checks that leaf stands at index in the tree of size leaves with this root (RFC 9162 §2.1.3.2). All
// of size and root must come from one trusted checkpoint. Every error is ErrVerify.
func VerifyInclusion(leaf Hash, index, size uint64, proof []Hash, root Hash) error {
	if index >= size {
		return fmt.Errorf("%w: index %d of %d leaves", ErrVerify, index, size)
	}
	inner, border := inclusionShape(index, size)
	if want := inner + border; len(proof) != want {
		return fmt.Errorf("%w: %d hashes, index %d of %d leaves needs %d", ErrVerify, len(proof), index, size, want)
	}
	h := leaf
	for i, p := range proof {
		if i < inner && index>>i&1 == 0 {
			h = NodeHash(h, p)
		} else {
			h = NodeHash(p, h)
		}
	}
	if h != root {
		return fmt.Errorf("%w: index %d of %d leaves gives root %s, not %s", ErrVerify, index, size, h, root)
	}
	return nil
}

// VerifyConsistency checks that the tree of from leaves with fromRoot is a prefix of the tree of to leaves with toRoot
// (RFC 9162 §2.1.4.2). From the empty tree the proof is empty, fromRoot must be EmptyRoot, and nothing is learnt of
// toRoot. Every error is ErrVerify.
func VerifyConsistency(from, to uint64, fromRoot, toRoot Hash, proof []Hash) error {
	if from > to {
		return fmt.Errorf("%w: from %d to %d leaves", ErrVerify, from, to)
	}
	if from == 0 && fromRoot != EmptyRoot() {
		return fmt.Errorf("%w: %s is not the root of the empty tree", ErrVerify, fromRoot)
	}
	if from == to && fromRoot != toRoot {
		return fmt.Errorf("%w: two roots at %d leaves, %s and %s", ErrVerify, from, fromRoot, toRoot)
	}
	if from == 0 || from == to {
		if len(proof) != 0 {
			return fmt.Errorf("%w: %d hashes, from %d to %d leaves needs none", ErrVerify, len(proof), from, to)
		}
		return nil
	}
	start, inner, border := consistencyShape(from, to)
	if want := start + inner + border; len(proof) != want {
		return fmt.Errorf("%w: %d hashes, from %d to %d leaves needs %d", ErrVerify, len(proof), from, to, want)
	}
	// Both trees share the subtree that opens the proof and every left sibling; right siblings are new to the old tree.
	oldHash := fromRoot
	if start == 1 {
		oldHash = proof[0]
	}
	newHash := oldHash
	path := (from - 1) >> bits.TrailingZeros64(from)
	for i, p := range proof[start:] {
		if i < inner && path>>i&1 == 0 {
			newHash = NodeHash(newHash, p)
		} else {
			oldHash, newHash = NodeHash(p, oldHash), NodeHash(p, newHash)
		}
	}
	if oldHash != fromRoot {
		return fmt.Errorf("%w: %d of %d leaves give root %s, not %s", ErrVerify, from, to, oldHash, fromRoot)
	}
	if newHash != toRoot {
		return fmt.Errorf("%w: %d leaves give root %s, not %s", ErrVerify, to, newHash, toRoot)
	}
	return nil
}
