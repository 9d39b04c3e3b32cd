package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/scribe-ledger/scribe/vfs"
)

const (
	incomingName  = "incoming"
	partialSuffix = ".part"
)

func (l *Ledger) incomingDir() string { return path.Join(l.opts.Dir, incomingName) }

// incomingFile is where a segment that has come whole and was verified waits for Install.
func (l *Ledger) incomingFile(id string) string { return path.Join(l.incomingDir(), id+segmentSuffix) }

// incomingFile is a segment's file that is coming, front to back. Its name says of which file it is the beginning, so
// that a later process goes on with the same one.
//
// Of the bytes that it has after a power cut, those up to the last multiple of syncBytes that has a byte behind it are
// good: no byte is written behind such a place before all up to it are durable.
type incomingFile struct {
	fs        vfs.FS
	dir, name string
	syncBytes uint64
	file      vfs.File // nil until the first byte comes
	offset    uint64
}

// openIncoming takes up what has come of a part before.
func (l *Ledger) openIncoming(part SegmentPart, syncBytes uint64) (*incomingFile, error) {
	f := &incomingFile{fs: l.opts.FS, dir: l.incomingDir(), syncBytes: syncBytes}
	f.name = path.Join(f.dir, fmt.Sprintf("%s-%x-%d%s", part.ID(), part.Root[:8], part.Bytes, partialSuffix))
	return f, f.resume(part.Bytes)
}

// resume finds out how much has come before of a file that is to have so many bytes.
func (f *incomingFile) resume(bytes uint64) error {
	info, err := f.fs.Stat(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Size > 0 {
		f.offset = (min(uint64(info.Size), bytes) - 1) / f.syncBytes * f.syncBytes
	}
	return nil
}

func (f *incomingFile) open() (err error) {
	if f.file != nil {
		return nil
	}
	f.file, err = f.fs.OpenRW(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		if f.file, err = f.fs.Create(f.name); err == nil {
			err = f.fs.SyncDir(f.dir)
		}
	}
	if err == nil {
		err = f.file.Truncate(int64(f.offset))
	}
	if err != nil {
		f.close()
	}
	return err
}

// append writes behind what is there. After an error the file is given up: what it holds is not known.
func (f *incomingFile) append(data []byte) error {
	if err := f.open(); err != nil {
		return err
	}
	for len(data) > 0 {
		n := min(uint64(len(data)), f.syncBytes-f.offset%f.syncBytes)
		_, err := f.file.WriteAt(data[:n], int64(f.offset))
		if err == nil && (f.offset+n)%f.syncBytes == 0 {
			err = f.file.Sync()
		} else if err == nil {
			err = f.file.StartSync(int64(f.offset), int64(n)) // so that the sync finds little to do
		}
		if err != nil {
			return errors.Join(err, f.restart())
		}
		f.offset, data = f.offset+n, data[n:]
	}
	return nil
}

// finish makes the file durable and returns its name.
func (f *incomingFile) finish() (string, error) {
	if err := f.open(); err != nil {
		return "", err
	}
	if err := f.file.Sync(); err != nil {
		return "", errors.Join(err, f.restart())
	}
	f.close()
	return f.name, nil
}

// restart drops what has come.
func (f *incomingFile) restart() error {
	f.close()
	f.offset = 0
	if err := f.fs.Remove(f.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (f *incomingFile) close() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}
