package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/tier"
)

func keys(t *testing.T, _ Kit, s tier.Store) {
	long := strings.Repeat(strings.Repeat("k", 200)+"/", 2) + strings.Repeat("x", 110)
	for i, key := range []string{"A", "a-a", "_", "@", "~", "a.b", "a..b", "-x/+/,", "=x=/!", "x001/x002/003.p/17", "%41a"[1:], long} {
		put(t, s, key, bytesOf(uint64(i), 50))
		wantContent(t, s, key, bytesOf(uint64(i), 50))
	}
	for _, key := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".a", "a/.b", "a\x00b",
		"a b", "a\\b", "a%2fb", "ä", "a\nb", "a?b", "a#b", "a&b", strings.Repeat("k", 201), strings.Repeat("a/", 300) + "a"} {
		what := fmt.Sprintf("key %q", key)
		_, err := s.Put(deadline(t), key, tier.BytesBody(nil), tier.PutOptions{})
		wantIs(t, "put of "+what, err, tier.ErrInvalid)
		_, err = s.Replace(deadline(t), key, tier.BytesBody(nil), "", tier.PutOptions{})
		wantIs(t, "replace of "+what, err, tier.ErrInvalid)
		_, err = s.Get(deadline(t), key, 0, tier.Rest)
		wantIs(t, "get of "+what, err, tier.ErrInvalid)
		_, err = s.Head(deadline(t), key)
		wantIs(t, "head of "+what, err, tier.ErrInvalid)
		wantIs(t, "delete of "+what, s.Delete(deadline(t), key), tier.ErrInvalid)
		wantIs(t, "abort of "+what, s.AbortUpload(deadline(t), tier.Upload{Key: key, ID: "x"}), tier.ErrInvalid)
	}
}

// A key that is a directory of another may be refused, and harms none of the two.
func directories(t *testing.T, _ Kit, s tier.Store) {
	put(t, s, "a", []byte("file"))
	put(t, s, "d/x/y", []byte("below"))
	for _, key := range []string{"a/b", "a/b/c", "d", "d/x"} {
		_, err := s.Put(deadline(t), key, tier.BytesBody([]byte("other")), tier.PutOptions{})
		if err == nil {
			wantContent(t, s, key, []byte("other"))
		} else if _, again := tier.Temporary(err); again {
			t.Errorf("put of %s: %v says that a retry can help", key, err)
		} else {
			wantNone(t, s, key)
		}
	}
	for _, key := range []string{"a/q", "d/x/y/z", "q"} {
		wantNone(t, s, key)
		_, _, err := readRange(t, s, key, 0, 1)
		wantIs(t, "get of "+key, err, tier.ErrNotFound)
	}
	wantContent(t, s, "a", []byte("file"))
	wantContent(t, s, "d/x/y", []byte("below"))
	wantNoUploads(t, s)
}

func metadata(t *testing.T, _ Kit, s tier.Store) {
	full := tier.Metadata{}
	for i := range 16 {
		full[fmt.Sprintf("name-%02d", i)] = strings.Repeat(string(rune('!'+i)), 80)
	}
	for i, m := range []tier.Metadata{nil, {}, {"a": ""}, {"key-max": "/v1/\"x\";<&>"}, {"a": "~ !"}, full} {
		key := fmt.Sprint("m", i)
		body := tier.BytesBody([]byte("x"))
		if _, err := s.Put(deadline(t), key, body, tier.PutOptions{Metadata: m}); err != nil {
			t.Fatalf("put with %v: %v", m, err)
		}
		o, err := s.Head(deadline(t), key)
		if err != nil || fmt.Sprint(o.Metadata) != fmt.Sprint(m) && len(o.Metadata)+len(m) > 0 {
			t.Errorf("metadata %v came back as %v, %v", m, o.Metadata, err)
		}
	}
	big := tier.Metadata{}
	for i := range 17 {
		big[fmt.Sprint("n", i)] = "x"
	}
	for _, m := range []tier.Metadata{big, {"": "x"}, {"A": "x"}, {"a b": "x"}, {"-a": "x"}, {"scribe-x": "x"}, {"a": "\n"},
		{"a": " x"}, {"a": "x "}, {"a": "ä"}, {"a": strings.Repeat("x", 513)}, {strings.Repeat("n", 41): "x"},
		{"a": strings.Repeat("x", 512), "b": strings.Repeat("x", 512), "c": strings.Repeat("x", 512)}} {
		_, err := s.Put(deadline(t), "bad", tier.BytesBody(nil), tier.PutOptions{Metadata: m})
		wantIs(t, fmt.Sprintf("put with %.60v", m), err, tier.ErrInvalid)
	}
}

