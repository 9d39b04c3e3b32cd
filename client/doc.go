// Package client is the Go client of a Scribe Ledger. It writes and reads over HTTP, retries what is safe to retry,
// and checks proofs with its own code.
//
// # Writes and retries
//
// Every write carries an Idempotency-Key, the caller's or a random one, and is repeated with the same key after a
// lost connection, 429, 502, 503 or 504, on the next endpoint, with a bounded and jittered wait between rounds. A
// write whose fate stays unknown after the last attempt ends in *OutcomeUnknownError, which holds the key to try
// again with; every other error of a write says that nothing was appended. Errors of the server are *Error with the
// code of the contract.
//
// # What Verify proves, and what it does not
//
// Verify fetches /verify/<key> and ignores what the server says of its own answer. It checks that the record is
// canonical, is of the key and version asked for, that the value hashes to the record's value hash, that the record's
// leaf stands at index = seq in the ledger tree of the answer's size and root, that the checkpoint names that size and
// root, and, once the entry is sealed, that the same leaf stands in a segment tree whose id covers the seq.
//
// All of that is against a root that the same server just sent, and alone it only shows that the answer agrees with
// itself. What gives it weight is the pin: the newest checkpoint (origin, size, root) this client has accepted, kept
// in the Client and, by the caller's Options.Pin and Client.Pin, over restarts. An answer with another root must come
// with an RFC 6962 consistency proof to or from the pin. So from the first accepted checkpoint on:
//
//   - proven: no entry below the pinned size was changed, dropped, added or moved since, and the verified record and
//     value are in that same history;
//   - not proven: that the first checkpoint was honest (it is trusted on first use); that other clients were shown the
//     same history (checkpoints are not signed yet, so compare pins by other means); that the version is the key's
//     newest, unless a seq was asked for; that the segment's root is the one the ledger recorded in its segment entry;
//     that the time or the principal in the record is true.
//
// # Ownership
//
// A Client starts no goroutines of its own (net/http keeps its connections' own) and is safe for concurrent use. Keys
// are strings of any bytes. A caller must not change a value while a call that was given it runs.
package client
