package transport

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/raft"
)

// A hello, all numbers big-endian (docs/format/transport.md). The first 16 bytes and the whole answer are the same in
// every version, so that any two can tell each other what they are.
//
//	 +0  8  "SCRIBETP"                +32  8  from
//	 +8  2  version = 1               +40  8  to
//	+10  1  class                     +48  8  instance of the sender
//	+11  1  length of the address     +56  8  nonce
//	+12  1  flags: 1 only answers     +64     address at which the sender listens
//	+13  3  zero
//	+16 16  cluster id                        xxhash64 of all before
//
// The answer:
//
//	 +0  8  "SCRIBETP"                +32  8  from: who answers
//	 +8  2  version                   +40  8  to: the hello's from
//	+10  1  0 accepted, or a refusal  +48  8  instance of who answers
//	+11  1  zero                      +56  8  nonce
//	+12  2  length of the reason      +64     reason, in words
//	+14  2  zero                              xxhash64 of the hello's nonce and all before
//	+16 16  cluster id
const (
	helloMagic   = "SCRIBETP"
	version      = 1
	helloHeader  = 64
	maxReason    = 512
	maxAddr      = raft.MaxAddrBytes
	maxHello     = helloHeader + maxAddr + 8
	maxAnswer    = helloHeader + maxReason + 8
	tlsHandshake = 0x16 // the first byte of what a TLS client says
	tlsAlert     = 0x15 // the first byte of what a TLS server says to who is none
)

// hello is what the dialling side says first.
type hello struct {
	class    Class
	cluster  raft.ClusterID
	from     uint64
	to       uint64
	instance uint64
	nonce    uint64
	addr     string
	answers  bool // the receiver is no member to the sender, which only answers it
}

const flagAnswers = 1 << 0

func (h hello) append(b []byte) []byte {
	start := len(b)
	b = append(b, helloMagic...)
	b = binary.BigEndian.AppendUint16(b, version)
	var flags byte
	if h.answers {
		flags |= flagAnswers
	}
	b = append(b, byte(h.class), byte(len(h.addr)), flags, 0, 0, 0)
	b = append(b, h.cluster[:]...)
	for _, v := range [...]uint64{h.from, h.to, h.instance, h.nonce} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = append(b, h.addr...)
	return binary.BigEndian.AppendUint64(b, xxhash.Sum64(b[start:]))
}

// readHello reads a hello and no byte more. Its errors are those of r and *refusedError; with refusedVers there is
// somebody to answer.
func readHello(r io.Reader) (hello, error) {
	var b [maxHello]byte
	if _, err := io.ReadFull(r, b[:16]); err != nil {
		return hello{}, fmt.Errorf("no hello: %w", err)
	}
	if string(b[:8]) != helloMagic {
		if b[0] == tlsHandshake {
			return hello{}, refuse(refusedTLS, "it speaks TLS, we do not")
		}
		return hello{}, refuse(refusedMagic, "it does not speak our protocol")
	}
	if v := binary.BigEndian.Uint16(b[8:]); v != version {
		return hello{}, refuse(refusedVers, "it speaks version %d of the protocol, we speak %d", v, version)
	}
	n := helloHeader + int(b[11])
	if _, err := io.ReadFull(r, b[16:n+8]); err != nil {
		return hello{}, fmt.Errorf("half a hello: %w", err)
	}
	if xxhash.Sum64(b[:n]) != binary.BigEndian.Uint64(b[n:]) {
		return hello{}, refuse(refusedMagic, "the checksum of its hello does not hold")
	}
	h := hello{
		class:    Class(b[10]),
		cluster:  raft.ClusterID(b[16:32]),
		from:     binary.BigEndian.Uint64(b[32:]),
		to:       binary.BigEndian.Uint64(b[40:]),
		instance: binary.BigEndian.Uint64(b[48:]),
		nonce:    binary.BigEndian.Uint64(b[56:]),
		addr:     string(b[helloHeader:n]),
		answers:  b[12]&flagAnswers != 0,
	}
	if (h.class != Messages && h.class != Bulk) || h.from == 0 || b[12]&^flagAnswers|b[13]|b[14]|b[15] != 0 {
		return hello{}, refuse(refusedMagic, "its hello makes no sense: class %d, node %d", h.class, h.from)
	}
	return h, nil
}

// answer is what the accepting side says to a hello.
type answer struct {
	verdict  refusal
	cluster  raft.ClusterID
	from     uint64
	to       uint64
	instance uint64
	nonce    uint64
	reason   string
}

func (a answer) append(b []byte, helloNonce uint64) []byte {
	a.reason = a.reason[:min(len(a.reason), maxReason)]
	start := len(b)
	b = append(b, helloMagic...)
	b = binary.BigEndian.AppendUint16(b, version)
	b = append(b, byte(a.verdict), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(a.reason)))
	b = append(b, 0, 0)
	b = append(b, a.cluster[:]...)
	for _, v := range [...]uint64{a.from, a.to, a.instance, a.nonce} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = append(b, a.reason...)
	return binary.BigEndian.AppendUint64(b, answerSum(helloNonce, b[start:]))
}

func answerSum(nonce uint64, b []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], nonce)
	_, _ = d.Write(n[:]) // never fails
	_, _ = d.Write(b)
	return d.Sum64()
}

// readAnswer reads the answer to the hello with that nonce and no byte more.
func readAnswer(r io.Reader, nonce uint64) (answer, error) {
	var b [maxAnswer]byte
	if n, err := io.ReadFull(r, b[:helloHeader]); err != nil {
		if n > 0 && b[0] == tlsAlert {
			return answer{}, refuse(refusedTLS, "it speaks TLS, we do not")
		}
		return answer{}, fmt.Errorf("no answer to our hello: %w", err)
	}
	n := int(binary.BigEndian.Uint16(b[12:]))
	if string(b[:8]) != helloMagic || n > maxReason {
		return answer{}, refuse(refusedMagic, "it does not speak our protocol")
	}
	n += helloHeader
	if _, err := io.ReadFull(r, b[helloHeader:n+8]); err != nil {
		return answer{}, fmt.Errorf("half an answer to our hello: %w", err)
	}
	a := answer{
		verdict:  refusal(b[10]),
		cluster:  raft.ClusterID(b[16:32]),
		from:     binary.BigEndian.Uint64(b[32:]),
		to:       binary.BigEndian.Uint64(b[40:]),
		instance: binary.BigEndian.Uint64(b[48:]),
		nonce:    binary.BigEndian.Uint64(b[56:]),
		reason:   string(b[helloHeader:n]),
	}
	// A node of another version has not read our nonce: its sum covers a nonce of 0.
	v, sum := binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint64(b[n:])
	if sum != answerSum(nonce, b[:n]) && !(a.verdict == refusedVers && sum == answerSum(0, b[:n])) {
		return answer{}, refuse(refusedMagic, "the checksum of its answer does not hold")
	}
	if a.verdict == accepted && v != version {
		return answer{}, refuse(refusedVers, "it speaks version %d of the protocol, we speak %d", v, version)
	}
	return a, nil
}
