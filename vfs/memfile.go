package vfs

import (
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// memFile is an open file of Mem.
type memFile struct {
	mem      *Mem
	node     *memNode
	name     string
	writable bool
	closed   bool // guarded by mem.mu
}

func (f *memFile) Name() string { return f.name }

// usable returns why the handle cannot be used. mem.mu is held.
func (f *memFile) usable(write bool) error {
	if f.closed {
		return fs.ErrClosed
	}
	if write && !f.writable {
		return unix.EBADF
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.mem.rlock()
	defer f.mem.mu.RUnlock()
	err := f.usable(false)
	if err == nil && off < 0 {
		err = unix.EINVAL
	}
	if err != nil {
		return 0, pathError("read", f.name, err)
	}
	if off >= f.node.size {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), f.node.size-off))
	f.node.read(p[:n], off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.mem.lock()
	defer f.mem.mu.Unlock()
	err := f.usable(true)
	if err == nil && off < 0 {
		err = unix.EINVAL
	}
	if err == nil && off > memMaxFileBytes-int64(len(p)) {
		err = unix.EFBIG
	}
	if err != nil {
		return 0, pathError("write", f.name, err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n := len(p)
	if err = f.mem.allocate(f.node, off+int64(n)); err != nil {
		// As pwrite(2): what fits is written, the next byte fails.
		n = int(max(0, min(int64(n), f.mem.writable(f.node)-off)))
		if n == 0 {
			return 0, pathError("write", f.name, err)
		}
		if aerr := f.mem.allocate(f.node, off+int64(n)); aerr != nil {
			return 0, pathError("write", f.name, aerr)
		}
	}
	f.node.write(p[:n], off)
	return n, pathError("write", f.name, err)
}

func (f *memFile) Size() (int64, error) {
	f.mem.rlock()
	defer f.mem.mu.RUnlock()
	if err := f.usable(false); err != nil {
		return 0, pathError("stat", f.name, err)
	}
	return f.node.size, nil
}

func (f *memFile) Truncate(size int64) error {
	f.mem.lock()
	defer f.mem.mu.Unlock()
	err := f.usable(true)
	switch {
	case err != nil:
	case size < 0:
		err = unix.EINVAL
	case size > memMaxFileBytes:
		err = unix.EFBIG
	default:
		if keep := roundUp(size, memBlockBytes); size < f.node.size && keep < f.node.alloc {
			f.mem.used -= f.node.alloc - keep
			f.node.alloc = keep
		}
		f.node.truncate(size)
	}
	return pathError("truncate", f.name, err)
}

func (f *memFile) Preallocate(size int64) error {
	f.mem.lock()
	defer f.mem.mu.Unlock()
	err := f.usable(true)
	if err == nil && size < 0 {
		err = unix.EINVAL
	}
	if err == nil {
		err = f.mem.allocate(f.node, size)
	}
	if err != nil {
		return pathError("fallocate", f.name, err)
	}
	f.node.truncate(max(f.node.size, size))
	return nil
}

func (f *memFile) Sync() error {
	f.mem.lock()
	defer f.mem.mu.Unlock()
	if err := f.usable(false); err != nil {
		return pathError("fdatasync", f.name, err)
	}
	f.node.sync()
	return nil
}

// StartSync makes nothing durable: Mem keeps no promise that was not made.
func (f *memFile) StartSync(int64, int64) error {
	f.mem.rlock()
	defer f.mem.mu.RUnlock()
	return pathError("sync_file_range", f.name, f.usable(false))
}

// DropCache has nothing to drop: Mem reads what was written last, as a healthy disk does.
func (f *memFile) DropCache() error {
	f.mem.rlock()
	defer f.mem.mu.RUnlock()
	return pathError("fadvise", f.name, f.usable(false))
}

// Map implements File. It is stricter than mmap(2) in two ways: a writable mapping over bytes that have no blocks is
// refused, since a store there may meet a full disk (SIGBUS); and so is one that reaches further than a live mapping of
// the same file, whose memory cannot move.
func (f *memFile) Map(length int64, writable bool) (Mapping, error) {
	f.mem.lock()
	defer f.mem.mu.Unlock()
	if err := f.mapping(length, writable); err != nil {
		return nil, pathError("mmap", f.name, err)
	}
	n := f.node
	n.handles++
	n.mappings++
	if writable {
		n.stores++
	}
	return &memMapping{mem: f.mem, node: n, name: f.name, data: n.arena[:length:length], writable: writable}, nil
}

func (f *memFile) mapping(length int64, writable bool) error {
	if err := f.usable(false); err != nil {
		return err
	}
	if writable && !f.writable {
		return unix.EACCES
	}
	if err := checkMapLength(length, f.node.size); err != nil {
		return err
	}
	if writable && f.node.alloc < length {
		return fmt.Errorf("%w: writable mapping of a sparse file; Preallocate it first", unix.EINVAL)
	}
	return f.node.pin(length)
}

func (f *memFile) Close() error {
	f.mem.lock()
	defer f.mem.mu.Unlock()
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	f.node.handles--
	f.mem.reap(f.node)
	return nil
}

// memMapping is a mapping of a file of Mem: a piece of the file's arena.
type memMapping struct {
	mem      *Mem
	node     *memNode
	name     string
	data     []byte
	writable bool
	closed   bool // guarded by mem.mu
}

func (m *memMapping) Bytes() []byte { return m.data }

// Sync makes the range durable, widened to pages, but not the file's size.
func (m *memMapping) Sync(off, n int64) error {
	m.mem.lock()
	defer m.mem.mu.Unlock()
	if m.closed {
		return pathError("msync", m.name, fs.ErrClosed)
	}
	lo, hi, err := widen(off, n, int64(len(m.data)), memBlockBytes)
	if err != nil {
		return pathError("msync", m.name, err)
	}
	for i := int(lo / memPageBytes); i < pagesFor(roundUp(hi, memBlockBytes)); i++ {
		m.node.syncPage(i)
	}
	return nil
}

// Close implements Mapping. What was stored stays in the file, so from here on only dirty tells of it.
func (m *memMapping) Close() error {
	m.mem.lock()
	defer m.mem.mu.Unlock()
	if m.closed {
		return pathError("munmap", m.name, fs.ErrClosed)
	}
	m.closed = true
	n := m.node
	if m.writable {
		for i := range pagesFor(int64(len(m.data))) {
			n.dirty[i] = true
		}
		n.stores--
	}
	n.mappings--
	n.handles--
	m.mem.reap(n)
	return nil
}
