//go:build unix

package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// LockShared takes a shared lock on the file name, which must be there: while it is held nobody gets Lock, and it is
// refused with ErrLocked while somebody has that. It changes nothing, so it is for those who only read. fs.ErrNotExist
// when there is no such file.
func (OS) LockShared(name string) (io.Closer, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	lock := &osFile{f: f}
	err = lock.control("flock", func(fd int) error { return unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s, %s", ErrLocked, name, lock.holder())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return lock, nil
}
