// Package node runs one member of the cluster: it owns the raft core and moves work between it, the log and the ledger.
//
//	Write → queue → raft loop ── Ready ──→ log writer (group commit, one sync for all that has queued up)
//	                  ↑  │                     │ persisted
//	                  │  └── committed ──→ apply loop → ledger, and the waiter of (index, term) gets its outcome
//	                  └───────────────────────┘ progress
//
// # Goroutines
//
// All are started by Open and joined by Close. The raft loop is the only one that touches the core. The log writer is
// the only one that appends to the log. The apply loop is the only one that calls ledger.Apply. The keeper makes log
// files ready ahead of need and drops those that the ledger has put into segments. Between them stand queues that the
// core's own bounds keep short: MaxUncommittedBytes for the log writer's, MaxApplyingBytes for the apply loop's.
//
// # Invariants
//
//   - A write is acknowledged after its entry is durable on a quorum and applied here, never before.
//   - An outcome is one of: committed (a receipt, or the reason it appended nothing), not applied (*Unavailable with
//     any reason but OutcomeUnknown), unknown (OutcomeUnknown). A write that was queued for the core and whose caller
//     gave up is unknown; one that was still waiting in the queue is withdrawn, and so not applied.
//   - The first error of the log, the core or the apply loop is final, and so is the flusher's when this replica has
//     diverged: the node acknowledges nothing more, Failed is closed, and the process is expected to end. A full disk
//     is not such an error: writes are refused before they enter the log, and what is in the log already waits for
//     space.
package node
