package s3store_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/s3store"
)

// What is sent is read behind what was hashed: bytes that have changed in between, or cannot be read any more, make no
// object.
func TestSentAnew(t *testing.T) {
	broken := errors.New("the disk is gone")
	for _, size := range []int{10_000, 12<<20 + 5} {
		data := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		changed := bytes.Clone(data)
		changed[size-2] ^= 1
		s := open(t, options())
		for what, again := range map[string]readerFunc{
			"changed": bytes.NewReader(changed).ReadAt,
			"shorter": bytes.NewReader(data[:size-1]).ReadAt,
			"broken":  func([]byte, int64) (int, error) { return 0, broken },
		} {
			body := tier.BytesBody(data)
			body.Again = again
			if _, err := s.Put(t.Context(), "k", body, tier.PutOptions{}); err == nil {
				t.Errorf("%d bytes, %s when they are sent: there is an object", size, what)
			} else if what == "broken" && !errors.Is(err, broken) {
				t.Errorf("%d bytes, %s when they are sent: %v", size, what, err)
			}
			if _, err := s.Head(t.Context(), "k"); !errors.Is(err, tier.ErrNotFound) {
				t.Errorf("%d bytes, %s when they are sent: head: %v", size, what, err)
			}
		}
		body := tier.BytesBody(data)
		body.Again = bytes.NewReader(data)
		if _, err := s.Put(t.Context(), "k", body, tier.PutOptions{}); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// BenchmarkPut sends large bodies. What it allocates a MiB does not grow with the parts.
func BenchmarkPut(b *testing.B) {
	opts := options()
	opts.PartBytes = 16 << 20
	s, err := s3store.New(opts)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	data := make([]byte, 64<<20)
	body := tier.BytesBody(data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		key := fmt.Sprintf("bench/%d", i)
		if _, err := s.Put(b.Context(), key, body, tier.PutOptions{}); err != nil {
			b.Fatal(err)
		}
		if err := s.Delete(b.Context(), key); err != nil {
			b.Fatal(err)
		}
	}
}

type readerFunc func([]byte, int64) (int, error)

func (f readerFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }
