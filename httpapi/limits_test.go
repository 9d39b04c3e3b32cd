package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// A connection that net/http closes behind an unread body lingers for half a second, on a goroutine of net/http's.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

func TestValueLimit(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxValueBytes = 1000 })
	r.put("/v1/kv/a", strings.Repeat("x", 1000)).wants(t, 201)
	p := r.put("/v1/kv/a", strings.Repeat("x", 1001))
	p.problem(t, 413, codeValueTooLarge)
	if !p.close {
		t.Error("the connection stays open behind a body that was not read")
	}
	// The length alone is refused: no body follows, and the answer comes all the same.
	r.put("/v1/kv/a", "", "Content-Length: 9000000000000000000").problem(t, 413, codeValueTooLarge)
	r.put("/v1/kv/a", "", "Content-Length: 1001", "Expect: 100-continue").problem(t, 413, codeValueTooLarge)
	chunk := fmt.Sprintf("3e8\r\n%s\r\n", strings.Repeat("x", 1000))
	r.put("/v1/kv/a", chunk+"0\r\n\r\n", "Transfer-Encoding: chunked").wants(t, 201)
	// A chunked body is given up at the first byte too many, though it has no end.
	r.put("/v1/kv/a", chunk+"1\r\nx\r\n", "Transfer-Encoding: chunked").problem(t, 413, codeValueTooLarge)
	if len(r.model.log) != 2 {
		t.Errorf("%d entries", len(r.model.log))
	}
}

func TestLargeValueRoundTrip(t *testing.T) {
	r := newRig(t, nil)
	value := bytes.Repeat([]byte("0123456789abcdef"), 32<<20/16)
	r.put("/v1/kv/a", string(value)).wants(t, 201)
	if p := r.get("/v1/kv/a").wants(t, 200); p.body != string(value) {
		t.Errorf("%d bytes came back", len(p.body))
	}
	r.idle()
}

// A body that stops coming gets 408 and gives its budget back.
func TestSlowBody(t *testing.T) {
	r := newRig(t, func(o *Options) { o.BodyTimeout, o.HeaderTimeout = 50*time.Millisecond, 200*time.Millisecond })
	piece := strings.Repeat("x", bodyPiece)
	for _, request := range []string{
		"PUT /v1/kv/a HTTP/1.1\r\nContent-Length: 100\r\n\r\nonly this",
		"PUT /v1/kv/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nonly ",
		fmt.Sprintf("PUT /v1/kv/a HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", 2*bodyPiece, piece),
		fmt.Sprintf("PUT /v1/kv/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", bodyPiece, piece),
		"POST /v1/batch HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
	} {
		conn := r.dial()
		line, rest, _ := strings.Cut(request, "\r\n")
		fmt.Fprintf(conn, "%s\r\nHost: x\r\n%s", line, rest)
		p := r.read(conn, "PUT")
		p.problem(t, 408, codeRequestTimeout)
		if !p.close {
			t.Error("the connection stays open behind a body that was not read")
		}
		conn.Close()
	}
	r.idle()
	if len(r.model.log) != 0 {
		t.Errorf("%d entries", len(r.model.log))
	}
}

// The limit is on progress, not on the whole: many pieces in time make a body that takes longer than the timeout.
func TestSteadyBody(t *testing.T) {
	r := newRig(t, func(o *Options) { o.BodyTimeout = time.Second })
	conn := r.dial()
	defer conn.Close()
	const pieces = 8
	fmt.Fprintf(conn, "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
		pieces*bodyPiece)
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for range pieces {
		<-ticker.C
		if _, err := conn.Write(bytes.Repeat([]byte("x"), bodyPiece)); err != nil {
			t.Fatal(err)
		}
	}
	r.read(conn, "PUT").wants(t, 201)
}

// A small body that comes in pieces has the time of a body, not what is left of that of the headers.
func TestSmallSteadyBody(t *testing.T) {
	r := newRig(t, func(o *Options) { o.BodyTimeout, o.HeaderTimeout = time.Minute, 100*time.Millisecond })
	for _, pieces := range []string{"Content-Length: 6\r\n\r\nabc|def", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n|3\r\ndef\r\n0\r\n\r\n"} {
		conn := r.dial()
		first, rest, _ := strings.Cut(pieces, "|")
		fmt.Fprintf(conn, "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\n%s", first)
		<-time.After(300 * time.Millisecond)
		fmt.Fprint(conn, rest)
		r.read(conn, "PUT").wants(t, 201)
		conn.Close()
	}
}

