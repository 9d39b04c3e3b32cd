package segfile

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/vfs"
)

func isCorrupt(err error) bool {
	var c *vfs.CorruptError
	return errors.As(err, &c)
}

// opaqueSource hides Slice, as a file or a cold object does.
type opaqueSource struct{ Source }

type written struct {
	handle Handle
	data   []byte
	run    bool
}

// TestRoundTrip writes blocks, runs and sections and reads them back, over both kinds of source.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		opts := WriterOptions{
			Compression: rapid.SampledFrom([]Compression{DefaultCompression, NoCompression, S2, Zstd}).Draw(rt, "method"),
			Salt:        rapid.Uint64().Draw(rt, "salt"),
			BufferBytes: rapid.IntRange(0, 100).Draw(rt, "buffer"),
		}
		var buf bytes.Buffer
		w, err := NewWriter(&buf, opts)
		if err != nil {
			rt.Fatal(err)
		}
		data := rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 0, 50),
			rapid.Map(rapid.IntRange(0, 3*MaxBlockBytes), func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, n) }),
		)
		var blocks []written
		metaAfter := rapid.IntRange(0, 6).Draw(rt, "meta")
		meta, began := uint64(0), false
		for i := range rapid.IntRange(0, 6).Draw(rt, "blocks") {
			if i == metaAfter {
				meta, began = w.Offset(), true
				w.BeginMeta()
			}
			b := written{data: data.Draw(rt, "data")}
			switch {
			case len(b.data) > MaxBlockBytes || rapid.Bool().Draw(rt, "run"):
				b.run = true
				b.handle, err = w.AppendRun(b.data)
			case rapid.Bool().Draw(rt, "raw"):
				b.handle, err = w.AppendRaw(b.data)
				if b.handle.Length != uint64(len(b.data))+BlockOverhead {
					rt.Fatalf("raw block of %d bytes takes %d", len(b.data), b.handle.Length)
				}
			default:
				b.handle, err = w.AppendBlock(b.data)
			}
			if err != nil {
				rt.Fatal(err)
			}
			blocks = append(blocks, b)
		}
		if !began {
			meta = w.Offset()
			w.BeginMeta()
		}
		kinds := rapid.SliceOfNDistinct(rapid.Uint32(), 0, 5, rapid.ID[uint32]).Draw(rt, "kinds")
		slices.Sort(kinds)
		sections := map[uint32][]byte{}
		for _, k := range kinds {
			sections[k] = data.Draw(rt, "section")
			if err := w.AddSection(k, sections[k]); err != nil {
				rt.Fatal(err)
			}
		}
		size, err := w.Finish()
		if err != nil || size != uint64(buf.Len()) {
			rt.Fatalf("%d bytes, Finish says %d, %v", buf.Len(), size, err)
		}

		var src Source = NewBytesSource("f", buf.Bytes())
		if rapid.Bool().Draw(rt, "opaque") {
			src = opaqueSource{src}
		}
		r, err := Open(src)
		if err != nil {
			rt.Fatal(err)
		}
		if r.Salt() != opts.Salt || r.Size() != size || r.MetaOffset() != meta {
			rt.Fatalf("salt %d, size %d, meta tail at %d; want %d, %d, %d",
				r.Salt(), r.Size(), r.MetaOffset(), opts.Salt, size, meta)
		}
		for _, b := range blocks {
			if b.run {
				checkRun(rt, r, b)
				continue
			}
			got, err := r.Block(b.handle, make([]byte, 0, 64))
			if err != nil || !bytes.Equal(got, b.data) {
				rt.Fatalf("block at %v: %d bytes of %d, %v", b.handle, len(got), len(b.data), err)
			}
			for _, wrong := range []Handle{
				{b.handle.Offset + 1, b.handle.Length}, {b.handle.Offset, b.handle.Length + 1},
				{b.handle.Offset, b.handle.Length - 1}, {b.handle.Offset, 0},
				{^uint64(0), b.handle.Length}, {b.handle.Offset, ^uint64(0)},
			} {
				if _, err := r.Block(wrong, nil); !isCorrupt(err) {
					rt.Fatalf("block at %v, really at %v: %v", wrong, b.handle, err)
				}
			}
		}
		for k, want := range sections {
			if got, err := r.Section(k); err != nil || !bytes.Equal(got, want) {
				rt.Fatalf("section %d: %d bytes of %d, %v", k, len(got), len(want), err)
			}
		}
	})
}

