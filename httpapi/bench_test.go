package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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
		Time: 1_790_000_000_000_000, ContentType: "text/plain", ValueSize: uint64(size), ValueHash: merkle.Hash{1}}}}
}

func (b *instant) Get([]byte, ledger.Selector) (*ledger.Entry, error) { return &b.entry, nil }
func (b *instant) Barrier(context.Context) error                      { return nil }
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

// The pair below goes through a real server and client: what a request costs over a bare handler that reads the body
// and answers a constant.
func BenchmarkServedGet256(b *testing.B) { benchmarkServed(b, benchAPI(256), "GET") }
func BenchmarkServedPut256(b *testing.B) { benchmarkServed(b, benchAPI(256), "PUT") }
func BenchmarkBareGet256(b *testing.B)   { benchmarkServed(b, bare(), "GET") }
func BenchmarkBarePut256(b *testing.B)   { benchmarkServed(b, bare(), "PUT") }

func bare() http.Handler {
	value := []byte(strings.Repeat("x", 256))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PUT" {
			if _, err := io.ReadAll(r.Body); err != nil {
				return
			}
			w.WriteHeader(201)
			return
		}
		_, _ = w.Write(value)
	})
}

func benchmarkServed(b *testing.B, h http.Handler, method string) {
	server := httptest.NewServer(h)
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	body := strings.Repeat("x", 256)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var in io.Reader
			if method == "PUT" {
				in = strings.NewReader(body)
			}
			req, err := http.NewRequest(method, server.URL+"/v1/kv/key-0123456789ab", in)
			if err != nil {
				b.Error(err)
				return
			}
			res, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	})
}
