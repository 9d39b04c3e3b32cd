package sstable

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// Limits of what a table can hold. They bound every allocation a reader makes. Those of a record are package tlog's.
const (
	MaxValueBytes = 64 << 20
	MaxEntries    = 1<<32 - 1 // in one segment; ordinals take 32 bits
)

// Section kinds of a segment file.
const (
	sectionIndex       = 1 // its top level
	sectionUpper       = 2 // level-8 nodes of the segment tree
	sectionLedgerNodes = 3
	sectionProperties  = 4
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

// properties is what a segment file says about itself.
//
//	first seq u64 · last seq u64 · entries u64 · segment entries u64 · distinct keys u64 · first time u64
//	· last time u64 · data blocks u64 · key bytes u64 · value bytes u64 · root 32 · min key length u16, min key · max key length u16, max key
type properties struct {
	Info
	segments uint64 // OpSegment entries
	keys     uint64 // distinct keys of puts and deletes
	// What the segment holds, before compression, for people and planners. Verify checks them.
	blocks, keyBytes, valueBytes uint64
}

const (
	propertiesRootAt   = 10 * 8
	propertiesFixedLen = propertiesRootAt + merkle.HashSize
)

func (p *properties) append(dst []byte) []byte {
	le := binary.LittleEndian
	for _, v := range [...]uint64{p.FirstSeq, p.LastSeq, p.Entries, p.segments, p.keys,
		uint64(p.FirstTime), uint64(p.LastTime), p.blocks, p.keyBytes, p.valueBytes} {
		dst = le.AppendUint64(dst, v)
	}
	dst = append(dst, p.Root[:]...)
	dst = append(le.AppendUint16(dst, uint16(len(p.MinKey))), p.MinKey...)
	return append(le.AppendUint16(dst, uint16(len(p.MaxKey))), p.MaxKey...)
}

// parseProperties reads what append wrote. Its errors are reasons for a *vfs.CorruptError.
func parseProperties(b []byte) (properties, error) {
	var p properties
	if len(b) < propertiesFixedLen {
		return p, fmt.Errorf("properties of %d bytes", len(b))
	}
	le := binary.LittleEndian
	var firstTime, lastTime uint64
	for i, v := range [...]*uint64{&p.FirstSeq, &p.LastSeq, &p.Entries, &p.segments, &p.keys, &firstTime, &lastTime,
		&p.blocks, &p.keyBytes, &p.valueBytes} {
		*v = le.Uint64(b[8*i:])
	}
	p.FirstTime, p.LastTime = int64(firstTime), int64(lastTime)
	copy(p.Root[:], b[propertiesRootAt:])
	rest := b[propertiesFixedLen:]
	for _, key := range [...]*[]byte{&p.MinKey, &p.MaxKey} {
		if len(rest) < 2 || len(rest)-2 < int(le.Uint16(rest)) {
			return p, fmt.Errorf("properties end within a key")
		}
		n := 2 + int(le.Uint16(rest))
		if n > 2 {
			*key = bytes.Clone(rest[2:n])
		}
		rest = rest[n:]
	}
	keyed := p.Entries - p.segments // entries that have a place in key order
	switch {
	case len(rest) != 0:
		return p, fmt.Errorf("%d bytes after the properties", len(rest))
	case p.Entries == 0 || p.Entries > MaxEntries || p.LastSeq-p.FirstSeq != p.Entries-1 || p.LastSeq < p.FirstSeq:
		return p, fmt.Errorf("%d entries for the seqs %d to %d", p.Entries, p.FirstSeq, p.LastSeq)
	case p.segments > p.Entries || p.keys > keyed || (p.keys == 0) != (keyed == 0):
		return p, fmt.Errorf("%d entries, of which %d segment entries, with %d keys", p.Entries, p.segments, p.keys)
	case (keyed == 0) != (p.MinKey == nil) || (keyed == 0) != (p.MaxKey == nil),
		bytes.Compare(p.MinKey, p.MaxKey) > 0, len(p.MinKey) > tlog.MaxKeyBytes, len(p.MaxKey) > tlog.MaxKeyBytes:
		return p, fmt.Errorf("keys from %q to %q for %d entries", p.MinKey, p.MaxKey, keyed)
	}
	p.ID = tlog.SegmentID(p.FirstSeq, p.LastSeq)
	return p, nil
}

// saltOf makes the checksums of a segment's file its own: bytes of another segment do not pass.
func saltOf(id string) uint64 { return xxhash.Sum64String(id) }
