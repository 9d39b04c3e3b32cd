package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPutAnswersWithReceipt(t *testing.T) {
	r := newRig(t, nil)
	p := r.put("/v1/kv/a/b%20c", "hello", "Content-Type: text/plain").wants(t, 201).has(t,
		"Etag", `"0"`, "X-Scribe-Seq", "0", "Location", "/v1/kv/a/b%20c?seq=0", "Content-Type", "application/json")
	var receipt struct {
		Seq      uint64 `json:"seq"`
		Time     string `json:"time"`
		LeafHash string `json:"leaf_hash"`
		Key      string `json:"key"`
		Size     int    `json:"size"`
	}
	p.into(t, &receipt)
	if receipt.Key != "a/b c" || receipt.Size != 5 || receipt.LeafHash != r.model.log[0].Leaf.String() {
		t.Errorf("receipt %+v", receipt)
	}
	if want := time.UnixMicro(r.model.log[0].Time).UTC().Format("2006-01-02T15:04:05.000000Z"); receipt.Time != want {
		t.Errorf("time %s, want %s", receipt.Time, want)
	}
	p = r.put("/v1/kv/%ff", "")
	p.wants(t, 201).has(t, "Location", "/v1/kv/%FF?seq=1")
	if m := p.json(t); m["key_b64"] != "/w==" || m["key"] != nil || m["size"] != 0.0 {
		t.Errorf("receipt %v", m)
	}
}

func TestGetAnswersWithVersion(t *testing.T) {
	r := newRig(t, nil)
	r.put("/v1/kv/a", "one", "Content-Type: text/x-one; charset=latin-1").wants(t, 201)
	r.put("/v1/kv/a", "\x00two\xff").wants(t, 201)
	sum := sha256.Sum256([]byte("\x00two\xff"))
	at := time.UnixMicro(r.model.log[1].Time).UTC()
	for _, method := range []string{"GET", "HEAD"} {
		p := r.do(method, "/v1/kv/a", "").wants(t, 200).has(t, "Content-Type", "application/octet-stream", "Etag", `"1"`,
			"X-Scribe-Seq", "1", "X-Scribe-Time", at.Format("2006-01-02T15:04:05.000000Z"),
			"Last-Modified", at.Format(http.TimeFormat), "Content-Length", "5",
			"Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":", "Cache-Control", "no-cache",
			"Content-Security-Policy", "")
		if want := map[string]string{"GET": "\x00two\xff"}[method]; p.body != want {
			t.Errorf("%s: body %q", method, p.body)
		}
		if method == "GET" && p.header.Get("X-Request-Id") == "" {
			t.Error("no request id")
		}
	}
	p := r.get("/v1/kv/a?seq=0").wants(t, 200).has(t, "Content-Type", "text/x-one; charset=latin-1", "Etag", `"0"`)
	if p.body != "one" {
		t.Errorf("seq=0 gives %q", p.body)
	}
	r.do("HEAD", "/v1/kv/nope", "").wants(t, 404).has(t, "Content-Type", "application/problem+json")
}

func TestActiveContentIsSandboxed(t *testing.T) {
	r := newRig(t, nil)
	for contentType, policy := range map[string]string{"text/html": "sandbox", "Text/HTML; charset=utf-8": "sandbox",
		"image/svg+XML": "sandbox", "application/xhtml+xml": "sandbox", "text/xml": "sandbox", "text/plain": "",
		"application/json": "", "image/png": "", "ml": ""} {
		r.put("/v1/kv/a", strings.Repeat("x", netBuffer+1), "Content-Type: "+contentType).wants(t, 201)
		r.get("/v1/kv/a").wants(t, 200).has(t, "Content-Security-Policy", policy, "X-Content-Type-Options", "nosniff",
			"Accept-Ranges", "bytes")
	}
}

func TestTimesAreWrittenAsPackageTimeDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		micros := rapid.Int64Range(0, 253_402_300_799_999_999).Draw(t, "micros") // to the end of the year 9999
		at := time.UnixMicro(micros).UTC()
		if got, want := string(appendTime(nil, micros)), at.Format("2006-01-02T15:04:05.000000Z"); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		if got, want := string(appendDate(nil, at)), at.Format(http.TimeFormat); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

func TestEmptyValueReadsBack(t *testing.T) {
	r := newRig(t, nil)
	r.put("/v1/kv/a", "").wants(t, 201)
	p := r.get("/v1/kv/a").wants(t, 200).has(t, "Content-Length", "0")
	if p.body != "" {
		t.Errorf("body %q", p.body)
	}
}

