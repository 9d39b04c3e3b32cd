package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// rig is an API over a model behind a real server.
type rig struct {
	t     testing.TB
	model *model
	api   *API
	addr  string
	taken bool // the test itself holds some of the budget
}

func newRig(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	registry := prometheus.NewRegistry()
	r := &rig{t: t, model: newModel()}
	opt := Options{Backend: r.model, Registerer: registry, Gatherer: registry, Version: "test"}
	if change != nil {
		change(&opt)
	}
	r.api = New(opt)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := r.api.Server()
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-stopped
	})
	r.addr = listener.Addr().String()
	return r
}

// reply is a whole response.
type reply struct {
	status int
	header http.Header
	body   string
	broken error // of reading the body
	close  bool  // the server will not take another request on the connection
}

// do sends a request that is written by hand, so that nothing between here and the server touches its target. The
// headers are "Name: value"; a body gets its Content-Length unless the headers say how it is sent.
func (r *rig) do(method, target, body string, headers ...string) reply {
	r.t.Helper()
	conn := r.dial()
	defer conn.Close()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", method, target)
	framed := body == "" && method != "PUT" && method != "POST"
	for _, h := range headers {
		framed = framed || strings.HasPrefix(h, "Content-Length:") || strings.HasPrefix(h, "Transfer-Encoding:")
		b.WriteString(h + "\r\n")
	}
	if !framed {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	// The server may answer and close before it has taken a body that it refuses.
	go func() { _, _ = conn.Write(b.Bytes()) }()
	return r.read(conn, method)
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

func (r *rig) read(conn io.Reader, method string) reply {
	r.t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		r.t.Fatalf("no response to %s: %v", method, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return reply{status: res.StatusCode, header: res.Header, body: string(text), broken: err, close: res.Close}
}

// eventually waits until a thing that happens behind an answer has happened.
func (r *rig) eventually(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("it never came to pass that %s", what)
		}
	}
}

// idle waits for the handlers to end, which is after their answers, and checks that all of the budget is back.
func (r *rig) idle() {
	r.t.Helper()
	r.eventually("all handlers end", func() bool { return r.api.inFlight.Load() == 0 })
	if held := r.api.budget.held.Load(); held != 0 && !r.taken {
		r.t.Errorf("%d bytes of the budget are still held", held)
	}
}

func (r *rig) get(target string, headers ...string) reply {
	r.t.Helper()
	return r.do("GET", target, "", headers...)
}

func (r *rig) put(target, body string, headers ...string) reply {
	r.t.Helper()
	return r.do("PUT", target, body, headers...)
}

// wants fails the test unless the reply has the status.
func (p reply) wants(t testing.TB, status int) reply {
	t.Helper()
	if p.status != status {
		t.Fatalf("status %d, want %d; body %.300s", p.status, status, p.body)
	}
	return p
}

// problem checks that the reply is a whole problem body of this status and code, and returns the body.
func (p reply) problem(t testing.TB, status int, code string) map[string]any {
	t.Helper()
	p.wants(t, status)
	if got := p.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q of a problem", got)
	}
	m := p.json(t)
	if m["code"] != code || m["status"] != float64(status) || m["type"] != problemTypePrefix+code {
		t.Fatalf("problem %v, want code %s", m, code)
	}
	for _, name := range []string{"title", "detail", "request_id"} {
		if s, _ := m[name].(string); s == "" {
			t.Errorf("problem has no %s: %v", name, m)
		}
	}
	if m["request_id"] != p.header.Get("X-Request-Id") {
		t.Errorf("request id %v in the body, %q in the header", m["request_id"], p.header.Get("X-Request-Id"))
	}
	if (status == 429 || status == 503 || status == 507) != (p.header.Get("Retry-After") != "") && code != codeCold {
		t.Errorf("Retry-After %q with status %d", p.header.Get("Retry-After"), status)
	}
	return m
}

func (p reply) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(p.body), &m); err != nil {
		t.Fatalf("%v in %.300s", err, p.body)
	}
	return m
}

// into decodes the body strictly.
func (p reply) into(t testing.TB, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(p.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in %.300s", err, p.body)
	}
}

// has checks response headers, given as name and value in turn.
func (p reply) has(t testing.TB, pairs ...string) reply {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := p.header.Get(pairs[i]); got != pairs[i+1] {
			t.Errorf("%s is %q, want %q", pairs[i], got, pairs[i+1])
		}
	}
	return p
}

// entryJSON is an entry as lists show it.
type entryJSON struct {
	Seq         uint64  `json:"seq"`
	Time        string  `json:"time"`
	Op          string  `json:"op"`
	Key         *string `json:"key"`
	KeyB64      []byte  `json:"key_b64"`
	Value       *string `json:"value"`
	ValueB64    []byte  `json:"value_b64"`
	Size        uint64  `json:"size"`
	ContentType string  `json:"content_type"`
	Principal   string  `json:"principal"`
	LeafHash    string  `json:"leaf_hash"`
}

func (e entryJSON) key() string {
	if e.Key != nil {
		return *e.Key
	}
	return string(e.KeyB64)
}

type listJSON struct {
	Entries []entryJSON `json:"entries"`
	Next    *string     `json:"next"`
}

func (p reply) list(t testing.TB) listJSON {
	t.Helper()
	p.wants(t, 200).has(t, "Content-Type", "application/json")
	var l listJSON
	p.into(t, &l)
	if l.Entries == nil {
		t.Fatalf("entries is not a list: %s", p.body)
	}
	return l
}

func (p reply) lines(t testing.TB) []entryJSON {
	t.Helper()
	p.wants(t, 200).has(t, "Content-Type", "application/x-ndjson")
	var out []entryJSON
	for line := range strings.Lines(p.body) {
		var e entryJSON
		reply{body: line}.into(t, &e)
		out = append(out, e)
	}
	return out
}

func keysOf(entries []entryJSON) string {
	var keys []string
	for _, e := range entries {
		keys = append(keys, e.key())
	}
	return strings.Join(keys, " ")
}
