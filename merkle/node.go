package merkle

import (
	"crypto/sha256"
	"math/bits"
)

// Domain separation of RFC 6962 §2.1: a leaf can never be taken for an interior node, nor the reverse.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// LeafHash is the hash of one leaf: SHA-256(0x00 || record), RFC 6962 §2.1.
func LeafHash(record []byte) Hash {
	// Most records fit; one contiguous Sum256 on the stack is quicker than a hash.Hash and allocates nothing.
	var buf [512]byte
	if len(record) < len(buf) {
		buf[0] = leafPrefix
		n := copy(buf[1:], record)
		return sha256.Sum256(buf[:1+n])
	}
	h := sha256.New()
	h.Write([]byte{leafPrefix})
	h.Write(record)
	var sum Hash
	h.Sum(sum[:0])
	return sum
}

// NodeHash is the hash of an interior node: SHA-256(0x01 || left || right), RFC 6962 §2.1.
func NodeHash(left, right Hash) Hash {
	var buf [1 + 2*HashSize]byte
	buf[0] = nodePrefix
	copy(buf[1:], left[:])
	copy(buf[1+HashSize:], right[:])
	return sha256.Sum256(buf[:])
}

// EmptyRoot is the root of the tree without leaves: SHA-256 of the empty string, RFC 6962 §2.1.
func EmptyRoot() Hash { return sha256.Sum256(nil) }

// RootOf is the root of the tree over leaves: MTH of RFC 6962 §2.1.
func RootOf(leaves []Hash) Hash {
	if len(leaves) == 0 {
		return EmptyRoot()
	}
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := split(uint64(len(leaves)))
	return NodeHash(RootOf(leaves[:k]), RootOf(leaves[k:]))
}

// split is the largest power of two below n, for n > 1: where RFC 6962 §2.1 divides n leaves.
func split(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }
