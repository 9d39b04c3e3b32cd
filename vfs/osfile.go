//go:build unix

package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// zeroFillBytes is the piece in which a file is filled where the file system cannot reserve blocks.
const zeroFillBytes = 1 << 20

// osFile is an open file of OS. os.File guards the descriptor against use after close.
type osFile struct {
	f *os.File
}

func (f *osFile) Name() string                             { return f.f.Name() }
func (f *osFile) ReadAt(p []byte, off int64) (int, error)  { return f.f.ReadAt(p, off) }
func (f *osFile) WriteAt(p []byte, off int64) (int, error) { return f.f.WriteAt(p, off) }
func (f *osFile) Truncate(size int64) error                { return f.f.Truncate(size) }
func (f *osFile) Close() error                             { return f.f.Close() }

func (f *osFile) Size() (int64, error) {
	st, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f *osFile) Sync() error {
	return f.control("fdatasync", fdatasync)
}

func (f *osFile) StartSync(off, n int64) error {
	return f.control("sync_file_range", func(fd int) error { return startSync(fd, off, n) })
}

func (f *osFile) DropCache() error {
	return f.control("fadvise", dropCache)
}

// Preallocate implements File with fallocate(2).
func (f *osFile) Preallocate(size int64) error {
	return f.preallocate(size, fallocate)
}

// preallocate calls reserve, and where that is unsupported, or answers yes and reserves less, fills the range by
// writing: a sparse file would turn a full disk into SIGBUS at the first store into its mapping.
func (f *osFile) preallocate(size int64, reserve func(fd int, size int64) error) error {
	if size < 0 {
		return pathError("fallocate", f.Name(), unix.EINVAL)
	}
	if size == 0 {
		return nil
	}
	err := f.control("fallocate", func(fd int) error { return reserve(fd, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return f.fill(size)
	}
	if err != nil {
		return err
	}
	length, reserved, err := f.reserved()
	if err != nil {
		return err
	}
	if length < size || reserved < size {
		return f.fill(size)
	}
	return nil
}

// reserved returns the file's length and the bytes of its blocks.
func (f *osFile) reserved() (length, bytes int64, err error) {
	err = f.control("fstat", func(fd int) error {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		length, bytes = st.Size, st.Blocks*512 // st_blocks counts 512-byte units whatever the block size
		return nil
	})
	return length, bytes, err
}

// fill gives every block of [0, size) real bytes: what is there is written back over itself where it has holes, the
// rest becomes zeros. A file system that compresses zeros away still keeps no promise; there is no call that makes it.
func (f *osFile) fill(size int64) error {
	length, reserved, err := f.reserved()
	if err != nil {
		return err
	}
	buf := make([]byte, zeroFillBytes)
	from := min(length, size)
	if reserved < from {
		for off := int64(0); off < from; {
			n, err := f.f.ReadAt(buf[:min(zeroFillBytes, from-off)], off)
			if err != nil && !(errors.Is(err, io.EOF) && n > 0) {
				return err
			}
			if _, err := f.f.WriteAt(buf[:n], off); err != nil {
				return err
			}
			off += int64(n)
		}
		clear(buf)
	}
	for off := from; off < size; {
		n, err := f.f.WriteAt(buf[:min(zeroFillBytes, size-off)], off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// control runs a system call on the descriptor, which stays open until the call is back.
func (f *osFile) control(op string, call func(fd int) error) error {
	raw, err := f.f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	if err := raw.Control(func(fd uintptr) {
		callErr = retryEINTR(func() error { return call(int(fd)) })
	}); err != nil {
		callErr = fs.ErrClosed // the only reason Control has to refuse
	}
	return pathError(op, f.Name(), callErr)
}
