// Package mutations is a catalogue of bugs that systems like this one have had, each as an edit of the production code
// that plants it, and the question that it answers is whether the tests would notice.
//
// The command sim/mutations/run (`make mutants`) plants them one at a time. It runs the simulator and the tests of the
// packages concerned with each, and prints which seed and which test kills it. One that survives is a hole in the tests.
//
// # How a bug is planted
//
// A copy of the file is edited and given to the compiler in place of the file (go build -overlay). The tree is never
// touched, and the production code knows nothing of this: it has no switch, tag or hook for it.
//
// # What holds
//
//   - The old text of every edit stands exactly once in the function that it names, so that the catalogue cannot rot
//     unnoticed: a test of the normal suite looks.
//   - Every bug of the list has a mutation, or a line that says why this code has no place for it.
//   - A mutation is a mistake that a programmer could make, not one that anything at all would notice.
package mutations
