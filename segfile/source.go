package segfile

import (
	"errors"
	"fmt"
	"io"

	"github.com/scribe-ledger/scribe/vfs"
)

// Source is where a Reader gets bytes from: a mapped file, an open file, or range reads over a cold object. All
// methods are safe for concurrent use. ReadAt follows io.ReaderAt.
type Source interface {
	ReadAt(p []byte, off int64) (int, error)
	Size() int64
	// Name is the path or object name that errors carry.
	Name() string
}

// Slicer is a Source whose bytes can be looked at without a copy. The slice is valid until the source is closed; the
// Reader never hands it out.
type Slicer interface {
	Slice(off, n int64) ([]byte, error)
}

// Lender is a Source that may have bytes in memory. Lend gives [off, off+n) in place, which does not change until the
// loan is returned; a nil Loan says that ReadAt is the way. It does not wait.
type Lender interface {
	Lend(off, n int64) ([]byte, Loan)
}

// Loan is returned once, by who has it.
type Loan interface{ Return() }

// Prefetcher is a Source that can read ahead of a walk: [off, off+n) will be read soon. It does not wait. False says
// that it has no room for all of it now, and that less, or later, may do.
type Prefetcher interface {
	Prefetch(off, n int64) bool
	// Coming says whether the byte at off is read ahead, or being so: what was announced may be given up when nobody comes
	// for it in time.
	Coming(off int64) bool
}

// Refresher is a Source that may give bytes out of a copy. ReadFresh is ReadAt past every copy; a Reader uses it when
// what it got is damaged, before it says that the file is.
type Refresher interface {
	ReadFresh(p []byte, off int64) (int, error)
}

// BytesSource is a Source over memory.
type BytesSource struct {
	name string
	data []byte
}

// NewBytesSource returns a source over data, which must not change any more.
func NewBytesSource(name string, data []byte) *BytesSource { return &BytesSource{name, data} }

// NewMappedSource returns a source over the mapping of a whole file. The mapping stays the caller's: it must not be
// closed before the last read has returned.
func NewMappedSource(name string, m vfs.Mapping) *BytesSource { return NewBytesSource(name, m.Bytes()) }

// Size is the number of bytes.
func (s *BytesSource) Size() int64 { return int64(len(s.data)) }

// Name is the name given at construction.
func (s *BytesSource) Name() string { return s.name }

// ReadAt copies bytes out.
func (s *BytesSource) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("segfile: negative offset")
	}
	if off >= int64(len(s.data)) {
		return 0, io.EOF
	}
	n := copy(p, s.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Slice returns the bytes [off, off+n) in place.
func (s *BytesSource) Slice(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > int64(len(s.data)) || n > int64(len(s.data))-off {
		return nil, io.ErrUnexpectedEOF
	}
	return s.data[off : off+n : off+n], nil
}

// FileSource is a Source over an open file.
type FileSource struct {
	name string
	file vfs.File
	size int64
}

// NewFileSource returns a source over file, whose size is taken now. The file stays the caller's. name is what errors
// carry: that of the file, or the one that it is to have.
func NewFileSource(name string, file vfs.File) (*FileSource, error) {
	size, err := file.Size()
	if err != nil {
		return nil, fmt.Errorf("segfile: size of %s: %w", name, err)
	}
	return &FileSource{name, file, size}, nil
}

// ReadAt reads from the file.
func (s *FileSource) ReadAt(p []byte, off int64) (int, error) { return s.file.ReadAt(p, off) }

// Size is the file's size when the source was made.
func (s *FileSource) Size() int64 { return s.size }

// Name is the name given at construction.
func (s *FileSource) Name() string { return s.name }
