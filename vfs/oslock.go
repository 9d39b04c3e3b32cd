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
// the owner's process id as text, for the error message only. It is never removed: a lock on an unlinked file excludes
// nobody.
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
	if err == nil {
		err = lock.writeHolder()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return lock, nil
}

// writeHolder notes who has the lock.
func (f *osFile) writeHolder() error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder reads who has the lock, as well as that can be known: the holder may be between truncating and writing.
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
