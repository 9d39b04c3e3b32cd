// Package sstable gives a sealed segment its meaning: the entries of a contiguous seq range, sorted by key, with the
// indexes that find them and the Merkle tree that proves them. The container below it is package segfile; it knows
// files only through segfile.Source. docs/format/segment.md has the bytes.
//
// Segment order is: first all OpSegment entries by seq ascending, then all puts and deletes by key ascending
// (bytewise), within a key by seq descending. An entry's ordinal is its place in that order, and its leaf's index in
// the segment tree.
//
// Invariants:
//   - A segment covers all seqs of [FirstSeq, LastSeq], each once. [Writer] refuses to finish otherwise.
//   - The root depends on the entries alone: not on block sizes, compression, or where a file was made.
//   - A point lookup reads one data block: the separators of the index place every (key, seq) in exactly one.
//   - A block is searched as it stands, but was checked whole before (checksum, bounds, order, its range in the index),
//     so damage is a *vfs.CorruptError and never "not found" or another entry's bytes. Damage that checksums cannot see,
//     such as a wrong entry written well, is found by [Table.Verify].
//   - Blocks in use are on the heap and immutable. Entries alias them and outlive the table and its source.
//   - Neither a [Writer] nor [Table.Verify] holds what grows with the entries, but for the tree's upper part (an eighth
//     of a byte an entry): a Writer spills it to the [Scratch] it is given.
//
// Index and filters are in partitions, each over some hundred blocks. A table whose partitions are small enough
// (Options.ResidentBytes) has them in memory from Open on; that of a larger one reads them through the [BlockCache] and
// keeps the top level, some 50 bytes a partition. Leaf hashes and the seq index are read in small tiles, each under its
// own checksum, through the [BlockCache], and not at all by who does not ask for them. Large values are read by pieces
// ([Table.OpenValue]), past the cache.
//
// The package starts no goroutines. A [Writer] and the iterators are for one goroutine each, a [Table] and a
// [BlockCache] for any number. A caller must not change what an entry points to, nor close the source while a call is
// under way.
package sstable
