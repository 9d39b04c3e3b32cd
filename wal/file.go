package wal

import (
	"fmt"
	"io"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/scribe-ledger/scribe/vfs"
)

// logFile is one mapped log file. path, hdr, buf, file and mapping never change; the other fields are guarded by
// Log.mu, and the appender alone changes them.
type logFile struct {
	path    string
	hdr     header
	buf     []byte // the mapped file, hdr.fileBytes long
	file    vfs.File
	mapping vfs.Mapping

	span    span
	good    int64  // end of the last batch
	goodSum uint64 // checksum of its marker
	end     int64  // where the next batch goes: good, or behind the note there
	endSum  uint64 // checksum of the record that ends at end
	sealed  bool   // nothing may be appended: bytes of an older life stand behind end

	// refs counts the log itself and every reader between snapshot and copy. The last one to let go unmaps the file
	// and calls onFree, so no byte under a reader's eyes is unmapped or written again.
	refs   atomic.Int64
	onFree func() // set before the log lets go; may be nil
}

func logName(id uint64) string { return fmt.Sprintf("%016x.log", id) }

// parseLogName returns the id in a log file's name.
func parseLogName(name string) (uint64, bool) {
	hex, ok := strings.CutSuffix(name, ".log")
	if !ok || len(hex) != 16 {
		return 0, false
	}
	id, err := strconv.ParseUint(hex, 16, 64)
	return id, err == nil && logName(id) == name
}

// openLogFile opens a file that has a name, makes durable what the page cache holds of it, gives the cache up, and
// reads the header. A page that a failed sync of an earlier process left in the cache as clean is not believed.
func openLogFile(fs vfs.FS, dir string, id uint64, writable bool) (_ *logFile, err error) {
	f := &logFile{path: path.Join(dir, logName(id))}
	f.refs.Store(1)
	if f.file, err = fs.OpenRW(f.path); err != nil {
		return nil, fmt.Errorf("wal: open log file: %w", err)
	}
	defer func() {
		if err != nil {
			f.release()
		}
	}()
	if err = f.file.Sync(); err != nil {
		return nil, fmt.Errorf("wal: sync %s before reading it: %w", f.path, err)
	}
	if err = f.file.DropCache(); err != nil {
		return nil, fmt.Errorf("wal: drop cached pages of %s: %w", f.path, err)
	}
	size, err := f.file.Size()
	if err != nil {
		return nil, fmt.Errorf("wal: size of %s: %w", f.path, err)
	}
	if size < headerSize {
		_, err = decodeHeader(f.path, make([]byte, max(size, 0)))
		return nil, err
	}
	if f.mapping, err = f.file.Map(size, writable); err != nil {
		return nil, fmt.Errorf("wal: map %s: %w", f.path, err)
	}
	f.buf = f.mapping.Bytes()
	err = guardFault(&f, func() error {
		f.hdr, err = decodeHeader(f.path, f.buf)
		return err
	})
	if err != nil {
		return nil, err
	}
	if f.hdr.id != id {
		return nil, f.corrupt(16, "the file is named %s and says that it is file %d; %s", logName(id), f.hdr.id, remedy)
	}
	f.buf = f.buf[:f.hdr.fileBytes]
	return f, nil
}

// release gives up one reference.
func (f *logFile) release() {
	if f.refs.Add(-1) > 0 {
		return
	}
	if f.mapping != nil {
		f.mapping.Close()
	}
	f.file.Close()
	if f.onFree != nil {
		f.onFree()
	}
}

// write puts b at off, through the map or under it.
func (f *logFile) write(m AppendMethod, b []byte, off int64) error {
	if m == ByStores {
		return guardFault(&f, func() error {
			copy(f.buf[off:off+int64(len(b))], b)
			return nil
		})
	}
	n, err := f.file.WriteAt(b, off)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// writeBatch puts buf at off, with the pieces between its parts.
func (f *logFile) writeBatch(m AppendMethod, buf []byte, pieces []apart, off int64) error {
	from := 0
	for _, p := range pieces {
		for _, b := range [][]byte{buf[from:p.at], p.data} {
			if err := f.write(m, b, off); err != nil {
				return err
			}
			off += int64(len(b))
		}
		from = p.at
	}
	return f.write(m, buf[from:], off)
}

// sync makes [off, off+n) durable, in ByPwrite's case the whole file.
func (f *logFile) sync(m AppendMethod, off, n int64) error {
	if m == ByStores {
		return f.mapping.Sync(off, n)
	}
	return f.file.Sync()
}

// guardFault runs fn, which touches mapped bytes of *f. A page that the device cannot give or take raises a fault; it
// becomes an error here instead of ending the process.
func guardFault(f **logFile, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		fault, ok := r.(interface{ Addr() uintptr })
		if !ok {
			panic(r)
		}
		off := int64(fault.Addr() - uintptr(unsafe.Pointer(unsafe.SliceData((*f).buf))))
		err = (*f).corrupt(off, "the device does not give or take the page mapped there; %s", remedy)
	}()
	return fn()
}
