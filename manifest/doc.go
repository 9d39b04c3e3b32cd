// Package manifest is the durable form of the replicated state: which segments exist, and what apply knew at the last
// seal point. A raft snapshot is a manifest. docs/format/manifest.md has the bytes.
//
// Invariants:
//   - A [State] is immutable once it was handed out. Edits return a new one that shares what did not change, so a
//     reader's state stays whole while the next is made.
//   - Segments are contiguous from seq 0: none is missing, none overlaps.
//   - What stands beside the segments (frontier, members, idempotency window, last time) is as of the seal point, not
//     of the moment of writing; replay of the log begins behind AppliedIndex.
//   - The encoding is deterministic: equal states are equal bytes on every member.
//
// The package is pure: no I/O, no clock, no goroutines. Frontier, Members and Idempotency are opaque to it. A caller
// must not change a State, nor the slices in one, after it gave it away or got it from here.
package manifest
