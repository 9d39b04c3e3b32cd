package mutations

// Bug is a mistake that implementations of raft, and of services and storage on it, have made.
type Bug struct {
	Number int
	What   string
	// Nowhere says why this code has no place to make it, when it has none.
	Nowhere string
}

// FirstOfStorage is the number of the first bug that concerns the log's files, segments and proofs.
const FirstOfStorage = 29

// Bugs is the list that the catalogue covers.
func Bugs() []Bug {
	return []Bug{
		{Number: 1, What: "a vote or a term that is not durable before the reply"},
		{Number: 2, What: "a vote forgotten on stepping down within a term"},
		{Number: 3, What: "a candidate's vote for itself not persisted"},
		{Number: 4, What: "a repeated vote reply counted twice"},
		{Number: 5, What: "entries of an earlier term committed by counting copies (Raft figure 8)"},
		{Number: 6, What: "a read index before the first commit of the own term"},
		{Number: 7, What: "a read served before the heartbeat of a quorum"},
		{Number: 8, What: "a stale read after the leader was paused"},
		{Number: 9, What: "a lease measured from when the reply came, not from when the heartbeat left", Nowhere: "no read " +
			"rests on a lease or on any clock; followers measure the time in which they vote for no other from a message " +
			"of the leader that they have, and only the time to an election depends on it"},
		{Number: 10, What: "a change of members before the first commit of the own term"},
		{Number: 11, What: "a change of members not taken back when its entry is truncated"},
		{Number: 12, What: "two changes of members in flight"},
		{Number: 13, What: "a removed or isolated node that disturbs elections"},
		{Number: 14, What: "a late or reordered append that truncates a suffix which matches"},
		{Number: 15, What: "a commit index beyond what the message verified"},
		{Number: 16, What: "an old append reply that moves match backwards, or too far forwards"},
		{Number: 17, What: "a next index that underflows"},
		{Number: 18, What: "a snapshot that races with appends, or throws away a newer suffix"},
		{Number: 19, What: "a snapshot and the beginning of the log that change in two steps"},
		{Number: 20, What: "a leader that counts its own entry before its own sync"},
		{Number: 21, What: "an entry truncated and rewritten, acknowledged to the wrong client"},
		{Number: 22, What: "two nodes that hold each other for the leader, forwarding in a circle"},
		{Number: 23, What: "a forwarded write applied twice"},
		{Number: 24, What: "a timeout reported as a definite failure"},
		{Number: 25, What: "applying that depends on the order of a map, the local clock or the locale"},
		{Number: 26, What: "an unbounded queue of proposals, or window of messages in flight"},
		{Number: 27, What: "a peer of another cluster, or one that came back without its data, accepted"},
		{Number: 28, What: "arithmetic on terms or indexes that overflows on a hostile message"},
		{Number: 29, What: "a sparse file on a full disk: SIGBUS"},
		{Number: 30, What: "a torn tail confused with damage in the middle; recovery that goes on with the next file"},
		{Number: 31, What: "stale bytes of a recycled file accepted"},
		{Number: 32, What: "a truncation that leaves an old valid suffix, which comes back after a crash"},
		{Number: 33, What: "zero length with zero checksum read as valid"},
		{Number: 34, What: "a length trusted before bounds and checksum; an offset and a length that overflow"},
		{Number: 35, What: "an asynchronous msync"},
		{Number: 36, What: "an msync range not aligned to pages; a record across two files"},
		{Number: 37, What: "a header or marker on the disk before its payload"},
		{Number: 38, What: "a rename without the sync of its directory"},
		{Number: 39, What: "unmapping while a reader holds a slice"},
		{Number: 40, What: "a sync error swallowed while waiters are acknowledged"},
		{Number: 41, What: "a preallocation that is unsupported or short, ignored"},
		{Number: 42, What: "two processes on one data directory"},
		{Number: 43, What: "a start that deletes the empty active file"},
		{Number: 44, What: "an index rebuilt past the commit point"},
		{Number: 45, What: "leaves and nodes not told apart; odd leaves duplicated"},
		{Number: 46, What: "a root not bound to its segment, count and range"},
		{Number: 47, What: "a proof checked against a root that the same server just sent"},
		{Number: 48, What: "a block served unchecked after the cache was filled"},
		{Number: 49, What: "a decompression bomb; allocation by a declared length"},
		{Number: 50, What: "unsorted or repeated keys, overlapping blocks accepted"},
		{Number: 51, What: "a log trimmed before segment, directory and manifest are all durable"},
		{Number: 52, What: "a range merge that repeats or misses entries at a boundary between segments"},
		{Number: 53, What: "a crash between seal and manifest that orphans or repeats a segment"},
		{Number: 54, What: "a local file deleted before its object was read back"},
		{Number: 55, What: "an ETag taken for an MD5", Nowhere: "no code looks into an ETag: it is handed back in If-Match, and what " +
			"an object holds is told by the SHA-256 that is kept with it, and by reading it"},
		{Number: 56, What: "two leaders that write different bytes to one name"},
		{Number: 57, What: "a deletion before the manifest edit is durable"},
		{Number: 58, What: "a manifest that was to be published and is forgotten over a restart"},
		{Number: 59, What: "a segment deleted while it is uploaded"},
		{Number: 60, What: "uploads that were begun and abandoned"},
		{Number: 61, What: "a listing taken for the truth, or read without its further pages"},
		{Number: 62, What: "a short body, or an ignored range, accepted"},
		{Number: 63, What: "a refusal of the store turned into \"not found\""},
		{Number: 64, What: "a storm of retries; a queue that fills the disk"},
		{Number: 65, What: "a stalled store that stalls writes or heartbeats"},
	}
}
