// Package ledger is the state machine: the append-only list of entries, by key and by seq, with its two hash trees.
//
// Committed raft entries come in through ApplyBatch, which gives each put and delete its seq and time and adds it to the
// active memtable. A seal command freezes that memtable; the flusher turns it into an immutable segment file and installs
// it in the manifest once the log records its Merkle root. Until then the raft log is what keeps the entries: recovery is
// Open, which restores the last manifest, and ApplyBatch of the log behind it.
//
//	Apply → active memtable → (seal) → sealed memtables → (build, record, install) → segments
//	                                      neighbouring segments → (decide, build, record, install) → fewer of them
//
// # Invariants
//
//   - Apply is a function of the commands before it: no clock, no map order, no randomness. Equal logs give equal roots,
//     however they are cut into batches.
//   - Within a batch, seqs, times, conditions and versions are settled command by command; hashes and the order of keys
//     may come later, from other cores. Readers are shown nothing before all of it is there (batch.go).
//   - A seq is in exactly one place: a segment, a sealed memtable or the active one, and these partition the ledger
//     by seq. So the newest version of a key is the first one found from the new end.
//   - What the manifest stores beside the segments is the state at the seal point, captured when the seal was applied.
//   - A manifest on disk lists only segments that were durable before it; a memtable goes only after both are, and the
//     segments that were merged only after that, and after their last reader.
//   - That a segment has a verified object in the object store follows from the log (object.go). A local file goes only once
//     the manifest on disk lists that object and the meta tail, verified against the root, is durable (evict.go). Whether a
//     segment is in a file here is told by the file alone. A merge has no object, whatever its inputs had.
//   - What the object store does not give, or gives damaged, is a *ColdError where Apply meets it, and the source's own
//     error elsewhere; it is never "not found", and never damage of this replica: Options.Damaged is not told, since the
//     other members' state would mend nothing.
//   - What a write's conditions depend on is looked up by Check before it is proposed, and travels in the command: Apply
//     looks at what was appended since (findings.go). The few writes that need a cold segment all the same have no outcome
//     until it is read: Apply asks again until it was (judgeApplied), with Options.Manual its caller does.
//   - What is recorded, and what is to be merged, follows from the log; what is built and installed is each replica's own
//     affair, and may be ahead of it or behind (compact.go).
//   - Another member's state takes the place of this one as a whole: it is derived and verified first (Staging), decided
//     on by one durable note (Install), and finished by Open after a crash.
//   - Readers work on a view that never changes, up to a size that was published before they took it. A memtable has one
//     writer, Apply, and its readers take no lock: they hold up nobody, and nobody holds them up.
//   - A memtable keeps a large value where the command has it, and copies the rest. So the bytes given to Apply must not
//     change afterwards.
//
// # Who calls what
//
// One goroutine, the apply loop of the node, calls ApplyBatch or Apply, SetMembers and Install. A Staging is for one
// goroutine at a time, any. The ledger's goroutines are the flusher and the compactor; with Options.Manual there are none
// of these, and the owner calls FlushStep and CompactStep instead. While ApplyBatch runs on a long batch there are two more,
// which hash and link for it (hasher.go, linker.go) and are gone when it returns; while Check waits for the object store
// there are some, one per lookup. All other methods are safe from anywhere.
// Evict, Fetch and RenewMeta wait for the object store, and for each other; they hold no lock meanwhile that a read, a write
// or a flush needs.
//
// Callers must not change an entry, a key or a value that they are given, nor use an iterator's entry after its next
// move, and they must close iterators: an open one keeps segments' files open.
package ledger
