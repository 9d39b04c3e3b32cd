package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/scribe-ledger/scribe/tier"
)

func putAndGet(t *testing.T, kit Kit, s tier.Store) {
	for i, size := range []int{0, 1, 4095, 4096, 4097, 100_000, kit.Large} {
		key := fmt.Sprintf("d/%d.seg", size)
		data := bytesOf(uint64(i), size)
		meta := tier.Metadata{"first-seq": "17", "root": "a b=c;\"%41\"", "n": fmt.Sprint(size)}
		made, err := s.Put(deadline(t), key, tier.BytesBody(data), tier.PutOptions{Metadata: meta})
		if err != nil {
			t.Fatalf("put %d bytes: %v", size, err)
		}
		sum := sha256.Sum256(data)
		head, err := s.Head(deadline(t), key)
		if err != nil {
			t.Fatal(err)
		}
		got := wantContent(t, s, key, data)
		for what, o := range map[string]tier.Object{"put": made, "head": head, "get": got} {
			if o.Key != key || o.Size != int64(size) || !bytes.Equal(o.SHA256, sum[:]) || o.ETag == "" || o.ETag != head.ETag {
				t.Errorf("%s of %d bytes gave %+v, head %+v", what, size, o, head)
			}
			if fmt.Sprint(o.Metadata) != fmt.Sprint(meta) {
				t.Errorf("%s of %d bytes: metadata %v, want %v", what, size, o.Metadata, meta)
			}
		}
		if head.Modified.IsZero() != got.Modified.IsZero() {
			t.Errorf("modified %v by head, %v by get", head.Modified, got.Modified)
		}
		_, _, err = tier.ReadAll(deadline(t), s, key, int64(size)-1)
		wantIs(t, "read of more than the limit", err, tier.ErrTooLarge)
	}
	wantNoUploads(t, s)
}

func ranges(t *testing.T, kit Kit, s tier.Store) {
	data := bytesOf(1, kit.Large)
	size := int64(len(data))
	put(t, s, "k", data)
	put(t, s, "empty", nil)
	for _, r := range [][2]int64{{0, 1}, {0, size}, {size - 1, 1}, {size / 2, size / 3}, {17, 4096}, {3, tier.Rest},
		{0, tier.Rest}, {size, tier.Rest}} {
		off, n := r[0], r[1]
		if n == tier.Rest {
			n = size - off
		}
		got, opened, err := readRange(t, s, "k", off, r[1])
		if err != nil || !bytes.Equal(got, data[off:off+n]) {
			t.Errorf("range %v gave %d bytes, %v", r, len(got), err)
			continue
		}
		if opened.Length != n || opened.Object.Size != size {
			t.Errorf("range %v: length %d of an object of %d, want %d of %d", r, opened.Length, opened.Object.Size, n, size)
		}
		p := make([]byte, n)
		if err := tier.ReadAt(deadline(t), s, "k", p, off); err != nil || !bytes.Equal(p, data[off:off+n]) {
			t.Errorf("ReadAt %v: %v", r, err)
		}
	}
	if got, _, err := readRange(t, s, "empty", 0, tier.Rest); err != nil || len(got) != 0 {
		t.Errorf("the empty object gave %d bytes, %v", len(got), err)
	}
	for _, r := range [][2]int64{{0, size + 1}, {size - 1, 2}, {size, 1}, {size + 1, 1}, {size + 1, tier.Rest}, {0, 0},
		{-1, 5}, {-1, tier.Rest}, {5, -2}, {1 << 62, 1 << 62}} {
		_, _, err := readRange(t, s, "k", r[0], r[1])
		wantIs(t, fmt.Sprintf("range %v of %d bytes", r, size), err, tier.ErrRange)
	}
	_, _, err := readRange(t, s, "empty", 0, 1)
	wantIs(t, "a range of nothing", err, tier.ErrRange)
	_, _, err = readRange(t, s, "none", 0, 1)
	wantIs(t, "a range of no object", err, tier.ErrNotFound)
	_, _, err = readRange(t, s, "none", 0, tier.Rest)
	wantIs(t, "no object", err, tier.ErrNotFound)
}

func neverOverwrites(t *testing.T, kit Kit, s tier.Store) {
	for _, size := range []int{10, kit.Large} {
		key := fmt.Sprintf("k%d", size)
		first, second := tier.BytesBody(bytesOf(1, size)), tier.BytesBody(bytesOf(2, size))
		before := put(t, s, key, bytesOf(1, size))
		for _, body := range []tier.Body{first, second} {
			_, err := s.Put(deadline(t), key, body, tier.PutOptions{})
			wantIs(t, "second put", err, tier.ErrExists)
			if _, again := tier.Temporary(err); again {
				t.Errorf("%v says that a retry can help", err)
			}
		}
		if after := wantContent(t, s, key, bytesOf(1, size)); after.ETag != before.ETag {
			t.Errorf("the ETag went from %s to %s", before.ETag, after.ETag)
		}
		o, made, err := tier.PutSame(deadline(t), s, key, first, tier.PutOptions{})
		if err != nil || made || o.ETag != before.ETag {
			t.Errorf("PutSame of the same: %+v, made %v, %v", o, made, err)
		}
		_, _, err = tier.PutSame(deadline(t), s, key, second, tier.PutOptions{})
		wantIs(t, "PutSame of another", err, tier.ErrChanged)
	}
	o, made, err := tier.PutSame(deadline(t), s, "new", tier.BytesBody([]byte("x")), tier.PutOptions{})
	if err != nil || !made || o.Size != 1 {
		t.Errorf("PutSame of a new one: %+v, made %v, %v", o, made, err)
	}
	wantNoUploads(t, s)
}

