package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/tier"
)

// listAll pages through a listing.
func listAll(t testing.TB, s tier.Store, prefix, after string, limit int) []string {
	t.Helper()
	got := []string{}
	for {
		page, err := s.List(deadline(t), prefix, after, limit)
		if err != nil {
			t.Fatalf("list %q after %q: %v", prefix, after, err)
		}
		if limit > 0 && len(page.Objects) > limit {
			t.Fatalf("%d objects in a page of %d", len(page.Objects), limit)
		}
		for _, o := range page.Objects {
			got = append(got, o.Key)
		}
		if page.Next == "" {
			return got
		}
		if len(page.Objects) == 0 || page.Next != page.Objects[len(page.Objects)-1].Key {
			t.Fatalf("a page of %d objects goes on after %q", len(page.Objects), page.Next)
		}
		after = page.Next
	}
}

func list(t *testing.T, _ Kit, s tier.Store) {
	if got := listAll(t, s, "", "", 0); len(got) != 0 {
		t.Fatalf("the empty store lists %q", got)
	}
	// "-" sorts before "/" and "0" behind it, so an order by directories would be another one.
	keys := []string{"a-b", "a/b", "a/b-c", "a/c/d/e", "a/c-", "a0", "b", "seg/000001.seg", "seg/000002.seg", "seg/000010.seg",
		"seg-2/x", "seg", "t/x001/002", "t/x001/003.p-5", "z~"}
	keys = slices.DeleteFunc(keys, func(k string) bool { return k == "seg" }) // a directory of others
	for i, key := range keys {
		put(t, s, key, bytesOf(1, i))
	}
	slices.Sort(keys)
	page, err := s.List(deadline(t), "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range page.Objects {
		if head, err := s.Head(deadline(t), o.Key); err != nil || head.Size != o.Size || head.ETag != o.ETag {
			t.Errorf("listed %+v, head %+v, %v", o, head, err)
		}
		if o.SHA256 != nil || o.Metadata != nil {
			t.Errorf("listed %+v", o)
		}
	}
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/c/", "seg", "seg/", "seg/00000", "seg/000001.seg", "t/x001/", "zz", "b/"} {
		for _, after := range []string{"", "a", "a/b", "a/c", "a/c/", "seg/000001.seg", "seg/", "seg0", "zzz"} {
			want := []string{}
			for _, key := range keys {
				if strings.HasPrefix(key, prefix) && key > after {
					want = append(want, key)
				}
			}
			for _, limit := range []int{0, 1, 3, 5000} {
				if limit == 1 && after != "" { // the small pages once for each prefix: they are many requests
					continue
				}
				if got := listAll(t, s, prefix, after, limit); !slices.Equal(got, want) {
					t.Fatalf("prefix %q after %q by %d: %q, want %q", prefix, after, limit, got, want)
				}
			}
		}
	}
	for _, bad := range []string{"/a", "a//", "../", "a/../b", "a\x00", "ä"} {
		_, err := s.List(deadline(t), bad, "", 0)
		wantIs(t, fmt.Sprintf("list of %q", bad), err, tier.ErrInvalid)
	}
}

func deletes(t *testing.T, _ Kit, s tier.Store) {
	put(t, s, "a/b", []byte("1"))
	put(t, s, "a/c", []byte("2"))
	for range 2 { // the second time there is none
		if err := s.Delete(deadline(t), "a/b"); err != nil {
			t.Fatal(err)
		}
		wantNone(t, s, "a/b")
	}
	for _, none := range []string{"a", "a/c/d", "x/y/z"} {
		if err := s.Delete(deadline(t), none); err != nil {
			t.Errorf("delete of %q, which is none: %v", none, err)
		}
	}
	put(t, s, "a/b", []byte("3"))
	wantContent(t, s, "a/b", []byte("3"))
	wantContent(t, s, "a/c", []byte("2"))
}