func TestChunkedPut(t *testing.T) {
	r := newRig(t, nil)
	for _, size := range []int{0, 1, firstPiece - 1, firstPiece, firstPiece + 1, 100_000} {
		value := strings.Repeat("x", size)
		body := ""
		if size > 0 {
			body = fmt.Sprintf("%x\r\n%s\r\n", size, value)
		}
		r.put("/v1/kv/a", body+"0\r\n\r\n", "Transfer-Encoding: chunked").wants(t, 201)
		if p := r.get("/v1/kv/a"); p.body != value {
			t.Errorf("%d bytes came back as %d", size, len(p.body))
		}
	}
	r.put("/v1/kv/a", "zz\r\n", "Transfer-Encoding: chunked").problem(t, 400, codeBadRequest)
}

func TestDelete(t *testing.T) {
	r := newRig(t, nil)
	r.do("DELETE", "/v1/kv/a", "").problem(t, 404, codeKeyNotFound)
	r.model.put("a", "x")
	p := r.do("DELETE", "/v1/kv/a", "").wants(t, 200).has(t, "Etag", `"1"`, "X-Scribe-Seq", "1")
	if m := p.json(t); m["seq"] != 1.0 || m["key"] != "a" || m["size"] != 0.0 {
		t.Errorf("receipt %v", m)
	}
	p = r.do("DELETE", "/v1/kv/a", "")
	p.problem(t, 404, codeKeyNotFound)
	p.has(t, "X-Scribe-Seq", "1")
	p = r.get("/v1/kv/a")
	p.problem(t, 404, codeKeyNotFound)
	p.has(t, "X-Scribe-Seq", "1", "Etag", "")
	if len(r.model.log) != 2 {
		t.Errorf("%d entries", len(r.model.log))
	}
}

func TestSelectors(t *testing.T) {
	r := newRig(t, nil)
	m := r.model
	m.put("a", "v0")
	m.put("b", "v1")
	m.put("a", "v2")
	m.del("a") // 3
	m.put("a", "v4")
	stamp := func(seq int, layout string, shift time.Duration) string {
		return time.UnixMicro(m.log[seq].Time).Add(shift).UTC().Format(layout)
	}
	const micro = "2006-01-02T15:04:05.000000Z"
	const nano = "2006-01-02T15:04:05.000000000Z"
	east := time.UnixMicro(m.log[2].Time).In(time.FixedZone("", 2*3600+1800)).Format("2006-01-02T15:04:05.000000-07:00")
	for _, c := range []struct{ query, value, code string }{
		{"", "v4", ""},
		{"seq=0", "v0", ""},
		{"seq=2", "v2", ""},
		{"seq=1", "", codeVersionNotFound},
		{"seq=3", "", codeVersionNotFound},
		{"seq=99", "", codeVersionNotFound},
		{"as_of_seq=0", "v0", ""},
		{"as_of_seq=1", "v0", ""},
		{"as_of_seq=2", "v2", ""},
		{"as_of_seq=3", "", codeKeyNotFound},
		{"as_of_seq=18446744073709551615", "v4", ""},
		{"as_of_time=" + stamp(0, micro, 0), "v0", ""},
		{"as_of_time=" + stamp(0, micro, -time.Microsecond), "", codeKeyNotFound},
		{"as_of_time=" + stamp(2, nano, -1), "v0", ""},
		{"as_of_time=" + stamp(2, nano, 999), "v2", ""},
		{"as_of_time=" + stamp(3, micro, 0), "", codeKeyNotFound},
		{"as_of_time=" + strings.ToLower(stamp(4, micro, time.Hour)), "v4", ""},
		{"as_of_time=" + east, "v2", ""},
		{"as_of_time=" + strings.ReplaceAll(east, "+", "%2B"), "v2", ""},
		{"seq=1&as_of_seq=2", "", codeBadRequest},
		{"seq=1&as_of_time=" + stamp(0, micro, 0), "", codeBadRequest},
		{"as_of_seq=1&as_of_time=" + stamp(0, micro, 0), "", codeBadRequest},
		{"seq=1&seq=1", "", codeBadRequest},
		{"seq=", "", codeBadRequest},
		{"seq=-1", "", codeBadRequest},
		{"seq=+1", "", codeBadRequest},
		{"seq=1.0", "", codeBadRequest},
		{"seq=0x1", "", codeBadRequest},
		{"seq=18446744073709551616", "", codeBadRequest},
		{"as_of_time=yesterday", "", codeBadRequest},
		{"as_of_time=2026-11-22", "", codeBadRequest},
		{"as_of_time=2026-11-22T10:00:00", "", codeBadRequest},
		{"as_of_time=2026-11-22T10:00:00.0000000001Z", "", codeBadRequest},
		{"as_of_time=2026-02-30T10:00:00Z", "", codeBadRequest},
		{"as_of_time=2026-11-22T1:00:00Z", "", codeBadRequest},
		{"as_of_time=1790000000", "", codeBadRequest},
		{"as_of_time=2026-11-22T10:00:00,5Z", "", codeBadRequest},
		{"as_of_time=2026-11-22T10:00:00.Z", "", codeBadRequest},
		{"as_of_time=2026-11-22T10:00:00+24:00", "", codeBadRequest},
		{"as_of_time=2026-11-22T10:00:00+01:60", "", codeBadRequest},
		{"as_of_time=2026-11-22T10:00:00+0100", "", codeBadRequest},
		{"as_of_time=2026-11-22%2010:00:00Z", "", codeBadRequest},
		{"as_of_time=2026-11-22T24:00:00Z", "", codeBadRequest},
		{"unknown=1", "v4", ""},
	} {
		p := r.get("/v1/kv/a?" + c.query)
		switch c.code {
		case "":
			if p.wants(t, 200); p.body != c.value {
				t.Errorf("%s gives %q, want %q", c.query, p.body, c.value)
			}
		case codeBadRequest:
			p.problem(t, 400, c.code)
		default:
			p.problem(t, 404, c.code)
		}
	}
}