// A limit on keys that is lowered holds for what is put, and hides nothing that was.
func TestKeyLimitLowered(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxKeyBytes = 10 })
	long := strings.Repeat("k", 40)
	r.model.put(long, "x")
	r.get("/v1/kv/"+long).wants(t, 200)
	r.get("/v1/history/"+long).wants(t, 200)
	r.get("/verify/"+long).wants(t, 200)
	r.put("/v1/kv/"+long, "y").problem(t, 400, codeKeyTooLong)
	r.batch(`{"ops":[{"op":"put","key":"`+long+`","value":"y"}]}`).problem(t, 400, codeKeyTooLong)
	r.batch(`{"ops":[{"op":"delete","key":"`+long+`"}]}`).wants(t, 201)
	r.model.put(long, "x")
	r.do("DELETE", "/v1/kv/"+long, "").wants(t, 200)
	r.get("/v1/kv/"+strings.Repeat("k", 4097)).problem(t, 400, codeKeyTooLong)
}

// The body's deadline does not reach into the wait for the commit, nor into the next request.
func TestDeadlineEndsWithBody(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.BodyTimeout, o.HeaderTimeout = 50*time.Millisecond, 50*time.Millisecond
		o.RequestTimeout = 200 * time.Millisecond
	})
	conn := r.dial()
	defer conn.Close()
	r.model.block = true
	fmt.Fprintf(conn, "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
	start := time.Now()
	r.read(conn, "PUT").problem(t, 504, codeOutcomeUnknown)
	if took := time.Since(start); took < 150*time.Millisecond {
		t.Errorf("the write was given up after %v: the body's deadline canceled it", took)
	}
	fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	r.read(conn, "GET").wants(t, 200)
}

func TestOutcomeUnknown(t *testing.T) {
	r := newRig(t, func(o *Options) { o.RequestTimeout = 10 * time.Millisecond })
	r.model.block = true
	r.put("/v1/kv/a", "x").problem(t, 504, codeOutcomeUnknown)
	r.batch(`{"ops":[{"op":"put","key":"a","value":"b"}]}`).problem(t, 504, codeOutcomeUnknown)
}

func TestBodyCutShort(t *testing.T) {
	r := newRig(t, nil)
	for _, request := range []string{"Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
		"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"} {
		conn := r.dial()
		fmt.Fprintf(conn, "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\n%s", request)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		r.read(conn, "PUT").problem(t, 400, codeBadRequest)
		conn.Close()
	}
	if len(r.model.log) != 0 {
		t.Error("half a body was written")
	}
}

// What does not fit into the budget waits, then is refused, and nothing of it is applied.
func TestBudgetRefuses(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.MaxInflightBytes = 1000
		o.BudgetWait = 20 * time.Millisecond
	})
	r.model.put("big", strings.Repeat("x", smallBytes+1))
	r.taken = true
	taken, err := r.api.budget.acquire(context.Background(), 0, 901)
	if err != nil || taken != 901 {
		t.Fatal(taken, err)
	}
	r.put("/v1/kv/a", strings.Repeat("x", 99)).wants(t, 201)
	r.put("/v1/kv/a", strings.Repeat("x", 100)).problem(t, 503, codeOverloaded)
	r.put("/v1/kv/a", "1\r\nx\r\n0\r\n\r\n", "Transfer-Encoding: chunked").problem(t, 503, codeOverloaded)
	r.get("/v1/kv/big").problem(t, 503, codeOverloaded)
	r.get("/v1/kv/big", "Range: bytes=0-9").problem(t, 503, codeOverloaded) // the whole value is read for it
	r.get("/v1/range").problem(t, 503, codeOverloaded)
	r.get("/v1/range?keys_only=1").wants(t, 200)
	r.get("/v1/entries", "Accept: application/x-ndjson").problem(t, 503, codeOverloaded)
	if n := r.model.NextSeq(); n != 2 {
		t.Errorf("%d entries", n)
	}
	r.idle()
	if held := r.api.budget.held.Load(); held != taken {
		t.Errorf("%d bytes are held, %d by the test", held, taken)
	}
	r.api.budget.release(taken)
	r.taken = false
	// A request larger than the whole budget takes all of it.
	r.get("/v1/kv/big").wants(t, 200)
	r.put("/v1/kv/a", strings.Repeat("x", 5000)).wants(t, 201)
	r.get("/v1/entries", "Accept: application/x-ndjson").lines(t)
	r.get("/v1/entries").list(t)
	r.idle()
}

