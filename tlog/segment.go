package tlog

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/scribe-ledger/scribe/merkle"
)

// segmentIDSize is the length of a segment id: two seqs of 16 hex digits and a dash.
const segmentIDSize = 16 + 1 + 16

// SegmentID is the id of the segment that covers the seqs from first to last: each as 16 lower-case hex digits.
func SegmentID(first, last uint64) string { return fmt.Sprintf("%016x-%016x", first, last) }

// ParseSegmentID reads what SegmentID writes for first <= last, and returns ErrMalformed for anything else.
func ParseSegmentID(id string) (first, last uint64, err error) {
	if len(id) != segmentIDSize || id[16] != '-' {
		return 0, 0, fmt.Errorf("%w: segment id %.40q", ErrMalformed, id)
	}
	first, err1 := strconv.ParseUint(id[:16], 16, 64)
	last, err2 := strconv.ParseUint(id[17:], 16, 64)
	// Writing it again catches upper case, signs and underscores.
	if err1 != nil || err2 != nil || first > last || SegmentID(first, last) != id {
		return 0, 0, fmt.Errorf("%w: segment id %.40q", ErrMalformed, id)
	}
	return first, last, nil
}

// DescriptorSize is the length of a descriptor: the value of a segment entry.
const DescriptorSize = 8 + 8 + 8 + merkle.HashSize

// Descriptor is what the ledger records of a segment: which entries it covers and the root of its segment tree.
type Descriptor struct {
	FirstSeq, LastSeq uint64
	Entries           uint64 // LastSeq-FirstSeq+1: a segment covers all of its seq range
	Root              merkle.Hash
}

// ID is the id of the segment described.
func (d *Descriptor) ID() string { return SegmentID(d.FirstSeq, d.LastSeq) }

// Append appends the canonical form of d to dst: first_seq u64 · last_seq u64 · entries u64 · root, big-endian. It
// writes what it is given; ParseDescriptor is the one that checks.
func (d *Descriptor) Append(dst []byte) []byte {
	be := binary.BigEndian
	dst = be.AppendUint64(dst, d.FirstSeq)
	dst = be.AppendUint64(dst, d.LastSeq)
	dst = be.AppendUint64(dst, d.Entries)
	return append(dst, d.Root[:]...)
}

// ParseDescriptor reads a descriptor that takes up all of b. It returns ErrMalformed for another length, and unless
// the entries are exactly the seqs from first to last.
func ParseDescriptor(b []byte) (Descriptor, error) {
	if len(b) != DescriptorSize {
		return Descriptor{}, fmt.Errorf("%w: descriptor of %d bytes, want %d", ErrMalformed, len(b), DescriptorSize)
	}
	be := binary.BigEndian
	d := Descriptor{FirstSeq: be.Uint64(b), LastSeq: be.Uint64(b[8:]), Entries: be.Uint64(b[16:])}
	copy(d.Root[:], b[24:])
	// Compared as entries-1, for the full range of seqs has no count in 64 bits.
	if d.FirstSeq > d.LastSeq || d.Entries == 0 || d.LastSeq-d.FirstSeq != d.Entries-1 {
		return Descriptor{}, fmt.Errorf("%w: descriptor of %d entries for the seqs %d to %d",
			ErrMalformed, d.Entries, d.FirstSeq, d.LastSeq)
	}
	return d, nil
}
