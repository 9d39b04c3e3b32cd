package tier

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawMetadata draws metadata within its bounds.
func drawMetadata(t *rapid.T) Metadata {
	m := rapid.MapOfN(rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?`),
		rapid.StringMatching(`([!-~]([ -~]{0,60}[!-~])?)?`), 0, maxMetaNames).Draw(t, "metadata")
	out := Metadata(m)
	for name := range out {
		if Metadata(map[string]string{name: ""}).Check() != nil { // reserved
			delete(out, name)
		}
	}
	return out
}

func TestTrailerRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := trailer{
			size:     rapid.Int64Range(0, 1<<60).Draw(t, "size"),
			modified: time.UnixMicro(rapid.Int64Range(0, 1<<55).Draw(t, "micros")),
			sha256:   [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "sha256")),
			metadata: drawMetadata(t),
		}
		if in.metadata.Check() != nil {
			t.Skip("too many bytes altogether")
		}
		b := in.encode()
		if len(b) != trailerBytes {
			t.Fatalf("%d bytes", len(b))
		}
		out, err := decodeTrailer(b)
		if err != nil || !bytes.Equal(out.encode(), b) || len(out.metadata) != len(in.metadata) {
			t.Fatalf("%+v became %+v, %v", in, out, err)
		}
		at := rapid.IntRange(0, trailerBytes*8-1).Draw(t, "bit")
		b[at/8] ^= 1 << (at % 8)
		if _, err := decodeTrailer(b); err == nil {
			t.Fatalf("with bit %d flipped it still passes", at)
		} else if at >= 64 && errors.Is(err, errNoTrailer) {
			t.Fatalf("with bit %d flipped it is taken for something else", at)
		}
	})
}

// The largest metadata that passes its check has room in a trailer.
func TestTrailerHasRoom(t *testing.T) {
	const most = trailerHead + maxMetaNames*3 + maxMetaBytes + 8
	if most > trailerBytes {
		t.Fatalf("a trailer may need %d bytes, it has %d", most, trailerBytes)
	}
}

func FuzzTrailer(f *testing.F) {
	f.Add(trailer{size: 5, modified: time.UnixMicro(7), metadata: Metadata{"a": "b", "c-d": ""}}.encode())
	f.Add(trailer{}.encode())
	f.Add([]byte(trailerMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 8 { // let the checksum pass, or little else would be reached
			b = bytes.Clone(b)
			b = append(b, make([]byte, max(0, trailerBytes-len(b)))...)[:trailerBytes]
			b = seal(b)
		}
		x, err := decodeTrailer(b)
		if err != nil {
			return
		}
		if !bytes.Equal(x.encode(), b) {
			t.Fatalf("%x is read and written as %x", b, x.encode())
		}
		if err := x.metadata.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzTempName: what is taken for the name of a file being written is one, and no element of a key ever is.
func FuzzTempName(f *testing.F) {
	f.Add(tempName("a.seg", tempID(1764000000000000, 3)))
	f.Add(".x~.tmp")
	f.Add("a~0000000000000001-0001.tmp")
	f.Fuzz(func(t *testing.T, name string) {
		base, id, started, ok := parseTempName(name)
		if !ok {
			return
		}
		if tempName(base, id) != name || started.UnixMicro() < 0 {
			t.Fatalf("%q is read as %q, %q, %v", name, base, id, started)
		}
		if CheckKey(name) == nil {
			t.Fatalf("%q is a key too", name)
		}
	})
}

func FuzzKey(f *testing.F) {
	for _, key := range []string{"a/b", "../a", "a//b", ".a", "a\x00", "segments/x.seg"} {
		f.Add(key)
	}
	d := &Dir{root: "/root/cold"}
	f.Fuzz(func(t *testing.T, key string) {
		if CheckKey(key) != nil {
			return
		}
		if d.path(key) != "/root/cold/"+key {
			t.Fatalf("%q is kept at %q", key, d.path(key))
		}
		for i := range key {
			if err := CheckPrefix(key[:i]); err != nil {
				t.Fatalf("%q is a key, its prefix %q is none: %v", key, key[:i], err)
			}
		}
	})
}

// The bytes of version 1 do not change: folders hold them.
func TestTrailerGolden(t *testing.T) {
	in := trailer{size: 1234567, modified: time.UnixMicro(1764000000000001), sha256: [32]byte{1, 2, 31: 9},
		metadata: Metadata{"root": "ab cd", "first-seq": "17"}}
	want, err := os.ReadFile("testdata/trailer.golden")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(in.encode(), want) {
		t.Errorf("the format changed: %x", in.encode()[:trailerHead+40])
	}
	out, err := decodeTrailer(want)
	if err != nil || out.size != in.size || !out.modified.Equal(in.modified) || out.metadata["root"] != "ab cd" {
		t.Errorf("%+v, %v", out, err)
	}
}
