package httpapi

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/vfs"
)

func TestEntryShape(t *testing.T) {
	r := newRig(t, nil)
	m := r.model
	m.put("a", "text \"quoted\" \\ \n\x00\x1f\u00e9\u2028")
	m.put("\xff", "\xfe\x00")
	m.put("e", "")
	m.del("e")
	m.segment()
	l := r.get("/v1/entries").list(t)
	if len(l.Entries) != 5 || l.Next != nil {
		t.Fatalf("%+v", l)
	}
	for i, e := range l.Entries {
		want := m.log[i]
		if e.Seq != want.Seq || e.key() != string(want.Key) || e.Size != want.ValueSize || e.LeafHash != want.Leaf.String() ||
			e.ContentType != want.ContentType || e.Op != want.Op.String() ||
			e.Time != time.UnixMicro(want.Time).UTC().Format("2006-01-02T15:04:05.000000Z") {
			t.Errorf("entry %d is %+v", i, e)
		}
	}
	if e := l.Entries[0]; *e.Value != string(m.log[0].Value) || e.KeyB64 != nil || e.ValueB64 != nil {
		t.Errorf("text: %+v", e)
	}
	if e := l.Entries[1]; e.Key != nil || string(e.ValueB64) != "\xfe\x00" || e.Value != nil {
		t.Errorf("bytes: %+v", e)
	}
	if e := l.Entries[2]; e.Value == nil || *e.Value != "" {
		t.Errorf("empty: %+v", e)
	}
	if e := l.Entries[3]; e.Value != nil || e.Op != "delete" || e.ContentType != "" {
		t.Errorf("tombstone: %+v", e)
	}
	if e := l.Entries[4]; e.Op != "segment" || len(e.ValueB64) != 56 {
		t.Errorf("segment: %+v", e)
	}
	for _, flag := range []string{"1", "true"} {
		for _, e := range r.get("/v1/entries?keys_only=" + flag).list(t).Entries {
			if e.Value != nil || e.ValueB64 != nil {
				t.Errorf("keys_only shows %+v", e)
			}
		}
	}
	for _, flag := range []string{"yes", "", "2", "TRUE"} {
		r.get("/v1/entries?keys_only="+flag).problem(t, 400, codeBadRequest)
	}
	if got := len(r.get("/v1/entries", "Accept: application/x-ndjson").lines(t)); got != 5 {
		t.Errorf("%d lines", got)
	}
}

func TestLimit(t *testing.T) {
	r := newRig(t, nil)
	for i := range 250 {
		r.model.put(fmt.Sprintf("k%03d", i), "v")
	}
	for _, route := range []string{"/v1/range", "/v1/entries"} {
		for query, want := range map[string]int{"": 100, "?limit=1": 1, "?limit=249": 249, "?limit=250": 250,
			"?limit=10001":                   250,
			"?limit=99999999999999999999999": 250} {
			l := r.get(route + query).list(t)
			if len(l.Entries) != want || (l.Next != nil) != (want < 250) {
				t.Errorf("%s%s: %d entries, next %v", route, query, len(l.Entries), l.Next)
			}
		}
		for _, bad := range []string{"0", "-1", "x", "", "1e3", "+5", "1.0"} {
			r.get(route+"?limit="+bad).problem(t, 400, codeBadRequest)
		}
		if got := len(r.get(route, "Accept: text/html, application/x-ndjson;q=0.5").lines(t)); got != 250 {
			t.Errorf("%s: %d lines without a limit", route, got)
		}
		if got := len(r.get(route+"?limit=3", "Accept: application/x-ndjson").lines(t)); got != 3 {
			t.Errorf("%s: %d lines, limit 3", route, got)
		}
		r.get(route, "Accept: application/x-ndjson;q=0").list(t)
		if p := r.do("HEAD", route, "", "Accept: application/x-ndjson").wants(t, 200); p.body != "" {
			t.Errorf("HEAD has a body")
		}
	}
}

func TestMaxLimitCuts(t *testing.T) {
	r := newRig(t, nil)
	for i := range maxLimit + 5 {
		r.model.append(1, fmt.Appendf(nil, "%06d", i), nil, "")
	}
	if l := r.get("/v1/entries?limit=20000&keys_only=1").list(t); len(l.Entries) != maxLimit || *l.Next != "10000" {
		t.Errorf("%d entries, next %v", len(l.Entries), l.Next)
	}
}

