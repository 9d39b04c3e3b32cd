package tier_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
	"pgregory.net/rapid"
)

// model is a store as it is promised, without how.
type model map[string]modelObject

type modelObject struct {
	data string
	meta string
}

// outcome is what a call came to, comparable between stores.
func outcome(err error) string {
	for _, want := range []error{tier.ErrNotFound, tier.ErrExists, tier.ErrChanged, tier.ErrMismatch, tier.ErrRange,
		tier.ErrTooLarge, tier.ErrInvalid} {
		if errors.Is(err, want) {
			return want.Error()
		}
	}
	return fmt.Sprint(err)
}

func metaOf(s string) tier.Metadata {
	if s == "" {
		return nil
	}
	return tier.Metadata{"m": s}
}

// Property: whatever is done to them, a folder and memory are what the model is.
func TestStoresAreTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := tier.NewDir(vfs.NewMem(), "/cold", tier.DirOptions{})
		if err != nil {
			t.Fatal(err)
		}
		stores := []tier.Store{dir, tier.NewMem(tier.MemOptions{PartBytes: 8})}
		m := model{}
		keys := rapid.SampledFrom([]string{"a/b", "a-b", "a/c/d", "b", "b.c", "c/d", "c/e", "c0"})
		data := rapid.StringN(0, 20, 40)
		etags := make([]map[string]string, len(stores)) // last seen, by key
		for i := range etags {
			etags[i] = map[string]string{}
		}
		each := func(t *rapid.T, what, want string, call func(i int, s tier.Store) error) {
			for i, s := range stores {
				if got := outcome(call(i, s)); got != want {
					t.Fatalf("%s of %s: %s, want %s", what, s.Name(), got, want)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				key, text, meta := keys.Draw(t, "key"), data.Draw(t, "data"), rapid.SampledFrom([]string{"", "x"}).Draw(t, "meta")
				body := tier.BytesBody([]byte(text))
				_, there := m[key]
				want := "<nil>"
				switch wrong := rapid.Bool().Draw(t, "wrong hash"); {
				case there:
					want = tier.ErrExists.Error()
				case wrong:
					body.SHA256[0]++
					want = tier.ErrMismatch.Error()
				default:
					m[key] = modelObject{text, meta}
				}
				each(t, "put "+key, want, func(i int, s tier.Store) error {
					o, err := s.Put(t.Context(), key, body, tier.PutOptions{Metadata: metaOf(meta)})
					if err == nil {
						etags[i][key] = o.ETag
					}
					return err
				})
			},
			"replace": func(t *rapid.T) {
				key, text := keys.Draw(t, "key"), data.Draw(t, "data")
				match := rapid.SampledFrom([]string{"", "current", "other"}).Draw(t, "match")
				old, there := m[key]
				want := "<nil>"
				switch {
				case match == "other" || match == "current" && !there:
					want = tier.ErrChanged.Error()
				default:
					m[key] = modelObject{text, "r"}
				}
				each(t, "replace "+key, want, func(i int, s tier.Store) error {
					etag := match
					if match == "current" && there {
						etag = etags[i][key]
					}
					o, err := s.Replace(t.Context(), key, tier.BytesBody([]byte(text)), etag, tier.PutOptions{Metadata: metaOf("r")})
					if err == nil {
						if o.ETag == etags[i][key] && old.data != text {
							t.Fatalf("%s: the ETag %s did not change", s.Name(), o.ETag)
						}
						etags[i][key] = o.ETag
					}
					return err
				})
			},
			"delete": func(t *rapid.T) {
				key := keys.Draw(t, "key")
				delete(m, key)
				each(t, "delete "+key, "<nil>", func(_ int, s tier.Store) error { return s.Delete(t.Context(), key) })
			},
			"get": func(t *rapid.T) {
				key := keys.Draw(t, "key")
				off, n := rapid.Int64Range(-1, 25).Draw(t, "off"), rapid.Int64Range(-1, 25).Draw(t, "n")
				o, there := m[key]
				length, rangeErr := tier.Span(int64(len(o.data)), off, n)
				want := outcome(rangeErr)
				if !there {
					want = tier.ErrNotFound.Error()
				}
				if _, err := tier.Span(1<<62, off, n); err != nil && !there {
					return // no range of anything: which error comes first is not promised
				}
				each(t, "get "+key, want, func(_ int, s tier.Store) error {
					r, err := s.Get(t.Context(), key, off, n)
					if err != nil {
						return err
					}
					var b bytes.Buffer
					if _, err := b.ReadFrom(r); err != nil || b.String() != o.data[off:off+length] || r.Length != length {
						t.Fatalf("%s: %q, %v", s.Name(), b.String(), err)
					}
					return r.Close()
				})
			},
			"list": func(t *rapid.T) {
				prefix := rapid.SampledFrom([]string{"", "a", "a/", "a/b", "b", "c/", "z"}).Draw(t, "prefix")
				after := rapid.SampledFrom([]string{"", "a", "a-b", "a/", "a/b", "b", "c/d", "c0"}).Draw(t, "after")
				limit := rapid.IntRange(0, 4).Draw(t, "limit")
				want := []string{}
				for _, key := range slices.Sorted(maps.Keys(m)) {
					if strings.HasPrefix(key, prefix) && key > after && (limit == 0 || len(want) < limit) {
						want = append(want, fmt.Sprint(key, " ", len(m[key].data)))
					}
				}
				each(t, "list", "<nil>", func(_ int, s tier.Store) error {
					page, err := s.List(t.Context(), prefix, after, limit)
					got := []string{}
					for _, o := range page.Objects {
						got = append(got, fmt.Sprint(o.Key, " ", o.Size))
					}
					if !slices.Equal(got, want) {
						t.Fatalf("%s: list of %q after %q: %q, want %q", s.Name(), prefix, after, got, want)
					}
					return err
				})
			},
			"": func(t *rapid.T) {
				for _, s := range stores {
					for key, want := range m {
						got, o, err := tier.ReadAll(t.Context(), s, key, 100)
						if err != nil || string(got) != want.data || o.Metadata["m"] != want.meta {
							t.Fatalf("%s: %s has %q, %+v, %v; want %+v", s.Name(), key, got, o, err, want)
						}
					}
					if page, err := s.Uploads(t.Context(), "", tier.Upload{}, 0); err != nil || len(page.Uploads) > 0 {
						t.Fatalf("%s: uploads %v, %v", s.Name(), page.Uploads, err)
					}
				}
			},
		})
	})
}
