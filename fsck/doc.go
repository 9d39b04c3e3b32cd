// Package fsck checks a data directory that no node uses, or a ledger's archive in an object store, and says what is
// damaged, where, what is lost with it, and what to do. docs/operations.md has the words for people.
//
// What it checks: every checksum of the segments, the log and the manifest; order and coverage of keys and seqs, index,
// filter and seq index against the entries; every leaf hash and every root, computed again from the entries; the nodes of
// the ledger tree that the segments store, and the frontier in the manifest, against the leaves; that the segments follow
// each other without a gap; the files against the manifest; the ledger's own records of its segments (op 3) against the
// segments, in the segments and in the log; the roots that the members agreed on, as far as the log still has them; that
// the log is whole, is this node's, and goes on where the manifest ends.
//
// Invariants:
//   - Nothing is written, created, truncated or removed, and nothing is taken for granted of what was read before.
//   - Damage in one place never hides damage in another file; within a file it goes on where the format lets it.
//   - What a crash may leave (a torn tail, a temporary file, a segment that was built and not installed) is no damage.
//   - Memory does not grow with the segments: a window of leaf hashes, a cache of blocks, and what the log's index takes.
//
// Check starts no goroutines. The caller makes sure that no process writes to the directory meanwhile.
//
// CheckBucket does the same for an archive in an object store: every object that the newest manifest names, by size and
// SHA-256, and in it all that is checked in a file; tiles, checkpoints and pointers against the entries and each other; and
// what is there beside. A cluster may go on publishing. What the store does not give is unreadable, and no damage; what it
// gives wrong once, and right the second time, is neither. It starts goroutines for requests under way, pieces of one
// object and tiles, and joins them before it returns. Its memory has, beside the above, 40 MiB of pieces, and the names of
// segments, manifests and checkpoints.
package fsck
