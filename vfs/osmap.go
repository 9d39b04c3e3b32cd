//go:build unix

package vfs

import (
	"fmt"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// osMapping is a shared mapping of a file.
type osMapping struct {
	name string
	data []byte // never changes, so that Bytes needs no lock

	mu     sync.RWMutex // held for reading by Sync, so that Close waits for it
	closed bool
}

// Map implements File. A length beyond the file's end is refused: touching such a page is SIGBUS.
func (f *osFile) Map(length int64, writable bool) (Mapping, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if err := checkMapLength(length, size); err != nil {
		return nil, pathError("mmap", f.Name(), err)
	}
	prot := unix.PROT_READ
	if writable {
		prot |= unix.PROT_WRITE
	}
	var data []byte
	err = f.control("mmap", func(fd int) (err error) {
		data, err = unix.Mmap(fd, 0, int(length), prot, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &osMapping{name: f.Name(), data: data}, nil
}

// checkMapLength says why a file of size bytes cannot be mapped to length.
func checkMapLength(length, size int64) error {
	if length <= 0 || int64(int(length)) != length {
		return fmt.Errorf("%w: mapping of %d bytes", unix.EINVAL, length)
	}
	if length > size {
		return fmt.Errorf("%w: mapping of %d bytes over a file of %d", unix.EINVAL, length, size)
	}
	return nil
}

func (m *osMapping) Bytes() []byte { return m.data }

// Sync implements Mapping with MS_SYNC; MS_ASYNC does nothing on Linux.
func (m *osMapping) Sync(off, n int64) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return pathError("msync", m.name, fs.ErrClosed)
	}
	lo, hi, err := widen(off, n, int64(len(m.data)), int64(os.Getpagesize()))
	if err != nil {
		return pathError("msync", m.name, err)
	}
	if lo == hi {
		return nil
	}
	return pathError("msync", m.name, retryEINTR(func() error { return unix.Msync(m.data[lo:hi], unix.MS_SYNC) }))
}

// widen grows [off, off+n) to whole pages inside [0, length): msync refuses an unaligned start.
func widen(off, n, length, page int64) (lo, hi int64, err error) {
	if off < 0 || n < 0 || off > length || n > length-off {
		return 0, 0, fmt.Errorf("%w: range [%d, +%d) of a mapping of %d bytes", unix.EINVAL, off, n, length)
	}
	if n == 0 {
		return 0, 0, nil
	}
	lo = off - off%page
	hi = off + n
	if rest := hi % page; rest != 0 {
		hi += page - rest
	}
	return lo, min(hi, length), nil
}

// Close implements Mapping. The second Close reports fs.ErrClosed and touches nothing: the address range may be
// someone else's by then.
func (m *osMapping) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return pathError("munmap", m.name, fs.ErrClosed)
	}
	m.closed = true
	return pathError("munmap", m.name, unix.Munmap(m.data))
}