// checkRun reads a run whole, by piece, under wrong sizes and handles, and copies it.
func checkRun(t *rapid.T, r *Reader, b written) {
	size := uint64(len(b.data))
	run, err := r.OpenRun(b.handle, size)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := run.All(); err != nil || !bytes.Equal(got, b.data) {
		t.Fatalf("run at %v: %d bytes of %d, %v", b.handle, len(got), size, err)
	}
	for i := range run.Pieces() {
		want := b.data[i*PieceBytes : min((i+1)*PieceBytes, len(b.data))]
		if got, err := run.Piece(i, nil); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("piece %d: %d bytes of %d, %v", i, len(got), len(want), err)
		}
	}
	var buf bytes.Buffer
	w, err := NewWriter(&buf, WriterOptions{Salt: 7})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.AppendRaw([]byte("something before"))
	h, err := w.CopyRun(run)
	if err != nil || h.Length != b.handle.Length {
		t.Fatalf("copy of %v: %v, %v", b.handle, h, err)
	}
	_, _ = w.Finish()
	copied, err := Open(NewBytesSource("copy", buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if run, err = copied.OpenRun(h, size); err != nil {
		t.Fatal(err)
	}
	if got, err := run.All(); err != nil || !bytes.Equal(got, b.data) {
		t.Fatalf("copied run: %d bytes of %d, %v", len(got), size, err)
	}
	for _, wrong := range []struct {
		h    Handle
		size uint64
	}{
		{b.handle, size + 1}, {b.handle, size + PieceBytes}, {b.handle, MaxRunBytes + 1}, {b.handle, ^uint64(0)},
		{Handle{b.handle.Offset, b.handle.Length - 1}, size}, {Handle{b.handle.Offset + 1, b.handle.Length - 1}, size},
		{Handle{b.handle.Offset, b.handle.Length + 1}, size},
	} {
		run, err := r.OpenRun(wrong.h, wrong.size)
		if err == nil {
			_, err = run.All()
		}
		if !isCorrupt(err) {
			t.Fatalf("run at %v of %d bytes, really at %v of %d: %v", wrong.h, wrong.size, b.handle, size, err)
		}
	}
}

func smallFile(t testing.TB, c Compression) []byte {
	var buf bytes.Buffer
	w, err := NewWriter(&buf, WriterOptions{Compression: c, Salt: 42})
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := w.AppendBlock(bytes.Repeat([]byte("scribe"), 20))
	_, err2 := w.AppendBlock([]byte("short"))
	w.BeginMeta()
	_, err3 := w.AppendRaw([]byte("tile"))
	err4 := w.AddSection(1, []byte("one"))
	err5 := w.AddSection(7, nil)
	err6 := w.AddSection(9, []byte("nine"))
	_, err7 := w.Finish()
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// readAll reads everything in a file: blocks front to back, and all sections.
func readAll(file []byte) error {
	r, err := Open(NewBytesSource("f", file))
	if err != nil {
		return err
	}
	for at := uint64(0); at < r.BlocksEnd(); {
		head, err := r.verifyBlock(at, file[at:r.BlocksEnd()])
		if err != nil {
			return err
		}
		h := Handle{at, blockHeaderLen + uint64(head.storedLen)}
		if _, err := r.Block(h, nil); err != nil {
			return err
		}
		at += h.Length
	}
	for _, s := range r.sections {
		if _, err := r.Section(s.kind); err != nil {
			return err
		}
	}
	return nil
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	for _, c := range []Compression{NoCompression, S2, Zstd} {
		file := smallFile(t, c)
		if err := readAll(file); err != nil {
			t.Fatal(err)
		}
		for i := range len(file) * 8 {
			file[i/8] ^= 1 << (i % 8)
			if err := readAll(file); !isCorrupt(err) {
				t.Fatalf("bit %d of byte %d of %d: %v", i%8, i/8, len(file), err)
			}
			file[i/8] ^= 1 << (i % 8)
		}
		for n := range file {
			if _, err := Open(NewBytesSource("f", file[:n])); !isCorrupt(err) {
				t.Fatalf("%d of %d bytes: %v", n, len(file), err)
			}
		}
	}
}

// TestTableMustTile holds the section table to one section behind the other, from the meta tail to the table.
func TestTableMustTile(t *testing.T) {
	f := footer{tableOffset: 100, metaOffset: 50}
	for name, c := range map[string]struct {
		sections []section
		good     bool
	}{
		"none":               {nil, true},
		"adjacent":           {[]section{{1, 60, 10, 0}, {2, 70, 0, 0}, {5, 70, 30, 0}}, true},
		"a gap":              {[]section{{1, 60, 10, 0}, {2, 71, 29, 0}}, false},
		"an overlap":         {[]section{{1, 60, 10, 0}, {2, 69, 31, 0}}, false},
		"a gap at the end":   {[]section{{1, 60, 10, 0}, {2, 70, 29, 0}}, false},
		"kinds out of order": {[]section{{2, 60, 10, 0}, {1, 70, 30, 0}}, false},
		"a kind twice":       {[]section{{1, 60, 10, 0}, {1, 70, 30, 0}}, false},
		"before the tail":    {[]section{{1, 49, 51, 0}}, false},
		"out of bounds":      {[]section{{1, 60, 41, 0}}, false},
		"wrapped around":     {[]section{{1, 60, ^uint64(0) - 20, 0}}, false},
	} {
		var b []byte
		for i := range c.sections {
			b = c.sections[i].append(b)
		}
		got, err := parseTable("f", b, f)
		if c.good && (err != nil || !slices.Equal(got, c.sections)) || !c.good && !isCorrupt(err) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	reserved := (&section{kind: 1, offset: 60, length: 40}).append(nil)
	reserved[4] = 1
	if _, err := parseTable("f", reserved, f); !isCorrupt(err) {
		t.Errorf("reserved bytes: %v", err)
	}
}

func TestErrorsOfTheSource(t *testing.T) {
	file := smallFile(t, S2)
	broken := errors.New("broken")
	src := &failingSource{Source: opaqueSource{NewBytesSource("f", file)}}
	r, err := Open(src)
	if err != nil {
		t.Fatal(err)
	}
	src.err = broken
	_, err1 := r.Section(1)
	_, err2 := r.Block(Handle{0, 50}, nil)
	run, err := r.OpenRun(Handle{0, 50}, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, err3 := run.All()
	_, err4 := Open(src)
	for _, err := range []error{err1, err2, err3, err4} {
		if !errors.Is(err, broken) || isCorrupt(err) {
			t.Errorf("a failed read is %v", err)
		}
	}
	src.err = errShort // truncated behind our back
	if _, err := r.Section(1); !isCorrupt(err) {
		t.Errorf("a short read is %v", err)
	}
}

// TestOffsetsBeyond32Bits reads blocks at the end of a file of 16 GiB, of which only the end exists.
func TestOffsetsBeyond32Bits(t *testing.T) {
	const before = 16 << 30
	var buf bytes.Buffer
	w, err := NewWriter(&buf, WriterOptions{Salt: 3})
	if err != nil {
		t.Fatal(err)
	}
	w.offset = before
	data := bytes.Repeat([]byte("scribe"), PieceBytes/3)
	run, err := w.AppendRun(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AddSection(1, []byte("one")); err != nil {
		t.Fatal(err)
	}
	size, err := w.Finish()
	if err != nil || size != before+uint64(buf.Len()) {
		t.Fatal(size, err)
	}
	r, err := Open(&tailSource{before, buf.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	open, err := r.OpenRun(run, uint64(len(data)))
	if err != nil || run.Offset != before {
		t.Fatal(run, err)
	}
	if got, err := open.All(); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if b, err := r.Section(1); err != nil || string(b) != "one" {
		t.Fatalf("%q, %v", b, err)
	}
}

// tailSource is a file whose first bytes nobody reads.
type tailSource struct {
	before int64
	tail   []byte
}

func (s *tailSource) ReadAt(p []byte, off int64) (int, error) {
	return NewBytesSource("", s.tail).ReadAt(p, off-s.before)
}

func (s *tailSource) Size() int64  { return s.before + int64(len(s.tail)) }
func (s *tailSource) Name() string { return "tail" }

var errShort = errors.New("short")

type failingSource struct {
	Source
	err error
}

func (s *failingSource) ReadAt(p []byte, off int64) (int, error) {
	if s.err == errShort {
		return s.Source.ReadAt(p[:len(p)/2], off)
	}
	if s.err != nil {
		return 0, s.err
	}
	return s.Source.ReadAt(p, off)
}

func TestWriterRefuses(t *testing.T) {
	for name, use := range map[string]func(w *Writer) error{
		"a block too long": func(w *Writer) error {
			_, err := w.AppendBlock(make([]byte, MaxBlockBytes+1))
			return err
		},
		"a block after a section": func(w *Writer) error {
			_ = w.AddSection(1, nil)
			_, err := w.AppendBlock(nil)
			return err
		},
		"a section twice": func(w *Writer) error {
			_ = w.AddSection(1, nil)
			return w.AddSection(1, nil)
		},
		"too many sections": func(w *Writer) (err error) {
			for k := range uint32(MaxSections + 1) {
				err = w.AddSection(k, nil)
			}
			return err
		},
	} {
		w, err := NewWriter(&bytes.Buffer{}, WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := use(w); err == nil {
			t.Errorf("%s is taken", name)
		}
		if _, err := w.Finish(); err == nil {
			t.Errorf("%s: finishes", name)
		}
	}
	w, err := NewWriter(&bytes.Buffer{}, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.offset = MaxFileBytes - 20
	if _, err := w.AppendRaw([]byte("abc")); err != nil {
		t.Errorf("a file of the limit: %v", err)
	}
	if _, err := w.AppendRaw(nil); err == nil {
		t.Error("a file beyond the limit")
	}
	if _, err := NewWriter(&bytes.Buffer{}, WriterOptions{Compression: 99}); err == nil {
		t.Error("compression 99 is taken")
	}
}

// TestFileSource reads a segment through an open file.
func TestFileSource(t *testing.T) {
	fs := vfs.NewMem()
	f, err := fs.Create("seg")
	if err != nil {
		t.Fatal(err)
	}
	file := smallFile(t, S2)
	if _, err := f.WriteAt(file, 0); err != nil {
		t.Fatal(err)
	}
	src, err := NewFileSource(f.Name(), f)
	if err != nil || src.Size() != int64(len(file)) {
		t.Fatal(err, src.Size())
	}
	r, err := Open(src)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := r.Section(9); err != nil || string(b) != "nine" {
		t.Fatalf("%q, %v", b, err)
	}
	m, err := f.Map(int64(len(file)), false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if r, err = Open(NewMappedSource("seg", m)); err != nil {
		t.Fatal(err)
	}
	if b, err := r.Section(9); err != nil || string(b) != "nine" {
		t.Fatalf("%q, %v", b, err)
	}
}

var update = flag.Bool("update", false, "write golden files anew")

func TestGolden(t *testing.T) {
	file := smallFile(t, NoCompression)
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
		t.Errorf("the format changed: what is written is no longer %s", golden)
	}
}
