//go:build unix

package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Files and directories belong to the server's user alone: values may be secret.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

// OS is the real file system. It has no state, so the zero value is ready.
type OS struct{}

var _ FS = OS{}

// NewOS returns the real file system.
func NewOS() OS { return OS{} }

// Create implements FS.
func (OS) Create(name string) (File, error) {
	return openOS(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// Open implements FS.
func (OS) Open(name string) (File, error) { return openOS(name, os.O_RDONLY) }

// OpenRW implements FS.
func (OS) OpenRW(name string) (File, error) { return openOS(name, os.O_RDWR) }

// openOS refuses directories, which open(2) would hand out for reading.
func openOS(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags, fileMode)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: unix.EISDIR}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &osFile{f: f}, nil
}

// Remove implements FS. It is unlink(2), so a directory is refused.
func (OS) Remove(name string) error {
	return pathError("remove", name, retryEINTR(func() error { return unix.Unlink(name) }))
}

// Rename implements FS.
func (OS) Rename(oldName, newName string) error { return os.Rename(oldName, newName) }

// Link implements FS.
func (OS) Link(oldName, newName string) error { return os.Link(oldName, newName) }

// MkdirAll implements FS. Each directory it makes is synced into its parent before the next is made, so that no crash
// leaves a durable child whose parent is not. When dir is there already it is synced into its parent as well: an
// earlier process may have made it and come no further.
func (o OS) MkdirAll(dir string) error { return makeAll(filepath.Clean(dir), o.SyncDir) }

// makeAll is MkdirAll, with what syncs a directory.
func makeAll(dir string, sync func(dir string) error) error {
	parent := filepath.Dir(dir)
	switch st, err := os.Stat(dir); {
	case err == nil && st.IsDir():
		if err := sync(parent); err != nil && !cannotSync(err) {
			return err
		}
		return nil
	case err == nil:
		return pathError("mkdir", dir, unix.ENOTDIR)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if parent != dir {
		if err := makeAll(parent, sync); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return sync(parent)
}

// cannotSync says that a directory is not this process's to sync, or on a file system where that means nothing (one
// that is read-only, below a mount point). What stands in it was not made by the likes of this process.
func cannotSync(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.EINVAL) ||
		errors.Is(err, unix.ENOTSUP)
}

// List implements FS.
func (OS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Stat implements FS. The size of a directory is reported as 0.
func (OS) Stat(name string) (Info, error) {
	st, err := os.Stat(name)
	if err != nil {
		return Info{}, err
	}
	if st.IsDir() {
		return Info{IsDir: true}, nil
	}
	return Info{Size: st.Size()}, nil
}

// SyncDir implements FS.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// Space implements FS.
func (OS) Space(dir string) (Space, error) {
	var st unix.Statfs_t
	if err := retryEINTR(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return Space{}, pathError("statfs", dir, err)
	}
	return spaceOf(&st), nil
}

// pathError wraps err with its operation and name, and keeps nil nil.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// retryEINTR repeats call while a signal interrupts it; the Go runtime preempts with signals, so it happens.
func retryEINTR(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Background lowers the claim of the calling goroutine on processor and disk, for good: for work that is large and in no
// hurry, such as hashing files. The goroutine keeps its thread to itself from then on. It is a wish, and has no error. It is
// for work that is rare, since a busy machine may leave such a thread waiting while it holds what others need.
func Background() { background() }
