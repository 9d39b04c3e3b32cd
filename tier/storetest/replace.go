package storetest

import (
	"bytes"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/scribe-ledger/scribe/tier"
)

func replace(t *testing.T, _ Kit, s tier.Store) {
	swap := func(text, ifMatch string) (tier.Object, error) {
		return s.Replace(deadline(t), "p/latest", tier.BytesBody([]byte(text)), ifMatch,
			tier.PutOptions{Metadata: tier.Metadata{"v": text}})
	}
	_, err := swap("x", "an-etag")
	wantIs(t, "replace of none that must match", err, tier.ErrChanged)
	wantNone(t, s, "p/latest")
	one, err := swap("one", "")
	if err != nil {
		t.Fatal(err)
	}
	if o := wantContent(t, s, "p/latest", []byte("one")); o.ETag != one.ETag || o.Metadata["v"] != "one" {
		t.Errorf("replace gave %+v, get %+v", one, o)
	}
	two, err := swap("two", one.ETag)
	if err != nil || two.ETag == one.ETag {
		t.Fatalf("ETag %s after %s, %v", two.ETag, one.ETag, err)
	}
	_, err = swap("three", one.ETag)
	wantIs(t, "replace of an older one", err, tier.ErrChanged)
	if o := wantContent(t, s, "p/latest", []byte("two")); o.ETag != two.ETag || o.Metadata["v"] != "two" {
		t.Errorf("a refused replace left %+v", o)
	}
	if _, err = swap("four", ""); err != nil {
		t.Fatal(err)
	}
	wantContent(t, s, "p/latest", []byte("four"))
	_, err = s.Put(deadline(t), "p/latest", tier.BytesBody([]byte("five")), tier.PutOptions{})
	wantIs(t, "put over a pointer", err, tier.ErrExists)
	_, err = s.Replace(deadline(t), "p/latest", tier.BytesBody(make([]byte, tier.MaxReplaceBytes+1)), "", tier.PutOptions{})
	wantIs(t, "replace by too much", err, tier.ErrTooLarge)
	if err := s.Delete(deadline(t), "p/latest"); err != nil {
		t.Fatal(err)
	}
	wantNone(t, s, "p/latest")
}

// A counter that several add to by compare and swap loses nothing.
func compareAndSwap(t *testing.T, _ Kit, s tier.Store) {
	put(t, s, "counter", []byte("0"))
	const adders, each = 3, 5
	add := func() error {
		data, o, err := tier.ReadAll(deadline(t), s, "counter", 100)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(data))
		if err != nil {
			return err
		}
		_, err = s.Replace(deadline(t), "counter", tier.BytesBody([]byte(strconv.Itoa(n+1))), o.ETag, tier.PutOptions{})
		return err
	}
	var wg sync.WaitGroup
	for range adders {
		wg.Go(func() {
			for range each {
				err := tier.ErrChanged
				for errors.Is(err, tier.ErrChanged) {
					err = insist(t, add)
				}
				if err != nil {
					t.Errorf("add: %v", err)
				}
			}
		})
	}
	wg.Wait()
	wantContent(t, s, "counter", []byte(strconv.Itoa(adders*each)))
}

// Who reads while an object is replaced finds one version whole, under the hash that is its own.
func replaceIsWhole(t *testing.T, _ Kit, s tier.Store) {
	versions := [][]byte{bytes.Repeat([]byte("a"), 300_000), bytes.Repeat([]byte("b"), 200_000), []byte("c")}
	put(t, s, "p", versions[0])
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for i := range 30 {
			body := tier.BytesBody(versions[i%len(versions)])
			err := insist(t, func() error {
				_, err := s.Replace(deadline(t), "p", body, "", tier.PutOptions{})
				return err
			})
			if err != nil {
				t.Errorf("replace: %v", err)
			}
		}
	})
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		var data []byte
		var o tier.Object
		err := insist(t, func() (err error) {
			data, o, err = tier.ReadAll(deadline(t), s, "p", 1<<20) // which compares the SHA-256
			return err
		})
		if err != nil || int64(len(data)) != o.Size || len(bytes.Trim(data, string(data[:1]))) != 0 {
			t.Errorf("read %d bytes of %d while they were replaced: %v", len(data), o.Size, err)
		}
	}
	wg.Wait()
	wantNoUploads(t, s)
}
