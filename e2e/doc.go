// Package e2e tests the programs as an outsider does: it builds scribe-node and scribe, runs them as processes, and
// talks to them over sockets and files alone. What it expects stands in docs/api.md, docs/configuration.md and
// docs/format; where hashes, proofs or records are checked, they are computed here from the RFC and the record's table,
// not by the packages under test.
//
// Every node listens on a port that the system picks, and keeps its data in a directory of its test. Tests wait for a
// condition with a deadline, never for a time. A process that a test leaves behind is killed when the test ends, and
// what it wrote is shown when the test failed.
//
// The programs are built with the race detector when the tests are.
package e2e
