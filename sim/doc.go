// Package sim runs the production parts of a node, raft core, write-ahead log and ledger, without goroutines and without
// a clock, so that a test decides the order of everything and a run can be repeated exactly.
//
//   - Stack is one node, moved piece by piece.
//   - Model says what its ledger must hold, in the simplest way that can be written down.
//   - Script is a list of operations that a seed gives; Player plays one on a Stack and tells the Model.
//
// The tests crash the stack at every file system operation, fail every one of its calls, and damage every byte it wrote.
// Each failure prints the command that repeats its case.
//
// Nothing here may read the clock, draw from an unseeded source of randomness or iterate over a map where order shows.
// No other package imports this one.
package sim
