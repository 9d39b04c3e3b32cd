package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// oddKeys are raw targets behind /v1/kv/ and the keys they stand for.
var oddKeys = map[string]string{
	"a":                   "a",
	"a/b":                 "a/b",
	"a%2Fb%2fc":           "a/b/c",
	"/":                   "/",
	"//":                  "//",
	"a//b":                "a//b",
	"a/":                  "a/",
	".":                   ".",
	"..":                  "..",
	"../..":               "../..",
	"a/../b":              "a/../b",
	"%2e%2e%2f":           "../",
	"%00":                 "\x00",
	"a%00b":               "a\x00b",
	"a+b":                 "a+b",
	"a%2Bb":               "a+b",
	"a%20b":               "a b",
	"%ff%fe":              "\xff\xfe",
	"\xc3\x28":            "\xc3\x28",
	"%25":                 "%",
	"%2525":               "%25",
	"%2Fa":                "/a",
	"caf%C3%A9":           "café",
	"cafe%CC%81":          "cafe\u0301", // not the same key as the one before
	";a=b":                ";a=b",
	"a%3Fb%23c":           "a?b#c",
	"a#b":                 "a#b",
	"*":                   "*",
	":":                   ":",
	"http://h/x":          "http://h/x",
	"\\..\\":              "\\..\\",
	"%E2%80%AE":           "\u202e",
	"v1/kv/a":             "v1/kv/a",
	"health":              "health",
	"%0d%0aX-Injected: 1": "", // a raw space ends the target: net/http refuses the line
}

func TestOddTargetsAreExactKeys(t *testing.T) {
	r := newRig(t, nil)
	for raw, key := range oddKeys {
		if key == "" {
			r.put("/v1/kv/"+raw, "v").wants(t, 400)
			continue
		}
		p := r.put("/v1/kv/"+raw, "v:"+raw).wants(t, 201)
		last := r.model.log[len(r.model.log)-1]
		if string(last.Key) != key {
			t.Errorf("%q put key %q, want %q", raw, last.Key, key)
		}
		if p := r.get("/v1/kv/"+raw).wants(t, 200); p.body != "v:"+raw {
			t.Errorf("%q reads %q", raw, p.body)
		}
		if p := r.get("http://elsewhere/v1/kv/"+raw).wants(t, 200); p.body != "v:"+raw {
			t.Errorf("absolute form of %q reads %q", raw, p.body)
		}
		location := p.header.Get("Location")
		if p := r.get(location).wants(t, 200); p.body != "v:"+raw {
			t.Errorf("%q: location %q reads %q", raw, location, p.body)
		}
		if p := r.get("/v1/history/" + raw).list(t); len(p.Entries) == 0 || p.Entries[0].key() != key {
			t.Errorf("history of %q: %+v", raw, p)
		}
		if m := r.get("/verify/"+raw).wants(t, 200).json(t); m["seq"] != float64(last.Seq) {
			t.Errorf("verify of %q: %v", raw, m)
		}
		r.do("DELETE", "/v1/kv/"+raw, "").wants(t, 200)
		r.get("/v1/kv/"+raw).problem(t, 404, codeKeyNotFound)
	}
}

func TestBadTargets(t *testing.T) {
	r := newRig(t, nil)
	for _, raw := range []string{"%", "%2", "%zz", "a%2", "%%30"} {
		// net/http refuses these before us; the handler alone is asked as well.
		r.get("/v1/kv/"+raw).wants(t, 400)
		req := httptest.NewRequest("GET", "/", nil)
		req.RequestURI = "/v1/kv/" + raw
		w := httptest.NewRecorder()
		r.api.ServeHTTP(w, req)
		reply{status: w.Code, header: w.Header(), body: w.Body.String()}.problem(t, 400, codeBadRequest)
	}
	r.get("/v1/kv/").problem(t, 400, codeKeyEmpty)
	r.put("/v1/kv/?x=1", "v").problem(t, 400, codeKeyEmpty)
	r.get("/v1/history/").problem(t, 400, codeKeyEmpty)
	r.get("/verify/").problem(t, 400, codeKeyEmpty)
	key := strings.Repeat("%C3", 4096)
	r.put("/v1/kv/"+key, "v").wants(t, 201)
	r.get("/v1/kv/"+key).wants(t, 200)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		r.do(method, "/v1/kv/"+key+"a", "").problem(t, 400, codeKeyTooLong)
	}
	r.get("/v1/kv/"+strings.Repeat("k", 200_000)).wants(t, 431)
	r.get("/v1/kv/a", "X-Long: "+strings.Repeat("k", 200_000)).wants(t, 431)
}

