package vfs

import (
	"math"

	"golang.org/x/sys/unix"
)

const (
	// memMaxFileBytes bounds a file of Mem, so that a wild offset is an error and not an allocation of its size.
	memMaxFileBytes = 4 << 30
	// memUnlimited is how large the disk says it is while no limit is set, and all of it is free.
	memUnlimited = 1 << 40
)

// SetLimit makes the disk hold at most this many bytes, in blocks of 4 KiB; 0 takes the limit off. Below what is
// already used the disk is simply full. A full disk fails Create, Preallocate, and WriteAt outside allocated blocks.
func (m *Mem) SetLimit(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = bytes
}

// Used returns the bytes of all allocated blocks.
func (m *Mem) Used() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.used
}

// Space implements FS.
func (m *Mem) Space(dir string) (Space, error) {
	m.rlock()
	defer m.mu.RUnlock()
	if _, err := m.lookupDir(dir); err != nil {
		return Space{}, pathError("statfs", dir, err)
	}
	if m.limit == 0 {
		return Space{Free: memUnlimited, Total: memUnlimited}, nil
	}
	return Space{Free: uint64(max(0, m.limit-m.used)), Total: uint64(m.limit)}, nil
}

// allocate charges blocks for the first upTo bytes of n, all of them or none.
func (m *Mem) allocate(n *memNode, upTo int64) error {
	if upTo <= n.alloc {
		return nil
	}
	if upTo > memMaxFileBytes {
		return unix.EFBIG
	}
	grow := roundUp(upTo, memBlockBytes) - n.alloc
	if m.limit > 0 && grow > m.limit-m.used {
		return unix.ENOSPC
	}
	m.used += grow
	n.alloc += grow
	return nil
}

// writable returns how far from offset 0 n could be written before the disk is full.
func (m *Mem) writable(n *memNode) int64 {
	if m.limit == 0 {
		return math.MaxInt64
	}
	room := max(0, m.limit-m.used)
	return n.alloc + room - room%memBlockBytes
}

// reap gives back the blocks of a file that has neither a name nor a handle.
func (m *Mem) reap(n *memNode) {
	if n.links == 0 && n.handles == 0 && n.dir == nil {
		m.used -= n.alloc
		n.alloc = 0
	}
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
