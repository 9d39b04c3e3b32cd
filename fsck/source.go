package fsck

import "github.com/scribe-ledger/scribe/vfs"

// source reads a segment's file, and counts. It gives no bytes in place: a page that the device cannot give is an error
// of a read, not a fault of the process.
type source struct {
	file    vfs.File
	size    int64
	counted int64
	advance func(int64)
}

// openSource opens a file for a check: what an earlier process has cached of it says nothing of the disk.
func openSource(fsys vfs.FS, name string, advance func(int64)) (*source, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	if err := f.DropCache(); err != nil {
		f.Close()
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &source{file: f, size: size, advance: advance}, nil
}

// ReadAt implements segfile.Source.
func (s *source) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.file.ReadAt(p, off)
	s.count(int64(n))
	return n, err
}

// count moves the progress on, by no more than the file has: parts of it are read more than once.
func (s *source) count(n int64) {
	n = min(n, s.size-s.counted)
	s.counted += n
	s.advance(n)
}

// Size implements segfile.Source.
func (s *source) Size() int64 { return s.size }

// Name implements segfile.Source.
func (s *source) Name() string { return s.file.Name() }

// close counts what was not read as looked at.
func (s *source) close() {
	s.count(s.size)
	s.file.Close()
}
