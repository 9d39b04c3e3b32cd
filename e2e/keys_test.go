package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// targets are request targets as they go over the wire, and the keys that they stand for.
var targets = []struct{ target, key string }{
	{"/v1/kv/plain", "plain"},
	{"/v1/kv/a/b/c", "a/b/c"},
	{"/v1/kv/a%2Fb%2fc", "a/b/c"},
	{"/v1/kv//", "/"},
	{"/v1/kv///x", "//x"},
	{"/v1/kv/x//y", "x//y"},
	{"/v1/kv/.", "."},
	{"/v1/kv/..", ".."},
	{"/v1/kv/../x", "../x"},
	{"/v1/kv/a/../b", "a/../b"},
	{"/v1/kv/a/./b", "a/./b"},
	{"/v1/kv/%2e%2E/x", "../x"},
	{"/v1/kv/trailing/", "trailing/"},
	{"/v1/kv/nul%00byte", "nul\x00byte"},
	{"/v1/kv/%00", "\x00"},
	{"/v1/kv/a+b", "a+b"},
	{"/v1/kv/a%2Bb", "a+b"},
	{"/v1/kv/a%20b", "a b"},
	{"/v1/kv/once%2525", "once%25"},
	{"/v1/kv/%ff%fe", "\xff\xfe"},
	{"/v1/kv/%C3%A9", "é"},
	{"/v1/kv/e%CC%81", "e\u0301"}, // not the same key: nothing is normalised
	{"/v1/kv/q%3Fx=1%26y", "q?x=1&y"},
	{"/v1/kv/h%23ash", "h#ash"},
	{"/v1/kv/v1/kv/x", "v1/kv/x"},
	{"/v1/kv/health", "health"},
	{"/v1/kv/semi;colon=1", "semi;colon=1"},
	{"/v1/kv/back%5Cslash", `back\slash`},
	{"/v1/kv/%0d%0aX-Evil:%201", "\r\nX-Evil: 1"},
	{"/short", "short"},
	{"/sho%2Frt", "sho/rt"},
	{"/%2e%2e", ".."},
	{"/.", "."},
	{"/..", ".."},
	{"/v1x", "v1x"},
	{"/healthy", "healthy"},
	{"/a+b", "a+b"},
	{"/%00", "\x00"},
}

// TestKeysInTargets writes and reads keys by every way to spell them. No byte of a key is cleaned, redirected or lost.
func TestKeysInTargets(t *testing.T) {
	s := start(t, options{})
	newest := make(map[string]string)
	for i, c := range targets {
		value := fmt.Sprintf("value %d", i)
		a := s.line("PUT", c.target, value).want(201)
		var r receipt
		a.decode(&r)
		if got := r.Key + string(r.KeyB64); got != c.key {
			t.Fatalf("PUT %s wrote key %q, not %q", c.target, got, c.key)
		}
		newest[c.key] = value
		// The Location leads to this version by every client, one that resolves dots and cleans paths included.
		location := a.header.Get("Location")
		if !strings.HasPrefix(location, "/v1/kv/") || !strings.HasSuffix(location, fmt.Sprintf("?seq=%d", r.Seq)) {
			t.Fatalf("PUT %s: Location %q", c.target, location)
		}
		resolved, err := (&url.URL{Scheme: "http", Host: s.addr, Path: "/"}).Parse(location)
		if err != nil {
			t.Fatal(err)
		}
		s.line("GET", resolved.RequestURI(), "").want(200).wantBody(value)
	}
	for _, c := range targets {
		s.line("GET", c.target, "").want(200).wantBody(newest[c.key])
		// Every route that takes a key takes it the same way.
		raw, short := strings.CutPrefix(c.target, "/v1/kv/")
		if !short {
			raw = c.target[1:]
		}
		var h list
		s.line("GET", "/v1/history/"+raw+"?limit=1", "").want(200).decode(&h)
		if got := h.Entries[0].key(t); got != c.key {
			t.Fatalf("history of %s is of key %q", c.target, got)
		}
		var p proof
		s.line("GET", "/verify/"+raw, "").want(200).decode(&p)
		if got := string(eitherForm(t, p.Key, p.KeyB64)); got != c.key {
			t.Fatalf("proof of %s is of key %q", c.target, got)
		}
	}
	found := s.lines("/v1/range")
	if len(found) != len(newest) {
		t.Fatalf("a range has %d keys of %d", len(found), len(newest))
	}
	for i := range found {
		if key := found[i].key(t); found[i].value(t) != newest[key] {
			t.Fatalf("key %q has value %q, not %q", key, found[i].value(t), newest[key])
		}
		if i > 0 && found[i-1].key(t) >= found[i].key(t) {
			t.Fatalf("key %q stands behind %q", found[i].key(t), found[i-1].key(t))
		}
	}
}

