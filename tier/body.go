package tier

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
)

// Body is what is to become an object. A store reads it once, front to back, from one goroutine, so a ReaderAt that
// counts, limits the rate or verifies sees every byte once. It must not change meanwhile; if it does, the put fails.
type Body struct {
	Bytes  io.ReaderAt
	Size   int64
	SHA256 [sha256.Size]byte // of all Size bytes
}

// BytesBody is a body in memory.
func BytesBody(data []byte) Body {
	return Body{Bytes: bytes.NewReader(data), Size: int64(len(data)), SHA256: sha256.Sum256(data)}
}

// NewBody reads size bytes once for their SHA-256.
func NewBody(r io.ReaderAt, size int64) (Body, error) {
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(r, 0, size))
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return Body{}, fmt.Errorf("tier: hash a body of %d bytes: %w", size, err)
	}
	return Body{Bytes: r, Size: size, SHA256: [sha256.Size]byte(h.Sum(nil))}, nil
}
