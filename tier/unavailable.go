package tier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrUnavailable matches every *UnavailableError, with errors.Is.
var ErrUnavailable = errors.New("the object store does not give the bytes now")

// UnavailableError says that bytes of an object could not be read in time, or not at all at the moment. Nothing is
// known to be wrong with the object: the same read may succeed later. It never means that something does not exist.
type UnavailableError struct {
	Object  string
	Timeout bool // the deadline passed; else the store failed, or is known to be failing
	// RetryAfter is when another try makes sense, as far as that is known.
	RetryAfter time.Duration
	Err        error // what the store said last
}

func (e *UnavailableError) Error() string {
	what := "is not available"
	if e.Timeout {
		what = "was not read in time"
	}
	return fmt.Sprintf("object %s %s: %v", e.Object, what, e.Err)
}

// Unwrap is the store's error.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Is makes every UnavailableError match ErrUnavailable.
func (e *UnavailableError) Is(target error) bool { return target == ErrUnavailable }

// errCutShort stands for an io.ErrUnexpectedEOF of the store's: readers above take an end of file for a truncated one.
var errCutShort = errors.New("the answer was cut short")

// unavailable wraps what a read of an object ended with.
func unavailable(object string, err error) *UnavailableError {
	after, _ := Temporary(err)
	u := &UnavailableError{Object: object, Timeout: errors.Is(err, context.DeadlineExceeded), RetryAfter: after, Err: err}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		u.Err = &Error{Op: "get", Key: object, Temporary: true, Err: errCutShort}
	}
	return u
}
