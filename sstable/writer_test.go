package sstable

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
)

func TestWriterRefuses(t *testing.T) {
	m := smallModel() // in order: one segment entry, then keys
	for name, change := range map[string]func([]Entry) []Entry{
		"a missing entry":            func(e []Entry) []Entry { return e[1:] },
		"a missing last entry":       func(e []Entry) []Entry { return e[:len(e)-1] },
		"an entry twice":             func(e []Entry) []Entry { return append(e, e[len(e)-1]) },
		"keys out of order":          func(e []Entry) []Entry { e[1], e[2] = e[2], e[1]; return e },
		"versions out of order":      func(e []Entry) []Entry { e[3], e[4] = e[4], e[3]; return e },
		"a segment entry after keys": func(e []Entry) []Entry { e[0], e[1] = e[1], e[0]; return e },
		"a seq below":                func(e []Entry) []Entry { e[1].Seq = m.first - 1; return e },
		"a seq above":                func(e []Entry) []Entry { e[1].Seq = m.last() + 1; return e },
		"no leaf":                    func(e []Entry) []Entry { e[1].Leaf = merkle.Hash{}; return e },
		"no value hash":              func(e []Entry) []Entry { e[1].ValueHash = merkle.Hash{}; return e },
		"no value":                   func(e []Entry) []Entry { e[2].Value = nil; return e },
		"no key":                     func(e []Entry) []Entry { e[1].Key = nil; return e },
		"no op":                      func(e []Entry) []Entry { e[1].Op = 0; return e },
	} {
		w, err := NewWriter(&bytes.Buffer{}, m.first, m.last(), smallOptions)
		if err != nil {
			t.Fatal(err)
		}
		entries := change(slices.Clone(m.entries))
		for i := range entries {
			if err = w.Add(&entries[i]); err != nil {
				break
			}
		}
		if _, ferr := w.Finish(); ferr == nil || err != nil && !errors.Is(ferr, err) {
			t.Errorf("%s: Add: %v, Finish: %v", name, err, ferr)
		}
	}
	for _, c := range [][2]uint64{{1, 0}, {0, MaxEntries}, {0, ^uint64(0)}} {
		if _, err := NewWriter(&bytes.Buffer{}, c[0], c[1], WriterOptions{}); err == nil {
			t.Errorf("a segment of the seqs %d to %d", c[0], c[1])
		}
	}
}

func TestWriterPassesErrorsOn(t *testing.T) {
	m := smallModel()
	full := errors.New("disk full")
	file, _ := m.build(t, smallOptions)
	for n := 0; n < len(file); n += 3 {
		w, err := NewWriter(&limitedWriter{n, full}, m.first, m.last(), smallOptions)
		if err != nil {
			t.Fatal(err)
		}
		for i := range m.entries {
			if err := w.Add(&m.entries[i]); err != nil && !errors.Is(err, full) {
				t.Fatal(err)
			}
		}
		w.SetLedgerNodes(m.nodes)
		if _, err := w.Finish(); !errors.Is(err, full) {
			t.Fatalf("room for %d of %d bytes: %v", n, len(file), err)
		}
	}
}

type limitedWriter struct {
	room int
	err  error
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, w.err
	}
	return len(p), nil
}

// TestRootIgnoresOptions builds one segment in several ways.
func TestRootIgnoresOptions(t *testing.T) {
	m := tiledModel()
	_, want := m.build(t, WriterOptions{})
	for _, opts := range []WriterOptions{
		{BlockBytes: 1}, {LargeValueBytes: 1}, {Compression: segfile.Zstd}, {Compression: segfile.NoCompression},
	} {
		if _, got := m.build(t, opts); got.Root != want.Root {
			t.Errorf("%+v: root %s, want %s", opts, got.Root, want.Root)
		}
	}
}

var update = flag.Bool("update", false, "write golden files anew")

// TestGolden holds the format still: the bytes of a small segment, uncompressed so that they do not depend on a
// library's version.
func TestGolden(t *testing.T) {
	m := smallModel()
	opts := smallOptions
	opts.Compression = segfile.NoCompression
	file, info := m.build(t, opts)
	golden := filepath.Join("testdata", "small.seg")
	if *update {
		if err := os.WriteFile(golden, file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, want) {
		t.Errorf("the format changed: a segment of this version is no longer %s", golden)
	}
	const root = "a22f59f97e1c9c287637323cb0d1f6e7f81f90d8b1a9ef595b83ae8d24ffbb2b"
	if info.Root.String() != root {
		t.Errorf("root is %s, not %s", info.Root, root)
	}
	table := open(t, want, Options{Expect: &info})
	agrees(t, m, table)
	if err := table.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
