package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	runtimemetrics "runtime/metrics"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tlog"
)

// allocated runs f and returns the bytes it allocated, to about a span of each size class.
func allocated(f func()) uint64 {
	sample := []runtimemetrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	runtimemetrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	runtimemetrics.Read(sample)
	return sample[0].Value.Uint64() - before
}

// checkAllocated runs f on a copy of the input, and checks that it took no more memory than the input and a mebibyte.
// What other goroutines allocate meanwhile is counted too, so a run that is over gets two more chances.
func checkAllocated(t *testing.T, input []byte, f func(input []byte)) {
	t.Helper()
	most := uint64(len(input)) + 1<<20
	var got uint64
	for range 3 {
		own := bytes.Clone(input)
		if got = allocated(func() { f(own) }); got <= most || raceDetector {
			return
		}
	}
	t.Fatalf("%d bytes of input took %d bytes of memory", len(input), got)
}

func FuzzDecodeBatchBinary(f *testing.F) {
	f.Add([]byte(binaryPut("key", "value") + binaryDelete("key")))
	f.Add([]byte("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a\x00"))
	f.Add([]byte("\x01\x81\x00a\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		limits := batchLimits{key: 4096, value: 1 << 20, ops: ledger.MaxBatchOps}
		var ops []ledger.WriteOp
		var err error
		checkAllocated(t, body, func(b []byte) { ops, err = decodeBatchBinary(b, limits) })
		if err != nil {
			return
		}
		// There is one encoding of a list of operations, so what is read writes back as it was.
		var again []byte
		for i := range ops {
			again = appendBatchBinary(again, &ops[i])
		}
		if !bytes.Equal(again, body) {
			t.Fatalf("%q reads as %q", body, again)
		}
	})
}

func FuzzDecodeBatchJSON(f *testing.F) {
	f.Add([]byte(`{"ops":[{"op":"put","key":"a","value":"b","if_match":7},{"op":"delete","key":"c"}]}`))
	f.Add([]byte(`{"ops":[{"op":"put","key_b64":"/w==","value_b64":"","content_type":"t","if_none_match":"*"}]}`))
	f.Add([]byte(`{"ops":[{"op":"put","key":"\ud83d\ude00\u0000","value":"\"\\\/\b\f\n\r\t"}]}`))
	f.Add([]byte(`{"ops":[{"op":"put","key":"\ud83d","value":null}]} `))
	type wireOp struct {
		Op          string  `json:"op"`
		Key         *string `json:"key"`
		KeyB64      []byte  `json:"key_b64"`
		Value       *string `json:"value"`
		ValueB64    []byte  `json:"value_b64"`
		ContentType string  `json:"content_type"`
		IfMatch     *uint64 `json:"if_match"`
		IfNoneMatch *string `json:"if_none_match"`
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var ops []ledger.WriteOp
		var err error
		limits := batchLimits{key: 4096, value: 1 << 20, ops: ledger.MaxBatchOps}
		checkAllocated(t, body, func(b []byte) { ops, err = decodeBatchJSON(b, limits) })
		if err != nil {
			return
		}
		// What passes here passes encoding/json, which is laxer, and means the same there.
		var want struct {
			Ops []wireOp `json:"ops"`
		}
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&want); err != nil || len(want.Ops) != len(ops) {
			t.Fatalf("%q: %d ops, encoding/json: %d, %v", body, len(ops), len(want.Ops), err)
		}
		for i, op := range ops {
			w := want.Ops[i]
			key, value := w.KeyB64, w.ValueB64
			if w.Key != nil {
				key = []byte(*w.Key)
			}
			if w.Value != nil {
				value = []byte(*w.Value)
			}
			conditions := 0
			if w.IfMatch != nil {
				conditions++
			}
			if w.IfNoneMatch != nil {
				conditions++
			}
			if !bytes.Equal(op.Key, key) || !bytes.Equal(op.Value, value) || op.Op.String() != w.Op ||
				op.ContentType != w.ContentType || len(op.Conditions) != conditions {
				t.Fatalf("%q: op %d is %+v, encoding/json has %+v", body, i, op, w)
			}
			if op.Op != tlog.OpPut && op.Op != tlog.OpDelete || len(op.Key) == 0 {
				t.Fatalf("op %d is %+v", i, op)
			}
		}
	})
}