func contexts(t *testing.T, kit Kit, s tier.Store) {
	put(t, s, "k", bytesOf(1, 1000))
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	for _, c := range []struct {
		ctx   context.Context
		want  error
		again bool
	}{{canceled, context.Canceled, false}, {expired, context.DeadlineExceeded, true}} {
		_, perr := s.Put(c.ctx, "new", tier.BytesBody([]byte("x")), tier.PutOptions{})
		_, lerr := s.Put(c.ctx, "large", tier.BytesBody(bytesOf(1, kit.Large)), tier.PutOptions{})
		_, rerr := s.Replace(c.ctx, "new", tier.BytesBody([]byte("x")), "", tier.PutOptions{})
		_, gerr := s.Get(c.ctx, "k", 0, tier.Rest)
		_, herr := s.Head(c.ctx, "k")
		_, ierr := s.List(c.ctx, "", "", 0)
		derr := s.Delete(c.ctx, "k")
		for what, err := range map[string]error{"put": perr, "large put": lerr, "replace": rerr, "get": gerr, "head": herr,
			"list": ierr, "delete": derr} {
			wantIs(t, what, err, c.want)
			if _, again := tier.Temporary(err); again != c.again {
				t.Errorf("%s: %v, a retry can help: %v", what, err, again)
			}
		}
	}
	wantNone(t, s, "new")
	wantNone(t, s, "large")
	wantContent(t, s, "k", bytesOf(1, 1000))
	wantNoUploads(t, s)
}

// With Object Lock a sealed object can be neither deleted nor overwritten; others can.
func locked(t *testing.T, kit Kit, s tier.Store) {
	ok, err := s.(tier.Locking).LockAvailable(deadline(t))
	if err != nil || !ok {
		t.Fatalf("lock available: %v, %v", ok, err)
	}
	for _, size := range []int{10, kit.Large} {
		key, data := fmt.Sprintf("k%d", size), bytesOf(1, size)
		if _, err := s.Put(deadline(t), key, tier.BytesBody(data), tier.PutOptions{Sealed: true}); err != nil {
			t.Fatal(err)
		}
		err := s.Delete(deadline(t), key)
		wantIs(t, "delete of a locked object", err, tier.ErrLocked)
		if errors.Is(err, tier.ErrRefused) {
			t.Errorf("%v looks like bad credentials", err)
		}
		_, err = s.Put(deadline(t), key, tier.BytesBody([]byte("other")), tier.PutOptions{Sealed: true})
		wantIs(t, "put over a locked object", err, tier.ErrExists)
		wantContent(t, s, key, data)
	}
	put(t, s, "free", []byte("x"))
	if _, err := s.Replace(deadline(t), "free", tier.BytesBody([]byte("y")), "", tier.PutOptions{}); err != nil {
		t.Errorf("replace of an object that is not sealed: %v", err)
	}
	if err := s.Delete(deadline(t), "free"); err != nil {
		t.Errorf("delete of an object that is not sealed: %v", err)
	}
	wantNone(t, s, "free")
	put(t, s, "free", []byte("z"))
	wantContent(t, s, "free", []byte("z"))
}
