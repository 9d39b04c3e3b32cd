package tier

import (
	"errors"
	"fmt"
	"io"
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
