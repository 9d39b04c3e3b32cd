package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Mem is a file system in memory that knows what a power cut would take.
//
// Every file has volatile and durable content. What is unsynced is the set of 512-byte sectors in which the two differ,
// so a store through a writable Mapping and a WriteAt are alike; the file's size is unsynced metadata beside them.
// Every directory has durable entries and a list of pending changes that SyncDir ends. CrashClone makes the state after
// a power cut; it keeps no order between sectors. What it cannot show is a sector's older unsynced content: take clones
// at every operation for that (see Inject).
//
// Its answers depend on the calls alone, never on map order or the clock.
type Mem struct {
	ops atomic.Uint64

	mu    sync.RWMutex // guards everything below, in every node too
	root  *memNode
	limit int64 // bytes of blocks that may be allocated; 0 means no limit
	used  int64 // bytes of blocks of files that have a name or a handle
}

var _ FS = (*Mem)(nil)

// NewMem returns an empty file system that has a root directory. Names mean the same with and without a leading slash.
func NewMem() *Mem {
	return &Mem{root: newMemDir()}
}

// Ops returns how many FS, File and Mapping calls were made, failed ones included. Name and Bytes do not count.
func (m *Mem) Ops() uint64 { return m.ops.Load() }

// lock counts a call and takes the lock for writing.
func (m *Mem) lock() {
	m.ops.Add(1)
	m.mu.Lock()
}

// rlock counts a call and takes the lock for reading.
func (m *Mem) rlock() {
	m.ops.Add(1)
	m.mu.RLock()
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	m.lock()
	defer m.mu.Unlock()
	n, err := m.create(name)
	if err != nil {
		return nil, pathError("create", name, err)
	}
	return m.open(n, name, true), nil
}

func (m *Mem) create(name string) (*memNode, error) {
	dir, base, err := m.parent(name)
	if err != nil {
		return nil, err
	}
	if dir.entries[base] != nil {
		return nil, unix.EEXIST
	}
	if m.limit > 0 && m.used+memBlockBytes > m.limit {
		return nil, unix.ENOSPC
	}
	n := &memNode{}
	m.change(dir, &dirChange{set: base, node: n})
	return n, nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) { return m.openExisting(name, false) }

// OpenRW implements FS.
func (m *Mem) OpenRW(name string) (File, error) { return m.openExisting(name, true) }

func (m *Mem) openExisting(name string, writable bool) (File, error) {
	m.lock()
	defer m.mu.Unlock()
	n, err := m.lookup(name)
	if err == nil && n.dir != nil {
		err = unix.EISDIR
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return m.open(n, name, writable), nil
}

func (m *Mem) open(n *memNode, name string, writable bool) *memFile {
	n.handles++
	return &memFile{mem: m, node: n, name: name, writable: writable}
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err == nil {
		switch n := dir.entries[base]; {
		case n == nil:
			err = unix.ENOENT
		case n.dir != nil:
			err = unix.EISDIR
		default:
			m.change(dir, &dirChange{del: base})
		}
	}
	return pathError("remove", name, err)
}

// Rename implements FS. Only files are renamed.
func (m *Mem) Rename(oldName, newName string) error {
	m.lock()
	defer m.mu.Unlock()
	return pathError("rename", oldName, m.rename(oldName, newName))
}

func (m *Mem) rename(oldName, newName string) error {
	from, oldBase, err := m.parent(oldName)
	if err != nil {
		return err
	}
	to, newBase, err := m.parent(newName)
	if err != nil {
		return err
	}
	n, replaced := from.entries[oldBase], to.entries[newBase]
	switch {
	case n == nil:
		return unix.ENOENT
	case n.dir != nil:
		return fmt.Errorf("%w: renaming a directory", unix.ENOTSUP)
	case replaced == n:
		return nil
	case replaced != nil && replaced.dir != nil:
		return unix.EEXIST
	}
	if from == to {
		m.change(from, &dirChange{del: oldBase, set: newBase, node: n})
		return nil
	}
	arrival := &dirChange{set: newBase, node: n, in: to}
	m.change(to, arrival)
	m.change(from, &dirChange{del: oldBase, needs: arrival})
	return nil
}

// Link implements FS. Only files get second names.
func (m *Mem) Link(oldName, newName string) error {
	m.lock()
	defer m.mu.Unlock()
	n, err := m.lookup(oldName)
	if err == nil && n.dir != nil {
		err = unix.EPERM
	}
	if err != nil {
		return pathError("link", oldName, err)
	}
	to, base, err := m.parent(newName)
	if err == nil && to.entries[base] != nil {
		err = unix.EEXIST
	}
	if err == nil {
		m.change(to, &dirChange{set: base, node: n})
	}
	return pathError("link", newName, err)
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(dir string) error {
	m.lock()
	defer m.mu.Unlock()
	at := m.root.dir
	for _, base := range splitPath(dir) {
		n := at.entries[base]
		if n == nil {
			n = newMemDir()
			m.change(at, &dirChange{set: base, node: n})
			at.sync()
		}
		if n.dir == nil {
			return pathError("mkdir", dir, unix.ENOTDIR)
		}
		at = n.dir
	}
	return nil
}

// List implements FS.
func (m *Mem) List(dir string) ([]string, error) {
	m.rlock()
	defer m.mu.RUnlock()
	d, err := m.lookupDir(dir)
	if err != nil {
		return nil, pathError("list", dir, err)
	}
	return sortedNames(d.entries), nil
}

// Stat implements FS.
func (m *Mem) Stat(name string) (Info, error) {
	m.rlock()
	defer m.mu.RUnlock()
	n, err := m.lookup(name)
	if err != nil {
		return Info{}, pathError("stat", name, err)
	}
	return Info{Size: n.size, IsDir: n.dir != nil}, nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	m.lock()
	defer m.mu.Unlock()
	d, err := m.lookupDir(dir)
	if err != nil {
		return pathError("syncdir", dir, err)
	}
	d.sync()
	return nil
}

// Lock implements FS. Locks hold among the users of one Mem; a CrashClone has none.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.lock()
	defer m.mu.Unlock()
	n, err := m.lookup(name)
	if errors.Is(err, unix.ENOENT) {
		n, err = m.create(name)
	}
	if err == nil && n.dir != nil {
		err = unix.EISDIR
	}
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	if n.locked {
		return nil, fmt.Errorf("%w: %s", ErrLocked, name)
	}
	n.locked = true
	n.handles++
	return &memLock{mem: m, node: n, name: name}, nil
}

// memLock is a held lock.
type memLock struct {
	mem    *Mem
	node   *memNode
	name   string
	closed bool // guarded by mem.mu
}

func (l *memLock) Close() error {
	l.mem.lock()
	defer l.mem.mu.Unlock()
	if l.closed {
		return pathError("unlock", l.name, fs.ErrClosed)
	}
	l.closed = true
	l.node.locked = false
	l.node.handles--
	l.mem.reap(l.node)
	return nil
}

func sortedNames[V any](entries map[string]V) []string {
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
