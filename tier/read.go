package tier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
)

// ReadAt fills p with the bytes of an object from off on, all of p or an error. It is one request.
func ReadAt(ctx context.Context, s Store, key string, p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	r, err := s.Get(ctx, key, off, int64(len(p)))
	if err != nil {
		return err
	}
	_, err = io.ReadFull(r, p)
	return errors.Join(err, r.Close())
}

// ReadAll returns a whole object of at most limit bytes in one request, and what it is. ErrTooLarge when it is larger;
// ErrMismatch when its bytes do not have the SHA-256 it was put with.
func ReadAll(ctx context.Context, s Store, key string, limit int64) ([]byte, Object, error) {
	r, err := s.Get(ctx, key, 0, Rest)
	if err != nil {
		return nil, Object{}, err
	}
	data, err := readAll(r, key, limit)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, r.Object, err
	}
	return data, r.Object, nil
}

func readAll(r *Reader, key string, limit int64) ([]byte, error) {
	if r.Length > limit {
		return nil, failed("get", key, ErrTooLarge)
	}
	data := make([]byte, r.Length)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); r.Object.SHA256 != nil && !bytes.Equal(sum[:], r.Object.SHA256) {
		return nil, failed("get", key, ErrMismatch)
	}
	return data, nil
}

// PutSame is Put where the same object may be there already, from an earlier try or another uploader: that is success.
// It tells them apart by size and recorded SHA-256, and returns the object that stands there and whether it was made
// now. When that is another object, the error is ErrChanged; whoever relies on its bytes reads them back.
func PutSame(ctx context.Context, s Store, key string, body Body, opts PutOptions) (o Object, made bool, err error) {
	o, err = s.Put(ctx, key, body, opts)
	if !errors.Is(err, ErrExists) {
		return o, err == nil, err
	}
	if o, err = s.Head(ctx, key); err != nil {
		return Object{}, false, err
	}
	if o.Size != body.Size || !bytes.Equal(o.SHA256, body.SHA256[:]) {
		return o, false, failed("put", key, ErrChanged)
	}
	return o, false, nil
}
