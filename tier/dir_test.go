package tier_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
	"golang.org/x/sys/unix"
)

func openDir(t testing.TB, fsys vfs.FS) *tier.Dir {
	t.Helper()
	d, err := tier.NewDir(fsys, "/cold", tier.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A power cut at any operation of a put or a replace leaves the object as it was before or as it is after, and never
// takes away what the caller was told is there.
func TestDirCrash(t *testing.T) {
	old, made := bytes.Repeat([]byte("old"), 1000), bytes.Repeat([]byte("new"), 2000)
	for name, c := range map[string]struct {
		before []byte
		do     func(d *tier.Dir) error
	}{
		"put": {nil, func(d *tier.Dir) error {
			_, err := d.Put(t.Context(), "a/b/k", tier.BytesBody(made), tier.PutOptions{Metadata: tier.Metadata{"m": "1"}})
			return err
		}},
		"replace": {old, func(d *tier.Dir) error {
			_, err := d.Replace(t.Context(), "a/b/k", tier.BytesBody(made), "", tier.PutOptions{Metadata: tier.Metadata{"m": "1"}})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			if c.before != nil {
				if _, err := openDir(t, mem).Put(t.Context(), "a/b/k", tier.BytesBody(c.before), tier.PutOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			check := func(when string, fsys *vfs.Mem, finished bool) {
				d := openDir(t, fsys)
				got, o, err := tier.ReadAll(t.Context(), d, "a/b/k", 1<<20)
				switch {
				case err == nil && bytes.Equal(got, made) && o.Metadata["m"] == "1":
				case finished:
					t.Errorf("%s: what was put is gone: %d bytes, %+v, %v", when, len(got), o, err)
				case err == nil && c.before != nil && bytes.Equal(got, c.before) && o.Metadata == nil:
				case errors.Is(err, tier.ErrNotFound) && c.before == nil:
				default:
					t.Errorf("%s: %d bytes, %+v, %v", when, len(got), o, err)
				}
				sweepDir(t, d)
				_, err = d.Put(t.Context(), "a/b/again", tier.BytesBody(made), tier.PutOptions{})
				if err != nil {
					t.Errorf("%s: a put after it: %v", when, err)
				}
			}
			points := 0
			crash := func(when string, finished bool) {
				check(when+", nothing kept", mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone}), finished)
				check(when+", all kept", mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}), finished)
				for seed := range uint64(4) {
					r := rand.New(rand.NewPCG(seed, 0))
					check(fmt.Sprintf("%s, seed %d", when, seed), mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: r}), finished)
				}
			}
			d := openDir(t, vfs.NewInject(mem, func(op vfs.Op) vfs.Decision {
				if op.Kind.Mutates() {
					points++
					crash(op.String(), false)
				}
				return vfs.Decision{}
			}))
			points = 0
			if err := c.do(d); err != nil {
				t.Fatal(err)
			}
			if points < 5 {
				t.Errorf("only %d points", points)
			}
			crash("when it is done", true)
		})
	}
}

