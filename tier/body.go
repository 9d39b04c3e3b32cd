package tier

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/cespare/xxhash/v2"
)

// Body is what is to become an object. A store reads Bytes once, front to back, from one goroutine, so a ReaderAt that
// counts, limits the rate or verifies sees every byte once. It must not change meanwhile; if it does, the put fails.
type Body struct {
	Bytes io.ReaderAt
	// Again gives the same bytes to a store that reads a piece to hash it and then to send it, so that it need not hold the
	// piece meanwhile; it reads from several goroutines. nil is Bytes.
	Again  io.ReaderAt
	Size   int64
	SHA256 [sha256.Size]byte // of all Size bytes

	// sum is the xxhash64 of the bytes that have the SHA-256 sumOf, which NewBody has read: enough to find that a later read
	// gives others, at a tenth of the cost. It says nothing about another SHA-256.
	sum   uint64
	sumOf [sha256.Size]byte
}

// BytesBody is a body in memory.
func BytesBody(data []byte) Body {
	return Body{Bytes: bytes.NewReader(data), Size: int64(len(data)), SHA256: sha256.Sum256(data)}
}

// NewBody reads size bytes once for their SHA-256.
func NewBody(r io.ReaderAt, size int64) (Body, error) {
	h, x := sha256.New(), xxhash.New()
	n, err := io.Copy(io.MultiWriter(h, x), io.NewSectionReader(r, 0, size))
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return Body{}, fmt.Errorf("tier: hash a body of %d bytes: %w", size, err)
	}
	sha := [sha256.Size]byte(h.Sum(nil))
	return Body{Bytes: r, Size: size, SHA256: sha, sum: x.Sum64(), sumOf: sha}, nil
}

// Section returns n bytes from off on, read from Again.
func (b Body) Section(off, n int64) *io.SectionReader {
	if b.Again != nil {
		return io.NewSectionReader(b.Again, off, n)
	}
	return io.NewSectionReader(b.Bytes, off, n)
}

// BodyCheck says whether the bytes that a store has read of a body, written to it front to back, are those that the body's
// SHA-256 is of.
type BodyCheck struct {
	hash.Hash
	want []byte
}

// Check begins one.
func (b Body) Check() BodyCheck {
	if b.SHA256 == b.sumOf {
		return BodyCheck{xxhash.New(), binary.BigEndian.AppendUint64(nil, b.sum)}
	}
	return BodyCheck{sha256.New(), b.SHA256[:]}
}

// Passed says so of all that was written.
func (c BodyCheck) Passed() bool { return bytes.Equal(c.Sum(nil), c.want) }
