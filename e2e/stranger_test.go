package e2e

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
)

// stranger speaks the protocol between nodes from docs/format/transport.md, as well or as badly as a test wants.
type stranger struct {
	t    testing.TB
	conn net.Conn

	cluster  [16]byte
	from, to uint64
	instance uint64
	version  uint16
	class    byte
	salt     [16]byte
	number   uint64
}

const (
	classMessages, classBulk              = 1, 2
	frameMessage, frameRequest, frameBulk = 1, 2, 3
)

// stranger makes one that says it is node 99 of this cluster and wants to talk to p.
func (p *peer) stranger() *stranger {
	p.c.t.Helper()
	s := &stranger{t: p.c.t, from: 99, to: p.id, instance: 4711, version: 1, class: classMessages}
	b, err := hex.DecodeString(p.status().ClusterID)
	if err != nil || len(b) != len(s.cluster) {
		p.c.t.Fatalf("cluster id %q: %v", p.status().ClusterID, err)
	}
	s.cluster = [16]byte(b)
	return s
}

// dial opens the connection and says nothing yet.
func (s *stranger) dial(p *peer) {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", p.raft, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	s.conn, s.number = conn, 0
	s.t.Cleanup(func() { conn.Close() })
}

// hello is the first thing that a node says.
func (s *stranger) hello() []byte {
	b := binary.BigEndian.AppendUint16([]byte("SCRIBETP"), s.version)
	b = append(b, s.class, 0, 0, 0, 0, 0)
	b = append(b, s.cluster[:]...)
	for _, v := range []uint64{s.from, s.to, s.instance, 17} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return binary.BigEndian.AppendUint64(b, xxhash.Sum64(b))
}

// greet dials and says hello. It returns why it was refused; "" when it was accepted.
func (s *stranger) greet(p *peer) (refusal string) {
	s.t.Helper()
	s.dial(p)
	s.send(s.hello())
	head := make([]byte, 64)
	if _, err := io.ReadFull(s.conn, head); err != nil {
		s.t.Fatalf("no answer to the hello: %v", err)
	}
	reason := make([]byte, binary.BigEndian.Uint16(head[12:])+8)
	if _, err := io.ReadFull(s.conn, reason); err != nil {
		s.t.Fatal(err)
	}
	if string(head[:8]) != "SCRIBETP" {
		s.t.Fatalf("answer %q", head)
	}
	binary.BigEndian.PutUint64(s.salt[:], 17)
	copy(s.salt[8:], head[56:])
	if head[10] == 0 {
		return ""
	}
	return string(reason[:len(reason)-8])
}

// send writes; the other side may have closed already, since it judges as it reads.
func (s *stranger) send(b []byte) {
	_, _ = s.conn.Write(b)
}

// frame is a whole frame with the next number.
func (s *stranger) frame(kind byte, payload []byte) []byte {
	return s.frameOf(kind, uint32(len(payload)), payload)
}

// frameOf is a frame whose header claims a length.
func (s *stranger) frameOf(kind byte, length uint32, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	b = append(b, kind, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, s.number)
	b = binary.BigEndian.AppendUint64(b, xxhash.Sum64(payload))
	b = binary.BigEndian.AppendUint64(b, xxhash.Sum64(append(append([]byte{}, s.salt[:]...), b...)))
	s.number++
	return append(b, payload...)
}

// awaitEnd waits until the other side has ended the connection.
func (s *stranger) awaitEnd() {
	s.t.Helper()
	_, err := io.Copy(io.Discard, s.conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		s.t.Errorf("the connection is still open after %v", patience)
	}
}

// message is a raft message of a kind without entries (docs/format/raft-message.md).
func (s *stranger) message(kind byte, term uint64) []byte {
	b := append([]byte{2, kind, 0, 0}, s.cluster[:]...)
	for _, v := range []uint64{s.from, s.to, s.instance, term, 1 << 40, term, 1 << 40, 0, 0, 0} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return binary.BigEndian.AppendUint32(b, 0)
}

func (s *stranger) String() string {
	return fmt.Sprintf("node %d of cluster %x to node %d, class %d", s.from, s.cluster, s.to, s.class)
}