// What is being uploaded is listed, and can be ended from outside: the object never appears.
func uploads(t *testing.T, kit Kit, s tier.Store) {
	wantNoUploads(t, s)
	data := bytesOf(1, kit.Large)
	body := tier.BytesBody(data)
	aborted := false
	body.Again = bytes.NewReader(data)
	body.Bytes = bodyFunc(func(p []byte, off int64) (int, error) {
		if off+int64(len(p)) == int64(len(data)) { // the last read: something was begun
			prefix := "up/"
			if kit.ExactUploads {
				prefix = "up/k"
			}
			page, err := s.Uploads(deadline(t), prefix, tier.Upload{}, 0)
			if err != nil || len(page.Uploads) != 1 || page.More {
				t.Fatalf("uploads: %+v, %v", page, err)
			}
			u := page.Uploads[0]
			if u.Key != "up/k" || u.ID == "" {
				t.Errorf("upload %+v", u)
			}
			other, err := s.Uploads(deadline(t), "u-", tier.Upload{}, 0)
			if err != nil || len(other.Uploads) != 0 {
				t.Errorf("uploads of another prefix: %+v, %v", other, err)
			}
			behind, err := s.Uploads(deadline(t), "", u, 0)
			if err != nil || len(behind.Uploads) != 0 {
				t.Errorf("uploads behind the last: %+v, %v", behind, err)
			}
			for range 2 { // the second time there is none
				// A server may have to wait for a part under way, and say so by a temporary failure.
				if err := insist(t, func() error { return s.AbortUpload(deadline(t), u) }); err != nil {
					t.Fatalf("abort: %v", err)
				}
			}
			aborted = true
		}
		return copy(p, data[off:]), nil
	})
	if _, err := s.Put(deadline(t), "up/k", body, tier.PutOptions{}); err == nil {
		t.Error("the put of an aborted upload succeeded")
	}
	if !aborted {
		t.Fatal("the body was not read to its end")
	}
	// Parts that were under way may outlive an abort; who sweeps aborts again what is listed again.
	left, err := s.Uploads(deadline(t), "up/", tier.Upload{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range left.Uploads {
		if err := insist(t, func() error { return s.AbortUpload(deadline(t), u) }); err != nil {
			t.Fatalf("abort: %v", err)
		}
	}
	wantNone(t, s, "up/k")
	wantNoUploads(t, s)
	put(t, s, "up/k", data)
	wantContent(t, s, "up/k", data)
	wantNoUploads(t, s)
}

// Uploads are found in pages. Several are under way at once here, each of which holds a buffer of the store.
func manyUploads(t *testing.T, kit Kit, s tier.Store) {
	const n = 4
	// Each body lists and begins the next one, so that all are under way at the deepest.
	var begin func(i int)
	seen := map[string]bool{}
	begin = func(i int) {
		if i == n {
			for _, limit := range []int{1, 3, 0} {
				got := map[string]bool{}
				prefixes := []string{"m/"}
				if kit.ExactUploads {
					prefixes = []string{"m/0", "m/1"}
				}
				for _, prefix := range prefixes {
					pages(t, s, prefix, limit, got)
				}
				if len(got) != n {
					t.Fatalf("%d uploads of %d in pages of %d", len(got), n, limit)
				}
				seen = got
			}
			return
		}
		data := bytesOf(uint64(i), kit.Large)
		body := tier.BytesBody(data)
		body.Bytes = bodyFunc(func(p []byte, off int64) (int, error) {
			if off+int64(len(p)) == int64(len(data)) && len(seen) == 0 {
				begin(i + 1)
			}
			return copy(p, data[off:]), nil
		})
		put := fmt.Sprintf("m/%d", i/2) // two of each key
		if _, err := s.Put(deadline(t), put, body, tier.PutOptions{}); err != nil && i%2 == 1 {
			t.Errorf("put of %s: %v", put, err)
		}
	}
	begin(0)
	wantNoUploads(t, s)
}

// pages adds the ids of all uploads under the prefix to got.
func pages(t *testing.T, s tier.Store, prefix string, limit int, got map[string]bool) {
	t.Helper()
	var after tier.Upload
	for more := true; more; {
		page, err := s.Uploads(deadline(t), prefix, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.Uploads {
			if got[u.ID] {
				t.Fatalf("%+v is listed twice", u)
			}
			got[u.ID], after = true, u
		}
		if more = page.More; more && len(page.Uploads) == 0 {
			t.Fatal("an empty page that says there is more")
		}
	}
}
