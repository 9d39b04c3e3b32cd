package wal

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// TestGolden holds the format fast: the sample's bytes are those that version 1 always wrote, and are read. Where the
// file is missing it is written, and the test fails for once.
func TestGolden(t *testing.T) {
	name := filepath.Join("testdata", "v1.log")
	got := sample(t)
	want, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Fatalf("%s was written; look at it and commit it", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("the bytes of a log file changed: a new format needs a new version number and a reader for the old one")
	}
	f, sc, err := replayBytes(t, want)
	if err != nil {
		t.Fatal(err)
	}
	if f.span.after() != 5 || f.span.term(3) != 2 || !sc.clean {
		t.Fatalf("the golden file holds %+v, %+v", f.span, sc)
	}
}

// TestFileCutUnderTheMap takes away the blocks under an open log: the fault is an error, not the process's end.
func TestFileCutUnderTheMap(t *testing.T) {
	methods(t, func(t *testing.T, m AppendMethod) {
		dir := t.TempDir()
		l, err := Open(Options{FS: vfs.NewOS(), Dir: dir, FileBytes: 1 << 16, Method: m})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		mustAppend(t, l, nil, run(1, 20, 1, 1000))
		if err := os.Truncate(filepath.Join(dir, logName(1)), 4096); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Entries(1, 3, 1<<20); err != nil {
			t.Fatalf("entries before the cut: %v", err)
		}
		_, err = all(l)
		if err == nil {
			t.Fatal("entries behind the end of the file were read")
		}
		mustBeCorrupt(t, err)
		if m == ByStores {
			if err := l.Append(nil, run(21, 1, 1, 10)); err == nil || l.Err() == nil {
				t.Fatalf("append into missing pages: %v, poisoned by %v", err, l.Err())
			}
		}
	})
}
