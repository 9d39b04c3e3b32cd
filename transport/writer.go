package transport

import (
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/scribe-ledger/scribe/raft"
)

const (
	flushBytes  = 128 << 10 // frames gather in the buffer up to here
	keepBytes   = 1 << 20   // a larger buffer is given back after use
	directBytes = 32 << 10  // a payload from here on is written from where it lies
	pieceBytes  = 256 << 10 // read or written under one deadline
)

// writer writes the frames of one way of a connection. One goroutine uses it.
type writer struct {
	conn    net.Conn
	salt    salt
	timeout time.Duration
	number  uint64
	buf     []byte
	bytes   *atomic.Uint64
}

// message gathers a message, which it encodes straight into the buffer.
func (w *writer) message(m raft.Message) error {
	at := len(w.buf)
	w.buf = slices.Grow(w.buf, frameHeader+messageBytes(m))[:at+frameHeader]
	w.buf = raft.AppendMessage(w.buf, m)
	putHeader(w.buf[at:], w.salt, kindMessage, w.number, w.buf[at+frameHeader:])
	w.number++
	return w.flushFrom(flushBytes)
}

// payload gathers any other frame. A large payload is not copied.
func (w *writer) payload(k kind, p []byte) error {
	at := len(w.buf)
	w.buf = slices.Grow(w.buf, frameHeader)[:at+frameHeader]
	putHeader(w.buf[at:], w.salt, k, w.number, p)
	w.number++
	if len(p) >= directBytes {
		return w.write(p)
	}
	w.buf = append(w.buf, p...)
	return w.flushFrom(flushBytes)
}

// flush writes what has gathered.
func (w *writer) flush() error { return w.flushFrom(1) }

func (w *writer) flushFrom(bytes int) error {
	if len(w.buf) < bytes {
		return nil
	}
	return w.write(nil)
}

// write writes what has gathered and p behind it, piece by piece, so that a connection on which anything moves is not
// taken for a dead one.
func (w *writer) write(p []byte) error {
	for rest := (net.Buffers{w.buf, p}); len(rest) > 0; {
		if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
			return err
		}
		piece := nextPiece(&rest)
		n, err := piece.WriteTo(w.conn)
		w.bytes.Add(uint64(n))
		if err != nil {
			return err
		}
	}
	if w.buf = w.buf[:0]; cap(w.buf) > keepBytes {
		w.buf = nil
	}
	return nil
}

// nextPiece cuts the first pieceBytes, or what there is, from the buffers.
func nextPiece(rest *net.Buffers) net.Buffers {
	var piece net.Buffers
	room := pieceBytes
	for len(*rest) > 0 && room > 0 {
		b := (*rest)[0]
		n := min(len(b), room)
		if n > 0 {
			piece = append(piece, b[:n])
		}
		if room -= n; n == len(b) {
			*rest = (*rest)[1:]
		} else {
			(*rest)[0] = b[n:]
		}
	}
	return piece
}

// messageBytes is at least what m takes when encoded.
func messageBytes(m raft.Message) int {
	n := 256
	for i := range m.Entries {
		n += 32 + len(m.Entries[i].Data)
	}
	if m.Snapshot != nil {
		// A membership: the most that its members and those that left can take.
		n += 4096 + len(m.Snapshot.Members.Members)*(64+2*raft.MaxAddrBytes)
	}
	return n
}
