package raft

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A membership, which is the Data of an EntryMembers (docs/format/raft-message.md), all numbers big-endian:
//
//	version = 1   1
//	members       1
//	then each, by ascending id:
//	  id          8
//	  role        1
//	  raft addr   1 length, bytes
//	  http addr   1 length, bytes
const membershipVersion = 1

var errMembership = errors.New("raft: malformed membership")

// AppendMembership appends the encoding of m, which is valid, to b.
func AppendMembership(b []byte, m Membership) []byte {
	b = append(b, membershipVersion, byte(len(m.Members)))
	for _, mb := range m.Members {
		b = binary.BigEndian.AppendUint64(b, mb.ID)
		b = append(b, byte(mb.Role), byte(len(mb.RaftAddr)))
		b = append(b, mb.RaftAddr...)
		b = append(b, byte(len(mb.HTTPAddr)))
		b = append(b, mb.HTTPAddr...)
	}
	return b
}

// ParseMembership reads one valid membership that fills b.
func ParseMembership(b []byte) (Membership, error) {
	if len(b) < 2 || b[0] != membershipVersion || b[1] > MaxMembers {
		return Membership{}, fmt.Errorf("%w: bad header", errMembership)
	}
	n := int(b[1])
	b = b[2:]
	var m Membership
	for range n {
		if len(b) < 9 {
			return Membership{}, fmt.Errorf("%w: cut off", errMembership)
		}
		mb := Member{ID: binary.BigEndian.Uint64(b), Role: MemberRole(b[8])}
		b = b[9:]
		for _, addr := range [...]*string{&mb.RaftAddr, &mb.HTTPAddr} {
			if len(b) == 0 || int(b[0]) > len(b)-1 {
				return Membership{}, fmt.Errorf("%w: cut off", errMembership)
			}
			*addr = string(b[1 : 1+int(b[0])])
			b = b[1+int(b[0]):]
		}
		m.Members = append(m.Members, mb)
	}
	if len(b) > 0 {
		return Membership{}, fmt.Errorf("%w: %d bytes after the end", errMembership, len(b))
	}
	if err := m.Validate(); err != nil {
		return Membership{}, err
	}
	return m, nil
}
