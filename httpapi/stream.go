package httpapi

import (
	"io"
	"net/http"

	"github.com/scribe-ledger/scribe/ledger"
)

const (
	// readPiece is what is read of a large value, and sent, at a time.
	readPiece = 64 << 10
	// readBytes is what a streamed value holds of the budget: the piece, and the block of the segment that it is from.
	readBytes = readPiece + 256<<10
)

// stream sends a part of a large value piece by piece, each verified before it goes. Damage in the first piece is answered
// like any error. Later the status is out, and the length with it: then the connection is cut, so that nobody takes what
// came for the whole.
func (c *call) stream(e *ledger.Entry, part byteRange) error {
	if err := c.hold(readBytes); err != nil {
		return err
	}
	value, err := c.api.backend.OpenValue(e.Seq)
	if err != nil {
		return err
	}
	defer value.Close()
	buf, _ := c.api.pieces.Get().(*[readPiece]byte) // the pool's New makes nothing else
	defer c.api.pieces.Put(buf)
	at, end := int64(part.from), int64(part.from+part.length)
	for first := true; at < end; first = false {
		piece := buf[:min(int64(readPiece), end-at)]
		if n, err := value.ReadAt(piece, at); n < len(piece) {
			if err == nil || err == io.EOF { // the entry says that there is more
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if first {
			c.begin(c.valueHead(e, part))
		}
		if _, err := c.Write(piece); err != nil {
			return nil // there is nobody left to tell
		}
		at += int64(len(piece))
	}
	return nil
}

// valueHead prepares the headers of a value, or of a part of it, and returns the status.
func (c *call) valueHead(e *ledger.Entry, part byteRange) (status int) {
	c.versionHeaders(e)
	contentType := e.ContentType
	if contentType == "" {
		contentType = defaultContentType
	}
	c.untyped = contentType == defaultContentType
	c.head.add("Content-Type", contentType)
	c.head.addDigest(valueSum(e))
	c.contentLength(part.length)
	status = http.StatusOK
	if part.partial {
		status = http.StatusPartialContent
		c.head.addContentRange(part, e.ValueSize)
	}
	if e.ValueSize > netBuffer {
		c.w.Header()["Accept-Ranges"] = c.api.fixed.ranges // who would read a short value in parts?
	}
	if active(contentType) {
		c.w.Header()["Content-Security-Policy"] = c.api.fixed.sandbox
	}
	return status
}
