package transport

import (
	"bufio"
	"errors"
	"io"

	"github.com/cespare/xxhash/v2"
)

const (
	readBuffer = 64 << 10
	firstAlloc = 257 << 10 // a payload gets at most so much before any of it has arrived; a piece of a segment, all it needs
	pongBytes  = 1 << 20   // a reader shows life after so many bytes, or when pinged
)

// reader reads the frames of one way of a connection. One goroutine uses it.
type reader struct {
	r      *bufio.Reader
	salt   salt
	limits limits
	number uint64
	head   [frameHeader]byte

	// arm sets the deadline for what is read next; moved is told how many bytes have come. Neither is nil.
	arm   func() error
	moved func(n int) error
}

// next returns the next frame, whose payload belongs to the caller. The error is io.EOF when the connection ended
// between two frames, *frameError for a frame that must not be, or that of the connection.
func (r *reader) next() (kind, []byte, error) {
	if n, err := r.fill(r.head[:]); err != nil {
		switch {
		case !ended(err):
			return 0, nil, err
		case n == 0:
			return 0, nil, io.EOF
		}
		return 0, nil, &frameError{reason: badHalf, text: "half a header", cause: err}
	}
	h, err := parseHeader(r.head[:], r.salt, r.number, r.limits)
	if err != nil {
		return 0, nil, err
	}
	r.number++
	payload, err := r.payload(int(h.length))
	if err != nil {
		if ended(err) {
			return 0, nil, &frameError{reason: badHalf, text: "half a payload", cause: err}
		}
		return 0, nil, err
	}
	if xxhash.Sum64(payload) != h.sum {
		return 0, nil, badFrame(badPayload, "checksum of the payload of frame %d does not hold", r.number-1)
	}
	return h.kind, payload, nil
}

// ended says whether err is that of a connection which was closed; over TLS, it may say so in either way.
func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// payload reads n bytes into memory that grows with what arrives.
func (r *reader) payload(n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	buf := make([]byte, min(n, firstAlloc))
	for got := 0; ; {
		end := min(len(buf), got+pieceBytes)
		if _, err := r.fill(buf[got:end]); err != nil {
			return nil, err
		}
		if got = end; got == n {
			return buf, nil
		}
		if got == len(buf) {
			grown := make([]byte, min(n, 2*len(buf)))
			copy(grown, buf)
			buf = grown
		}
	}
}

// fill reads all of b under one deadline.
func (r *reader) fill(b []byte) (int, error) {
	if r.r.Buffered() < len(b) {
		if err := r.arm(); err != nil {
			return 0, err
		}
	}
	n, err := io.ReadFull(r.r, b)
	if err != nil {
		return n, err
	}
	return n, r.moved(n)
}
