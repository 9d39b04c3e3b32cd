package sstable

import "github.com/scribe-ledger/scribe/merkle"

// Limits of what a table can hold. They bound every allocation a reader makes.
const (
	MaxKeyBytes    = 4096
	MaxValueBytes  = 64 << 20
	MaxStringBytes = 255     // content type, principal
	MaxEntries     = 1 << 26 // ordinals are 32 bits wide
)

// Info identifies and describes a segment. It is what the manifest keeps of it.
type Info struct {
	ID        string // <first_seq>-<last_seq>, 16 hex digits each
	FirstSeq  uint64
	LastSeq   uint64
	Entries   uint64
	Bytes     uint64      // size of the file
	Root      merkle.Hash // RFC 6962 §2.1 root over the leaf hashes in segment order
	MinKey    []byte      // of its puts and deletes; nil when it holds none
	MaxKey    []byte
	FirstTime int64 // of the entries FirstSeq and LastSeq, microseconds since the epoch
	LastTime  int64
}
