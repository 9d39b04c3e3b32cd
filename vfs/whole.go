package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// WriteFileAtomic makes the file name in dir hold data, durably, or leaves what stood there: it writes a temporary file
// beside it, syncs it, renames it and syncs the directory. The temporary file, name + ".tmp", is removed on failure,
// and one that a crash left is replaced. When only the last sync fails the new content is in place but may not outlive
// a power cut. Two calls for one name must not run at once.
func WriteFileAtomic(fsys FS, dir, name string, data []byte) error {
	tmp := path.Join(dir, name+".tmp")
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := writeSynced(fsys, tmp, data)
	if err == nil {
		err = fsys.Rename(tmp, path.Join(dir, name))
	}
	if err != nil {
		if rerr := fsys.Remove(tmp); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
		return err
	}
	return fsys.SyncDir(dir)
}

// writeSynced creates a file and makes its content durable.
func writeSynced(fsys FS, name string, data []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(data, 0); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// ReadFile returns the content of a file of at most limit bytes; for a longer one the error is ErrTooLarge.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := readAll(f, limit)
	if cerr := f.Close(); err == nil && cerr != nil {
		return nil, cerr
	}
	return data, err
}

func readAll(f File, limit int64) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are read", ErrTooLarge, f.Name(), size, limit)
	}
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if int64(n) == size {
		return data, nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // it was cut while it was read
	}
	return nil, fmt.Errorf("read %s: %w", f.Name(), err)
}
