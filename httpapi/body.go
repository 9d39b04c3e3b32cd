package httpapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
)

const (
	// bodyPiece is what must arrive within Options.BodyTimeout. The first byte of a put must do so within
	// Options.HeaderTimeout: a small body mostly comes with the headers, and then needs no deadline of its own.
	bodyPiece = 64 << 10
	// firstPiece is the space made for a body that does not say its length.
	firstPiece = 4 << 10
)

// readBody reads the whole body into memory of its own, which the caller may keep. The budget is charged before the
// space is made. A body of more than most bytes gives tooLarge, without being read when it says its length.
func (c *call) readBody(most int, tooLarge func() *problem) ([]byte, error) {
	if coding := c.r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		c.unread = true
		return nil, &problem{status: http.StatusUnsupportedMediaType, code: codeMediaType,
			detail: "a body is stored as it comes, so a Content-Encoding would be lost; send it without one"}
	}
	var buf []byte
	var err error
	switch n := c.r.ContentLength; {
	case n == 0:
		return nil, nil
	case n > int64(most):
		err = tooLarge()
	case n > 0:
		buf, err = c.readSized(int(n))
	default:
		buf, err = c.readUnsized(most, tooLarge)
	}
	if err == nil {
		return buf, nil
	}
	// The rest of the body may still be on its way, and must not be taken for the next request.
	c.unread = true
	return nil, err
}

// readSized reads a body of n bytes.
func (c *call) readSized(n int) ([]byte, error) {
	if err := c.hold(int64(n)); err != nil {
		return nil, err
	}
	buf := make([]byte, n)
	got := 0
	if c.route.brief {
		var err error
		// A reader may say that it is at the end along with the last bytes (io.Reader).
		if got, err = io.ReadAtLeast(c.r.Body, buf[:min(bodyPiece, n)], 1); err != nil {
			return nil, bodyError(err)
		}
		if got == n {
			return buf, nil
		}
	}
	for got < n {
		c.extendRead()
		m, err := io.ReadFull(c.r.Body, buf[got:min(got+bodyPiece, n)])
		got += m
		if err != nil {
			return nil, bodyError(err)
		}
	}
	c.endRead()
	return buf, nil
}

// readUnsized reads a chunked body in space that doubles. The old and the new space are both charged while the bytes
// are moved over.
func (c *call) readUnsized(most int, tooLarge func() *problem) ([]byte, error) {
	var buf []byte
	pieceEnd := 0
	if c.route.brief {
		pieceEnd = 1 // until then the deadline of the headers holds
	}
	for {
		if len(buf) == cap(buf) {
			grown := min(max(2*cap(buf), firstPiece), most+1)
			if err := c.hold(int64(grown)); err != nil {
				return nil, err
			}
			old := int64(cap(buf))
			buf = append(make([]byte, 0, grown), buf...)
			c.unhold(old)
		}
		if len(buf) >= pieceEnd {
			c.extendRead()
			pieceEnd = len(buf) + bodyPiece
		}
		n, err := c.r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > most:
			return nil, tooLarge()
		case err == io.EOF:
			c.endRead()
			return buf, nil
		case err != nil:
			return nil, bodyError(err)
		}
	}
}

func (c *call) unhold(n int64) {
	n = min(n, c.held)
	c.api.budget.release(n)
	c.held -= n
}

func bodyError(err error) *problem {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &problem{status: http.StatusRequestTimeout, code: codeRequestTimeout, cause: err,
			detail: "the body stopped coming; nothing was applied"}
	}
	return &problem{status: http.StatusBadRequest, code: codeBadRequest, cause: err,
		detail: "the body ended before its time or is malformed; nothing was applied"}
}