// Two puts of one key at once, from anywhere, make one object, and exactly one is told so.
func oneOfManyPuts(t *testing.T, kit Kit, s tier.Store) {
	for round, size := range []int{1, 100, 5000, 70_000, kit.Large} {
		key := fmt.Sprintf("race/%d", round)
		const n = 4
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				errs[i] = insist(t, func() error {
					_, err := s.Put(deadline(t), key, tier.BytesBody(bytesOf(uint64(i), size)), tier.PutOptions{})
					return err
				})
			})
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				t.Fatalf("%d bytes: both put %d and put %d made the object", size, winner, i)
			case !errors.Is(err, tier.ErrExists):
				t.Fatalf("%d bytes: put %d: %v", size, i, err)
			}
		}
		if winner < 0 {
			t.Fatalf("%d bytes: nobody made the object", size)
		}
		wantContent(t, s, key, bytesOf(uint64(winner), size))
	}
	wantNoUploads(t, s)
}

// A body that is read once for its hash and then gives other bytes becomes no object, and neither does one whose hash was
// changed since.
func changedBody(t *testing.T, kit Kit, s tier.Store) {
	for _, size := range []int{1, 10_000, kit.Large} {
		key, data := fmt.Sprintf("k%d", size), bytesOf(1, size)
		for _, spoil := range []func(*tier.Body){
			func(*tier.Body) { data[size-1] ^= 1 },
			func(b *tier.Body) { b.SHA256[7] ^= 1 },
		} {
			body, err := tier.NewBody(bytes.NewReader(data), int64(size))
			if err != nil {
				t.Fatal(err)
			}
			spoil(&body)
			_, err = s.Put(deadline(t), key, body, tier.PutOptions{})
			wantIs(t, fmt.Sprintf("put of %d bytes that have changed", size), err, tier.ErrMismatch)
			wantNone(t, s, key)
		}
	}
	wantNoUploads(t, s)
}

func wrongHash(t *testing.T, kit Kit, s tier.Store) {
	for _, size := range []int{0, 1, 10_000, kit.Large} {
		key := fmt.Sprintf("k%d", size)
		body := tier.BytesBody(bytesOf(1, size))
		body.SHA256[7] ^= 1
		_, err := s.Put(deadline(t), key, body, tier.PutOptions{})
		wantIs(t, fmt.Sprintf("put of %d bytes with another hash", size), err, tier.ErrMismatch)
		wantNone(t, s, key)
		if size <= tier.MaxReplaceBytes {
			_, err = s.Replace(deadline(t), key, body, "", tier.PutOptions{})
			wantIs(t, "replace with another hash", err, tier.ErrMismatch)
			wantNone(t, s, key)
		}
	}
	wantNoUploads(t, s)
}

func brokenBody(t *testing.T, kit Kit, s tier.Store) {
	broken := errors.New("the disk is gone")
	for _, size := range []int{10_000, kit.Large} {
		data := bytesOf(1, size)
		for _, at := range []int{0, size / 2, size - 1} {
			body := tier.BytesBody(data)
			body.Bytes = failingAt(data, at, broken)
			_, err := s.Put(deadline(t), "k", body, tier.PutOptions{})
			wantIs(t, fmt.Sprintf("body of %d bytes that fails at %d", size, at), err, broken)
			body.Bytes = failingAt(data, at, io.EOF)
			_, err = s.Put(deadline(t), "k", body, tier.PutOptions{})
			wantIs(t, fmt.Sprintf("body of %d bytes that ends at %d", size, at), err, io.ErrUnexpectedEOF)
			wantNone(t, s, "k")
			wantNoUploads(t, s)
		}
	}
}

// A body is read once, front to back: what limits its rate or counts it sees every byte once.
func readOnce(t *testing.T, kit Kit, s tier.Store) {
	for _, size := range []int{10_000, kit.Large} {
		data := bytesOf(1, size)
		body := tier.BytesBody(data)
		var at int64
		body.Again = bytes.NewReader(data)
		body.Bytes = bodyFunc(func(p []byte, off int64) (int, error) {
			if off != at {
				t.Errorf("read at %d after %d bytes", off, at)
			}
			at += int64(len(p))
			return copy(p, data[off:]), nil
		})
		if _, err := s.Put(deadline(t), fmt.Sprint(size), body, tier.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if at != int64(size) {
			t.Errorf("%d bytes read of %d", at, size)
		}
	}
}
