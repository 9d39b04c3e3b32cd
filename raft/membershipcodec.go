package raft

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A membership, which is the Data of an EntryMembers (docs/format/raft-message.md), all numbers big-endian:
//
//	version = 2   1
//	members       1
//	then each, by ascending id:
//	  id          8
//	  instance    8, not in version 1
//	  role        1
//	  raft addr   1 length, bytes
//	  http addr   1 length, bytes
//	removed       1, not in version 1
//	then each, in the order of leaving:
//	  id          8
//	  instance    8
//
// Version 1 is read, in the logs and manifests of one-node ledgers, and no longer written.
const (
	membershipVersion    = 2
	membershipVersionOld = 1
)

var errMembership = errors.New("raft: malformed membership")

// AppendMembership appends the encoding of m, which is valid, to b.
func AppendMembership(b []byte, m Membership) []byte {
	b = append(b, membershipVersion, byte(len(m.Members)))
	for _, mb := range m.Members {
		b = binary.BigEndian.AppendUint64(b, mb.ID)
		b = binary.BigEndian.AppendUint64(b, mb.Instance)
		b = append(b, byte(mb.Role), byte(len(mb.RaftAddr)))
		b = append(b, mb.RaftAddr...)
		b = append(b, byte(len(mb.HTTPAddr)))
		b = append(b, mb.HTTPAddr...)
	}
	b = append(b, byte(len(m.Removed)))
	for _, d := range m.Removed {
		b = binary.BigEndian.AppendUint64(b, d.ID)
		b = binary.BigEndian.AppendUint64(b, d.Instance)
	}
	return b
}

// ParseMembership reads one valid membership that fills b.
func ParseMembership(b []byte) (Membership, error) {
	if len(b) < 2 || b[0] < membershipVersionOld || b[0] > membershipVersion || b[1] > MaxMembers {
		return Membership{}, fmt.Errorf("%w: bad header", errMembership)
	}
	version, n := b[0], int(b[1])
	r := fieldReader{b: b[2:]}
	var m Membership
	for range n {
		mb := Member{ID: r.uint64()}
		if version > membershipVersionOld {
			mb.Instance = r.uint64()
		}
		mb.Role = MemberRole(r.byte())
		mb.RaftAddr, mb.HTTPAddr = r.text(), r.text()
		m.Members = append(m.Members, mb)
	}
	if version > membershipVersionOld {
		for range r.byte() {
			m.Removed = append(m.Removed, Departed{ID: r.uint64(), Instance: r.uint64()})
		}
	}
	switch {
	case r.short:
		return Membership{}, fmt.Errorf("%w: cut off", errMembership)
	case len(r.b) > 0:
		return Membership{}, fmt.Errorf("%w: %d bytes after the end", errMembership, len(r.b))
	}
	if err := m.Validate(); err != nil {
		return Membership{}, err
	}
	return m, nil
}

// fieldReader takes fields off the front of b; short tells that one was not there, and it and all after it are zero.
type fieldReader struct {
	b     []byte
	short bool
}

func (r *fieldReader) take(n int) []byte {
	if r.short = r.short || n > len(r.b); r.short {
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *fieldReader) byte() byte     { return r.take(1)[0] }
func (r *fieldReader) uint64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }
func (r *fieldReader) text() string   { return string(r.take(int(r.byte()))) }