// A waiting request goes on when the bytes it waits for come back.
func TestBudgetWaits(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.MaxInflightBytes = 1000
		o.BudgetWait = 10 * time.Second
	})
	taken, err := r.api.budget.acquire(context.Background(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan reply)
	go func() { done <- r.put("/v1/kv/a", "x") }()
	r.eventually("the request waits", func() bool { return r.api.inFlight.Load() > 0 })
	r.api.budget.release(taken)
	(<-done).wants(t, 201)
}

// A client that does not take its answer loses the connection after WriteTimeout.
func TestSlowReader(t *testing.T) {
	r := newRig(t, func(o *Options) { o.WriteTimeout = 50 * time.Millisecond })
	r.model.put("a", strings.Repeat("x", 30<<20))
	conn := r.dial()
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	fmt.Fprintf(conn, "GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n")
	r.eventually("the answer begins", func() bool { return r.api.inFlight.Load() > 0 })
	r.eventually("a client that reads nothing loses its answer", func() bool { return r.api.inFlight.Load() == 0 })
	r.idle()
}

// A stream takes longer than WriteTimeout as a whole, and goes on as long as the client reads.
func TestLongStream(t *testing.T) {
	r := newRig(t, func(o *Options) { o.WriteTimeout = time.Second })
	for range 200 {
		r.model.put("a", strings.Repeat("x", 100_000))
	}
	conn := r.dial()
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(64 << 10)
	}
	fmt.Fprintf(conn, "GET /v1/entries HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\nConnection: close\r\n\r\n")
	p := r.read(&paced{conn: conn, pause: 100 * time.Millisecond, every: 1 << 20}, "GET")
	if p.broken != nil || strings.Count(p.body, "\n") != 200 {
		t.Errorf("%d lines, %v", strings.Count(p.body, "\n"), p.broken)
	}
}

// paced reads a connection no faster than every bytes a pause.
type paced struct {
	conn  net.Conn
	pause time.Duration
	every int
	read  int
}

func (p *paced) Read(b []byte) (int, error) {
	if p.read >= p.every {
		p.read = 0
		<-time.After(p.pause)
	}
	n, err := p.conn.Read(b)
	p.read += n
	return n, err
}

func TestServerLimits(t *testing.T) {
	s := New(Options{Backend: newModel()}).Server()
	if s.ReadTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 || s.WriteTimeout != 0 {
		t.Errorf("%+v", s)
	}
	o := Options{MaxKeyBytes: 1 << 20, MaxValueBytes: 1 << 40}.withDefaults()
	if o.MaxKeyBytes != 4096 || o.MaxValueBytes != 64<<20 || o.MaxInflightBytes != 256<<20 {
		t.Errorf("%+v", o)
	}
}

func TestSlowHeaders(t *testing.T) {
	r := newRig(t, func(o *Options) { o.HeaderTimeout = 50 * time.Millisecond })
	conn := r.dial()
	defer conn.Close()
	fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost:")
	if text, err := io.ReadAll(conn); err != nil || strings.Contains(string(text), "200 OK") {
		t.Errorf("%q %v", text, err)
	}
}

func TestKeepAliveAfterErrors(t *testing.T) {
	r := newRig(t, nil)
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 1}}
	defer client.CloseIdleConnections()
	for i := range 20 {
		body := io.Reader(strings.NewReader("value"))
		method := []string{"PUT", "GET", "DELETE", "PATCH"}[i%4]
		if i%5 == 0 {
			body = struct{ io.Reader }{body} // chunked
		}
		req, err := http.NewRequest(method, "http://"+r.addr+"/v1/kv/a", body)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if want := []int{201, 200, 200, 405}[i%4]; res.StatusCode != want {
			t.Errorf("%s: %d, want %d", method, res.StatusCode, want)
		}
	}
}

func TestPatience(t *testing.T) {
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := &patience{Context: parent, limit: time.Millisecond, call: &call{w: httptest.NewRecorder()}}
	<-p.Done()
	if !errors.Is(p.Err(), context.DeadlineExceeded) {
		t.Error(p.Err())
	}
	if _, ok := p.Deadline(); !ok {
		t.Error("no deadline")
	}
	p.end()
	unused := &patience{Context: parent, limit: time.Hour}
	unused.end()
	if unused.Err() != nil || unused.timed != nil {
		t.Error("an ended wait made a timer")
	}
}
