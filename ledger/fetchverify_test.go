package ledger

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// TestFetchAllFindsDamage flips a bit of an object, anywhere: the object is not taken, and is fetched again once it is good.
func TestFetchAllFindsDamage(t *testing.T) {
	_, store, r := newTiered(t, 2)
	evictAll(t, r.l)
	g := r.l.Placed()[1]
	good := store.held[g.Object.Name]
	for at := 0; at < len(good); at += 1 + len(good)/97 {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		store.held[g.Object.Name] = bad
		err := r.l.FetchAll(t.Context(), 2, nil)
		var cold *ColdError
		var corrupt *vfs.CorruptError
		if !errors.As(err, &cold) || !errors.As(err, &corrupt) {
			t.Fatalf("bit of byte %d of %d, meta tail from %d on: %v", at, len(good), g.Object.MetaOffset, err)
		}
		if f, _ := r.files(t); f > 1 {
			t.Fatalf("byte %d: %d files are taken for good", at, f)
		}
	}
	store.held[g.Object.Name] = good
	must(t, r.l.FetchAll(t.Context(), 2, nil))
	must(t, compactAll(r.l))
	if f, m := r.files(t); f != 2 || m != 0 {
		t.Fatalf("%d files, %d meta tails", f, m)
	}
}

// TestVerifyEarly gives a file piece by piece: the verdict is of the whole, and never said of a part.
func TestVerifyEarly(t *testing.T) {
	_, store, r := newTiered(t, 1)
	evictAll(t, r.l)
	g := r.l.Placed()[0].Segment
	data := store.held[g.Object.Name]
	meta := r.l.peek().tables[0].file
	for _, test := range []struct {
		name string
		data []byte
		size int // what comes of it
		good bool
	}{
		{"whole", data, len(data), true},
		{"without its last byte", data, len(data) - 1, false},
		{"without its meta tail", data, int(g.Object.MetaOffset), false},
		{"nothing", data, 0, false},
		{"another meta tail", append(bytes.Clone(data[:len(data)-1]), data[len(data)-1]^1), len(data), false},
		{"another first byte", append([]byte{data[0] ^ 1}, data[1:]...), len(data), false},
	} {
		name := "data/incoming/early"
		must(t, r.mem.MkdirAll("data/incoming"))
		f, err := r.mem.Create(name)
		must(t, err)
		e := r.l.verifyEarly(context.Background(), meta, g, name)
		for at := 0; at < test.size; {
			n := min(1000, test.size-at)
			_, err := f.WriteAt(test.data[at:at+n], int64(at))
			must(t, err)
			at += n
			e.reached(uint64(at))
		}
		if got := e.end(io.ErrUnexpectedEOF); got != test.good {
			t.Errorf("%s: the verdict is %v: %v", test.name, got, e.verdict)
		}
		must(t, f.Close())
		must(t, r.mem.Remove(name))
	}
	if e := r.l.verifyEarly(context.Background(), nil, g, "x"); e.end(io.EOF) {
		t.Error("what nobody has looked at is good")
	}
}

// TestEvictLooksAtTheMetaTail: a file stays while the object's meta tail, down to the last leaf, is not the segment's.
func TestEvictLooksAtTheMetaTail(t *testing.T) {
	_, store, r := newTiered(t, 1)
	g := r.l.Placed()[0]
	good := store.held[g.Object.Name]
	for at := int(g.Object.MetaOffset); at < len(good); at += 1 + (len(good)-int(g.Object.MetaOffset))/61 {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		store.held[g.Object.Name] = bad
		var cold *ColdError
		if err := r.l.Evict(t.Context(), ids(r.l)[0]); !errors.As(err, &cold) {
			t.Fatalf("bit of byte %d, meta tail from %d on: %v", at, g.Object.MetaOffset, err)
		}
		if f, m := r.files(t); f != 1 || tiers(r.l) != "both" {
			t.Fatalf("byte %d: %d files, %d meta tails, %s", at, f, m, tiers(r.l))
		}
	}
	store.held[g.Object.Name] = good
	must(t, r.l.Evict(t.Context(), ids(r.l)[0]))
	if tiers(r.l) != "cold" {
		t.Fatal(tiers(r.l))
	}
}
