package tier

import (
	"context"
	"errors"
	"io"
)

// NewReader makes the Reader of a Get, for those who write stores: n bytes of body, then io.EOF. When body ends before
// that, or fails with anything that is no [*Error], the error is a temporary one; what it has behind n is not read.
func NewReader(o Object, n int64, body io.ReadCloser) *Reader {
	return &Reader{ReadCloser: &exact{key: o.Key, left: n, body: body}, Object: o, Length: n}
}

// exact gives exactly left bytes of body, or an error.
type exact struct {
	key  string
	left int64
	body io.ReadCloser
	err  error // what every later Read returns
}

func (x *exact) Read(p []byte) (int, error) {
	if x.err != nil {
		return 0, x.err
	}
	if x.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > x.left {
		p = p[:x.left]
	}
	n, err := x.body.Read(p)
	x.left -= int64(n)
	switch {
	case err == nil, errors.Is(err, io.EOF) && x.left == 0:
		return n, nil
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	x.err = cut(x.key, err)
	return n, x.err
}

func (x *exact) Close() error { return x.body.Close() }

// cut is the error of a body that broke off.
func cut(key string, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	return &Error{Op: "get", Key: key, Temporary: !errors.Is(err, context.Canceled), Err: err}
}

// Span resolves the range of a Get against the size of the object: how many bytes it is, or ErrRange.
func Span(size, off, n int64) (int64, error) {
	if n == Rest && off >= 0 && off <= size {
		return size - off, nil
	}
	if off < 0 || n <= 0 || off > size || n > size-off {
		return 0, ErrRange
	}
	return n, nil
}
