package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// Cold is an object store as a ledger reads it (ledger.Options.Cold).
type Cold struct {
	store  tier.Store
	ranges *tier.Ranges
}

var _ ledger.Cold = (*Cold)(nil)

// NewCold returns the ledger's view of a store. Both stay the caller's, and open for as long as the ledger is.
func NewCold(store tier.Store, ranges *tier.Ranges) *Cold { return &Cold{store, ranges} }

// Open implements ledger.Cold.
func (c *Cold) Open(o manifest.Object, meta io.ReaderAt) (segfile.Source, error) {
	src, err := c.ranges.Open(sealedObject(o), meta)
	if err != nil {
		return nil, err
	}
	return src, nil
}

// Fetch implements ledger.Cold, by one request. An object that is missing, or another one than recorded, is a
// *vfs.CorruptError; what else the store answers is a *tier.UnavailableError.
func (c *Cold) Fetch(ctx context.Context, o manifest.Object, off, n uint64) (io.ReadCloser, error) {
	r, err := c.store.Get(ctx, o.Name, int64(off), int64(n))
	name := c.store.Name() + "/" + o.Name
	switch {
	case errors.Is(err, tier.ErrNotFound):
		return nil, &vfs.CorruptError{File: name, Reason: "the object is recorded, and missing in the store"}
	case errors.Is(err, tier.ErrRange):
		return nil, &vfs.CorruptError{File: name, Reason: fmt.Sprintf("the object is shorter than the %d bytes recorded",
			o.Bytes)}
	case err != nil:
		return nil, unavailable(o.Name, err)
	}
	if r.Object.Size != int64(o.Bytes) || r.Object.SHA256 != nil && !bytes.Equal(r.Object.SHA256, o.SHA256[:]) {
		return nil, errors.Join(&vfs.CorruptError{File: name, Reason: fmt.Sprintf(
			"the object has %d bytes with SHA-256 %x, recorded are %d with %s", r.Object.Size, r.Object.SHA256, o.Bytes,
			o.SHA256)}, r.Close())
	}
	return &coldBody{r, o.Name}, nil
}

// coldBody is the body of an answer. What cuts it short says nothing about the object.
type coldBody struct {
	*tier.Reader
	object string
}

func (b *coldBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF { // which the reader gives at its end only
		err = unavailable(b.object, err)
	}
	return n, err
}

// unavailable is the error of an object that was not read.
func unavailable(object string, err error) error {
	after, _ := tier.Temporary(err)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // which readers take for the end of a file
		err = errors.New("the answer was cut short")
	}
	return &tier.UnavailableError{Object: object, Timeout: errors.Is(err, context.DeadlineExceeded), RetryAfter: after,
		Err: err}
}

// sealedObject is a recorded object as package tier has it.
func sealedObject(o manifest.Object) tier.SealedObject {
	return tier.SealedObject{Name: o.Name, Bytes: int64(o.Bytes), SHA256: o.SHA256, MetaOffset: int64(o.MetaOffset)}
}

// recordedObject is the reverse.
func recordedObject(o tier.SealedObject) manifest.Object {
	return manifest.Object{Name: o.Name, Bytes: uint64(o.Bytes), SHA256: o.SHA256, MetaOffset: uint64(o.MetaOffset)}
}
