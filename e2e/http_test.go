package e2e

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// answer is a whole response.
type answer struct {
	t      testing.TB
	what   string // the request, for messages
	status int
	header http.Header
	body   []byte
}

// plain is a client that does nothing on its own: no redirects, no compression.
func plain() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
}

// do sends one request; headers are pairs of name and value. The path goes out as it stands. At a member of a cluster
// the leader may change at any moment: what was not done for that, or may not have been, is sent again, writes under
// one idempotency key, as a client would.
func (s *scribe) do(method, path string, body []byte, headers ...string) *answer {
	s.t.Helper()
	if s.member && method != http.MethodGet && !slices.Contains(headers, "Idempotency-Key") {
		headers = append(slices.Clip(headers), "Idempotency-Key", rand.Text())
	}
	var a *answer
	eventually(s.t, func() string {
		var err error
		if a, err = s.try(http.DefaultClient, method, path, body, headers...); err != nil {
			s.t.Fatal(err)
		}
		if !s.member || a.verdict() == answered || a.verdict() == nonsense {
			return ""
		}
		return fmt.Sprintf("%s: status %d: %.500s", a.what, a.status, a.body)
	})
	return a
}

// try is do for those who expect that the node may be gone.
func (s *scribe) try(c *http.Client, method, path string, body []byte, headers ...string) (*answer, error) {
	req, err := http.NewRequest(method, s.url(path), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header[http.CanonicalHeaderKey(headers[i])] = []string{headers[i+1]}
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &answer{t: s.t, what: method + " " + path, status: resp.StatusCode, header: resp.Header, body: got}, nil
}

func (s *scribe) get(path string, headers ...string) *answer {
	s.t.Helper()
	return s.do("GET", path, nil, headers...)
}

// put appends a version of key, which must be plain, and returns its receipt.
func (s *scribe) put(key, value string, headers ...string) receipt {
	s.t.Helper()
	a := s.do("PUT", "/v1/kv/"+key, []byte(value), headers...).want(201)
	var r receipt
	a.decode(&r)
	return r
}

func (s *scribe) del(key string) receipt {
	s.t.Helper()
	var r receipt
	s.do("DELETE", "/v1/kv/"+key, nil).want(200).decode(&r)
	return r
}

// seal makes segments of all that is committed.
func (s *scribe) seal() (out struct {
	Segments      []string `json:"segments"`
	SealedThrough *uint64  `json:"sealed_through"`
}) {
	s.t.Helper()
	s.do("POST", "/v1/admin/seal", nil).want(200).decode(&out)
	return out
}

// compact merges until there is nothing left to merge.
func (s *scribe) compact() {
	s.t.Helper()
	s.do("POST", "/v1/admin/compact", nil).want(200)
}

// want checks the status.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, not %d: %.500s", a.what, a.status, status, a.body)
	}
	return a
}

// wantProblem checks an error: its status, its code and the shape of its body (RFC 9457).
func (a *answer) wantProblem(status int, code string) problem {
	a.t.Helper()
	a.want(status)
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Fatalf("%s: content type %q of an error", a.what, got)
	}
	var p problem
	a.decode(&p)
	if p.Code != code || p.Status != status || p.Title == "" || p.Type == "" || p.Detail == "" {
		a.t.Fatalf("%s: problem %s, want code %s", a.what, a.body, code)
	}
	if p.RequestID == "" || p.RequestID != a.header.Get("X-Request-Id") {
		a.t.Fatalf("%s: request id %q in the body, %q in the header", a.what, p.RequestID, a.header.Get("X-Request-Id"))
	}
	return p
}

// wantHeader checks one header.
func (a *answer) wantHeader(name, value string) *answer {
	a.t.Helper()
	if got := a.header.Get(name); got != value {
		a.t.Fatalf("%s: %s is %q, not %q", a.what, name, got, value)
	}
	return a
}

// wantBody checks the whole body.
func (a *answer) wantBody(body string) *answer {
	a.t.Helper()
	if string(a.body) != body {
		a.t.Fatalf("%s: body %.200q, not %.200q", a.what, a.body, body)
	}
	return a
}

