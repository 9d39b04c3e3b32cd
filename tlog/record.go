package tlog

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/merkle"
)

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

// String is the op's name in the API and in what the tools print.
func (op Op) String() string {
	switch op {
	case OpPut:
		return "put"
	case OpDelete:
		return "delete"
	case OpSegment:
		return "segment"
	}
	return fmt.Sprintf("op %d", uint8(op))
}

// Limits of a record.
const (
	MaxKeyBytes         = 4096
	MaxContentTypeBytes = 255
	MaxPrincipalBytes   = 255
	// MaxRecordBytes is the length of the longest record.
	MaxRecordBytes = recordFixedBytes + MaxKeyBytes + MaxContentTypeBytes + MaxPrincipalBytes
)

const (
	recordVersion    = 1
	recordFixedBytes = 1 + 1 + 8 + 8 + 2 + 1 + 1 + 8 + merkle.HashSize // all but the three strings
)

// ErrRecord is returned, wrapped with the reason, for a Record that has no canonical form.
var ErrRecord = errors.New("tlog: impossible record")

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

// Check says why a record has no canonical form, with ErrRecord, or returns nil. Beside the limits it wants what
// follows from the op: no value on a delete; on a segment entry the id of a segment for a key, a value of a
// descriptor's size, and neither content type nor principal. It does not look at the value itself.
func (r *Record) Check() error {
	switch {
	case len(r.Key) == 0 || len(r.Key) > MaxKeyBytes:
		return fmt.Errorf("%w: key of %d bytes, want 1 to %d", ErrRecord, len(r.Key), MaxKeyBytes)
	case len(r.ContentType) > MaxContentTypeBytes:
		return fmt.Errorf("%w: content type of %d bytes, want at most %d",
			ErrRecord, len(r.ContentType), MaxContentTypeBytes)
	case len(r.Principal) > MaxPrincipalBytes:
		return fmt.Errorf("%w: principal of %d bytes, want at most %d",
			ErrRecord, len(r.Principal), MaxPrincipalBytes)
	case r.ValueHash == merkle.Hash{}:
		// A reader may leave the hash to be computed (sstable.Entry.Sum); a leaf over the zero hash would be wrong.
		return fmt.Errorf("%w: no value hash", ErrRecord)
	case r.ValueSize == 0 && r.ValueHash != sha256.Sum256(nil):
		return fmt.Errorf("%w: value hash %s of no bytes", ErrRecord, r.ValueHash)
	}
	switch r.Op {
	case OpPut:
		return nil
	case OpDelete:
		if r.ValueSize != 0 {
			return fmt.Errorf("%w: delete with a value of %d bytes", ErrRecord, r.ValueSize)
		}
		return nil
	case OpSegment:
		if r.ContentType != "" || r.Principal != "" || r.ValueSize != DescriptorSize {
			return fmt.Errorf("%w: segment entry with content type %q, principal %q, value of %d bytes",
				ErrRecord, r.ContentType, r.Principal, r.ValueSize)
		}
		if _, _, err := ParseSegmentID(string(r.Key)); err != nil {
			return fmt.Errorf("%w: segment entry: %w", ErrRecord, err)
		}
		return nil
	}
	return fmt.Errorf("%w: op %d", ErrRecord, r.Op)
}

// AppendRecord appends the canonical form of a record to dst. It returns ErrRecord, and dst as it was, when Check does.
//
//	version u8 = 1 · op u8 · seq u64 · time u64 · key length u16, key · content-type length u8, content type ·
//	principal length u8, principal · value length u64 · SHA-256 of the value
//
// Integers are big-endian; a time before the epoch stands in two's complement.
func AppendRecord(dst []byte, r *Record) ([]byte, error) {
	if err := r.Check(); err != nil {
		return dst, err
	}
	be := binary.BigEndian
	dst = append(dst, recordVersion, byte(r.Op))
	dst = be.AppendUint64(dst, r.Seq)
	dst = be.AppendUint64(dst, uint64(r.Time))
	dst = be.AppendUint16(dst, uint16(len(r.Key)))
	dst = append(dst, r.Key...)
	dst = append(dst, byte(len(r.ContentType)))
	dst = append(dst, r.ContentType...)
	dst = append(dst, byte(len(r.Principal)))
	dst = append(dst, r.Principal...)
	dst = be.AppendUint64(dst, r.ValueSize)
	return append(dst, r.ValueHash[:]...), nil
}

// LeafHash is the record's leaf in both trees. An impossible record, one that Check refuses, has none: it gives the
// zero hash, which no real leaf equals, so whatever compares it finds a difference.
func (r *Record) LeafHash() merkle.Hash {
	var buf [512]byte // most records fit, and then nothing is allocated
	b, err := AppendRecord(buf[:0], r)
	if err != nil {
		return merkle.Hash{}
	}
	return merkle.LeafHash(b)
}

// ParseRecord reads a canonical record that takes up all of b. Key aliases b. It returns ErrMalformed for anything
// that AppendRecord does not write.
func ParseRecord(b []byte) (Record, error) {
	if len(b) < recordFixedBytes || len(b) > MaxRecordBytes {
		return Record{}, fmt.Errorf("%w: record of %d bytes", ErrMalformed, len(b))
	}
	if b[0] != recordVersion {
		return Record{}, fmt.Errorf("%w: record of version %d, want %d", ErrMalformed, b[0], recordVersion)
	}
	be := binary.BigEndian
	r := Record{Op: Op(b[1]), Seq: be.Uint64(b[2:]), Time: int64(be.Uint64(b[10:]))}
	keyLen, rest := int(be.Uint16(b[18:])), b[20:]
	r.Key, rest = cut(rest, keyLen)
	contentType, rest := cutShort(rest)
	principal, rest := cutShort(rest)
	if len(rest) != 8+merkle.HashSize {
		return Record{}, fmt.Errorf("%w: the lengths in a record of %d bytes do not add up", ErrMalformed, len(b))
	}
	r.ContentType, r.Principal = string(contentType), string(principal)
	r.ValueSize = be.Uint64(rest)
	copy(r.ValueHash[:], rest[8:])
	if err := r.Check(); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return r, nil
}

// cut splits b after n bytes. When b is shorter, what is left is nil and stays so through further cuts.
func cut(b []byte, n int) (head, rest []byte) {
	if len(b) < n {
		return nil, nil
	}
	return b[:n:n], b[n:]
}

// cutShort splits a string off b that is led by its length in one byte.
func cutShort(b []byte) (head, rest []byte) {
	if len(b) == 0 {
		return nil, nil
	}
	return cut(b[1:], int(b[0]))
}