// The densest batches there can be: what they decode to stays within the input and a mebibyte.
func TestBatchMemory(t *testing.T) {
	bin := []byte(strings.Repeat(binaryPut("k", ""), ledger.MaxBatchOps+1))
	checkAllocated(t, bin, func(b []byte) { _, _ = decodeBatchBinary(b, testLimits) })
	op := `{"op":"put","key_b64":"aw==","value":"","content_type":"t","if_match":1,"if_none_match":"*"},`
	text := []byte(`{"ops":[` + strings.Repeat(op, ledger.MaxBatchOps+1))
	checkAllocated(t, text, func(b []byte) { _, _ = decodeBatchJSON(b, testLimits) })
	braces := []byte(`{"ops":[` + strings.Repeat("{", 1<<20))
	checkAllocated(t, braces, func(b []byte) { _, _ = decodeBatchJSON(b, testLimits) })
}

func FuzzDecodeChange(f *testing.F) {
	f.Add([]byte(`{"node_id":4,"raft_addr":"h:1","http_addr":"h:2","learner":true}`), true)
	f.Add([]byte(` {"node_id" : 18446744073709551615 } `), false)
	f.Add([]byte(`{"node_id":4,"node_id":5}`), false)
	f.Add([]byte(`{"raft_addr":"\ud83d\ude00","learner":false}`), true)
	f.Fuzz(func(t *testing.T, body []byte, join bool) {
		var got node.JoinRequest
		var err error
		checkAllocated(t, body, func(b []byte) { got, err = decodeChange(bytes.Clone(b), join) })
		if err != nil {
			return
		}
		// encoding/json takes more, and reads what both take in the same way.
		var want struct {
			NodeID   uint64 `json:"node_id"`
			RaftAddr string `json:"raft_addr"`
			HTTPAddr string `json:"http_addr"`
			Learner  bool   `json:"learner"`
		}
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&want); err != nil || got != node.JoinRequest(want) ||
			!join && got != (node.JoinRequest{NodeID: got.NodeID}) {
			t.Fatalf("%q: %+v, encoding/json: %+v, %v", body, got, want, err)
		}
	})
}

func FuzzDecodeKey(f *testing.F) {
	for raw := range oddKeys {
		f.Add(raw)
	}
	for _, raw := range []string{"%", "%2", "%zz", "", strings.Repeat("%00", 5000)} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var key []byte
		var err error
		checkAllocated(t, []byte(raw), func([]byte) { key, err = decodeKey(nil, raw, 4096) })
		// url.PathUnescape is the oracle for what is percent-encoding at all.
		want, oracle := url.PathUnescape(raw)
		if oracle != nil || want == "" || len(want) > 4096 {
			if err == nil {
				t.Fatalf("%q passes as %q", raw, key)
			}
			return
		}
		if err != nil || string(key) != want {
			t.Fatalf("%q is %q, %v; want %q", raw, key, err, want)
		}
		back, err := decodeKey(nil, string(appendEscapedKey(nil, key)), 4096)
		if err != nil || !bytes.Equal(back, key) {
			t.Fatalf("%q escapes to %q", key, back)
		}
	})
}