func TestRangeBounds(t *testing.T) {
	r := newRig(t, nil)
	for _, k := range []string{"a", "ab", "abc", "b", "c+d", "c d", "\xff", "\xff\xffz"} {
		r.model.put(k, "v")
	}
	r.model.put("dead", "v")
	r.model.del("dead")
	for query, want := range map[string]string{
		"":                                "a ab abc b c d c+d \xff \xff\xffz",
		"reverse=1":                       "\xff\xffz \xff c+d c d b abc ab a",
		"prefix=ab":                       "ab abc",
		"prefix=ab&reverse=true":          "abc ab",
		"prefix=%ff":                      "\xff \xff\xffz",
		"prefix=%ff%ff":                   "\xff\xffz",
		"prefix=c+":                       "c+d",
		"prefix=c%20":                     "c d",
		"start=ab":                        "ab abc b c d c+d \xff \xff\xffz",
		"end=ab":                          "a",
		"start=ab&end=b":                  "ab abc",
		"start=ab&end=ab":                 "",
		"start=b&end=a":                   "",
		"prefix=a&start=ab":               "ab abc",
		"prefix=a&end=abc":                "a ab",
		"prefix=a&start=b":                "",
		"prefix=b&end=b":                  "",
		"prefix=a&start=0&end=z":          "a ab abc",
		"prefix=dead":                     "",
		"prefix=&start=&end=":             "a ab abc b c d c+d \xff \xff\xffz",
		"as_of_seq=1":                     "a ab",
		"as_of_seq=8&prefix=dead":         "dead",
		"as_of_seq=9&prefix=dead":         "",
		"as_of_seq=99&prefix=b":           "b",
		"as_of_time=" + past(r, 2):        "a ab abc",
		"as_of_time=1999-12-31T23:59:59Z": "",
		"as_of_time=2999-12-31T23:59:59Z&prefix=b": "b",
		"unknown=%20&prefix=b":                     "b",
		"&&prefix=b&":                              "b",
		"pre%66ix=b":                               "b",
	} {
		if got := keysOf(r.get("/v1/range?" + query).list(t).Entries); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for _, bad := range []string{"prefix=a&prefix=b", "as_of_seq=1&as_of_time=2026-11-22T10:00:00Z", "as_of_seq=x",
		"reverse=no",
		"cursor=x", "cursor=AAAA", strings.Repeat("a=1&", maxParams+1)} {
		r.get("/v1/range?"+bad).problem(t, 400, codeBadRequest)
	}
	for _, bad := range []string{"prefix=%", "prefix=%2", "%zz=1", "a=1&b=%g0"} {
		r.get("/v1/range?"+bad).problem(t, 400, codeBadRequest)
	}
}

func past(r *rig, seq int64) string {
	return time.UnixMicro(r.model.started + seq).UTC().Format(time.RFC3339Nano)
}

func TestEmptyLedgerLists(t *testing.T) {
	r := newRig(t, nil)
	for _, target := range []string{"/v1/range", "/v1/range?reverse=1", "/v1/range?as_of_seq=7", "/v1/entries",
		"/v1/entries?from=9", "/v1/range?as_of_time=2999-01-01T00:00:00Z"} {
		p := r.get(target)
		if l := p.list(t); len(l.Entries) != 0 || l.Next != nil || strings.TrimSpace(p.body) != `{"entries":[]}` {
			t.Errorf("%s: %s", target, p.body)
		}
		if p := r.get(target, "Accept: application/x-ndjson").wants(t, 200); p.body != "" {
			t.Errorf("%s: %q", target, p.body)
		}
	}
	r.get("/v1/history/a").problem(t, 404, codeKeyNotFound)
	r.get("/v1/range?consistency=stale").wants(t, 200).has(t, "X-Scribe-Applied", "")
}

// A scan by pages gives what one scan at its beginning would have given, whatever is written meanwhile.
func TestCursorPinsTheScan(t *testing.T) {
	r := newRig(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		r.model.mu.Lock()
		r.model.log = nil
		r.model.mu.Unlock()
		key := rapid.StringMatching(`[ab\xff]{1,3}`)
		for range rapid.IntRange(1, 30).Draw(t, "n") {
			r.model.put(key.Draw(t, "key"), "v")
		}
		query := url.Values{}
		if rapid.Bool().Draw(t, "reverse") {
			query.Set("reverse", "1")
		}
		if rapid.Bool().Draw(t, "prefixed") {
			query.Set("prefix", key.Draw(t, "prefix")[:1])
		}
		if rapid.Bool().Draw(t, "as of") {
			query.Set("as_of_seq", fmt.Sprint(rapid.IntRange(0, 40).Draw(t, "seq")))
		}
		want := keysOf(r.get("/v1/range?" + query.Encode()).list(r.t).Entries)
		query.Set("limit", fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "limit")))
		var got []entryJSON
		for len(got) < 1000 {
			page := r.get("/v1/range?" + query.Encode()).list(r.t)
			got = append(got, page.Entries...)
			if page.Next == nil {
				break
			}
			query.Set("cursor", *page.Next)
			k := key.Draw(t, "meanwhile")
			if e := r.model.newest([]byte(k), r.model.NextSeq()); e != nil && e.Op == 1 && rapid.Bool().Draw(t, "delete") {
				r.model.del(k)
			} else {
				r.model.put(k, "later")
			}
		}
		if keysOf(got) != want {
			t.Fatalf("%v: pages give %q, the whole %q", query, keysOf(got), want)
		}
	})
}

