package segfile

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// TestPageThatCannotBeRead maps a file and cuts it, so that touching its pages raises SIGBUS, as a page does that the
// device fails to read. It must be an error that names the file, not the end of the process.
func TestPageThatCannotBeRead(t *testing.T) {
	fsys := vfs.NewOS()
	name := filepath.Join(t.TempDir(), "segment")
	f, err := fsys.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := NewWriter(&fileWriter{f: f}, WriterOptions{Compression: NoCompression})
	if err != nil {
		t.Fatal(err)
	}
	block, err := w.AppendBlock(make([]byte, 64<<10))
	if err != nil {
		t.Fatal(err)
	}
	run, err := w.AppendRun(make([]byte, 300<<10))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AddSection(1, make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	size, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Map(int64(size), false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r, err := Open(NewMappedSource(name, m))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	for what, read := range map[string]func() error{
		"open":    func() error { _, err := Open(NewMappedSource(name, m)); return err },
		"block":   func() error { _, err := r.Block(block, nil); return err },
		"run":     func() error { _, err := r.OpenRun(run, 300<<10); return err },
		"section": func() error { _, err := r.Section(1); return err },
	} {
		var corrupt *vfs.CorruptError
		if err := read(); !errors.As(err, &corrupt) || corrupt.File != name {
			t.Errorf("%s: error %v does not say that %s is damaged", what, err, name)
		}
	}
}

// fileWriter writes a file from its beginning.
type fileWriter struct {
	f   vfs.File
	off int64
}

func (w *fileWriter) Write(p []byte) (int, error) {
	n, err := w.f.WriteAt(p, w.off)
	w.off += int64(n)
	return n, err
}
