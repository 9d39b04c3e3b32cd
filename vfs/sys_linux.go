package vfs

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// backgroundNice is what a background thread adds to its nice value, and backgroundIO its class and level for the disk:
// the lowest of best effort (ioprio_set(2)), so that it is slow and not starved, since others may wait for a lock of its.
const (
	backgroundNice = 10
	backgroundIO   = 2<<13 | 7
)

func background() {
	// The thread is the goroutine's from now on, and ends with it.
	runtime.LockOSThread()
	tid := unix.Gettid()
	_ = unix.Setpriority(unix.PRIO_PROCESS, tid, backgroundNice)
	const whoProcess = 1
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, uintptr(tid), backgroundIO)
}

func fdatasync(fd int) error { return unix.Fdatasync(fd) }

// startSync begins the writing of dirty pages and waits for none (sync_file_range(2)).
func startSync(fd int, off, n int64) error {
	err := unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE)
	if err == unix.ENOSYS {
		return nil // the sync does it all
	}
	return err
}

// fallocate in mode 0 reserves blocks and grows the file; ext4 marks them unwritten, so they read as zeros.
func fallocate(fd int, size int64) error { return unix.Fallocate(fd, 0, 0, size) }

// dropCache drops clean, unmapped pages only: call it after Sync and before Map.
func dropCache(fd int) error { return unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) }

// spaceOf counts in fragments: f_bsize is only the preferred transfer size (statfs(2)).
func spaceOf(st *unix.Statfs_t) Space {
	unit := st.Frsize
	if unit == 0 {
		unit = st.Bsize
	}
	return Space{Free: st.Bavail * uint64(unit), Total: st.Blocks * uint64(unit)}
}
