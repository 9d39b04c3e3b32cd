// Package raft is the consensus core: which entries stand in the log, and which of them are decided.
//
// # Pure
//
// The core does no I/O, reads no clock, starts no goroutine and takes no lock. Time is Tick, the network is Step and
// Ready.Messages, the disk is Ready and Advance, randomness is a seed. The same calls give the same run, so a whole
// cluster runs in one test. One goroutine owns a Core; no other may touch it.
//
// # The loop around it
//
//	for {
//	        wait for a tick, a message, a proposal, a read, a report
//	        c.Tick() / c.Step(m) / c.Propose(cmds) / c.ReadIndex(ctx) / c.Advance(progress)
//	        if c.HasReady() {
//	                rd, err := c.Ready()
//	                send rd.Messages
//	                hand (rd.Number, rd.HardState, rd.Entries, rd.AfterSync) to the log writer
//	                hand rd.Committed to the apply loop
//	                answer rd.ReadStates once they are applied
//	        }
//	}
//
// The log writer takes what has queued up, makes it durable with one sync, sends the AfterSync messages and reports
// Progress{Persisted: number of the last Ready it covered}. The apply loop reports Progress{Applied: index}. Neither
// makes the loop wait: Readys follow each other while earlier ones are still being written and applied, and the core
// knows for every entry whether it is in memory, on its way to disk, durable, committed, handed out or applied.
//
// # What holds
//
//   - Terms and the commit index never go back, and neither does a vote within a term, across restarts too.
//   - A node counts its own copy of an entry, and its own vote, only once it is durable: a leader may send entries to its
//     followers while its own disk works, but a decision never rests on what a crash could take away.
//   - Only an entry of the leader's own term commits by counting copies (Raft §5.4.2). A leader therefore begins with an
//     EntryNoop, and answers no read before that is committed.
//   - Committed entries are handed out in order, each once in the life of a Core, and only when they are durable on this
//     node: what the state machine holds, the log held before it.
//   - Everything is bounded: the tail in memory (MaxUncommittedBytes), each hand-out (MaxCommittedBytes), what is handed
//     out and not applied (MaxApplyingBytes), waiting reads (MaxPendingReads). Beyond that, callers get ErrOverloaded.
//
// # What the caller must not do
//
//   - Send an AfterSync message, or report Persisted, before the sync has returned. A sync that failed ends the process.
//   - Make Readys durable out of order, or only one of HardState and Entries.
//   - Drop entries from the log before Compact has told the core that a durable snapshot covers them.
//   - Change the Data of an entry, proposed or handed out.
//   - Go on after an error that is not ErrNotLeader, ErrNotVoter, ErrOverloaded, ErrRefused or ErrUnsupported: the log
//     could not be read or the contract was broken, and the core refuses to do anything more.
//
// Numbers like "Raft §5.4.2" refer to Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm
// (extended version); "thesis" is Ongaro's Consensus: Bridging Theory and Practice.
package raft
