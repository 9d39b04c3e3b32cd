package segfile

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// TestCopyTo: what is copied is the file, and no byte of it can change without being found.
func TestCopyTo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var buf bytes.Buffer
		w, err := NewWriter(&buf, WriterOptions{Salt: rapid.Uint64().Draw(rt, "salt")})
		if err != nil {
			rt.Fatal(err)
		}
		add := func(blocks int) {
			for range blocks {
				data := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "data"), rapid.IntRange(1, 40).Draw(rt, "times"))
				if rapid.Bool().Draw(rt, "run") {
					_, err = w.AppendRun(data)
				} else {
					_, err = w.AppendBlock(data)
				}
				if err != nil {
					rt.Fatal(err)
				}
			}
		}
		add(rapid.IntRange(0, 8).Draw(rt, "blocks"))
		w.BeginMeta()
		add(rapid.IntRange(0, 3).Draw(rt, "blocks of the meta tail"))
		for kind := range rapid.IntRange(0, 3).Draw(rt, "sections") {
			if err := w.AddSection(uint32(kind+1), rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(rt, "section")); err != nil {
				rt.Fatal(err)
			}
		}
		if _, err := w.Finish(); err != nil {
			rt.Fatal(err)
		}
		file := buf.Bytes()
		for _, src := range []Source{NewBytesSource("f", file), opaqueSource{NewBytesSource("f", file)}} {
			r, err := Open(src)
			if err != nil {
				rt.Fatal(err)
			}
			var got bytes.Buffer
			if err := r.CopyTo(&got); err != nil || !bytes.Equal(got.Bytes(), file) {
				rt.Fatalf("%d bytes of %d: %v", got.Len(), len(file), err)
			}
			at := rapid.IntRange(0, len(file)-1).Draw(rt, "at")
			file[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
			if err := r.CopyTo(io.Discard); !isCorrupt(err) {
				rt.Fatalf("byte %d of %d has changed: %v", at, len(file), err)
			}
			file[at] = got.Bytes()[at]
		}
	})
}

// TestCopyToLarge: blocks and sections that are larger than what is read at a time; and the writer's own error.
func TestCopyToLarge(t *testing.T) {
	var buf bytes.Buffer
	w, err := NewWriter(&buf, WriterOptions{Compression: NoCompression})
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("0123456789abcdef"), 3*copyBytes/16)
	for range 2 {
		if _, err := w.AppendBlock(data[:min(len(data), MaxBlockBytes)]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.AddSection(1, data); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(opaqueSource{NewBytesSource("f", buf.Bytes())})
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := r.CopyTo(&got); err != nil || !bytes.Equal(got.Bytes(), buf.Bytes()) {
		t.Fatalf("%d bytes of %d: %v", got.Len(), buf.Len(), err)
	}
	full := errors.New("full")
	if err := r.CopyTo(&limited{left: 2 << 20, err: full}); !errors.Is(err, full) {
		t.Fatal(err)
	}
}

// limited takes so many bytes.
type limited struct {
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, l.err
	}
	return len(p), nil
}
