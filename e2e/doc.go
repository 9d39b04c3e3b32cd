// Package e2e tests the programs as an outsider does: it builds scribe-node and scribe, runs them as processes, and
// talks to them over sockets and files alone. What it expects stands in docs/api.md, docs/configuration.md and
// docs/format; where hashes, proofs or records are checked, they are computed here from the RFC and the record's table,
// not by the packages under test.
//
// Every node listens on a port that the system picks, and keeps its data in a directory of its test. Tests wait for a
// condition with a deadline, never for a time. A process that a test leaves behind is killed when the test ends, and
// what it wrote is shown when the test failed.
//
// A cluster is three nodes or more on ports that stay theirs over their lives. Where links fail, a proxy of this package
// stands before every raft port and reads from the hello who dialled. What a test measures it prints; it holds against
// a limit what a loaded machine can show, too, and with -quiet the rest. The flags are in flags_test.go; `make e2e` runs
// all of it in full.
//
// The programs are built with the race detector when the tests are.
package e2e