func TestShortForm(t *testing.T) {
	r := newRig(t, nil)
	r.put("/greeting", "hello").wants(t, 201).has(t, "Location", "/v1/kv/greeting?seq=0")
	r.get("/greeting?seq=0").wants(t, 200)
	r.do("HEAD", "/greeting", "").wants(t, 200)
	r.put("/a%2Fb", "deep").wants(t, 201)
	if p := r.get("/v1/kv/a/b"); p.body != "deep" {
		t.Errorf("/a%%2Fb wrote another key: %v", p)
	}
	r.put("/v1%2Fkv%2Fx", "odd").wants(t, 201)
	if got := string(r.model.log[2].Key); got != "v1/kv/x" {
		t.Errorf("key %q", got)
	}
	r.put("/V1", "upper").wants(t, 201)
	r.put("/..", "dots").wants(t, 201)
	r.do("DELETE", "/..", "").wants(t, 200)
	for _, target := range []string{"/a/", "/a/b", "//", "//a", "/v1", "/v1/", "/v1/kv", "/v1/nothing", "/health/",
		"/debug",
		"/debug/pprof/", "/ui", "/tile", "/tile/0/0", "/verify", "/cluster", "/cluster/", "/cluster/joined", "/%76%31",
		"/v1/watch", "/v1/proof/latest/a", "/v1/proof/range", "/v1/admin/other", "/checkpoint/key", "/metrics/",
		"/v1/kv%2Fa", "/./greeting", "/../greeting", "/v1/../greeting"} {
		for _, method := range []string{"GET", "PUT", "POST", "DELETE"} {
			r.do(method, target, "").problem(t, 404, codeNoRoute)
		}
	}
	r.get("/checkpoint").problem(t, 404, codeNoRoute)
}

func TestMethods(t *testing.T) {
	r := newRig(t, nil)
	for target, allow := range map[string]string{
		"/v1/kv/a":              "GET, HEAD, PUT, DELETE, OPTIONS",
		"/a":                    "GET, HEAD, PUT, DELETE, OPTIONS",
		"/v1/history/a":         "GET, HEAD, OPTIONS",
		"/v1/range":             "GET, HEAD, OPTIONS",
		"/v1/batch":             "POST, OPTIONS",
		"/v1/entries":           "GET, HEAD, OPTIONS",
		"/verify/a":             "GET, HEAD, OPTIONS",
		"/v1/proof/consistency": "GET, HEAD, OPTIONS",
		"/v1/admin/seal":        "POST, OPTIONS",
		"/v1/admin/compact":     "POST, OPTIONS",
		"/health":               "GET, HEAD, OPTIONS",
		"/":                     "GET, HEAD, OPTIONS",
	} {
		p := r.do("PATCH", target, "")
		p.problem(t, 405, codeMethodNotAllowed)
		p.has(t, "Allow", allow)
		p = r.do("MADEUP", target, "")
		p.problem(t, 405, codeMethodNotAllowed)
		r.do("OPTIONS", target, "").wants(t, 204).has(t, "Allow", allow)
	}
	r.do("OPTIONS", "*", "").wants(t, 200)
	r.get("/v1/batch").problem(t, 405, codeMethodNotAllowed)
	r.put("/v1/range", "").problem(t, 405, codeMethodNotAllowed)
}

// A key survives being written as we escape it, and being written with any mix of raw and encoded bytes.
func TestKeyRoundTrip(t *testing.T) {
	m := newModel()
	api := New(Options{Backend: m})
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("/.%+?#"))), 1, 40).Draw(t, "key")
		target := string(appendEscapedKey([]byte("/v1/kv/"), key))
		if rapid.Bool().Draw(t, "mixed") {
			target = "/v1/kv/"
			for _, b := range key {
				raw := b > 0x20 && b < 0x7f && b != '%' && b != '?'
				if raw && rapid.Bool().Draw(t, "raw") {
					target += string(rune(b))
				} else {
					target += fmt.Sprintf("%%%02x", b)
				}
			}
		}
		req := httptest.NewRequest("PUT", "/", strings.NewReader("v"))
		req.RequestURI = target
		w := httptest.NewRecorder()
		api.ServeHTTP(w, req)
		if w.Code != 201 {
			t.Fatalf("%q: %d %s", target, w.Code, w.Body)
		}
		if got := m.log[len(m.log)-1].Key; !bytes.Equal(got, key) {
			t.Fatalf("%q wrote %q, want %q", target, got, key)
		}
	})
}

// What we put into Location comes out of a client's URL resolution as it went in.
func TestEscapedKeySurvivesResolution(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("/."))), 1, 12).Draw(t, "key")
		location := string(appendEscapedKey([]byte("/v1/kv/"), key)) + "?seq=1"
		base, err := http.NewRequest("PUT", "http://h/v1/kv/x/y", nil)
		if err != nil {
			t.Fatal(err)
		}
		u, err := base.URL.Parse(location)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.RequestURI(); got != location {
			t.Fatalf("key %q: %q resolves to %q", key, location, got)
		}
	})
}

// A request made inside the process has no request line.
func TestTargetWithoutRequestLine(t *testing.T) {
	req, err := http.NewRequest("GET", "http://h/v1/kv/a%2Fb/c?seq=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if path, query := splitTarget(req); path != "/v1/kv/a%2Fb/c" || query != "seq=1" {
		t.Errorf("%q %q", path, query)
	}
	for target, want := range map[string]string{"http://h": "/ ", "http://h?q": "/ q", "https://u@h:1/p//?": "/p// ",
		"/a?b?c": "/a b?c", "*": "* ", "h:443": "h:443 "} {
		req.RequestURI = target
		if path, query := splitTarget(req); path+" "+query != want {
			t.Errorf("%q: %q %q", target, path, query)
		}
	}
}
