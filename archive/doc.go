// Package archive makes the object store a ledger's archive: what is published there is enough to read, prove and restore
// everything up to one seal point, with nothing else at hand.
//
//	ledger.json          whose ledger it is; made once (Claim)
//	segments/…           put and recorded before anything here is published (tier.Uploader)
//	tiles/…              the ledger tree up to the checkpoint's size (C2SP tlog-tiles)   ┐
//	checkpoints/<size>   its root                                                        │ Publish, in this order
//	manifests/<…>        the state: every segment and its object                         │
//	latest               names the newest manifest, and the cluster that owns it all     │
//	checkpoint           the newest checkpoint                                           ┘
//
// docs/format/archive.md has them byte by byte.
//
// Invariants:
//
//   - What latest names is whole: all but the two pointers are made before it, once each, and nothing else changes them.
//     So an archive is readable at every moment, and after a crash at any point of Publish.
//   - The published tree only grows. Publish reads what is published first, and goes on only if the root of the own tree at
//     that size is the published one. A ledger that went another way since, a survivor of a cluster that was restored, gets a
//     *ConflictError. Pointers move by If-Match from what was read, so two publishers do not overtake each other unseen.
//   - An archive belongs to one cluster, which alone publishes. Another one becomes its owner by TakeOver only: the same state
//     by If-Match, so that no publication of the owner before comes behind it. Publish gives a cluster that is not the owner an
//     *OwnerError. Readers need not care.
//   - A state is never replaced by one whose segments are older: where both have the same entries, the new one begins its
//     segments only where the published one does. The objects of segments that were merged since may be gone.
//   - What Read returns has been held against itself: ledger, manifest, frontier and checkpoint agree. Segments are not read:
//     whoever opens them holds them against the roots in the manifest.
//
// # What a caller must not do
//
//   - Publish before Claim, or a state that names an object which was not read back.
//   - Go on as if nothing were wrong after a *ForeignError, an *OwnerError or a *ConflictError: no upload, no sweep and
//     no eviction may follow, since what is there belongs to somebody else.
//   - Take over an archive that nobody has said is to go on elsewhere.
//   - Delete an object that the published manifest names.
//
// Functions make one attempt at each request but for Publish, which is given a policy. They start goroutines only inside
// Publish, which joins them; with Publication.Parallel 1 there are none.
package archive
