package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// noise is n bytes that do not compress, different for every seed.
func noise(n int, seed string) []byte {
	out := make([]byte, 0, n+32)
	for sum := sha256.Sum256([]byte(seed)); len(out) < n; sum = sha256.Sum256(sum[:]) {
		out = append(out, sum[:]...)
	}
	return out[:n]
}

// TestLargestValue: 32 MiB go in and come back, with a length and chunked; one byte more does not.
func TestLargestValue(t *testing.T) {
	s := start(t, options{env: []string{"SCRIBE_STORAGE_SEAL_BYTES=1GiB"}}) // a seal would add entries of its own
	const most = 32 << 20
	value := noise(most+1, "largest")
	for _, chunked := range []bool{false, true} {
		send := func(body []byte) *answer {
			t.Helper()
			var r io.Reader = bytes.NewReader(body)
			if chunked {
				r = struct{ io.Reader }{r} // of unknown length
			}
			req, err := http.NewRequest("PUT", s.url("/v1/kv/large"), r)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return &answer{t: t, what: "PUT /v1/kv/large", status: resp.StatusCode, header: resp.Header, body: got}
		}
		before := s.status().TreeSize
		var r receipt
		send(value[:most]).want(201).decode(&r)
		if r.Size != most {
			t.Fatalf("chunked %v: receipt %+v", chunked, r)
		}
		if !bytes.Equal(s.get("/v1/kv/large").want(200).body, value[:most]) {
			t.Fatalf("chunked %v: another value comes back", chunked)
		}
		if chunked {
			// The rest of an endless body is not waited for, so the answer may meet a closed connection; raw shows it.
			continue
		}
		send(value).wantProblem(413, "value_too_large")
		if now := s.status().TreeSize; now != before+1 {
			t.Fatalf("%d entries, %d before", now, before)
		}
	}
	size := s.status().TreeSize
	overChunked(t, s, value)
	if now := s.status().TreeSize; now != size {
		t.Fatalf("%d entries, %d before a value that is too large", now, size)
	}
	s.seal()
	if !bytes.Equal(s.get("/v1/kv/large").want(200).body, value[:most]) {
		t.Fatal("another value comes out of the segment")
	}
	s.get("/v1/kv/large", "Range", "bytes=33554430-").want(206).wantBody(string(value[most-2 : most]))
	s.replay()
}

// overChunked sends a chunked body of one byte too many and reads the answer while the body is on its way.
func overChunked(t *testing.T, s *scribe, value []byte) {
	t.Helper()
	conn := s.dial()
	defer conn.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		// The node may close before all is sent: then this fails, and the answer tells.
		fmt.Fprintf(conn, "PUT /v1/kv/large HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", len(value))
		_, _ = conn.Write(value)
		_, _ = io.WriteString(conn, "\r\n0\r\n\r\n")
	}()
	a := s.readAnswer(bufio.NewReader(conn), "PUT", "a chunked PUT that is too large")
	a.wantProblem(413, "value_too_large")
	conn.Close()
	<-sent
}

// TestConfiguredLimits: limits can be lowered, and 100-continue spares a body that would be refused.
func TestConfiguredLimits(t *testing.T) {
	s := start(t, options{env: []string{"SCRIBE_LIMITS_MAX_VALUE_BYTES=1KiB", "SCRIBE_LIMITS_MAX_KEY_BYTES=10",
		"SCRIBE_LIMITS_MAX_BATCH_OPS=3", "SCRIBE_LIMITS_MAX_BATCH_BYTES=4KiB"}})
	s.put("k", strings.Repeat("x", 1024))
	s.do("PUT", "/v1/kv/k", make([]byte, 1025)).wantProblem(413, "value_too_large")
	s.put("0123456789", "x")
	s.do("PUT", "/v1/kv/0123456789a", nil).wantProblem(400, "key_too_long")
	refused := s.raw("PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4096\r\n\r\n")
	refused.wantProblem(413, "value_too_large")
	typed := []string{"Content-Type", "application/x-scribe-batch"}
	three := appendOp(appendOp(appendOp(nil, 1, "a", ""), 1, "b", ""), 1, "c", "")
	s.do("POST", "/v1/batch", three, typed...).want(201)
	s.do("POST", "/v1/batch", appendOp(three, 1, "d", ""), typed...).wantProblem(413, "batch_too_large")
	s.do("POST", "/v1/batch", appendOp(nil, 1, "a", strings.Repeat("x", 5000)), typed...).wantProblem(413, "batch_too_large")
	s.do("POST", "/v1/batch", appendOp(nil, 1, "a", strings.Repeat("x", 1025)), typed...).wantProblem(413, "value_too_large")
	s.do("POST", "/v1/batch", appendOp(nil, 1, "0123456789a", "x"), typed...).wantProblem(400, "key_too_long")
}

