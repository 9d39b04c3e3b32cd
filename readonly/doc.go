// Package readonly serves a ledger out of its archive in an object store, with nothing else: no members, no log, no
// data directory. It reads and proves what was published, as of the publication, and takes no writes.
//
// Invariants:
//   - What is served is one publication at a time, whole: its size, its root, and its checkpoint as it was published, which
//     is what proofs show. The root that follows from the segments is the checkpoint's, or the publication is not served.
//   - A later publication takes its place once it is open and was found to continue the one before: as many entries or more,
//     and the same root at the earlier size. One that does not, or cannot be read, leaves what is served as it is, and
//     shows in Status.
//   - Nothing that comes from the store is trusted unseen: blocks are checked against checksums, segments against their
//     roots, tiles against the tree, the tree against the checkpoint. Who the checkpoint comes from is for those who have a
//     signature, or another checkpoint, to tell.
//
// An Archive owns a goroutine that looks for publications, unless Options.Interval is negative. Close ends and joins
// it. The store stays the caller's, and must outlast it.
//
// Iterators and values go on over a change of publications, and end with Close. Callers must close them.
package readonly