func TestConditionalRead(t *testing.T) {
	r := newRig(t, nil)
	r.model.put("a", "v0")
	r.model.put("a", "v1")
	date := func(shift time.Duration) string {
		return time.UnixMicro(r.model.log[1].Time).Add(shift).UTC().Format(http.TimeFormat)
	}
	for _, c := range []struct {
		headers string
		status  int
	}{
		{`If-None-Match: "1"`, 304},
		{`If-None-Match: W/"1"`, 304},
		{`If-None-Match: "7" , "1"`, 304},
		{`If-None-Match: *`, 304},
		{`If-None-Match: "0"`, 200},
		{`If-None-Match: "01"`, 200},
		{`If-None-Match: "else"`, 200},
		{`If-None-Match: 1`, 400},
		{`If-None-Match: "1`, 400},
		{`If-None-Match: *, "1"`, 400},
		{`If-None-Match: w/"1"`, 400},
		{`If-Match: "1"`, 200},
		{`If-Match: *`, 200},
		{`If-Match: "0", "1"`, 200},
		{`If-Match: "0"`, 412},
		{`If-Match: W/"1"`, 412},
		{"If-Modified-Since: " + date(0), 304},
		{"If-Modified-Since: " + date(time.Hour), 304},
		{"If-Modified-Since: " + date(-time.Second), 200},
		{"If-Modified-Since: soon", 200},
		{"If-Unmodified-Since: " + date(0), 200},
		{"If-Unmodified-Since: " + date(-time.Second), 412},
		{"If-Match: \"1\"\r\nIf-Unmodified-Since: " + date(-time.Second), 200},
		{"If-None-Match: \"0\"\r\nIf-Modified-Since: " + date(0), 200},
		{"If-Match: \"0\"\r\nIf-None-Match: \"1\"", 412},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			p := r.do(method, "/v1/kv/a", "", c.headers).wants(t, c.status)
			switch c.status {
			case 304:
				p.has(t, "Etag", `"1"`, "X-Scribe-Seq", "1", "Content-Type", "", "Content-Length", "", "Repr-Digest", "")
			case 412:
				p.has(t, "Etag", `"1"`)
			}
		}
	}
	// RFC 9110 §13.2.1: a precondition does not turn a 404 into a 412.
	r.get("/v1/kv/none", `If-Match: "1"`).problem(t, 404, codeKeyNotFound)
	// The version that was picked is the one that is judged.
	r.get("/v1/kv/a?seq=0", `If-None-Match: "0"`).wants(t, 304)
}

