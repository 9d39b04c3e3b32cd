package httpapi

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

func largeValue(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(b)
	return string(b)
}

// TestRangesOfLargeValues: parts of a value that is streamed are the same as of one that is not, wherever the pieces that
// it is read in begin and end.
func TestRangesOfLargeValues(t *testing.T) {
	r := newRig(t, nil)
	const size = 3*readPiece + 777
	value := largeValue(size)
	if a := r.do("PUT", "/v1/kv/k", value); a.status != 201 {
		t.Fatalf("%+v", a)
	}
	for _, c := range []struct {
		field    string
		from, to int
	}{
		{"0-0", 0, 1}, {"0-65535", 0, readPiece}, {"0-65536", 0, readPiece + 1}, {"65535-65536", readPiece - 1, readPiece + 1},
		{"65536-", readPiece, size}, {"-1", size - 1, size}, {"-999999999", 0, size}, {"1-196608", 1, 3*readPiece + 1},
		{fmt.Sprintf("%d-%d", size-1, size+5), size - 1, size},
	} {
		a := r.do("GET", "/v1/kv/k", "", "Range: bytes="+c.field)
		want := fmt.Sprintf("bytes %d-%d/%d", c.from, c.to-1, size)
		if a.status != 206 || a.body != value[c.from:c.to] || a.header.Get("Content-Range") != want || a.broken != nil {
			t.Errorf("%s: status %d, %d bytes, %q, %v; want %q", c.field, a.status, len(a.body), a.header.Get("Content-Range"),
				a.broken, want)
		}
	}
	if a := r.do("GET", "/v1/kv/k", ""); a.status != 200 || a.body != value || a.header.Get("Content-Length") != fmt.Sprint(size) {
		t.Errorf("whole: status %d, %d bytes", a.status, len(a.body))
	}
	if a := r.do("GET", "/v1/kv/k", "", fmt.Sprintf("Range: bytes=%d-", size)); a.status != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("behind the end: status %d", a.status)
	}
	r.model.readErr = &vfs.CorruptError{File: "f", Reason: "checksum"} // no read at all
	r.model.corruptAt = 1 << 40
	if a := r.do("HEAD", "/v1/kv/k", ""); a.status != 200 || a.header.Get("Content-Length") != fmt.Sprint(size) {
		t.Errorf("HEAD: %+v", a)
	}
	r.idle()
	if r.model.opened != 0 || r.model.readMost > readPiece {
		t.Errorf("%d values are open, %d bytes were read at once", r.model.opened, r.model.readMost)
	}
}

// TestDamageInMidStream: what is found before the first byte is an answer; what is found later cuts the connection, and is
// never a body that ends as it should.
func TestDamageInMidStream(t *testing.T) {
	r := newRig(t, nil)
	const size = 4*readPiece + 5
	r.do("PUT", "/v1/kv/k", largeValue(size))
	r.model.readErr = &vfs.CorruptError{File: "/data/segments/00.seg", Offset: 7, Reason: "checksum"}
	r.model.corruptAt = 1 << 40
	for _, c := range []struct {
		badFrom int
		field   string
		whole   bool
	}{
		{0, "", false}, {readPiece, "", false}, {size - 1, "", false}, {readPiece, "bytes=0-9", true},
		{size, "", true}, {readPiece + 1, "bytes=10-70000", false},
	} {
		r.idle() // the handlers of the requests before have ended
		r.model.badFrom = c.badFrom
		var headers []string
		if c.field != "" {
			headers = append(headers, "Range: "+c.field)
		}
		a := r.do("GET", "/v1/kv/k", "", headers...)
		switch {
		case c.whole:
			if a.status/100 != 2 || a.broken != nil {
				t.Errorf("damage from %d, %q: status %d, %v", c.badFrom, c.field, a.status, a.broken)
			}
		case c.badFrom == 0 || c.field != "" && c.badFrom < readPiece+10:
			if a.status != 500 || !bytes.Contains([]byte(a.body), []byte(`"corrupt"`)) {
				t.Errorf("damage from %d, %q: %+v", c.badFrom, c.field, a.status)
			}
		case a.status != 200 || a.broken == nil:
			t.Errorf("damage from %d, %q: status %d, %d bytes, and no error", c.badFrom, c.field, a.status, len(a.body))
		}
	}
	r.idle()
	if r.model.opened != 0 {
		t.Errorf("%d values are open", r.model.opened)
	}
}

// TestStreamsShareTheBudget: large values that would not fit into the budget together are sent side by side.
func TestStreamsShareTheBudget(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.MaxValueBytes, o.MaxBatchBytes, o.MaxInflightBytes = 4<<20, 4<<20, 4<<20
	})
	value := largeValue(4 << 20)
	if a := r.do("PUT", "/v1/kv/k", value); a.status != 201 {
		t.Fatalf("%+v", a)
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if a := r.do("GET", "/v1/kv/k", ""); a.status != 200 || a.body != value {
				t.Errorf("status %d, %d bytes", a.status, len(a.body))
			}
		})
	}
	wait.Wait()
	r.idle()
}
