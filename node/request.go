package node

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A request travels between nodes beside the raft messages (Network.SendRequest). All numbers are big-endian; the first
// byte is the kind. Nothing depends on an answer: whoever waits for one has a deadline.
type requestKind uint8

const (
	requestForward   requestKind = 1  // writes for the leader (forwardcodec.go)
	requestAnswers   requestKind = 2  // what became of them
	requestIntroduce requestKind = 3  // who the sender is, for the leader (introduce.go)
	requestStranger  requestKind = 4  // that it is not who the cluster knows
	requestChange    requestKind = 5  // a change of the cluster, for the leader (changecodec.go)
	requestChanged   requestKind = 6  // what became of it
	requestRoots     requestKind = 7  // what a replica has built, for the leader (agree.go)
	requestOutlook   requestKind = 8  // how the members are, from the leader (outlook.go)
	requestSpace     requestKind = 9  // how a member's disk is, for the leader (shortage.go)
	requestTier      requestKind = 10 // that segments be uploaded, for the leader (tierask.go)
	requestTiered    requestKind = 11 // what became of that
	requestPublished requestKind = 12 // what is published, from the leader (tierask.go)
)

var errRequest = errors.New("node: malformed request")

// reader takes fields off the front of a request. After a field that is not there bad is set and all further fields are
// zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8() uint8 {
	b := r.take(1)
	if r.bad {
		return 0
	}
	return b[0]
}

func (r *reader) u16() uint16 {
	b := r.take(2)
	if r.bad {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}

func (r *reader) u32() uint32 {
	b := r.take(4)
	if r.bad {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func (r *reader) u64() uint64 {
	b := r.take(8)
	if r.bad {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// boolean takes a byte that is 0 or 1.
func (r *reader) boolean() bool {
	v := r.u8()
	r.bad = r.bad || v > 1
	return v == 1
}

// text takes a string with its length, which is at most limit.
func (r *reader) text(limit int) string {
	n := r.u16()
	if int(n) > limit {
		r.bad = true
	}
	return string(r.take(uint64(n)))
}

// count takes the number of items that follow, each of at least size bytes, at most limit of them.
func (r *reader) count(size, limit int) int {
	n := uint64(r.u32())
	if n > uint64(limit) || n > uint64(len(r.b)/size) {
		r.bad = true
		return 0
	}
	return int(n)
}

// end says whether the request was well-formed and is used up.
func (r *reader) end(kind requestKind) error {
	if r.bad || len(r.b) > 0 {
		return fmt.Errorf("%w: kind %d", errRequest, kind)
	}
	return nil
}

// appendText appends what reader.text takes; longer strings are cut.
func appendText(b []byte, s string, limit int) []byte {
	s = s[:min(len(s), limit)]
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
