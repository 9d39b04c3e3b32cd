package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// TestRequestsLeaveOnce: a write that is sent on a kept connection, and whose server then goes away, may have been
// applied. Were net/http left to repeat it, the refused connection of its second attempt would be all that is seen.
func TestRequestsLeaveOnce(t *testing.T) {
	for _, name := range []string{"put", "delete"} {
		t.Run(name, func(t *testing.T) {
			var server *httptest.Server
			var writes atomic.Int64
			server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					w.Header().Set("X-Scribe-Seq", "1")
					w.Header().Set("X-Scribe-Time", "2026-11-22T10:00:00.000001Z")
					return
				}
				writes.Add(1)
				server.Listener.Close()
				panic(http.ErrAbortHandler) // the connection ends without an answer
			}))
			defer server.Close()
			c, err := New([]string{server.URL}, Options{Rounds: 2,
				Sleep: func(context.Context, time.Duration) error { return nil }})
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			if _, err := c.Get(ctx, "a", GetOptions{}); err != nil { // so that a connection is there
				t.Fatal(err)
			}
			if name == "put" {
				_, err = c.Put(ctx, "a", []byte("v"), PutOptions{})
			} else {
				_, err = c.Delete(ctx, "a", DeleteOptions{})
			}
			var unknown *OutcomeUnknownError
			if !errors.As(err, &unknown) || writes.Load() != 1 {
				t.Errorf("%d writes arrived, and the client says: %v", writes.Load(), err)
			}
		})
	}
}
