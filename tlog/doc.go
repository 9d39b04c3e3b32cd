// Package tlog is the ledger as a transparency log: the canonical record that is hashed, the ids and descriptors of
// segments, the ledger tree over the leaf hashes in seq order, its frontier, and the text of checkpoints.
//
// The package is pure: no I/O, no clock, no goroutines. Its encodings have one form for each value, and its parsers
// refuse every other; docs/format/record.md has them byte by byte.
//
// Invariants:
//   - The leaf of entry n is the n-th leaf of the ledger tree. Leaves are only ever added, so all trees are prefixes of
//     the newest one and a Tree answers for any size up to its own.
//   - A Tree holds what grows slowly (nodes of level 8 and up, the leaves of the last, incomplete tile). Complete tiles
//     of leaves come from a LeafReader, as they lie in segments and memtables already.
//   - A Tree that is opened on stored nodes has their root checked against a frontier that was stored apart from them.
//
// Ownership: a Tree has one writer, the ledger's apply loop, and any number of readers. A Frontier is a plain value;
// assignment clones it.
//
// What a caller must not do: append a leaf that is not committed (a Tree does not shrink), or take a parsed ValueSize
// for a size to allocate.
package tlog

import "errors"

// ErrMalformed is returned, wrapped with what was wrong, by every parser of this package for bytes that are not the
// canonical form of a value. The caller knows the file and offset, and says so in a *vfs.CorruptError.
var ErrMalformed = errors.New("tlog: malformed")
