package s3store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/s3store"
)

// behind returns a store that reaches the real server through handler, which may hand requests on to next.
func behind(t testing.TB, handler func(w http.ResponseWriter, r *http.Request, next http.Handler)) *s3store.Store {
	t.Helper()
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}, ErrorHandler: func(http.ResponseWriter, *http.Request, error) {}}
	// The server checks signatures against the host it was asked as, so the proxy's name is as good as its own.
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r, proxy) }))
	t.Cleanup(front.Close)
	opts := options()
	opts.Endpoint, opts.Timeout, opts.MinBytesPerSecond = front.URL, 2*time.Second, 100<<20
	return open(t, opts)
}

func s3Error(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>made up</Message></Error>`, code)
}

// What a store answers, and what it means: the cause, whether a retry can help, how long to wait.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		header string // of Retry-After
		want   error  // nil: none of tier's
		again  bool
		after  time.Duration
	}{
		{503, "SlowDown", "7", nil, true, 7 * time.Second},
		{503, "ServiceUnavailable", "1000000", nil, true, 5 * time.Minute},
		{500, "InternalError", "-3", nil, true, 0},
		{502, "", "soon", nil, true, 0},
		{429, "TooManyRequests", "1", nil, true, time.Second},
		{409, "ConditionalRequestConflict", "", nil, true, 0},
		{400, "RequestTimeout", "", nil, true, 0},
		{400, "BadDigest", "", tier.ErrMismatch, true, 0},
		{400, "ExpiredToken", "", tier.ErrRefused, false, 0},
		{403, "AccessDenied", "", tier.ErrRefused, false, 0},
		{403, "InvalidAccessKeyId", "", tier.ErrRefused, false, 0},
		{401, "", "", tier.ErrRefused, false, 0},
		{404, "NoSuchBucket", "", tier.ErrNoBucket, false, 0},
		{404, "NoSuchKey", "", tier.ErrNotFound, false, 0},
		{501, "NotImplemented", "", nil, false, 0},
		{400, "InvalidRequest", "", nil, false, 0},
		{301, "PermanentRedirect", "", tier.ErrRegion, false, 0},
		{400, "AuthorizationHeaderMalformed", "", tier.ErrRegion, false, 0},
		{404, "", "", tier.ErrNoStore, false, 0},
	} {
		s := behind(t, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			_, _ = io.Copy(io.Discard, r.Body)
			if c.header != "" {
				w.Header().Set("Retry-After", c.header)
			}
			s3Error(w, c.status, c.code)
		})
		_, gerr := s.Get(t.Context(), "k", 0, 10)
		_, perr := s.Put(t.Context(), "k", tier.BytesBody([]byte("x")), tier.PutOptions{})
		_, lerr := s.List(t.Context(), "", "", 0)
		for op, err := range map[string]error{"get": gerr, "put": perr, "list": lerr} {
			after, again := tier.Temporary(err)
			if err == nil || again != c.again || after != c.after {
				t.Errorf("%s: %d %s: %v, a retry can help: %v after %v", op, c.status, c.code, err, again, after)
			}
			for _, known := range []error{tier.ErrNotFound, tier.ErrNoBucket, tier.ErrRefused, tier.ErrMismatch, tier.ErrExists,
				tier.ErrRegion, tier.ErrNoStore} {
				if errors.Is(err, known) != (known == c.want) {
					t.Errorf("%s: %d %s: %v", op, c.status, c.code, err)
				}
			}
		}
	}
}

// An endpoint that is no S3 is never taken for an empty store.
func TestNotS3(t *testing.T) {
	for what, answer := range map[string]func(w http.ResponseWriter){
		"404 of a web server": func(w http.ResponseWriter) { http.Error(w, "404 page not found", http.StatusNotFound) },
		"a page":              func(w http.ResponseWriter) { fmt.Fprint(w, "<!doctype html><html><p>welcome</html>") },
		"nothing":             func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) },
		"JSON":                func(w http.ResponseWriter) { fmt.Fprint(w, `{"status":"ok"}`) },
		"a teapot":            func(w http.ResponseWriter) { http.Error(w, "no coffee", http.StatusTeapot) },
	} {
		s := behind(t, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			_, _ = io.Copy(io.Discard, r.Body)
			answer(w)
		})
		if _, err := s.Get(t.Context(), "k", 0, 10); err == nil || errors.Is(err, tier.ErrNotFound) {
			t.Errorf("%s: a range: %v", what, err)
		}
		if _, err := s.List(t.Context(), "", "", 0); err == nil {
			t.Errorf("%s: a list succeeds", what)
		}
		if _, err := s.Head(t.Context(), "k"); what == "404 of a web server" && (err == nil || errors.Is(err, tier.ErrNotFound)) {
			t.Errorf("%s: head: %v", what, err)
		}
		if r, err := tier.Preflight(t.Context(), s, "n", false); err == nil && r.Usable() {
			t.Errorf("%s passes the preflight: %s", what, r)
		}
	}
}

// Bodies that are cut, stall, are too long, or are of another range than was asked for.
func TestBodies(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 10_000)
	release := make(chan struct{})
	defer close(release)
	var mode atomic.Value
	mode.Store("")
	s := behind(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != http.MethodGet || mode.Load() == "" {
			next.ServeHTTP(w, r)
			return
		}
		partial := func(first, last, total int64, length int) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, total))
			w.Header().Set("Content-Length", fmt.Sprint(length))
			w.WriteHeader(http.StatusPartialContent)
		}
		switch mode.Load() {
		case "ignores ranges":
			_, _ = w.Write(data)
		case "short answer":
			partial(1000, 1049, int64(len(data)), 50)
			_, _ = w.Write(data[1000:1050])
		case "another range":
			partial(2000, 2099, int64(len(data)), 100)
			_, _ = w.Write(data[2000:2100])
		case "wrong length":
			partial(1000, 1099, int64(len(data)), 50)
			_, _ = w.Write(data[1000:1050])
		case "cut":
			partial(1000, 1099, int64(len(data)), 100)
			_, _ = w.Write(data[1000:1040])
			panic(http.ErrAbortHandler)
		case "stalls":
			partial(1000, 1099, int64(len(data)), 100)
			_, _ = w.Write(data[1000:1040])
			_ = http.NewResponseController(w).Flush()
			<-release
		case "no answer":
			<-release
		}
	})
	if _, err := s.Put(t.Context(), "k", tier.BytesBody(data), tier.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for what, again := range map[string]bool{"ignores ranges": false, "short answer": false, "another range": false,
		"wrong length": false, "cut": true, "stalls": true, "no answer": true} {
		mode.Store(what)
		p := make([]byte, 100)
		err := tier.ReadAt(t.Context(), s, "k", p, 1000)
		if _, temporary := tier.Temporary(err); err == nil || temporary != again || errors.Is(err, tier.ErrNotFound) {
			t.Errorf("%s: %v, a retry can help: %v", what, err, temporary)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if err = tier.ReadAt(ctx, s, "k", p, 1000); err == nil {
			t.Errorf("%s: a cancelled read succeeds", what)
		} else if _, temporary := tier.Temporary(err); temporary && (what == "stalls" || what == "no answer") {
			t.Errorf("%s: a cancelled read is temporary: %v", what, err)
		}
		cancel()
	}
	mode.Store("")
	p := make([]byte, 100)
	if err := tier.ReadAt(t.Context(), s, "k", p, 1000); err != nil || !bytes.Equal(p, data[1000:1100]) {
		t.Errorf("afterwards: %v", err)
	}
}

// A part that fails is sent again; the object is whole.
func TestPartsAreSentAgain(t *testing.T) {
	var failed atomic.Int64
	s := behind(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.RawQuery, "partNumber=2") && failed.Add(1) <= 2 {
			_, _ = io.Copy(io.Discard, r.Body)
			s3Error(w, 503, "SlowDown")
			return
		}
		next.ServeHTTP(w, r)
	})
	data := make([]byte, 11<<20)
	data[7<<20] = 1
	if _, err := s.Put(t.Context(), "k", tier.BytesBody(data), tier.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := failed.Load(); n != 3 {
		t.Errorf("part 2 was sent %d times", n)
	}
	if _, _, err := tier.ReadAll(t.Context(), s, "k", 1<<30); err != nil {
		t.Error(err)
	}
}

// An answer that is lost after the work is done: the same put again finds its own object.
func TestLostAnswers(t *testing.T) {
	var lose atomic.Bool
	s := behind(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		done := r.Method == http.MethodPut && !strings.Contains(r.URL.RawQuery, "partNumber") ||
			r.Method == http.MethodPost && strings.Contains(r.URL.RawQuery, "uploadId")
		if done && lose.Load() {
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
	for _, size := range []int{100, 6 << 20} {
		key, body := fmt.Sprint(size), tier.BytesBody(make([]byte, size))
		lose.Store(true)
		_, _, err := tier.PutSame(t.Context(), s, key, body, tier.PutOptions{})
		if _, again := tier.Temporary(err); !again {
			t.Fatalf("%d bytes: %v", size, err)
		}
		lose.Store(false)
		o, made, err := tier.PutSame(t.Context(), s, key, body, tier.PutOptions{})
		if err != nil || made || o.Size != int64(size) {
			t.Errorf("%d bytes, again: %+v, made %v, %v", size, o, made, err)
		}
		page, err := s.Uploads(t.Context(), "", tier.Upload{}, 0)
		if err != nil || len(page.Uploads) > 0 {
			t.Errorf("%d bytes: left %v, %v", size, page.Uploads, err)
		}
	}
}

// What is damaged on the way is refused by the server, and nothing appears.
func TestDamageOnTheWay(t *testing.T) {
	s := behind(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			b[len(b)/2] ^= 1
			r.Body = io.NopCloser(bytes.NewReader(b))
		}
		next.ServeHTTP(w, r)
	})
	for _, size := range []int{100, 6 << 20} {
		_, err := s.Put(t.Context(), "k", tier.BytesBody(make([]byte, size)), tier.PutOptions{})
		if _, again := tier.Temporary(err); !errors.Is(err, tier.ErrMismatch) || !again {
			t.Errorf("%d bytes: %v", size, err)
		}
		if _, err := s.Head(t.Context(), "k"); !errors.Is(err, tier.ErrNotFound) {
			t.Errorf("%d bytes: head: %v", size, err)
		}
	}
}

// Every request is one attempt, carries its checksum, and asks for no more than the range.
func TestRequests(t *testing.T) {
	var requests []*http.Request
	s := behind(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		requests = append(requests, r.Clone(context.Background()))
		next.ServeHTTP(w, r)
	})
	data := []byte("some bytes of a segment")
	if _, err := s.Put(t.Context(), "k", tier.BytesBody(data), tier.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := tier.ReadAt(t.Context(), s, "k", make([]byte, 5), 3); err != nil {
		t.Fatal(err)
	}
	if len(requests) != 2 {
		t.Fatalf("%d requests", len(requests))
	}
	put, get := requests[0].Header, requests[1].Header
	sum := sha256.Sum256(data)
	if put.Get("If-None-Match") != "*" || put.Get("X-Amz-Checksum-Sha256") == "" ||
		put.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]) || put.Get("Content-Encoding") != "" {
		t.Errorf("put: %v", put)
	}
	if get.Get("Range") != "bytes=3-7" || get.Get("Accept-Encoding") != "identity" {
		t.Errorf("get: %v", get)
	}
}
