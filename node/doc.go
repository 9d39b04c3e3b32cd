// Package node runs one member of the cluster: it owns the raft core and moves work between it, the log, the ledger and
// the other members.
//
//	Write → inbox → raft loop ── Ready ──→ log writer (group commit, one sync for all that has queued up)
//	          ↑      ↑  │   └─ messages ─→ network  ↑   │ persisted; then the messages that promise it
//	    Receive…     │  └── committed ──→ apply loop ┘  │ → ledger, and the waiter of (index, term) gets its outcome
//	                 └──────────── progress ────────────┘
//
// A follower passes its clients' writes on to the leader (forward.go) and asks it where its reads stand (barrier.go).
// The members agree on segment roots before they enter the log (agree.go), say who they are (introduce.go), and are
// changed by the leader (change.go). A member that lags beyond the log fetches what a snapshot consists of (fetch.go,
// serve.go, install.go); one whose state is damaged or has diverged rebuilds it (restore.go). Sealed segments go to an
// object store (tiering.go), while the archive there is this cluster's (tierfence.go), and what nobody has read for
// long is read again (scrub.go).
//
// # Steps and goroutines
//
// Tick, Turn, PersistStep, ApplyStep, KeepStep, FetchStep, ServeStep, TierStep and ScrubStep are the whole of the node's
// work. They block on nothing but the disk, and the last two, in manual mode, on the object store; and depend on nothing but what the node was given, Options.Now and Options.Seed. With
// Options.Manual the owner calls them, all from one goroutine; so a whole cluster runs in one test, the same each time.
// Otherwise Open starts a goroutine for each of the following, and Close joins them:
//
//   - the raft loop (Tick, Turn) is the only one that touches the core, and the fields that say so;
//   - the log writer (PersistStep) is the only one that appends to the log;
//   - the apply loop (ApplyStep) is the only one that calls ledger.ApplyBatch;
//   - the keeper (KeepStep) makes log files ready ahead of need and drops those that nobody needs;
//   - the fetcher and the server (FetchStep, ServeStep) copy snapshots from and to other members;
//   - the tier daemon (TierStep) decides what goes to the object store, what leaves the disk for it and what comes back,
//     and starts a goroutine for each piece of that, of which it bounds the number;
//   - the scrubber (ScrubStep) re-reads copies of segments and has them repaired.
//
// Between them stand queues that the core's own bounds keep short: MaxUncommittedBytes for the log writer's,
// MaxApplyingBytes for the apply loop's. What comes from outside, from clients and from peers, waits in the inbox, whose
// bounds are in Options: a client beyond them is told so, a peer's message is dropped.
//
// # Invariants
//
//   - A write is acknowledged after its entry is durable on a quorum and applied by the leader, never before.
//   - An outcome is one of: committed (a receipt, or the reason it appended nothing), not applied (*Unavailable with
//     any reason but OutcomeUnknown), unknown (OutcomeUnknown). A write that was proposed, or sent to the leader, and
//     whose caller gave up is unknown; one that was still waiting is withdrawn, and so not applied.
//   - Nothing is proposed twice on a guess. What certainly was not applied, because another entry was applied in its
//     place or the leader it was sent to says that it did not propose it, goes to the next leader while its caller waits.
//   - What one node passes on to another is not passed on again. A request that the network delivers twice does nothing
//     the second time.
//   - A read is linearizable: its index is confirmed by a quorum after the read came, and applied here before it goes on.
//     Only where there is no other member at all is nobody asked.
//   - The first error of the log, the core or the apply loop is final, and so is the flusher's when this replica has
//     diverged: the node acknowledges nothing more, Failed is closed, and the process is expected to end, or, when
//     WantsRebuild says so, to open the node again. A full disk is not such an error: writes are refused before they
//     enter the log, what is in the log already waits for space, and a leader hands over to a member that has some.
//   - The object store is asked by the tier daemon, the scrubber, the fetcher and those who read; never by the raft loop
//     or the log writer, nor with a lock held that they take. What is known of it before it is recorded in the log, no other
//     member relies on; a file goes only behind that (ledger/evict.go).
//
// # What the caller must not do
//
//   - Block in a Network: the steps call it.
//   - Change a payload after it was handed over, in either direction, or deliver one twice without copying it.
//   - Give two lives of a node the same Seed, or two nodes one directory.
package node
