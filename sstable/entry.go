package sstable

import (
	"crypto/sha256"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// Entry is one entry of the ledger with its value.
//
// ValueHash may be zero in an entry that was read from a segment (small values do not store it); Sum gives it always.
// Value is nil when the reader was asked for keys only; ValueSize is right all the same.
type Entry struct {
	tlog.Record
	Value []byte
	Leaf  merkle.Hash // leaf hash in both trees
}

// Sum returns the SHA-256 of the value, computing it when the entry does not carry it. Value must be present then.
func (e *Entry) Sum() merkle.Hash {
	if e.ValueHash == (merkle.Hash{}) {
		e.ValueHash = sha256.Sum256(e.Value)
	}
	return e.ValueHash
}