func TestForeignCursors(t *testing.T) {
	r := newRig(t, nil)
	for i := range 10 {
		r.model.put(fmt.Sprintf("k%d", i), "v")
	}
	next := *r.get("/v1/range?prefix=k&limit=2").list(t).Next
	good := "/v1/range?prefix=k&cursor=" + next
	if got := keysOf(r.get(good + "&limit=3&keys_only=1").list(t).Entries); got != "k2 k3 k4" {
		t.Errorf("next page %q", got)
	}
	if got := r.get(good, "Accept: application/x-ndjson").lines(t); len(got) != 8 {
		t.Errorf("%d lines behind the cursor", len(got))
	}
	r.get(good+"&as_of_seq=9").wants(t, 200)
	for _, bad := range []string{"/v1/range?cursor=" + next, good + "&reverse=1", good + "&start=k1", good + "&end=k5",
		good + "&as_of_seq=3", good + "&as_of_seq=10", good + "&as_of_time=" + past(r, 3),
		"/v1/range?prefix=k&cursor=" + next + "A", "/v1/range?prefix=k&cursor=" + next[1:], good + "%0A", good + "=",
		"/v1/range?prefix=k&cursor=" + url.QueryEscape(strings.ToUpper(next))} {
		r.get(bad).problem(t, 400, codeBadRequest)
	}
	// A time in the query goes with the cursor as long as it reaches the pinned entry.
	timed := "/v1/range?limit=2&as_of_time=" + past(r, 5)
	page := r.get(timed).list(t)
	r.model.put("k00", "later")
	if got := keysOf(r.get(timed + "&cursor=" + *page.Next).list(t).Entries); got != "k2 k3" {
		t.Errorf("timed page %q", got)
	}
	// This node is behind the one that made the cursor.
	behind := cursor{pinned: 1000, bounds: boundsHash(nil, nil), last: []byte("a")}
	r.get("/v1/range?consistency=stale&cursor="+behind.encode()).problem(t, 503, codeNotReady)
}

