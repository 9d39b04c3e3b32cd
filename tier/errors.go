package tier

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What the error of a Store can be, beside a temporary failure; match with errors.Is.
var (
	// ErrNotFound: there is no such object.
	ErrNotFound = errors.New("no such object")
	// ErrNoBucket: there is no such bucket or folder, which says nothing about objects.
	ErrNoBucket = errors.New("no such bucket")
	// ErrRegion: the bucket is in another region than the one that was asked.
	ErrRegion = errors.New("the bucket is in another region")
	// ErrNoStore: what answers is no object store.
	ErrNoStore = errors.New("the endpoint does not answer like an object store")
	// ErrExists: an object of that key is there already.
	ErrExists = errors.New("the object exists already")
	// ErrChanged: the object is not the one that was to be replaced.
	ErrChanged = errors.New("the object is another than expected")
	// ErrRefused: the store does not let these credentials do that, or does not know them.
	ErrRefused = errors.New("the store refuses access")
	// ErrLocked: the object's retention (Object Lock) forbids to delete or overwrite it.
	ErrLocked = errors.New("the object is locked")
	// ErrMismatch: the bytes do not have the SHA-256 that goes with them.
	ErrMismatch = errors.New("the bytes do not match their SHA-256")
	// ErrRange: the range does not lie within the object.
	ErrRange = errors.New("the range is outside the object")
	// ErrTooLarge: the object is larger than the limit given.
	ErrTooLarge = errors.New("the object is too large")
	// ErrInvalid: a key, a prefix, metadata or a setting is outside its bounds; nothing was asked of the store.
	ErrInvalid = errors.New("outside the store's bounds")
)

// Error is the error of every method of a Store.
type Error struct {
	Op  string // what was asked: "put", "get", "head", "list", "delete", …
	Key string // the key or prefix
	// Temporary says that the same call may succeed later: the store was overloaded, did not answer in time, or its
	// answer was cut short. It says nothing about whether the call did its work.
	Temporary  bool
	RetryAfter time.Duration // how long the store asked to be left alone; 0 when it did not say
	Err        error
}

func (e *Error) Error() string {
	return fmt.Sprintf("object store: %s %q: %v", e.Op, e.Key, e.Err)
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary says whether trying again can help, and how long the store asked to wait before that, 0 when it did not say.
func Temporary(err error) (after time.Duration, ok bool) {
	var e *Error
	if !errors.As(err, &e) || !e.Temporary {
		return 0, false
	}
	return e.RetryAfter, true
}

// failed wraps the cause of a failure that a retry does not mend.
func failed(op, key string, err error) error {
	return &Error{Op: op, Key: key, Err: err}
}

// Ended wraps the error of a context: its deadline is a temporary failure, its cancellation is not. Stores use it for
// what they wait for.
func Ended(op, key string, err error) error {
	return &Error{Op: op, Key: key, Temporary: errors.Is(err, context.DeadlineExceeded), Err: err}
}
