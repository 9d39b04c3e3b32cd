// Package httpapi serves the ledger over HTTP: routes, limits, error mapping, and nothing of consensus or storage. It
// stands on the Backend interface, so that it can be tested against a model and run over a node.
//
// Invariants:
//   - A key is the bytes of the raw request target behind the route's prefix, percent-decoded exactly once. The target
//     is never cleaned, normalised or redirected: Go's URL.Path is not looked at, and httprouter is asked by Lookup
//     with the raw path.
//   - A response whose status line is out is either whole or visibly cut: an error that comes later aborts the
//     connection, so that the client sees a broken transfer and never a short but well-formed answer.
//   - Bytes that failed a checksum or a hash are answered 500 corrupt, never 404. A proof that this package hands out
//     with "verified":true was checked here, by package merkle.
//   - Bytes in flight are bounded: request bodies, pages and large values draw on one budget (Options.MaxInflightBytes)
//     and wait for it at most Options.BudgetWait; then the request is refused with 503 and was not applied.
//   - Time is bounded by progress: each 64 KiB of a body must arrive within Options.BodyTimeout, each 256 KiB of a
//     response must be taken within Options.WriteTimeout. There is no limit on the whole of a long stream.
//
// The package starts no goroutines; net/http's own run the handlers. A call and its buffers belong to the goroutine of
// its request and go back to a pool when the handler returns.
//
// The caller must not put a ServeMux or any path-cleaning middleware before the handler, and must serve it with the
// server that API.Server returns, or one with the same limits on headers.
package httpapi
