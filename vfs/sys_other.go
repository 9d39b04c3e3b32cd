//go:build unix && !linux

package vfs

import "golang.org/x/sys/unix"

// These stand in where the Linux calls are missing, so that the tree builds and tests run on a developer's machine.

func fdatasync(fd int) error { return unix.Fsync(fd) }

// fallocate is unsupported, so Preallocate writes zeros.
func fallocate(int, int64) error { return unix.EOPNOTSUPP }

func background() {}

func startSync(int, int64, int64) error { return nil } // the sync does it all

func dropCache(int) error { return nil }

func spaceOf(st *unix.Statfs_t) Space {
	return Space{Free: uint64(st.Bavail) * uint64(st.Bsize), Total: uint64(st.Blocks) * uint64(st.Bsize)}
}
