package e2e

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// keysOf are the keys of a list.
func keysOf(t *testing.T, entries []entry) []string {
	var out []string
	for i := range entries {
		out = append(out, entries[i].key(t))
	}
	return out
}

// walk follows the cursors of a list to its end.
func (s *scribe) walk(query string) (all []entry) {
	s.t.Helper()
	path := query
	for {
		l := s.list(path)
		all = append(all, l.Entries...)
		if l.Next == "" {
			return all
		}
		if len(l.Entries) == 0 {
			s.t.Fatalf("GET %s: an empty page with a cursor", path)
		}
		path = query + "&cursor=" + url.QueryEscape(l.Next)
	}
}

// TestRange walks keys in segments and in memory, in both directions and in pages of every size.
func TestRange(t *testing.T) {
	s := start(t, options{})
	if l := s.list("/v1/range"); len(l.Entries) != 0 || l.Next != "" {
		t.Fatalf("range of an empty ledger: %+v", l)
	}
	var keys []string
	for i := range 30 {
		key := fmt.Sprintf("k/%02d", i)
		s.put(key, "old")
		s.put(key, "new "+key, "Content-Type", "text/plain")
		keys = append(keys, key)
		if i%8 == 7 {
			s.seal()
		}
	}
	s.put("gone", "x")
	s.del("gone")
	s.put("z", "outside")
	all := s.list("/v1/range?prefix=k/").Entries
	if !slices.Equal(keysOf(t, all), keys) {
		t.Fatalf("range finds %v", keysOf(t, all))
	}
	for i := range all {
		e := &all[i]
		if e.value(t) != "new "+e.key(t) || e.Op != "put" || e.ContentType != "text/plain" || e.Size != len(e.value(t)) ||
			unhex(t, e.LeafHash) != leafHash(e.record(t)) {
			t.Fatalf("entry %+v", e)
		}
	}
	backward := slices.Clone(keys)
	slices.Reverse(backward)
	for _, limit := range []int{1, 2, 7, 29, 30, 31, 10_000, 99_999_999} {
		if got := keysOf(t, s.walk(fmt.Sprintf("/v1/range?prefix=k/&limit=%d", limit))); !slices.Equal(got, keys) {
			t.Errorf("limit %d: %v", limit, got)
		}
		if got := keysOf(t, s.walk(fmt.Sprintf("/v1/range?prefix=k/&reverse=1&limit=%d", limit))); !slices.Equal(got, backward) {
			t.Errorf("limit %d, reverse: %v", limit, got)
		}
	}
	for query, want := range map[string][]string{
		"start=k/05&end=k/08":                        keys[5:8],
		"start=k/05&end=k/08&reverse=true":           {"k/07", "k/06", "k/05"},
		"start=k/28":                                 {"k/28", "k/29", "z"},
		"end=k/02":                                   keys[:2],
		"prefix=k/1&start=k/15&end=k/17":             keys[15:17],
		"prefix=gone":                                nil,
		"start=k/08&end=k/05":                        nil,
		"start=k/05&end=k/05":                        nil,
		"prefix=k/&limit=2&reverse=1":                {"k/29", "k/28"},
		"prefix=k/0&keys_only=1&as_of_seq=0":         {"k/00"},
		"prefix=k/0&as_of_time=2001-01-01T00:00:00Z": nil,
	} {
		if got := keysOf(t, s.list("/v1/range?"+query).Entries); !slices.Equal(got, want) {
			t.Errorf("range?%s finds %v, want %v", query, got, want)
		}
	}
	for _, e := range s.list("/v1/range?keys_only=true").Entries {
		if e.Value != nil || e.ValueB64 != nil || e.Size == 0 {
			t.Errorf("keys_only: %+v", e)
		}
	}
	if got := s.list("/v1/range?prefix=k/00&as_of_seq=0").Entries; len(got) != 1 || got[0].value(t) != "old" {
		t.Errorf("as of entry 0: %+v", got)
	}
	if l := s.list("/v1/range?limit=100"); len(l.Entries) != 31 || l.Next != "" {
		t.Errorf("%d entries, cursor %q", len(l.Entries), l.Next)
	}
	first := s.list("/v1/range?prefix=k/&limit=3")
	s.get("/v1/range?prefix=z&limit=3&cursor="+url.QueryEscape(first.Next)).wantProblem(400, "bad_request")
	s.get("/v1/range?prefix=k/&reverse=1&cursor="+url.QueryEscape(first.Next)).wantProblem(400, "bad_request")
}

