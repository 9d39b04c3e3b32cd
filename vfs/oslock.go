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
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	lock := &osFile{f: f}
	err = lock.control("flock", func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s, %s", ErrLocked, name, lock.holder())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	lock.writeHolder()
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
