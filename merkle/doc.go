// Package merkle is the Merkle tree mathematics of RFC 6962, section 2.1: hashing, roots, inclusion and consistency
// proofs, their verification, and the tile coordinates of C2SP tlog-tiles. The ledger tree and the segment trees are
// both built on it; clients verify with it.
//
// The package is pure: no I/O, no clock, no goroutines, no state but what the caller holds. A prover asks for node
// hashes through a NodeFunc, so it works on leaves in memory, in a file or across a network alike, and reads
// O(log size) nodes. Only complete subtrees are ever asked for: those never change as a tree grows, so they may be
// cached for good.
//
// Invariants:
//   - Leaves and interior nodes are hashed under different prefixes, and an odd node is never paired with itself, so
//     no two lists of leaves of one length share a root.
//   - Proofs run from the leaf to the root, as in RFC 6962 and RFC 9162.
//   - A verifier knows the exact length of a proof from index and size, and refuses any other before it hashes.
//     Nothing is allocated by a declared size.
//
// What a caller must not do: take size and root from different places. A proof shows that a leaf is at an index under
// a root; it binds the tree size only as far as the size changes the path's shape (index 0 has the same path shape in
// trees of 5, 6, 7 and 8 leaves). Size and root must come together, from a checkpoint that is trusted. The functions
// are safe for concurrent use; an Upper and the NodeFuncs made from it say for themselves.
package merkle