// sweepDir ends abandoned uploads, after which there are none.
func sweepDir(t testing.TB, d *tier.Dir) {
	t.Helper()
	page, err := d.Uploads(t.Context(), "", tier.Upload{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range page.Uploads {
		if err := d.AbortUpload(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	if page, err = d.Uploads(t.Context(), "", tier.Upload{}, 0); err != nil || len(page.Uploads) > 0 {
		t.Fatalf("left: %v, %v", page.Uploads, err)
	}
}

// Each operation in turn fails, done or not done: a put that says it succeeded did, and one that failed left the object
// whole or not at all. Tried again it succeeds, or finds its own.
func TestDirFaults(t *testing.T) {
	data := bytes.Repeat([]byte("data"), 700)
	for _, done := range []bool{false, true} {
		for n := int64(0); ; n++ {
			mem := vfs.NewMem()
			openDir(t, mem)
			armed, hit := false, ""
			var base int64
			inject := vfs.NewInject(mem, func(op vfs.Op) vfs.Decision {
				if armed && op.N-base == n {
					hit = op.String()
					return vfs.Decision{Err: unix.EIO, Done: done}
				}
				return vfs.Decision{}
			})
			d := openDir(t, inject)
			base, armed = inject.Ops(), true
			_, err := d.Put(t.Context(), "a/k", tier.BytesBody(data), tier.PutOptions{})
			armed = false
			if hit == "" {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			if err == nil {
				t.Logf("%s: not needed", hit)
			} else if errors.Is(err, tier.ErrNotFound) || errors.Is(err, tier.ErrExists) {
				t.Errorf("%s: %v", hit, err)
			}
			got, _, rerr := tier.ReadAll(t.Context(), d, "a/k", 1<<20)
			if !(rerr == nil && bytes.Equal(got, data)) && !(err != nil && errors.Is(rerr, tier.ErrNotFound)) {
				t.Errorf("%s: put %v, then %d bytes, %v", hit, err, len(got), rerr)
			}
			if _, _, err := tier.PutSame(t.Context(), d, "a/k", tier.BytesBody(data), tier.PutOptions{}); err != nil {
				t.Errorf("%s: again: %v", hit, err)
			}
			after := openDir(t, mem.CrashClone(vfs.CrashOptions{}))
			if got, _, err := tier.ReadAll(t.Context(), after, "a/k", 1<<20); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: after a power cut: %d bytes, %v", hit, len(got), err)
			}
		}
	}
}

func TestDirFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, mem)
	mem.SetLimit(mem.Used() + 64<<10)
	_, err := d.Put(t.Context(), "a/k", tier.BytesBody(make([]byte, 1<<20)), tier.PutOptions{})
	if _, again := tier.Temporary(err); !again {
		t.Errorf("a full disk: %v", err)
	}
	sweepDir(t, d)
	mem.SetLimit(0)
	if _, err := d.Put(t.Context(), "a/k", tier.BytesBody(make([]byte, 1<<20)), tier.PutOptions{}); err != nil {
		t.Error(err)
	}
}

// Files that a person put into the folder are objects without a hash; damage to a trailer is named, not passed over.
func TestDirForeignAndDamaged(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, mem)
	plain := bytes.Repeat([]byte("plain"), 2000)
	if err := vfs.WriteFileAtomic(mem, "/cold", "foreign", plain); err != nil {
		t.Fatal(err)
	}
	got, o, err := tier.ReadAll(t.Context(), d, "foreign", 1<<20)
	if err != nil || !bytes.Equal(got, plain) || o.SHA256 != nil || o.ETag == "" {
		t.Errorf("%d bytes, %+v, %v", len(got), o, err)
	}
	_, _, err = tier.PutSame(t.Context(), d, "foreign", tier.BytesBody(plain), tier.PutOptions{})
	if !errors.Is(err, tier.ErrChanged) {
		t.Errorf("a file of unknown hash passes for the same: %v", err)
	}
	if _, err := d.Put(t.Context(), "k", tier.BytesBody(plain), tier.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	flip := func(off int64) {
		f, err := mem.OpenRW("/cold/k")
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1)
		if _, err := f.ReadAt(b, off); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 4
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	flip(77)
	if _, _, err := tier.ReadAll(t.Context(), d, "k", 1<<20); !errors.Is(err, tier.ErrMismatch) {
		t.Errorf("a flipped bit: %v", err)
	}
	flip(77)
	flip(int64(len(plain)) + 40)
	var corrupt *vfs.CorruptError
	for range 2 {
		if _, err := d.Head(t.Context(), "k"); !errors.As(err, &corrupt) || corrupt.File != "/cold/k" {
			t.Errorf("a flipped bit of the trailer: %v", err)
		}
	}
	if page, err := d.List(t.Context(), "", "", 0); err != nil || len(page.Objects) != 2 {
		t.Errorf("list: %+v, %v", page, err)
	}
}

func TestDirMustExist(t *testing.T) {
	_, err := tier.NewDir(vfs.NewMem(), "/none", tier.DirOptions{Existing: true})
	if !errors.Is(err, tier.ErrNoBucket) {
		t.Errorf("no folder: %v", err)
	}
	r, err := tier.Preflight(t.Context(), openDir(t, vfs.NewMem()), "n1", false)
	if err != nil || r.String() != "dir:/cold has all that is needed" || !r.Usable() {
		t.Errorf("%s, %v", r, err)
	}
}
