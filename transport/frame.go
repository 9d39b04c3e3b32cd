package transport

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// A frame, all numbers big-endian (docs/format/transport.md):
//
//	 +0  4  length of the payload
//	 +4  1  kind
//	 +5  3  zero
//	 +8  8  number on this connection and way, from 0
//	+16  8  xxhash64 of the payload
//	+24  8  xxhash64 of the salt (16) and bytes 0-23
//	+32     payload
const frameHeader = 32

// kind says what a frame carries.
type kind uint8

const (
	kindMessage kind = 1 // a raft message
	kindRequest kind = 2 // a payload of SendRequest
	kindBulk    kind = 3 // a payload of SendBulk
	kindPing    kind = 4 // empty; asks for a pong
	kindPong    kind = 5 // empty; the only kind that goes against the stream
	kindAnswers kind = 6 // as kindPing, of a sender to which the receiver is no member: it only answers
)

// Class is what a connection is for.
type Class uint8

const (
	// Messages is for raft messages and requests.
	Messages Class = 1
	// Bulk is for the content of segments and whatever else is large and can wait.
	Bulk Class = 2
)

var classes = [...]Class{Messages, Bulk}

// String returns the class as logs and metrics write it.
func (c Class) String() string {
	switch c {
	case Messages:
		return "messages"
	case Bulk:
		return "bulk"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// MaxBulkBytes bounds the payload of a bulk frame.
const MaxBulkBytes = 1 << 20

// limits are the largest payload by kind that a reader takes; a kind that is not there does not belong on the stream.
type limits map[kind]uint32

func (c Class) limits(maxFrame int) limits {
	if c == Bulk {
		return limits{kindBulk: MaxBulkBytes, kindPing: 0, kindAnswers: 0}
	}
	most := uint32(maxFrame)
	return limits{kindMessage: most, kindRequest: most, kindPing: 0, kindAnswers: 0}
}

var pongLimits = limits{kindPong: 0}

// salt binds frames to their connection and to their way on it: half of it was drawn by each side.
type salt [16]byte

func newSalt(from, to uint64) salt {
	var s salt
	binary.BigEndian.PutUint64(s[:], from)
	binary.BigEndian.PutUint64(s[8:], to)
	return s
}

// putHeader writes the header of a frame.
func putHeader(h []byte, s salt, k kind, number uint64, payload []byte) {
	_ = h[frameHeader-1]
	binary.BigEndian.PutUint32(h, uint32(len(payload)))
	h[4], h[5], h[6], h[7] = byte(k), 0, 0, 0
	binary.BigEndian.PutUint64(h[8:], number)
	binary.BigEndian.PutUint64(h[16:], xxhash.Sum64(payload))
	binary.BigEndian.PutUint64(h[24:], headerSum(s, h))
}

func headerSum(s salt, h []byte) uint64 {
	var b [len(s) + 24]byte
	copy(b[:], s[:])
	copy(b[len(s):], h[:24])
	return xxhash.Sum64(b[:])
}

// header is a frame's header that has been checked.
type header struct {
	kind   kind
	length uint32
	sum    uint64
}

// parseHeader checks everything that a header can tell before a byte of payload is read. The length is within the
// limit of its kind, else the error is a *frameError.
func parseHeader(h []byte, s salt, number uint64, lim limits) (header, error) {
	if headerSum(s, h) != binary.BigEndian.Uint64(h[24:]) {
		return header{}, badFrame(badHeader, "checksum of frame %d does not hold", number)
	}
	f := header{kind: kind(h[4]), length: binary.BigEndian.Uint32(h), sum: binary.BigEndian.Uint64(h[16:])}
	if n := binary.BigEndian.Uint64(h[8:]); n != number {
		return header{}, badFrame(badNumber, "frame %d where %d is next", n, number)
	}
	most, ok := lim[f.kind]
	if !ok || h[5]|h[6]|h[7] != 0 {
		return header{}, badFrame(badKind, "frame %d of kind %d", number, f.kind)
	}
	if f.length > most {
		return header{}, badFrame(badLength, "frame %d of kind %d claims %d bytes, at most %d",
			number, f.kind, f.length, most)
	}
	return f, nil
}