// TestCursorIsPinned: what is written, deleted, sealed or restarted behind the first page does not show.
func TestCursorIsPinned(t *testing.T) {
	for _, reverse := range []string{"", "&reverse=1"} {
		o := options{dir: t.TempDir()}
		s := start(t, o)
		for i := range 40 {
			s.put(fmt.Sprintf("k%02d", i), "before")
		}
		query := "/v1/range?limit=3" + reverse
		var got []entry
		path := query
		for page := 0; ; page++ {
			l := s.list(path)
			got = append(got, l.Entries...)
			if l.Next == "" {
				break
			}
			s.put(fmt.Sprintf("k%02d", (7*page)%40), "after")
			s.put(fmt.Sprintf("k%02dx", page), "new")
			s.do("DELETE", fmt.Sprintf("/v1/kv/k%02d", (7*page+3)%40), nil)
			switch page {
			case 4:
				s.seal()
			case 6:
				s.kill()
				s = start(t, o)
			}
			path = query + "&cursor=" + url.QueryEscape(l.Next)
		}
		if len(got) != 40 {
			t.Fatalf("%d entries of the 40 at the beginning: %v", len(got), keysOf(t, got))
		}
		for i := range got {
			if got[i].value(t) != "before" || got[i].Seq >= 40 {
				t.Errorf("entry %d, key %s, was written behind the first page", got[i].Seq, got[i].key(t))
			}
		}
	}
}

func TestHistory(t *testing.T) {
	s := start(t, options{})
	s.put("k", "0")
	s.put("kk", "x")
	s.put("k", "2", "Content-Type", "text/plain")
	s.seal() // entry 3
	s.del("k")
	s.put("k", "\xff")
	check := func() {
		t.Helper()
		h := s.list("/v1/history/k")
		if len(h.Entries) != 4 || h.Next != "" {
			t.Fatalf("history %+v", h)
		}
		for i, want := range []struct {
			seq uint64
			op  string
		}{{5, "put"}, {4, "delete"}, {2, "put"}, {0, "put"}} {
			e := &h.Entries[i]
			if e.Seq != want.seq || e.Op != want.op || e.key(t) != "k" || e.Value != nil || e.ValueB64 != nil {
				t.Errorf("version %d: %+v", i, e)
			}
		}
		for _, e := range s.list("/v1/history/k?values=1").Entries {
			if unhex(t, e.LeafHash) != leafHash(e.record(t)) {
				t.Errorf("entry %d: leaf hash %s", e.Seq, e.LeafHash)
			}
		}
		for _, limit := range []int{1, 2, 3, 4, 5} {
			all := s.walk(fmt.Sprintf("/v1/history/k?limit=%d", limit))
			if len(all) != 4 || all[3].Seq != 0 {
				t.Errorf("limit %d: %d versions", limit, len(all))
			}
		}
		if got := s.list("/v1/history/k?before=4").Entries; len(got) != 2 || got[0].Seq != 2 {
			t.Errorf("before 4: %+v", got)
		}
		if got := s.list("/v1/history/k?before=0").Entries; len(got) != 0 {
			t.Errorf("before 0: %+v", got)
		}
		if got := s.lines("/v1/history/k"); len(got) != 4 {
			t.Errorf("%d lines", len(got))
		}
	}
	check()
	s.seal()
	check()
	s.get("/v1/history/k?limit=0").wantProblem(400, "bad_request")
	s.get("/v1/history/k?before=x").wantProblem(400, "bad_request")
}

func TestEntries(t *testing.T) {
	s := start(t, options{})
	if l := s.list("/v1/entries"); len(l.Entries) != 0 {
		t.Fatalf("entries of an empty ledger: %+v", l)
	}
	for i := range 250 {
		s.put(fmt.Sprintf("k%d", i%9), strings.Repeat("v", i))
		if i%70 == 69 {
			s.seal()
		}
	}
	s.del("k1")
	all := s.replay()
	segments := 0
	for i := range all {
		if all[i].Op == "segment" {
			segments++
			if len(all[i].value(t)) != 56 || len(all[i].key(t)) != 33 {
				t.Errorf("segment entry %+v", all[i])
			}
		}
	}
	if segments != 3 {
		t.Fatalf("%d segment entries", segments)
	}
	if l := s.list("/v1/entries"); len(l.Entries) != 100 || l.Next == "" || l.Entries[99].Seq != 99 {
		t.Fatalf("the first page has %d entries", len(l.Entries))
	}
	for _, limit := range []int{1, 99, 1000} {
		got := s.walk(fmt.Sprintf("/v1/entries?from=100&limit=%d", limit))
		if len(got) != len(all)-100 || got[0].Seq != 100 {
			t.Errorf("limit %d: %d entries", limit, len(got))
		}
	}
	for _, e := range s.list("/v1/entries?keys_only=1&from=200").Entries {
		if e.Value != nil || e.ValueB64 != nil {
			t.Errorf("keys_only: %+v", e)
		}
	}
	if l := s.list(fmt.Sprintf("/v1/entries?from=%d", len(all))); len(l.Entries) != 0 || l.Next != "" {
		t.Errorf("beyond the end: %+v", l)
	}
	if got := s.lines("/v1/entries?from=5&limit=7"); len(got) != 7 || got[0].Seq != 5 {
		t.Errorf("%d lines of 7", len(got))
	}
	s.get("/v1/entries?from=-1").wantProblem(400, "bad_request")
}
