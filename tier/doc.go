// Package tier keeps sealed segments, and the archive beside them, in object stores.
//
// A [Store] is the one way to an object store: S3 (package tier/s3store, the only importer of the AWS SDK), a folder
// ([Dir]), or memory with faults for the simulator ([Mem]). They pass one suite of tests, tier/storetest.
//
// Invariants of every store:
//   - An object appears whole or not at all. [Store.Put] never overwrites; two puts of one key, anywhere, at once, make
//     one object, and exactly one of them is told so. Only the archive's moving pointers go through [Store.Replace].
//   - An object never appears with bytes that do not hash to the SHA-256 announced with them. What was damaged since is
//     for the reader to find: a block by its checksum, an object read whole by [ReadAll].
//   - No success is short. A body that ends before the length asked for is an error, and nothing is read behind it.
//   - An ETag is opaque: no hash of anything.
//   - A listing is what the store said then, in pages; it is no proof that an object is there or is not.
//   - "There is no such object" ([ErrNotFound]) is said only when the store said so. A refusal, a missing bucket, an
//     overload and a cut answer are other errors, and callers must not turn one into the other.
//
// Retries are the caller's policy ([Retry], [Budget]): stores make one attempt at a request, but for the parts of a
// large upload, each of which may be sent a few times. Every request has a deadline of its own beside the caller's.
//
// Stores start goroutines only inside a call and join them before it returns. The body of a [Reader] holds a connection
// or a file until it is closed. A caller must not trust an error to mean that nothing was done: an answer can be lost.
package tier
