package manifest

import "github.com/scribe-ledger/scribe/merkle"

// State is the replicated state as of one seal point: everything the ledger needs beside the segments it names. A
// State that was handed out is never changed; edits return a new one.
type State struct {
	Version   uint64 // counts edits
	ClusterID string
	SealPoint
	TreeSize uint64    // entries in Segments
	Segments []Segment // contiguous from seq 0, sorted
	Settings []Setting // sorted by name, no name twice
}

// SealPoint is what apply knew when the last recorded segment was sealed. Replay begins after AppliedIndex.
type SealPoint struct {
	AppliedIndex uint64 // raft index of the seal command
	AppliedTerm  uint64
	LastTime     int64  // microseconds since the epoch; the next entry's time is not below it
	Frontier     []byte // tlog frontier of TreeSize leaves, marshalled
	// Recorded are the segments that the log had recorded at the seal point, contiguous from seq 0. They lag those of
	// the state by the ones whose record is behind the seal point. A state may have merged some that its seal point
	// did not know to be merged yet, and may still have to merge others.
	Recorded []Recorded
	// Merges are the seqs whose segments were to be merged, as decided before the seal point and not recorded there:
	// each those of two or more of Recorded; ascending.
	Merges      []Range
	Members     []byte // raft membership, opaque
	Idempotency []byte // idempotency window, opaque
}

// Recorded is a segment as the log has recorded it.
type Recorded struct {
	FirstSeq, LastSeq uint64
	Root              merkle.Hash
	Object            Object // once the log has recorded that there is one
}

// Range is the seqs from FirstSeq to LastSeq.
type Range struct{ FirstSeq, LastSeq uint64 }

// RecordedThrough counts the entries in the segments that the log had recorded.
func (p *SealPoint) RecordedThrough() uint64 {
	if n := len(p.Recorded); n > 0 {
		return p.Recorded[n-1].LastSeq + 1
	}
	return 0
}

// Segment names one sealed segment and where its bytes are to be had.
type Segment struct {
	FirstSeq, LastSeq   uint64
	Entries, Bytes      uint64
	Root                merkle.Hash
	MinKey, MaxKey      []byte // nil when it holds ledger records only
	FirstTime, LastTime int64
	// Tier says where the member that wrote the state had the segment. Whether its file is there decides: a member that
	// ended while it removed the file, or brought it back, may find it otherwise.
	Tier   Tier
	Object Object // the verified copy in the object store, if there is one
}

// Tier says where a segment is.
type Tier uint8

const (
	// Local: in a file of this member, and in no object.
	Local Tier = 0
	// Both: in a file of this member, and in an object.
	Both Tier = 1
	// Cold: in an object; this member has its meta tail only.
	Cold Tier = 2
)

// Setting is one replicated setting.
type Setting struct{ Name, Value string }

// String is the tier's name in the API.
func (t Tier) String() string {
	switch t {
	case Local:
		return "local"
	case Both:
		return "both"
	case Cold:
		return "cold"
	}
	return "unknown"
}
