package vfs

import (
	"errors"
	"fmt"
	"io"
)

// FS is the set of file system calls the project makes. Names are slash-separated paths. All methods are safe for
// concurrent use. A change to a directory (Create, Remove, Rename, Link) is durable only after SyncDir of that directory.
type FS interface {
	// Create makes a new, empty file for reading and writing. It fails with fs.ErrExist when the name is taken.
	Create(name string) (File, error)
	// Open opens an existing file for reading only. It fails with fs.ErrNotExist when there is none.
	Open(name string) (File, error)
	// OpenRW opens an existing file for reading and writing.
	OpenRW(name string) (File, error)
	// Remove deletes a file.
	Remove(name string) error
	// Rename moves a file, replacing one that stands at newName.
	Rename(oldName, newName string) error
	// Link gives a file a second name, at once and whole. It fails with fs.ErrExist when newName is taken.
	Link(oldName, newName string) error
	// MkdirAll makes a directory and its parents, and makes them durable.
	MkdirAll(dir string) error
	// List returns the base names in dir, sorted.
	List(dir string) ([]string, error)
	// Stat returns the size of a file; fs.ErrNotExist when there is none.
	Stat(name string) (Info, error)
	// SyncDir makes the directory's entries durable.
	SyncDir(dir string) error
	// Lock takes an exclusive lock on the file name, making it if need be. ErrLocked when another holder has it.
	Lock(name string) (io.Closer, error)
	// Space returns how much of dir's file system is free, and how large it is.
	Space(dir string) (Space, error)
}

// Space is the size of a file system in bytes.
type Space struct {
	Free  uint64 // available to this process
	Total uint64
}

// Info describes a file.
type Info struct {
	Size  int64
	IsDir bool
}

// File is an open file. Reads and writes are positional; concurrent use follows pread and pwrite.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Name() string
	Size() (int64, error)
	Truncate(size int64) error
	// Preallocate reserves real blocks for [0, size) and grows the file to at least size, so that a later store into
	// its mapping cannot meet a full disk. An error for which IsNoSpace holds leaves the file usable, perhaps longer.
	Preallocate(size int64) error
	// Sync makes the file's data and size durable (fdatasync). After an error nothing is known of the unsynced data.
	Sync() error
	// Map maps [0, length) shared. The file must be at least that long. Stores are allowed only when writable.
	Map(length int64, writable bool) (Mapping, error)
	// StartSync asks that [off, off+n) be on its way to the device, so that a later Sync finds less to do. It promises
	// nothing; after an error the file's content is in doubt.
	StartSync(off, n int64) error
	// DropCache asks that later reads come from the device, not from cached pages.
	DropCache() error
}

// Mapping is a mapped file. Bytes stays valid until Close, also after the File is closed; touching it later faults.
type Mapping interface {
	Bytes() []byte
	// Sync makes stores into [off, off+n) durable (synchronous msync; the range is widened to pages).
	Sync(off, n int64) error
	Close() error
}

// ErrLocked is returned by Lock when another process or holder has the lock.
var ErrLocked = errors.New("vfs: lock is held by another process")

// CorruptError says that bytes on disk failed their checksum or broke their format. It is the only type for this in
// the project; match it with errors.As.
type CorruptError struct {
	File   string // path as opened
	Offset int64  // where in the file, in bytes
	Reason string // what was found, what it should be, what is lost, what to do
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("corrupt: %s at offset %d: %s", e.File, e.Offset, e.Reason)
}