// TestMethods: what a path does not take is 405 with the methods that it takes.
func TestMethods(t *testing.T) {
	s := start(t, options{})
	for path, allowed := range map[string]string{
		"/v1/kv/k": "GET HEAD PUT DELETE", "/k": "GET HEAD PUT DELETE", "/v1/history/k": "GET HEAD", "/v1/range": "GET HEAD",
		"/v1/entries": "GET HEAD", "/v1/batch": "POST", "/verify/k": "GET HEAD", "/v1/proof/consistency": "GET HEAD",
		"/v1/manifest": "GET HEAD", "/v1/segments": "GET HEAD", "/v1/admin/seal": "POST", "/cluster/status": "GET HEAD",
		"/cluster/members": "GET HEAD", "/cluster/leader": "GET HEAD", "/health": "GET HEAD", "/livez": "GET HEAD",
		"/readyz": "GET HEAD", "/metrics": "GET HEAD", "/metrics/prometheus": "GET HEAD", "/": "GET HEAD",
	} {
		for _, method := range []string{"GET", "PUT", "POST", "DELETE", "PATCH", "BREW"} {
			if strings.Contains(allowed, method) {
				continue
			}
			a := s.do(method, path, nil)
			a.wantProblem(405, "method_not_allowed")
			for _, name := range strings.Fields(allowed) {
				if !strings.Contains(a.header.Get("Allow"), name) {
					t.Errorf("%s %s: Allow is %q, without %s", method, path, a.header.Get("Allow"), name)
				}
			}
		}
	}
	s.get("/v1/nothing").wantProblem(404, "no_route")
	s.do("POST", "/v1/nothing", nil).wantProblem(404, "no_route")
}

func TestHeaders(t *testing.T) {
	s := start(t, options{})
	s.put("k", "v")
	s.get("/v1/kv/k", "X-Request-ID", "my-request.1").want(200).wantHeader("X-Request-Id", "my-request.1")
	s.get("/v1/kv/absent", "X-Request-ID", "my-request.2").wantHeader("X-Request-Id", "my-request.2").wantProblem(404, "key_not_found")
	first, second := s.get("/v1/kv/k").header.Get("X-Request-Id"), s.get("/v1/kv/k").header.Get("X-Request-Id")
	if first == "" || first == second {
		t.Errorf("request ids %q and %q", first, second)
	}
	if id := s.get("/v1/kv/k", "X-Request-ID", strings.Repeat("x", 5000)).want(200).header.Get("X-Request-Id"); len(id) > 200 {
		t.Errorf("a request id of %d bytes is repeated", len(id))
	}
	// Headers beyond the bound, as one and as many.
	a := s.raw("GET /v1/kv/k HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 1<<20) + "\r\n\r\n")
	a.want(431)
	many := strings.Repeat("X-Many: "+strings.Repeat("y", 100)+"\r\n", 10_000)
	s.raw("GET /v1/kv/k HTTP/1.1\r\nHost: x\r\n" + many + "\r\n").want(431)
	s.line("PUT", "/v1/kv/k", "x", "Content-Encoding", "gzip").wantProblem(415, "unsupported_media_type")
	s.line("PUT", "/v1/kv/k", "x", "Content-Encoding", "identity").want(201)
	s.line("PUT", "/v1/kv/k", "x", "Content-Range", "bytes 0-0/5").wantProblem(400, "bad_request")
	// Requests that smuggle or lie are the parser's to refuse.
	for _, request := range []string{
		"PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"PUT /v1/kv/k HTTP/1.1\r\n\r\n",
	} {
		if a := s.raw(request); a.status != 400 {
			t.Errorf("%q: status %d", request, a.status)
		}
	}
	// A body cut short is no value.
	size := s.status().TreeSize
	conn := s.dial()
	fmt.Fprintf(conn, "PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort")
	conn.Close()
	s.put("after", "x")
	if now := s.status().TreeSize; now != size+1 {
		t.Errorf("%d entries, %d before a body that was cut short and one put", now, size)
	}
}

// TestSlowBody: a body that stops coming is 408, and holds nothing up.
func TestSlowBody(t *testing.T) {
	s := start(t, options{env: []string{"SCRIBE_HTTP_BODY_TIMEOUT=50ms"}})
	a := s.raw("PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort")
	a.wantProblem(408, "request_timeout")
	if s.status().TreeSize != 0 {
		t.Error("half a body was written")
	}
}

func TestDigest(t *testing.T) {
	s := start(t, options{})
	value := noise(3<<20, "digest")
	s.do("PUT", "/v1/kv/k", value).want(201)
	sum := sha256.Sum256(value)
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	s.get("/v1/kv/k").want(200).wantHeader("Repr-Digest", digest)
	// Of a part it is still the digest of the whole (RFC 9530 §3).
	s.get("/v1/kv/k", "Range", "bytes=0-9").want(206).wantHeader("Repr-Digest", digest)
}