func FuzzDecodeCursor(f *testing.F) {
	for _, k := range []cursor{{last: []byte("a")}, {reverse: true, pinned: 1 << 60, bounds: 7, last: []byte("\x00\xff")},
		{clamped: true, last: []byte("b")}} {
		f.Add(k.encode())
	}
	f.Add("")
	f.Add("AQAA")
	f.Fuzz(func(t *testing.T, text string) {
		var k cursor
		var err error
		checkAllocated(t, []byte(text), func([]byte) { k, err = decodeCursor(text) })
		if err == nil && k.encode() != text {
			t.Fatalf("%q reads as %+v, which is %q", text, k, k.encode())
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	for _, raw := range []string{"", "a=b&c=d", "prefix=%ff&limit=3", "as_of_time=2026-11-22T10:00:00.5+02:00", "a=%",
		"seq=18446744073709551616", "&&=&", "consistency=stale&max_staleness=5s", "limit=99999999999999999999"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var q query
		var err error
		checkAllocated(t, []byte(raw), func([]byte) { q, err = parseQuery(raw) })
		if err != nil {
			return
		}
		for _, p := range q.params {
			if value, ok, err := q.get(p.name); err == nil && (!ok || value != p.value) {
				t.Fatalf("%q: %s is %q, then %q", raw, p.name, p.value, value)
			}
		}
		// The oracle differs where it should: "+" is a space to it, and ";" an error.
		if oracle, err := url.ParseQuery(strings.ReplaceAll(raw, "+", "%2B")); err == nil {
			for _, p := range q.params {
				if oracle.Get(p.name) != p.value && len(oracle[p.name]) == 1 {
					t.Fatalf("%q: %s is %q, want %q", raw, p.name, p.value, oracle.Get(p.name))
				}
			}
		}
		_, _ = q.selector()
		_, _ = q.consistency()
		_, _ = q.limit()
		_, _ = q.pin()
		_, _, _ = q.bounds()
	})
}

func FuzzParseETags(f *testing.F) {
	for _, field := range []string{`"1"`, `*`, `W/"1", "2"`, `"a" "b"`, `,,"1",`, `"`, `W/`, `"\"`, "\"\xff\""} {
		f.Add(field)
	}
	f.Fuzz(func(t *testing.T, field string) {
		tags, err := parseETags(map[string][]string{"If-Match": {field}}, "If-Match")
		if err != nil {
			return
		}
		for _, tag := range tags.tags {
			if tags.any || tags.matchStrong(tag.seq) && tag.weak && len(tags.tags) == 1 || !tags.matchWeak(tag.seq) {
				t.Fatalf("%q is %+v", field, tags)
			}
		}
	})
}

// FuzzHandler throws whole requests at the handler: nothing it answers may be a 500, and every problem is well-formed.
func FuzzHandler(f *testing.F) {
	f.Add("GET", "/v1/kv/a?seq=1", "If-Match", `"1"`, []byte(""))
	f.Add("PUT", "/a%2Fb", "Idempotency-Key", "k", []byte("value"))
	f.Add("POST", "/v1/batch", "Content-Type", "application/json", []byte(`{"ops":[{"op":"put","key":"a","value":"b"}]}`))
	f.Add("GET", "/v1/range?prefix=a&limit=1", "Accept", "application/x-ndjson", []byte(""))
	f.Add("GET", "/v1/kv/a", "Range", "bytes=0-1", []byte(""))
	f.Add("DELETE", "http://h/v1/kv/a", "X-Request-Id", "x", []byte(""))
	f.Fuzz(func(t *testing.T, method, target, name, value string, body []byte) {
		m := newModel()
		m.put("a", "value")
		api := New(Options{Backend: m})
		req := httptest.NewRequest("GET", "/", bytes.NewReader(body))
		req.Method, req.RequestURI = method, target
		req.Header.Set(name, value)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, req)
		if w.Code == 500 || w.Code >= 200 && w.Code < 300 && w.Header().Get("X-Request-Id") == "" {
			t.Fatalf("%s %q: %d %s", method, target, w.Code, w.Body)
		}
		if w.Code >= 400 && w.Code != 503 && method != "HEAD" && !strings.HasPrefix(target, "/health") {
			if !utf8.Valid(w.Body.Bytes()) || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s %q: %d %q", method, target, w.Code, w.Body)
			}
		}
	})
}
