package vfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ErrInjected is the cause of a failure that Inject made up and was given no other error for.
var ErrInjected = errors.New("vfs: injected failure")

// ErrTooLarge is returned by ReadFile for a file over its limit.
var ErrTooLarge = errors.New("vfs: file is too large")

// ErrReserved is the cause of what was not even tried because it would take space that is set aside for something else.
var ErrReserved = errors.New("vfs: the space is reserved")

// IsNoSpace says whether err means that the disk, the quota or the largest file size is exhausted: the call may succeed
// once space is made, and nothing else is wrong.
func IsNoSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG) ||
		errors.Is(err, ErrReserved)
}

// IsNotDir says whether err means that the path leads through a file as though it were a directory.
func IsNotDir(err error) bool { return errors.Is(err, unix.ENOTDIR) }
