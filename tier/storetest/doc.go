// Package storetest is the suite of tests that every object store passes: what package tier promises of a Store, shown
// on one. Tests of stores run it; nothing else imports it.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/tier"
)

// Kit is the store under test.
type Kit struct {
	// Open returns an empty store, which ends with the test.
	Open func(t testing.TB) tier.Store
	// OpenLocked returns an empty store that locks sealed objects for at least a minute; nil when it has no Object Lock.
	OpenLocked func(t testing.TB) tier.Store
	// ExactUploads: the server lists the uploads of one key when asked for it by its whole name, and no others.
	ExactUploads bool
	// Large is the size of a body that goes up in several parts, the last one shorter, where the store has parts.
	Large int
}

// Run runs the suite.
func Run(t *testing.T, kit Kit) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Kit, tier.Store)
	}{
		{"PutAndGet", putAndGet},
		{"Ranges", ranges},
		{"NeverOverwrites", neverOverwrites},
		{"OneOfManyPuts", oneOfManyPuts},
		{"WrongHash", wrongHash},
		{"ChangedBody", changedBody},
		{"BrokenBody", brokenBody},
		{"ReadOnce", readOnce},
		{"Replace", replace},
		{"CompareAndSwap", compareAndSwap},
		{"ReplaceIsWhole", replaceIsWhole},
		{"List", list},
		{"Delete", deletes},
		{"Uploads", uploads},
		{"ManyUploads", manyUploads},
		{"Keys", keys},
		{"Directories", directories},
		{"Metadata", metadata},
		{"Contexts", contexts},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, kit, kit.Open(t)) })
	}
	if kit.OpenLocked != nil {
		t.Run("Locked", func(t *testing.T) { locked(t, kit, kit.OpenLocked(t)) })
	}
}

// bytesOf returns n bytes determined by seed.
func bytesOf(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b) // it never fails
	return b
}

// deadline returns a context that ends well after any request, and with the test.
func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// insist repeats a call while its failure is temporary, as every user of a store does.
func insist(t testing.TB, call func() error) error {
	t.Helper()
	for range 100 {
		err := call()
		if _, again := tier.Temporary(err); !again {
			return err
		}
		time.Sleep(5 * time.Millisecond) // between tries, not for anything to have happened
	}
	t.Fatal("temporary failures without end")
	return nil
}

func put(t testing.TB, s tier.Store, key string, data []byte) tier.Object {
	t.Helper()
	o, err := s.Put(deadline(t), key, tier.BytesBody(data), tier.PutOptions{})
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return o
}

func wantIs(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
	var e *tier.Error
	if err != nil && !errors.As(err, &e) {
		t.Errorf("%s: error %v is no *tier.Error", what, err)
	}
}

func wantContent(t testing.TB, s tier.Store, key string, want []byte) tier.Object {
	t.Helper()
	got, o, err := tier.ReadAll(deadline(t), s, key, 1<<30)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	if sha256.Sum256(got) != sha256.Sum256(want) {
		t.Fatalf("%s has %d bytes that are not the %d that were put", key, len(got), len(want))
	}
	return o
}

func wantNone(t testing.TB, s tier.Store, key string) {
	t.Helper()
	_, err := s.Head(deadline(t), key)
	wantIs(t, "head of "+key, err, tier.ErrNotFound)
	page, err := s.List(deadline(t), "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range page.Objects {
		if o.Key == key {
			t.Errorf("%s is listed", key)
		}
	}
}

func wantNoUploads(t testing.TB, s tier.Store) {
	t.Helper()
	page, err := s.Uploads(deadline(t), "", tier.Upload{}, 0)
	if err != nil || len(page.Uploads) > 0 {
		t.Errorf("uploads left: %v, %v", page.Uploads, err)
	}
}

// bodyFunc is a body that is made as it is read.
type bodyFunc func(p []byte, off int64) (int, error)

func (f bodyFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

// failingAt gives data up to off, and then an error.
func failingAt(data []byte, off int, fail error) bodyFunc {
	return func(p []byte, at int64) (int, error) {
		n := copy(p, data[min(int(at), off):off])
		if n < len(p) {
			return n, fail
		}
		return n, nil
	}
}

func readRange(t testing.TB, s tier.Store, key string, off, n int64) ([]byte, *tier.Reader, error) {
	t.Helper()
	r, err := s.Get(deadline(t), key, off, n)
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(r)
	return data, r, errors.Join(err, r.Close())
}
