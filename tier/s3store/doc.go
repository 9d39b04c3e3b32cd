// Package s3store is the object store over S3 and whatever speaks its protocol; the only import of the AWS SDK.
//
// What it adds to the promises of [tier.Store]:
//   - One attempt a request. The SDK's own retries are off; only parts of a large upload are sent again, a few times.
//   - Every request has a deadline: [Options.Timeout], and the time its body takes at [Options.MinBytesPerSecond].
//   - Bodies and parts are read twice, to be hashed and to be sent, and never held: an upload's memory does not grow with
//     its parts. What is sent is what hashes to the SHA-256 announced, or the server refuses it.
//   - The SHA-256 of an object is in its metadata, for S3 keeps none of an object made of parts. It is what the uploader
//     announced; whoever relies on the bytes reads them.
//   - In a bucket with versions, Delete deletes all of an object's versions, for a delete marker only hides them, and
//     Object Lock does not keep anybody from setting one.
//
// MinIO lists the uploads of one key by its whole name only, and none by a prefix, so that Uploads finds nothing there to
// sweep; it ends abandoned uploads itself, after a day.
//
// Invariants of the code: no error of the SDK leaves the package unclassified ([tier.Error]); errors are told apart by
// status and code, never by text; a 404 without an S3 error code is not taken for a missing object.
//
// A [Store] owns its idle connections, which Close gives up. Goroutines run only inside Put, and are joined there.
package s3store
