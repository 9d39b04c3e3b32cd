package tier

import (
	"context"
	"io"
	"time"
)

// Store is an object store: a flat, sorted map from keys to objects. All methods are safe for concurrent use. Keys obey
// [CheckKey]. Every error is an [*Error]; match its cause with errors.Is and ask [Retry] whether trying again can help.
//
// A method that failed with a temporary error may all the same have done its work: the answer may be what was lost.
type Store interface {
	// Put makes the object key unless there is one: ErrExists then, and what stands there is untouched and unknown to
	// the caller, who must compare (see [PutSame]). The object appears whole or not at all, and never with bytes that do
	// not hash to body.SHA256: that is ErrMismatch. The body is read once, front to back.
	Put(ctx context.Context, key string, body Body, opts PutOptions) (Object, error)

	// Replace makes or overwrites an object of at most [MaxReplaceBytes], atomically: a reader finds the old one or the
	// new one. When ifMatch is not empty and not the ETag of what stands there, the error is ErrChanged.
	//
	// Only the archive's moving pointers may be replaced: the name of the latest manifest and the latest checkpoint.
	// Whatever a manifest names (segments, tiles, manifests) is made by Put, once.
	Replace(ctx context.Context, key string, body Body, ifMatch string, opts PutOptions) (Object, error)

	// Get opens the bytes [off, off+n) of an object; n = [Rest] is all from off on. A range that does not lie within the
	// object is ErrRange. The reader gives exactly these bytes, or an error: a body that ends early is one, and what
	// the store sends behind the range is never read. The caller closes it.
	Get(ctx context.Context, key string, off, n int64) (*Reader, error)

	// Head describes an object.
	Head(ctx context.Context, key string) (Object, error)

	// List returns the objects whose keys begin with prefix and sort behind after, in order of keys, at most limit of
	// them (at most, and for 0, [MaxListed]). Of an Object in a list, SHA256 and Metadata are not set.
	List(ctx context.Context, prefix, after string, limit int) (Page, error)

	// Delete removes an object for good. That there is none is no error. ErrLocked when its retention forbids it.
	Delete(ctx context.Context, key string) error

	// Uploads returns what was begun under the prefix and neither completed nor aborted, those behind after in order of
	// key and id, at most limit of them (at most, and for 0, [MaxListed]). Those under way at the moment are among them.
	Uploads(ctx context.Context, prefix string, after Upload, limit int) (UploadPage, error)

	// AbortUpload ends an upload and frees its parts. That there is none is no error.
	AbortUpload(ctx context.Context, u Upload) error

	// Name says which store this is, for logs and errors: "s3://bucket/prefix", "dir:/path", "mem".
	Name() string
}

// Bounds that every store keeps.
const (
	MaxReplaceBytes = 4 << 20 // of an object that may be replaced
	MaxListed       = 1000    // objects or uploads in one page
)

// Rest as the length of a Get means all that there is.
const Rest = -1

// PutOptions are the settings of one object.
type PutOptions struct {
	Metadata Metadata // kept with the object; see [Metadata] for its bounds
	// Sealed gives the object the storage class and the retention that the store was opened with. Segments are sealed;
	// pointers, which change, and scratch objects are not.
	Sealed bool
}

// Object describes an object.
type Object struct {
	Key  string
	Size int64
	// ETag changes whenever the object does. It is opaque, and no hash of anything.
	ETag string
	// SHA256 of all its bytes, as whoever put it announced it, the store having checked that; nil of an object that
	// was not put through this package.
	SHA256   []byte
	Metadata Metadata
	Modified time.Time // by the store's clock
}

// Page is one page of a listing.
type Page struct {
	Objects []Object
	Next    string // List again with after = Next; empty when this is the last page
}

// Upload is an upload that was begun.
type Upload struct {
	Key, ID string
	Started time.Time // by the store's clock
}

// UploadPage is one page of uploads.
type UploadPage struct {
	Uploads []Upload
	More    bool // ask again with after = the last of Uploads
}

// Reader is the bytes that were asked for, and the object they are of as it was when the store answered.
type Reader struct {
	io.ReadCloser
	Object Object
	Length int64 // of the bytes asked for
}