// decode reads a JSON body into v and refuses what v does not know.
func (a *answer) decode(v any) {
	a.t.Helper()
	if err := a.read(v); err != nil {
		a.t.Fatalf("%s: %v in %.500s", a.what, err, a.body)
	}
}

// read is decode for other goroutines than the test's own.
func (a *answer) read(v any) error {
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
	OpIndex   *int   `json:"op_index"`
}

type receipt struct {
	Seq      uint64 `json:"seq"`
	Time     string `json:"time"`
	LeafHash string `json:"leaf_hash"`
	Key      string `json:"key"`
	KeyB64   []byte `json:"key_b64"`
	Size     int    `json:"size"`
}

// entry is an entry of a list.
type entry struct {
	Seq         uint64  `json:"seq"`
	Time        string  `json:"time"`
	Op          string  `json:"op"`
	Key         *string `json:"key"`
	KeyB64      *string `json:"key_b64"`
	Value       *string `json:"value"`
	ValueB64    *string `json:"value_b64"`
	Size        int     `json:"size"`
	ContentType string  `json:"content_type"`
	Principal   string  `json:"principal"`
	LeafHash    string  `json:"leaf_hash"`
}

type list struct {
	Entries []entry `json:"entries"`
	Next    string  `json:"next"`
}

// eitherForm returns the bytes of a field that stands as text or as base64.
func eitherForm(t testing.TB, text, b64 *string) []byte {
	t.Helper()
	switch {
	case text != nil && b64 != nil:
		t.Fatalf("a field stands both as text %q and as base64 %q", *text, *b64)
	case text != nil:
		return []byte(*text)
	case b64 != nil:
		b, err := base64.StdEncoding.DecodeString(*b64)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return nil
}

func (e *entry) key(t testing.TB) string   { return string(eitherForm(t, e.Key, e.KeyB64)) }
func (e *entry) value(t testing.TB) string { return string(eitherForm(t, e.Value, e.ValueB64)) }

// list reads one page of a list.
func (s *scribe) list(path string) list {
	s.t.Helper()
	a := s.get(path).want(200).wantHeader("Content-Type", "application/json")
	var l list
	a.decode(&l)
	if l.Entries == nil {
		s.t.Fatalf("GET %s: no list of entries in %s", path, a.body)
	}
	return l
}

// lines reads an NDJSON answer.
func (s *scribe) lines(path string) []entry {
	s.t.Helper()
	a := s.get(path, "Accept", "application/x-ndjson").want(200).wantHeader("Content-Type", "application/x-ndjson")
	var out []entry
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	for {
		var e entry
		err := d.Decode(&e)
		if err == io.EOF {
			return out
		}
		if err != nil {
			s.t.Fatalf("GET %s: %v", path, err)
		}
		out = append(out, e)
	}
}

// raw sends bytes as they are and reads one response to them. The request line says the method.
func (s *scribe) raw(request string) *answer {
	s.t.Helper()
	conn := s.dial()
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		s.t.Fatal(err)
	}
	line, _, _ := strings.Cut(request, "\r\n")
	method, _, _ := strings.Cut(line, " ")
	return s.readAnswer(bufio.NewReader(conn), method, line)
}

// line sends a request with nothing but its request line, a body and headers.
func (s *scribe) line(method, target, body string, headers ...string) *answer {
	s.t.Helper()
	var b strings.Builder
	b.WriteString(method + " " + target + " HTTP/1.1\r\nHost: " + s.addr + "\r\nConnection: close\r\n")
	if body != "" || method == "PUT" {
		b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n")
	}
	for i := 0; i < len(headers); i += 2 {
		b.WriteString(headers[i] + ": " + headers[i+1] + "\r\n")
	}
	return s.raw(b.String() + "\r\n" + body)
}

func (s *scribe) dial() net.Conn {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func (s *scribe) readAnswer(r *bufio.Reader, method, what string) *answer {
	s.t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		s.t.Fatalf("%.100s: %v", what, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%.100s: %v", what, err)
	}
	return &answer{t: s.t, what: what, status: resp.StatusCode, header: resp.Header, body: body}
}
