package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// instant is a Backend that answers at once, so that only this package's work is measured.
type instant struct {
	*model
	entry ledger.Entry
}

func newInstant(size int) *instant {
	value := []byte(strings.Repeat("x", size))
	return &instant{model: newModel(), entry: ledger.Entry{Value: value, Record: tlog.Record{Op: tlog.OpPut, Seq: 4711,
		Time: 1_790_000_000_000_000, ValueSize: uint64(size), ValueHash: merkle.Hash{1}}}}
}

func (b *instant) Get([]byte, ledger.Selector) (*ledger.Entry, error)  { return &b.entry, nil }
func (b *instant) Peek([]byte, ledger.Selector) (*ledger.Entry, error) { return &b.entry, nil }
func (b *instant) OpenValue(uint64) (ledger.Value, error)              { return nil, ledger.ErrVersionNotFound }
func (b *instant) Barrier(context.Context) error                       { return nil }
func (b *instant) Write(context.Context, *ledger.Command) (ledger.Receipt, error) {
	return ledger.Receipt{FirstSeq: 4711, Count: 1, Time: 1_790_000_000_000_000}, nil
}

// discard is a ResponseWriter that costs little of its own.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

func benchmarkHandler(b *testing.B, h http.Handler, method, target, body string) {
	b.ReportAllocs()
	reader := strings.NewReader(body)
	req := httptest.NewRequest(method, target, io.NopCloser(reader))
	req.ContentLength = int64(len(body))
	w := &discard{h: make(http.Header)}
	for b.Loop() {
		reader.Reset(body)
		clear(w.h)
		h.ServeHTTP(w, req)
	}
}

func benchAPI(size int) *API {
	return New(Options{Backend: newInstant(size),
		Logger: slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo}))})
}

func BenchmarkGet256(b *testing.B) {
	benchmarkHandler(b, benchAPI(256), "GET", "/v1/kv/key-0123456789ab", "")
}

func BenchmarkPut256(b *testing.B) {
	benchmarkHandler(b, benchAPI(256), "PUT", "/v1/kv/key-0123456789ab", strings.Repeat("x", 256))
}

func BenchmarkNotFound(b *testing.B) {
	benchmarkHandler(b, New(Options{Backend: newModel()}), "GET", "/v1/kv/key-0123456789ab", "")
}

func BenchmarkScanPage100(b *testing.B) {
	m := newModel()
	for i := range 100 {
		m.put(strings.Repeat("k", i+1), strings.Repeat("v", 256))
	}
	benchmarkHandler(b, New(Options{Backend: m}), "GET", "/v1/range", "")
}

func BenchmarkDecodeBatch1000(b *testing.B) {
	bin := []byte(strings.Repeat(binaryPut("key-0123456789ab", strings.Repeat("v", 256)), 1000))
	op := `{"op":"put","key":"key-0123456789ab","value":"` + strings.Repeat("v", 256) + `"},`
	text := strings.Repeat(op, 1000)
	text = `{"ops":[` + text[:len(text)-1] + `]}`
	limits := batchLimits{key: 4096, value: 1 << 20, ops: ledger.MaxBatchOps}
	b.Run("binary", func(b *testing.B) {
		b.SetBytes(int64(len(bin)))
		for b.Loop() {
			if _, err := decodeBatchBinary(bin, limits); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		body := make([]byte, len(text))
		for b.Loop() {
			copy(body, text)
			if _, err := decodeBatchJSON(body, limits); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The four below go through net/http's server, but no network: what a request costs over a bare handler on httprouter
// that reads the body and answers a constant. The kernel's and the load generator's share is the same for both.
func BenchmarkServedGet256(b *testing.B) { benchmarkServed(b, benchAPI(256), "GET") }
func BenchmarkServedPut256(b *testing.B) { benchmarkServed(b, benchAPI(256), "PUT") }
func BenchmarkBareGet256(b *testing.B)   { benchmarkServed(b, bare(), "GET") }
func BenchmarkBarePut256(b *testing.B)   { benchmarkServed(b, bare(), "PUT") }

func bare() http.Handler {
	value := []byte(strings.Repeat("x", 256))
	router := httprouter.New()
	router.GET("/v1/kv/*key", func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) { _, _ = w.Write(value) })
	router.PUT("/v1/kv/*key", func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	})
	return router
}

// benchmarkServed has a server answer b.N requests that come in on one connection, one behind the other.
func benchmarkServed(b *testing.B, h http.Handler, method string) {
	request := method + " /v1/kv/key-0123456789ab HTTP/1.1\r\nHost: localhost\r\n"
	if method == "PUT" {
		request += "Content-Length: 256\r\n"
	}
	request += "\r\n"
	if method == "PUT" {
		request += strings.Repeat("x", 256)
	}
	conn := &replay{request: []byte(request), left: b.N * len(request), closed: make(chan struct{})}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute}
	b.ReportAllocs()
	b.ResetTimer()
	_ = server.Serve(&lone{conn: conn})
}

// replay is a connection that says a request over and over and throws the answers away.
type replay struct {
	request []byte
	left    int // bytes to say; net/http reads from one goroutine at a time
	once    sync.Once
	closed  chan struct{}
}

func (c *replay) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	from := len(c.request) - (c.left-1)%len(c.request) - 1
	n := copy(b, c.request[from:])
	c.left -= n
	return n, nil
}
func (c *replay) Write(b []byte) (int, error) { return len(b), nil }
func (c *replay) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}
func (c *replay) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *replay) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *replay) SetDeadline(time.Time) error      { return nil }
func (c *replay) SetReadDeadline(time.Time) error  { return nil }
func (c *replay) SetWriteDeadline(time.Time) error { return nil }

// lone is a listener with one connection; it ends when that does.
type lone struct {
	conn  *replay
	given bool
}

func (l *lone) Accept() (net.Conn, error) {
	if l.given {
		<-l.conn.closed
		return nil, net.ErrClosed
	}
	l.given = true
	return l.conn, nil
}
func (l *lone) Close() error   { return nil }
func (l *lone) Addr() net.Addr { return &net.TCPAddr{} }
