package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// store is what both servers of these tests keep; broken makes them refuse.
type store struct {
	etcdserverpb.UnimplementedKVServer
	mu     sync.Mutex
	values map[string][]byte
	puts   int
	gets   int
	broken bool
}

func (s *store) breakDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = true
}

// counts are the calls so far and the keys that there are.
func (s *store) counts() (puts, gets, keys int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts, s.gets, len(s.values)
}

func (s *store) put(key string, value []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return false
	}
	s.values[key] = value
	s.puts++
	return true
}

func (s *store) get(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	return s.values[key]
}

func (s *store) Put(_ context.Context, r *etcdserverpb.PutRequest) (*etcdserverpb.PutResponse, error) {
	if !s.put(string(r.Key), r.Value) {
		return nil, status.Error(codes.Unavailable, "broken")
	}
	return &etcdserverpb.PutResponse{Header: &etcdserverpb.ResponseHeader{Revision: 1}}, nil
}

func (s *store) Range(_ context.Context, r *etcdserverpb.RangeRequest) (*etcdserverpb.RangeResponse, error) {
	out := &etcdserverpb.RangeResponse{Header: &etcdserverpb.ResponseHeader{Revision: 1}}
	if v := s.get(string(r.Key)); v != nil {
		out.Kvs = []*mvccpb.KeyValue{{Key: r.Key, Value: v}}
		out.Count = 1
	}
	return out, nil
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/v1/kv/")
	if r.Method == http.MethodGet {
		if v := s.get(key); v != nil {
			w.Write(v)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || !s.put(key, body) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, `{"seq":1}`)
}

func serveGRPC(t *testing.T, s *store) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer()
	etcdserverpb.RegisterKVServer(server, s)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

func serveHTTP(t *testing.T, s *store) string {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// TestDriversDoWhatTheyCount: a fill writes each key once, with a whole value; reads of what was written succeed, reads of
// what was not are errors; refusals are counted and end a run.
func TestDriversDoWhatTheyCount(t *testing.T) {
	const keys = 3000
	for _, c := range []struct {
		name  string
		serve func(*testing.T, *store) string
		fill  driver
		read  []driver
	}{
		{"scribe", serveHTTP, lean{dial: dialHTTP1}, []driver{lean{dial: dialHTTP1}}},
		{"etcd", serveGRPC, lean{conns: 2, dial: dialGRPC},
			[]driver{lean{conns: 1, dial: dialGRPC}, etcdGo{conns: 2}, etcdGo{conns: 2, stubs: true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &store{values: make(map[string][]byte)}
			addr := c.serve(t, s)
			l := load{kind: put, addrs: []string{addr}, conns: 16, keys: keys, fill: true, edge: func() {}}
			got, err := c.fill.run(l)
			if err != nil || got.errors > 0 || got.ops != keys {
				t.Fatalf("fill: %+v, %v", got, err)
			}
			if puts, _, there := s.counts(); puts != keys || there != keys {
				t.Fatalf("%d puts of %d keys, want %d", puts, there, keys)
			}
			for i := range keys {
				if v := s.get(string(appendKey(nil, i))); len(v) != valueBytes {
					t.Fatalf("key %d has a value of %d bytes", i, len(v))
				}
			}
			for _, d := range c.read {
				edges := 0
				l := load{kind: get, addrs: []string{addr}, conns: 300, keys: keys, warm: 100 * time.Millisecond,
					measured: 50 * time.Millisecond, edge: func() { edges++ }}
				_, before, _ := s.counts()
				got, err := d.run(l)
				_, gets, _ := s.counts()
				if err != nil || got.ops == 0 || got.errors > 0 || got.p99 < got.p50 || edges != 2 {
					t.Fatalf("get by %T: %+v, %d edges, %v", d, got, edges, err)
				}
				if gets -= before; got.ops > gets*3/4 {
					t.Fatalf("%T counts %d of %d requests, though it warmed up for two thirds of the time", d, got.ops, gets)
				}
				l.keys = 100 * keys
				if got, err := d.run(l); err == nil && (got.errors == 0 || got.firstError == "") {
					t.Fatalf("get of missing keys by %T: %+v", d, got)
				}
			}
			s.breakDown()
			if got, err := c.fill.run(l); err == nil || !strings.Contains(err.Error(), "requests failed") {
				t.Fatalf("fill of a broken server: %+v, %v", got, err)
			}
		})
	}
}

// TestConsumeInPieces: an answer that comes byte by byte counts once, when it is whole.
func TestConsumeInPieces(t *testing.T) {
	h := dialHTTP1(get, "a", 1)
	w := newWork(load{kind: get, keys: 10}, 0)
	h.request(nil, 0, 1, w)
	answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nETag: \"1\"\r\n\r\n%s", valueBytes, strings.Repeat("v", valueBytes))
	for n := range len(answer) + 1 {
		answered := 0
		took, _, err := h.consume([]byte(answer[:n]), nil, func(_ int, reason string) {
			if answered++; reason != "" {
				t.Fatal(reason)
			}
		})
		if whole := n == len(answer); err != nil || (answered == 1) != whole || (took == n) != (whole || n == 0) {
			t.Fatalf("%d bytes of %d: took %d, %d answers, %v", n, len(answer), took, answered, err)
		}
	}
	if _, _, err := h.consume([]byte(answer), nil, func(int, string) {}); err == nil {
		t.Fatal("an answer that nobody asked for was taken")
	}
}

// TestWindowIsKept: a gRPC connection sends no more DATA than the server has said it takes (RFC 9113 §6.9), and goes on when
// it takes more. A call that brought a value but ended with an error has failed.
func TestWindowIsKept(t *testing.T) {
	g := dialGRPC(put, "a", 1000).(*grpc)
	w := newWork(load{kind: put, keys: 10}, 0)
	calls, sent := 0, 0
	for ; g.ready(); calls++ {
		out := g.request(nil, calls, 1, w)
		sent += 5 + 2 + keyBytes + 3 + valueBytes
		if !bytes.HasSuffix(out[:len(out)-valueBytes], []byte{2<<3 | 2, 0x80, 2}) {
			t.Fatalf("no value of 256 bytes at the end of %x", out)
		}
	}
	if sent > 65_535 || calls < 100 {
		t.Fatalf("%d calls sent %d bytes", calls, sent)
	}
	if _, _, err := g.consume(appendWindow(nil, 1000), nil, nil); err != nil || !g.ready() {
		t.Fatalf("not ready with a wider window: %v", err)
	}
	g.status = "14"
	if g.judge(stream{received: 1000}) == "" {
		t.Fatal("an error was taken for success")
	}
}

// FuzzConsume: whatever a server sends, a connection takes no more than came and answers no request twice.
func FuzzConsume(f *testing.F) {
	f.Add(true, []byte("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add(true, []byte("HTTP/1.1 201 Created\r\nContent-Length: 9223372036854775807\r\n\r\n{}"))
	f.Add(false, []byte{0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88})
	f.Add(false, []byte{0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0}) // reset twice
	f.Add(false, []byte{0, 0, 4, 8, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, http bool, in []byte) {
		const depth = 2
		p := dialGRPC(put, "a", depth)
		if http {
			p = dialHTTP1(put, "a", 1)
		}
		w := newWork(load{kind: get, keys: 10}, 0)
		w.pool = make([]byte, 2*valueBytes)
		inFlight := map[int]bool{0: true}
		p.request(nil, 0, 1, w)
		if !http {
			inFlight[1] = true
			p.request(nil, 1, 2, w)
		}
		took, _, _ := p.consume(in, nil, func(slot int, _ string) {
			if !inFlight[slot] {
				t.Fatalf("slot %d answered twice", slot)
			}
			delete(inFlight, slot)
		})
		if took < 0 || took > len(in) {
			t.Fatalf("took %d of %d", took, len(in))
		}
	})
}
