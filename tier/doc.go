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
// Over a store, for one ledger:
//
//   - [Ranges] reads sealed objects by range for all who read them, and [Cold] is one of them as a segfile.Source. A
//     read ends within its deadline: with the bytes, with an [*UnavailableError], which says nothing about the object,
//     or with a *vfs.CorruptError, when the object is missing or another one than recorded. The reader above verifies
//     the bytes, by the block's checksum, and asks once more past all copies ([Cold.ReadFresh]). Ranges owns a goroutine
//     for every request under way and joins them in Close; [RangeCache] has none.
//   - [Uploader] puts a segment and reads it back. Nothing else makes a [SealedObject] to be recorded.
//   - [Sweep] deletes what nobody names. Its Keep must know every object that is recorded, published or being uploaded.
//
// Nothing here holds a lock that a read of local data, or a write, could wait for.
//
// Retries are the caller's policy ([Retry], [Budget]): stores make one attempt at a request, but for the parts of a
// large upload, each of which may be sent a few times. Every request has a deadline of its own beside the caller's.
//
// Stores start goroutines only inside a call and join them before it returns. The body of a [Reader] holds a connection
// or a file until it is closed. A caller must not trust an error to mean that nothing was done: an answer can be lost.
package tier
