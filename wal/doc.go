// Package wal keeps the raft log on disk: entries and hard states in one stream of checksummed records, in mapped,
// preallocated files. It is the only write-ahead log of the system and implements raft.LogReader. The format, and what
// a crash can leave at each point, is in docs/format/wal.md.
//
// Invariants:
//
//   - Append returns nil only when its whole batch is durable. A batch that was not acknowledged is found whole or not
//     at all after a crash.
//   - A batch is begun only when the one before it is durable. Recovery rests on that: bytes that fail to verify are a
//     torn tail only if nothing behind them proves a later batch or a completed sync; else they are damage, which is
//     reported as *vfs.CorruptError and never cut.
//   - Bytes that were durable are never written again while their file is part of the log. Truncation by conflict is
//     a later record, not an overwrite. After anything but zeros behind the last batch, a new file is begun.
//   - A log file gets its name when its header is durable; file ids count up by one and are never used twice.
//   - A log is one member's, and every file of it says whose. Another's is refused with *OwnerError.
//   - After a failed write or sync nothing is accepted any more (ErrPoisoned).
//   - In memory an entry costs 12 bytes, and a change of term 16; entries themselves are read from the map.
//
// The package starts no goroutine. One goroutine appends; readers, Trim and Prepare may run beside it. A caller must
// not open one directory twice (the node locks its data directory), put other files into it, or go on after
// ErrPoisoned: it ends the process, and Open looks at the disk anew.
//
// What cannot be seen: that the newest files were taken away as a whole, and damage to a sector that the drive was
// writing when the power failed, if it also held acknowledged bytes.
package wal
