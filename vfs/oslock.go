//go:build unix

package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Lock implements FS with flock(2), which the kernel lets go of when the process ends, however it ends. The file holds
// the owner's process id as text, for the error message only: a full disk, which cannot take it, keeps nobody from the
// lock. The file is never removed: a lock on an unlinked file excludes nobody.
func (OS) Lock(name string) (io.Closer, error) {
	lock, err := flock(name, os.O_RDWR|os.O_CREATE, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	lock.writeHolder()
	return lock, nil
}

// LockShared takes a shared lock on the file name, which must be there: while it is held nobody gets Lock, and it is
// refused with ErrLocked while somebody has that. It changes nothing, so it is for those who only read. fs.ErrNotExist
// when there is no such file.
func (OS) LockShared(name string) (io.Closer, error) {
	lock, err := flock(name, os.O_RDONLY, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	return lock, nil
}

// flock opens a file and locks it, without waiting for whoever has it: that is ErrLocked.
func flock(name string, openFlags, how int) (*osFile, error) {
	f, err := os.OpenFile(name, openFlags, fileMode)
	if err != nil {
		return nil, err
	}
	lock := &osFile{f: f}
	err = lock.control("flock", func(fd int) error { return unix.Flock(fd, how|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s, %s", ErrLocked, name, lock.holder())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return lock, nil
}

// writeHolder notes who has the lock, or where that fails leaves no note: an old one would name somebody else. It
// writes over the old note first, for which a full disk has space.
func (f *osFile) writeHolder() {
	n, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	if err != nil {
		n = 0
	}
	_ = f.Truncate(int64(n)) // the lock is held whatever its file says
}

// holder reads who has the lock, as well as that can be known: the holder may be between writing and truncating.
func (f *osFile) holder() string {
	buf := make([]byte, 20)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "holder unknown"
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil {
		return "holder unknown"
	}
	return fmt.Sprintf("held by process %d", pid)
}
