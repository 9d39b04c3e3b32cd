// Package sim runs production code without goroutines and without a clock, so that one seed, or one script, decides the
// order of everything and a run can be repeated exactly.
//
// # One node's storage
//
// Stack is the raft core, write-ahead log and ledger of one node, moved piece by piece. Model says what its ledger
// must hold, in the simplest way that can be written down. Script is a list of operations that a seed gives; Player
// plays one on a Stack and tells the Model. The tests crash the stack at every file system operation, fail every one
// of its calls, and damage every byte it wrote.
//
// # A cluster
//
// World is a whole cluster under one seed: package node as production runs it, moved by its steps, on disks in memory
// that know what a power cut takes, with clocks that differ, over a network that encodes every message. The seed first
// draws a Plan: which classes of faults strike, and how often; how many nodes there are; how small their files are, so
// that seals, flushes, snapshots and trims happen all the time. Clients write and read through random nodes; an
// operator adds, removes and replaces members, moves the leadership, and replaces nodes whose disk was wiped.
//
// What is checked while it runs (raftcheck.go): Raft's five safety properties, roots that are equal at equal sizes, no
// node that fails without a reason, and that what a client is told reflects all that any client was told before it
// began. In the end all faults cease; the cluster must converge and answer in bounded time, and then (check.go,
// linear.go) nothing acknowledged is lost, nothing refused is there, no request has taken effect twice, seqs are
// dense, every read gave what its node can have had, and the history of every key is linearizable.
//
// Run runs one seed; the command sim/run runs many. A failure prints the command that repeats it.
//
// Nothing here may read the clock, draw from an unseeded source of randomness, start a goroutine or iterate over a map
// where order shows. No other package imports this one, but for its own command.
package sim