func TestHistory(t *testing.T) {
	r := newRig(t, nil)
	m := r.model
	for i := range 5 {
		m.put("a", fmt.Sprint("v", i))
		m.put("b", "x")
	}
	m.del("a") // 10
	l := r.get("/v1/history/a").list(t)
	var seqs []uint64
	for _, e := range l.Entries {
		seqs = append(seqs, e.Seq)
		if e.Value != nil {
			t.Errorf("history shows a value: %+v", e)
		}
	}
	if !slices.Equal(seqs, []uint64{10, 8, 6, 4, 2, 0}) || l.Entries[0].Op != "delete" || l.Next != nil {
		t.Errorf("history %v", seqs)
	}
	l = r.get("/v1/history/a?limit=2&values=1").list(t)
	if len(l.Entries) != 2 || *l.Entries[1].Value != "v4" || *l.Next != "8" {
		t.Errorf("%+v", l)
	}
	for _, query := range []string{"cursor=8", "before=8", "before=10&cursor=8", "before=8&cursor=8"} {
		if l := r.get("/v1/history/a?limit=1&" + query).list(t); l.Entries[0].Seq != 6 || *l.Next != "6" {
			t.Errorf("%s: %+v", query, l)
		}
	}
	if l := r.get("/v1/history/a?before=0").list(t); len(l.Entries) != 0 || l.Next != nil {
		t.Errorf("%+v", l)
	}
	if got := r.get("/v1/history/a", "Accept: application/x-ndjson").lines(t); len(got) != 6 {
		t.Errorf("%d lines", len(got))
	}
	r.get("/v1/history/a?before=5&cursor=6").problem(t, 400, codeBadRequest)
	r.get("/v1/history/a?before=x").problem(t, 400, codeBadRequest)
	r.get("/v1/history/none?before=5").problem(t, 404, codeKeyNotFound)
}

func TestEntriesPages(t *testing.T) {
	r := newRig(t, nil)
	for range 7 {
		r.model.put("a", "v")
	}
	l := r.get("/v1/entries?from=2&limit=2").list(t)
	if l.Entries[0].Seq != 2 || *l.Next != "4" {
		t.Errorf("%+v", l)
	}
	for _, query := range []string{"from=4", "cursor=4", "from=2&cursor=4"} {
		if l := r.get("/v1/entries?limit=2&" + query).list(t); l.Entries[0].Seq != 4 {
			t.Errorf("%s: %+v", query, l)
		}
	}
	if l := r.get("/v1/entries?from=5&limit=2").list(t); l.Next != nil {
		t.Errorf("next %q at the end", *l.Next)
	}
	r.get("/v1/entries?from=5&cursor=4").problem(t, 400, codeBadRequest)
}

// Pages end by size as well as by count, and still join without a gap.
func TestPageBytes(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxPageBytes = 10_000 })
	for i := range 20 {
		r.model.put(fmt.Sprintf("k%02d", i), strings.Repeat("x", 3000))
	}
	r.model.put("k20", strings.Repeat("\x01", 300_000)) // six times as long in JSON, larger than any page
	r.model.put("k21", "end")
	var got []entryJSON
	pages := 0
	target := "/v1/range?limit=1000"
	for pages < 100 {
		p := r.get(target)
		l := p.list(t)
		if pages++; len(p.body) > 12_000 && len(l.Entries) > 1 {
			t.Errorf("a page of %d entries has %d bytes", len(l.Entries), len(p.body))
		}
		got = append(got, l.Entries...)
		if l.Next == nil {
			break
		}
		target = "/v1/range?limit=1000&cursor=" + *l.Next
	}
	if len(got) != 22 || pages < 8 || *got[20].Value != string(r.model.log[20].Value) {
		t.Errorf("%d entries in %d pages", len(got), pages)
	}
}

func TestDamageInLists(t *testing.T) {
	r := newRig(t, nil)
	for i := range 50 {
		r.model.put(fmt.Sprintf("k%02d", i), strings.Repeat("x", 10_000))
	}
	r.model.readErr = &vfs.CorruptError{File: "/data/secret/segments/00-1f.seg", Offset: 4711, Reason: "checksum"}
	r.model.corruptAt = 40
	for _, target := range []string{"/v1/range", "/v1/entries"} {
		m := r.get(target).problem(t, 500, codeCorrupt)
		detail, _ := m["detail"].(string)
		if !strings.Contains(detail, "00-1f.seg") || !strings.Contains(detail, "4711") || strings.Contains(detail, "secret") {
			t.Errorf("detail %q", detail)
		}
		// The stream has begun when the damage is met: it must break off, not end.
		p := r.get(target, "Accept: application/x-ndjson").wants(t, 200)
		if p.broken == nil {
			t.Errorf("%s: a cut stream looks whole (%d bytes)", target, len(p.body))
		}
	}
	r.get("/v1/kv/k45").problem(t, 500, codeCorrupt)
	r.get("/v1/kv/k10").wants(t, 200)
}
