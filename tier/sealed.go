package tier

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/vfs"
)

// SealedObject is the verified copy of a segment in a store, as the log records it.
type SealedObject struct {
	Name       string // below the store's prefix, by SegmentName
	Bytes      int64
	SHA256     [sha256.Size]byte
	MetaOffset int64 // where the segment's meta tail begins
}

// check holds what a store says of the object against what is recorded. A store that keeps no SHA-256 with its objects,
// or lost it, leaves the size; the blocks have checksums of their own. ETags are not compared: a copy that was
// made good again has another one.
func (o *SealedObject) check(store string, got Object) error {
	if got.Size != o.Bytes {
		return o.damaged(store, min(got.Size, o.Bytes), "the object has %d bytes, %d are recorded", got.Size, o.Bytes)
	}
	if got.SHA256 != nil && !bytes.Equal(got.SHA256, o.SHA256[:]) {
		return o.damaged(store, 0, "the object was put with SHA-256 %x, %x is recorded", got.SHA256, o.SHA256)
	}
	return nil
}

// damaged is the error of an object that is not what is recorded, or is not there.
func (o *SealedObject) damaged(store string, at int64, format string, args ...any) error {
	return &vfs.CorruptError{File: objectPath(store, o.Name), Offset: at, Reason: fmt.Sprintf(format, args...)}
}

// objectPath names an object in errors of damage.
func objectPath(store, name string) string { return store + "/" + name }

// Cold is a segfile.Source over a sealed object: its meta tail is at hand, everything before it is read by range, each
// ReadAt one request for exactly the bytes asked for, unless they are in the cache or were announced by Prefetch. It is
// safe for concurrent use.
//
// Errors of reads are a *vfs.CorruptError, when the object is missing or another one than recorded, or an
// *UnavailableError. It cannot tell a bad byte from a good one: the reader above does, by the block's checksum,
// and asks once more with ReadFresh.
type Cold struct {
	ranges *Ranges
	object SealedObject
	raw    bool        // pass the cache by
	meta   io.ReaderAt // [MetaOffset, Bytes) of the object, from its own 0 on; nil when it is in the store alone
}

// Open returns a source over an object. meta is the meta tail, which stays the caller's and must stay open; nil reads
// it from the store as well, for those who have nothing else. No request is made.
func (r *Ranges) Open(o SealedObject, meta io.ReaderAt) (*Cold, error) {
	if err := CheckKey(o.Name); err != nil {
		return nil, err
	}
	if o.Bytes <= 0 || o.MetaOffset < 0 || o.MetaOffset > o.Bytes {
		return nil, fmt.Errorf("%w: object %s of %d bytes with its meta tail at %d", ErrInvalid, o.Name, o.Bytes,
			o.MetaOffset)
	}
	return &Cold{ranges: r, object: o, meta: meta}, nil
}

// Uncached returns a source over the same object that neither uses nor fills the cache of ranges: for whoever verifies
// the object itself.
func (c *Cold) Uncached() *Cold {
	u := *c
	u.raw = true
	return &u
}

// Name is the object's name with its store's.
func (c *Cold) Name() string { return objectPath(c.ranges.store.Name(), c.object.Name) }

// Object is what the source reads.
func (c *Cold) Object() SealedObject { return c.object }

// Size is the object's size.
func (c *Cold) Size() int64 { return c.object.Bytes }

// ReadAt follows io.ReaderAt.
func (c *Cold) ReadAt(p []byte, off int64) (int, error) {
	if c.raw {
		return c.readAt(p, off, noCache)
	}
	return c.readAt(p, off, allCaches)
}

// Lend gives what lies in memory because it was announced, and whole in one piece of that. It implements segfile.Lender.
func (c *Cold) Lend(off, n int64) ([]byte, segfile.Loan) {
	if b, p := c.ranges.ahead.lend(&c.object, off, n); p != nil {
		return b, p
	}
	return nil, nil
}

// ReadFresh is ReadAt past every cache, and drops what they hold of these bytes: for whoever found them damaged.
func (c *Cold) ReadFresh(p []byte, off int64) (int, error) { return c.readAt(p, off, fromStore) }

func (c *Cold) readAt(p []byte, off int64, from copies) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("tier: negative offset in %s", c.object.Name)
	}
	if off >= c.object.Bytes {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > c.object.Bytes-off {
		p, end = p[:c.object.Bytes-off], io.EOF
	}
	remote := p
	if c.meta != nil {
		remote = p[:max(0, min(int64(len(p)), c.object.MetaOffset-off))]
	}
	if len(remote) > 0 {
		if err := c.ranges.read(&c.object, remote, off, from); err != nil {
			return 0, err
		}
	}
	if n := len(remote); n < len(p) {
		got, err := c.meta.ReadAt(p[n:], off+int64(n)-c.object.MetaOffset)
		if got += n; got < len(p) {
			return got, err // of the local file, which is shorter than it should be when this is io.EOF
		}
	}
	return len(p), end
}

// Prefetch says that [off, off+n) will be read soon, front to back. False: there is no room for all of it now. It never
// waits.
func (c *Cold) Prefetch(off, n int64) bool {
	end := c.object.Bytes
	if c.meta != nil {
		end = c.object.MetaOffset
	}
	if off < 0 || n <= 0 || off >= end {
		return true
	}
	return c.ranges.ahead.announce(&c.object, off, min(n, end-off))
}

// Coming says whether the byte at off was announced, and is here or under way; true also where nothing is ever read ahead. It
// implements segfile.Prefetcher.
func (c *Cold) Coming(off int64) bool {
	return c.meta != nil && off >= c.object.MetaOffset || c.ranges.ahead.holds(&c.object, off)
}