func TestRefusedTargets(t *testing.T) {
	s := start(t, options{})
	long := strings.Repeat("k", 4096)
	s.line("PUT", "/v1/kv/"+long, "x").want(201)
	s.line("PUT", "/v1/kv/"+strings.Repeat("%6b", 4096), "y").want(201)
	s.line("GET", "/"+long, "").want(200).wantBody("y")
	s.line("PUT", "/v1/kv/"+strings.Repeat("%ff", 4096), "z").want(201)
	for _, method := range []string{"PUT", "GET", "DELETE"} {
		s.line(method, "/v1/kv/"+long+"k", "").wantProblem(400, "key_too_long")
		s.line(method, "/v1/kv/", "").wantProblem(400, "key_empty")
		for _, raw := range []string{"a%", "a%4", "a%zz", "%", "a%%"} {
			s.line(method, "/v1/kv/"+raw, "").want(400) // the HTTP parser's own answer, without a problem body
		}
		for _, target := range []string{"/a/", "/a/b", "//", "//a", "/v1", "/v1/", "/tile", "/debug", "/ui", "/debug/pprof/",
			"/v1/nothing", "/tile/0/0", "/v1/kv"} {
			s.line(method, target, "").wantProblem(404, "no_route")
		}
	}
	s.get("/v1/history/").wantProblem(400, "key_empty")
	s.get("/verify/").wantProblem(400, "key_empty")
	s.get("/v1/kv/absent").wantProblem(404, "key_not_found")
	s.get("/absent").wantProblem(404, "key_not_found")
	s.get("/v1/history/absent").wantProblem(404, "key_not_found")
	s.get("/verify/absent").wantProblem(404, "key_not_found")
	if st := s.status(); st.TreeSize != 3 {
		t.Fatalf("%d entries, of three writes that were good", st.TreeSize)
	}
}

// TestQueryBytes: parameters carry keys as bytes, with a plus that is a plus.
func TestQueryBytes(t *testing.T) {
	s := start(t, options{})
	for _, raw := range []string{"a+b", "a%20b", "a%00b", "a%ffb", "b"} {
		s.line("PUT", "/v1/kv/"+raw, raw).want(201)
	}
	for query, want := range map[string]string{
		"prefix=a%2Bb": "a+b", "prefix=a+b": "a+b", "prefix=a%20": "a b", "prefix=a%00": "a\x00b", "prefix=a%ff": "a\xffb",
		"start=b": "b", "end=a%01": "a\x00b", "start=a%2b&end=a%2c": "a+b",
	} {
		var l list
		s.line("GET", "/v1/range?"+query, "").want(200).decode(&l)
		if len(l.Entries) != 1 || l.Entries[0].key(t) != want {
			t.Errorf("range?%s finds %+v, not %q alone", query, l.Entries, want)
		}
	}
	for _, query := range []string{"prefix=%", "prefix=%f", "start=%gg", "end=%+1", "limit=0", "limit=-1", "limit=x", "limit=",
		"reverse=2", "keys_only=yes", "cursor=nonsense", "as_of_seq=-1", "as_of_seq=x", "as_of_seq=18446744073709551616",
		"as_of_time=yesterday", "as_of_seq=1&as_of_time=2026-11-22T10:00:00Z", "consistency=eventual",
		"max_staleness=5s", "consistency=stale&max_staleness=soon"} {
		s.line("GET", "/v1/range?"+query, "").wantProblem(400, "bad_request")
	}
}
