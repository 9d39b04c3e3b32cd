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
//	        for c.HasReady() {
//	                rd, err := c.Ready()
//	                send rd.Messages
//	                hand (rd.Number, rd.Install, rd.HardState, rd.Entries, rd.AfterSync) to the log writer
//	                hand rd.Committed to the apply loop
//	                answer rd.ReadStates once they are applied
//	                begin to fetch rd.Offer; when all of it is here, c.Restore(snapshot)
//	        }
//	}
//
// The log writer takes what has queued up, makes it durable with one sync, sends the AfterSync messages and reports
// Progress{Persisted: number of the last Ready it covered}. The apply loop reports Progress{Applied: index}. Neither
// makes the loop wait: Readys follow each other while earlier ones are still being written and applied, and the core
// knows for every entry whether it is in memory, on its way to disk, durable, committed, handed out or applied.
//
// Appends leave when a Ready is taken: what was proposed since the last one goes to each peer as one message, and the
// commit index rides on it. To a peer whose log is known to match, they follow each other without waiting for answers
// (PeerReplicate); after a loss, one at a time finds out where the logs agree (PeerProbe); a peer that needs what is
// compacted is offered a snapshot, of which only the metadata travel here (PeerSnapshot).
//
// # Files
//
//	core.go, step.go        the state and its ticks; messages admitted and dispatched
//	election.go             pre-vote, votes, leading and following
//	replicate.go, peer.go   a leader's view of its peers; appends, their answers, the commit rule
//	append.go               the follower's side of it
//	heartbeat.go, read.go   rounds of heartbeats, check-quorum; reads that a round confirms
//	change.go, configs.go   changes of members; the configurations in the log
//	transfer.go             leadership handed over
//	snapshot.go             compaction, offers, restoring
//	log.go, ready.go        what is where on its way through the log; work handed out, reports taken
//
// testdata/*.txt tells the protocol in scenarios, to be read in their order.
//
// # What holds
//
//   - Terms and the commit index never go back, and neither does a vote within a term, across restarts too.
//   - A node counts its own copy of an entry, and its own vote, only once it is durable: a leader may send entries to
//     its followers while its own disk works, but a decision never rests on what a crash could take away.
//   - Only an entry of the leader's own term commits by counting copies (Raft §5.4.2). A leader therefore begins with
//     an EntryNoop, and answers no read before that is committed.
//   - Committed entries are handed out in order, each once in the life of a Core, and only when they are durable on
//     this node: what the state machine holds, the log held before it.
//   - A read is answered at the commit index of the moment it came or later, and only when a round of heartbeats that
//     began after it was answered by a quorum. No read rests on a clock.
//   - A node votes for no other while it hears its leader, nor asks for votes before it knows that it could win; so
//     one that was cut off, or was removed, disturbs no one (thesis §4.2.3, §9.6). A leader that a quorum does not
//     answer steps down.
//   - A configuration is in force from the moment it is in the log, until its entry is truncated (Raft §6). One
//     change is under way at a time; voters change through a joint phase, in which both sets must agree.
//   - A member whose messages carry another instance than the one recorded has lost its data and is refused; so is
//     one that was removed. Both may still follow.
//   - What was acknowledged is never thrown away for a snapshot: where the log holds the snapshot's last entry, what
//     follows it stays.
//   - Everything is bounded: the tail in memory (MaxUncommittedBytes), each hand-out (MaxCommittedBytes), what is
//     handed out and not applied (MaxApplyingBytes), what is under way to a peer (MaxInflightAppends,
//     MaxInflightBytes), waiting reads (MaxPendingReads). Beyond that, callers get ErrOverloaded.
//
// # What the caller must not do
//
//   - Send an AfterSync message, or report Persisted, before the sync has returned. A sync that failed ends the
//     process.
//   - Make Readys durable out of order, or only one of HardState and Entries.
//   - Drop entries from the log before Compact has told the core that a durable snapshot covers them.
//   - Change the Data of an entry, proposed or handed out.
//   - Change the entries of a message: messages to several peers may share them.
//   - Start two lives of a node with one seed: an answer to a read of the earlier one could fit a read of the later.
//   - Go on after an error that wraps ErrInvalidState or comes from the LogReader: the log could not be read or the
//     contract was broken, and the core refuses to do anything more. All other errors leave it as it was.
//
// Numbers like "Raft §5.4.2" refer to Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm
// (extended version); "thesis" is Ongaro's Consensus: Bridging Theory and Practice.
package raft
