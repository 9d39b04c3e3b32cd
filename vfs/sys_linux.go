package vfs

import "golang.org/x/sys/unix"

func fdatasync(fd int) error { return unix.Fdatasync(fd) }

// fallocate in mode 0 reserves blocks and grows the file; ext4 marks them unwritten, so they read as zeros.
func fallocate(fd int, size int64) error { return unix.Fallocate(fd, 0, 0, size) }

// dropCache drops clean, unmapped pages only: call it after Sync and before Map.
func dropCache(fd int) error { return unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) }

// availableBytes counts in fragments: f_bsize is only the preferred transfer size (statfs(2)).
func availableBytes(st *unix.Statfs_t) uint64 {
	unit := st.Frsize
	if unit == 0 {
		unit = st.Bsize
	}
	return st.Bavail * uint64(unit)
}
