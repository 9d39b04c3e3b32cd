package tier

import (
	"errors"
	"fmt"
	"io"
	"iter"
)

// CheckPut says whether the arguments of a Put are within the bounds of every store.
func CheckPut(key string, body Body, opts PutOptions) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if body.Size < 0 || body.Bytes == nil {
		return fmt.Errorf("%w: a body of %d bytes", ErrInvalid, body.Size)
	}
	return opts.Metadata.Check()
}

// CheckReplace says whether the arguments of a Replace are within the bounds of every store.
func CheckReplace(key string, body Body, opts PutOptions) error {
	if body.Size > MaxReplaceBytes {
		return fmt.Errorf("%w: %d bytes, %d may be replaced", ErrTooLarge, body.Size, MaxReplaceBytes)
	}
	return CheckPut(key, body, opts)
}

// PageLimit is how many a page may have when limit was asked for.
func PageLimit(limit int) int {
	if limit <= 0 {
		return MaxListed
	}
	return min(limit, MaxListed)
}

// ReadFull fills p with the body's bytes from off on, for those who write stores.
func (b Body) ReadFull(p []byte, off int64) error {
	n, err := b.Bytes.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read the body at %d: %w", off, err)
}

// Pieces yields the n bytes of the body from off on, front to back, as many at a time as buf holds, in buf. It ends with an
// error, if there is one.
func (b Body) Pieces(buf []byte, off, n int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for end := off + n; off < end; off += int64(len(buf)) {
			buf = buf[:min(int64(len(buf)), end-off)]
			if err := b.ReadFull(buf, off); err != nil {
				yield(nil, err)
				return
			}
			if !yield(buf, nil) {
				return
			}
		}
	}
}
