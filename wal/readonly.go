package wal

import (
	"fmt"
	"path"

	"github.com/scribe-ledger/scribe/vfs"
)

// openReadOnly maps a log file and reads its header. The file that it returns has a path and no header when that fails.
func openReadOnly(fs vfs.FS, dir string, id uint64) (*logFile, error) {
	f := &logFile{path: path.Join(dir, logName(id))}
	if err := f.remap(fs); err != nil {
		return f, err
	}
	var hdr header
	err := guardFault(&f, func() (err error) {
		hdr, err = decodeHeader(f.path, f.buf)
		return err
	})
	if err == nil && hdr.id != id {
		err = f.corrupt(16, "the file is named %s and says that it is file %d", logName(id), hdr.id)
	}
	if err != nil {
		f.unmap()
		return f, err
	}
	f.hdr = hdr
	return f, nil
}

// remap maps a file for reading, as far as its header says that it is in use.
func (f *logFile) remap(fs vfs.FS) error {
	file, err := fs.Open(f.path)
	if err != nil {
		return fmt.Errorf("wal: open log file: %w", err)
	}
	defer file.Close() // the mapping outlives it
	// A page that was read long ago says nothing of the disk. Pages that are not written yet stay.
	if err := file.DropCache(); err != nil {
		return fmt.Errorf("wal: drop cached pages of %s: %w", f.path, err)
	}
	size, err := file.Size()
	if err != nil {
		return fmt.Errorf("wal: size of %s: %w", f.path, err)
	}
	if size < headerSize || size < f.hdr.fileBytes {
		_, err := decodeHeader(f.path, make([]byte, max(min(size, headerSize-1), 0)))
		return err
	}
	if f.mapping, err = file.Map(size, false); err != nil {
		return fmt.Errorf("wal: map %s: %w", f.path, err)
	}
	f.buf = f.mapping.Bytes()
	if f.hdr.fileBytes > 0 {
		f.buf = f.buf[:f.hdr.fileBytes]
	}
	return nil
}

func (f *logFile) unmap() {
	if f.mapping != nil {
		f.mapping.Close()
	}
	f.mapping, f.buf = nil, nil
}