func TestRange(t *testing.T) {
	r := newRig(t, nil)
	r.model.put("a", "0123456789")
	r.model.put("empty", "")
	for _, c := range []struct {
		field  string
		status int
		body   string
		where  string
	}{
		{"bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"bytes=2-4", 206, "234", "bytes 2-4/10"},
		{"BYTES=7-", 206, "789", "bytes 7-9/10"},
		{"bytes=7-999999999999999999999", 206, "789", "bytes 7-9/10"},
		{"bytes=-3", 206, "789", "bytes 7-9/10"},
		{"bytes=-30", 206, "0123456789", "bytes 0-9/10"},
		{"bytes=10-", 416, "", "bytes */10"},
		{"bytes=99999999999999999999-", 416, "", "bytes */10"},
		{"bytes=-0", 416, "", "bytes */10"},
		{"bytes=4-2", 200, "0123456789", ""},
		{"bytes=a-b", 200, "0123456789", ""},
		{"bytes=-", 200, "0123456789", ""},
		{"bytes=5", 200, "0123456789", ""},
		{"lines=1-2", 200, "0123456789", ""},
		{"bytes=0-1,4-5", 200, "0123456789", ""},
	} {
		p := r.get("/v1/kv/a", "Range: "+c.field).wants(t, c.status).has(t, "Content-Range", c.where)
		if c.status == 416 {
			p.problem(t, 416, codeRange)
			continue
		}
		if p.body != c.body {
			t.Errorf("%s gives %q", c.field, p.body)
		}
		p.has(t, "Etag", `"0"`, "Content-Length", fmt.Sprint(len(c.body)))
	}
	r.get("/v1/kv/empty", "Range: bytes=0-").wants(t, 416).has(t, "Content-Range", "bytes */0")
	r.do("HEAD", "/v1/kv/a", "", "Range: bytes=2-4").wants(t, 200).has(t, "Content-Length", "10")
	r.get("/v1/kv/a", "Range: bytes=2-4", `If-Range: "0"`).wants(t, 206)
	r.get("/v1/kv/a", "Range: bytes=2-4", `If-Range: W/"0"`).wants(t, 200)
	r.get("/v1/kv/a", "Range: bytes=2-4", `If-Range: "1"`).wants(t, 200)
	r.get("/v1/kv/a", "Range: bytes=2-4", "If-Range: "+
		time.UnixMicro(r.model.log[0].Time).UTC().Format(http.TimeFormat)).wants(t, 200)
	r.get("/v1/kv/a", "Range: bytes=2-4", `If-None-Match: "0"`).wants(t, 304)
}

func TestConditionalWrite(t *testing.T) {
	r := newRig(t, nil)
	p := r.put("/v1/kv/a", "x", `If-Match: *`)
	p.problem(t, 412, codePrecondition)
	p.has(t, "Etag", "")
	r.put("/v1/kv/a", "x", "If-None-Match: *").wants(t, 201)
	for _, c := range []struct {
		header string
		status int
	}{
		{`If-None-Match: *`, 412},
		{`If-None-Match: "0"`, 412},
		{`If-None-Match: W/"0"`, 412},
		{`If-None-Match: "3", "0"`, 412},
		{`If-Match: "5"`, 412},
		{`If-Match: W/"0"`, 412},
		{`If-Match: "0x0"`, 412},
		{`If-Match: "00"`, 412},
		{`If-Match: ""`, 412},
		{`If-Match: 0`, 400},
		{`If-Match:`, 400},
		{`If-Match: ,`, 400},
		{`If-Match: "a" "b"`, 400},
		{`If-Match: "a b"`, 400},
		{`If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT`, 400},
	} {
		for _, method := range []string{"PUT", "DELETE"} {
			p := r.do(method, "/v1/kv/a", "", c.header).wants(t, c.status)
			if c.status == 412 {
				p.has(t, "Etag", `"0"`)
			}
		}
	}
	r.put("/v1/kv/a", "y", `If-Match: "7", , "0"`).wants(t, 201).has(t, "Etag", `"1"`)
	r.put("/v1/kv/a", "y", `If-Match: "7"`, `If-Match: "1"`).wants(t, 201).has(t, "Etag", `"2"`)
	r.put("/v1/kv/a", "y", `If-None-Match: "1"`).wants(t, 201).has(t, "Etag", `"3"`)
	r.put("/v1/kv/a", "y", `If-Match: *`, `If-None-Match: "1"`).wants(t, 201)
	r.do("DELETE", "/v1/kv/a", "", `If-Match: "3"`).problem(t, 412, codePrecondition)
	r.do("DELETE", "/v1/kv/a", "", `If-Match: "4"`).wants(t, 200).has(t, "Etag", `"5"`)
	// A tombstone is no live version: it cannot be matched, and does not stand in the way.
	p = r.put("/v1/kv/a", "z", `If-Match: "5"`)
	p.problem(t, 412, codePrecondition)
	p.has(t, "Etag", `"5"`)
	r.put("/v1/kv/a", "z", "If-None-Match: *").wants(t, 201)
}

func TestIdempotency(t *testing.T) {
	r := newRig(t, nil)
	key := "Idempotency-Key: k1"
	first := r.put("/v1/kv/a", "x", key, "Content-Type: t/a").wants(t, 201)
	again := r.put("/a", "x", key, "Content-Type: t/a").wants(t, 201)
	if again.body != first.body || again.header.Get("Etag") != first.header.Get("Etag") ||
		again.header.Get("Location") != first.header.Get("Location") || len(r.model.log) != 1 {
		t.Errorf("retry answers %s after %s", again.body, first.body)
	}
	for _, other := range []func() reply{
		func() reply { return r.put("/v1/kv/b", "x", key, "Content-Type: t/a") },
		func() reply { return r.put("/v1/kv/a", "y", key, "Content-Type: t/a") },
		func() reply { return r.put("/v1/kv/a", "x", key, "Content-Type: t/b") },
		func() reply { return r.put("/v1/kv/a", "x", key) },
		func() reply { return r.put("/v1/kv/a", "x", key, "Content-Type: t/a", "If-Match: *") },
		func() reply { return r.put("/v1/kv/a", "x", key, "Content-Type: t/a", "If-None-Match: *") },
		func() reply { return r.do("DELETE", "/v1/kv/a", "", key, "Content-Type: t/a") },
		func() reply { return r.put("/v1/kv/ax", "", key, "Content-Type: t/a") },
		func() reply {
			return r.do("POST", "/v1/batch", binaryPut("a", "x"), key, "Content-Type: "+mediaBinaryBatch)
		},
	} {
		other().problem(t, 422, codeIdempotency)
	}
	r.put("/v1/kv/a", "x", "Idempotency-Key: "+strings.Repeat("k", 64)).wants(t, 201)
	r.put("/v1/kv/a", "x", "Idempotency-Key: "+strings.Repeat("k", 65)).problem(t, 400, codeBadRequest)
	r.put("/v1/kv/a", "x", "Idempotency-Key:").problem(t, 400, codeBadRequest)
	r.put("/v1/kv/a", "x", "Idempotency-Key: a", "Idempotency-Key: b").problem(t, 400, codeBadRequest)
}

func TestPutRefuses(t *testing.T) {
	r := newRig(t, nil)
	long := strings.Repeat("t", 255)
	r.put("/v1/kv/a", "x", "Content-Type: "+long).wants(t, 201)
	r.get("/v1/kv/a").wants(t, 200).has(t, "Content-Type", long)
	r.put("/v1/kv/a", "x", "Content-Type: "+long+"t").problem(t, 400, codeBadRequest)
	r.put("/v1/kv/a", "x", "Content-Type: t/\xff").problem(t, 400, codeBadRequest)
	r.put("/v1/kv/a", "x", "Content-Encoding: gzip").problem(t, 415, codeMediaType)
	r.put("/v1/kv/a", "x", "Content-Range: bytes 0-0/1").problem(t, 400, codeBadRequest)
	r.put("/v1/kv/a?x=%", "x").wants(t, 400)
	if len(r.model.log) != 1 {
		t.Errorf("%d entries", len(r.model.log))
	}
}

func TestConsistencyLevels(t *testing.T) {
	r := newRig(t, nil)
	m := r.model
	m.put("a", "x")
	m.put("b", "y")
	routes := []string{"/v1/kv/a", "/v1/history/a", "/v1/range", "/v1/entries", "/verify/a"}
	for _, route := range routes {
		m.barriers = 0
		r.get(route).wants(t, 200).has(t, "X-Scribe-Applied", "")
		r.get(route+"?consistency=linearizable").wants(t, 200)
		if m.barriers != 2 {
			t.Errorf("%s: %d barriers", route, m.barriers)
		}
		r.get(route+"?consistency=stale").wants(t, 200).has(t, "X-Scribe-Applied", "1")
		r.get("/v1/kv/none?consistency=stale").wants(t, 404).has(t, "X-Scribe-Applied", "1")
		r.get("/v1/kv/none").wants(t, 404).has(t, "X-Scribe-Applied", "")
		m.barriers-- // of that one
		if m.barriers != 2 {
			t.Errorf("%s: a stale read took a barrier", route)
		}
		for i, role := range []string{"leader", "follower"} { // one that leads may lead no more
			m.status.Role = role
			r.get(route+"?consistency=stale&max_staleness=5s").wants(t, 200).has(t, "X-Scribe-Applied", "1")
			if m.barriers != 3+i {
				t.Errorf("%s: a %s answered a bounded read without asking", route, role)
			}
		}
		m.status.Role = "leader"
		for _, bad := range []string{"consistency=eventual", "max_staleness=5s", "consistency=stale&max_staleness=5",
			"consistency=stale&max_staleness=-1s", "consistency=linearizable&max_staleness=1s", "consistency="} {
			r.get(route+"?"+bad).problem(t, 400, codeBadRequest)
		}
	}
}
