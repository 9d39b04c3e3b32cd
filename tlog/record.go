package tlog

import "github.com/scribe-ledger/scribe/merkle"

// Op is what an entry does.
type Op uint8

const (
	// OpPut appends a version of a key.
	OpPut Op = 1
	// OpDelete appends a tombstone.
	OpDelete Op = 2
	// OpSegment is the ledger's own record of a sealed segment.
	OpSegment Op = 3
)

// Record is what the hash trees commit to: everything about an entry, with its value's hash in place of the value.
type Record struct {
	Op          Op
	Seq         uint64
	Time        int64 // microseconds since the epoch, given by the leader, never decreasing along Seq
	Key         []byte
	ContentType string // at most 255 bytes
	Principal   string // at most 255 bytes
	ValueSize   uint64 // bytes
	ValueHash   merkle.Hash
}
