package e2e

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

type batchReceipt struct {
	FirstSeq uint64 `json:"first_seq"`
	Count    uint64 `json:"count"`
	Time     string `json:"time"`
}

func (s *scribe) batch(body string, headers ...string) *answer {
	s.t.Helper()
	return s.do("POST", "/v1/batch", []byte(body), append([]string{"Content-Type", "application/json"}, headers...)...)
}

func TestBatchJSON(t *testing.T) {
	s := start(t, options{})
	s.put("gone", "x")
	var r batchReceipt
	s.batch(`{"ops":[
		{"op":"put","key":"a","value":"1","content_type":"text/plain"},
		{"op":"put","key_b64":"/w==","value_b64":"/v8="},
		{"op":"put","key":"a","value":"two \u00e9 \ud83d\ude00\n","if_none_match":"*"},
		{"op":"delete","key":"gone","if_match":0},
		{"op":"put","key":"bare","value":""}
	]}`).want(201).wantHeader("Content-Type", "application/json").decode(&r)
	if r.FirstSeq != 1 || r.Count != 5 {
		t.Fatalf("receipt %+v", r)
	}
	// Conditions look at the state before the batch, both versions of a key are kept, in order.
	s.get("/v1/kv/a").want(200).wantBody("two é 😀\n").wantHeader("Etag", `"3"`)
	s.get("/v1/kv/a?seq=1").want(200).wantBody("1").wantHeader("Content-Type", "text/plain")
	s.line("GET", "/v1/kv/%ff", "").want(200).wantBody("\xfe\xff")
	s.get("/v1/kv/gone").wantHeader("X-Scribe-Seq", "4").wantProblem(404, "key_not_found")
	entries := s.replay()
	for _, e := range entries[1:] {
		if e.Time != r.Time {
			t.Errorf("entry %d of the batch has time %s, the receipt %s", e.Seq, e.Time, r.Time)
		}
	}
}

// TestBatchIsAtomic: one op that fails fails them all, and the answer names it.
func TestBatchIsAtomic(t *testing.T) {
	s := start(t, options{})
	s.put("k", "0")
	for _, c := range []struct {
		last   string
		status int
		code   string
	}{
		{`{"op":"delete","key":"absent"}`, 404, "key_not_found"},
		{`{"op":"put","key":"k","value":"x","if_match":5}`, 412, "precondition_failed"},
		{`{"op":"put","key":"k","value":"x","if_none_match":"*"}`, 412, "precondition_failed"},
		{`{"op":"delete","key":"first"}`, 404, "key_not_found"}, // not live before the batch
		{`{"op":"put","key":"","value":"x"}`, 400, "key_empty"},
		{`{"op":"put","key":"` + strings.Repeat("k", 4097) + `","value":"x"}`, 400, "key_too_long"},
	} {
		a := s.batch(`{"ops":[{"op":"put","key":"first","value":"x"},` + c.last + `]}`)
		p := a.wantProblem(c.status, c.code)
		if p.OpIndex == nil || *p.OpIndex != 1 || !strings.Contains(p.Detail, "1") {
			t.Errorf("%s: op_index is missing or wrong in %s", c.last, a.body)
		}
		if c.status == 412 {
			a.wantHeader("Etag", `"0"`)
		}
	}
	for _, body := range []string{
		"", "{}", "[]", "null", `{"ops":null}`, `{"ops":[]}`, `{"ops":{}}`, `{"ops":[{}]}`, `{"ops":[1]}`,
		`{"ops":[{"op":"put","key":"k","value":"v"}]`, `{"ops":[{"op":"put","key":"k","value":"v"}]} x`,
		`{"ops":[{"op":"get","key":"k"}]}`, `{"ops":[{"op":"put","value":"v"}]}`, `{"ops":[{"key":"k","value":"v"}]}`,
		`{"ops":[{"op":"put","key":"k","key_b64":"aw==","value":"v"}]}`, `{"ops":[{"op":"put","key":"k","value_b64":"?"}]}`,
		`{"ops":[{"op":"put","key":"k","value":"v","if_match":"7"}]}`, `{"ops":[{"op":"put","key":"k","value":"v","if_match":-1}]}`,
		`{"ops":[{"op":"put","key":"k","value":"v","if_none_match":3}]}`, `{"ops":[{"op":"delete","key":"k","value":"v"}]}`,
		"{\"ops\":[{\"op\":\"put\",\"key\":\"\xff\",\"value\":\"v\"}]}",
		`{"ops":[{"op":"put","key":"k","value":"v","content_type":"` + strings.Repeat("x", 256) + `"}]}`,
	} {
		s.batch(body).wantProblem(400, "bad_request")
	}
	s.do("POST", "/v1/batch", []byte(`{"ops":[{"op":"put","key":"k","value":"v"}]}`)).wantProblem(415, "unsupported_media_type")
	s.batch("x", "Content-Type", "text/plain").wantProblem(415, "unsupported_media_type")
	if st := s.status(); st.TreeSize != 1 {
		t.Fatalf("%d entries after batches that all failed", st.TreeSize)
	}
}

// appendOp appends one op of the binary form.
func appendOp(b []byte, op byte, key, value string) []byte {
	b = binary.AppendUvarint(append(b, op), uint64(len(key)))
	b = binary.AppendUvarint(append(b, key...), uint64(len(value)))
	return append(b, value...)
}

func TestBatchBinary(t *testing.T) {
	s := start(t, options{})
	typed := []string{"Content-Type", "application/x-scribe-batch"}
	body := appendOp(nil, 1, "a", "1")
	body = appendOp(body, 1, "a\x00\xff", strings.Repeat("v", 300))
	var r batchReceipt
	s.do("POST", "/v1/batch", body, typed...).want(201).decode(&r)
	if r.FirstSeq != 0 || r.Count != 2 {
		t.Fatalf("receipt %+v", r)
	}
	s.do("POST", "/v1/batch", appendOp(nil, 2, "a", ""), typed...).want(201)
	s.get("/v1/kv/a").wantHeader("X-Scribe-Seq", "2").wantProblem(404, "key_not_found")
	s.line("GET", "/v1/kv/a%00%ff", "").want(200).wantBody(strings.Repeat("v", 300))
	whole := appendOp(appendOp(nil, 1, "x", "y"), 1, "z", "value")
	for n := range whole {
		if n == len(appendOp(nil, 1, "x", "y")) {
			continue // a batch of one
		}
		s.do("POST", "/v1/batch", whole[:n], typed...).wantProblem(400, "bad_request")
	}
	s.do("POST", "/v1/batch", appendOp(nil, 9, "x", ""), typed...).wantProblem(400, "bad_request")
	s.do("POST", "/v1/batch", appendOp(nil, 2, "x", "value"), typed...).wantProblem(400, "bad_request")
	s.do("POST", "/v1/batch", appendOp(nil, 1, "", "value"), typed...).wantProblem(400, "key_empty")
	s.do("POST", "/v1/batch", append([]byte{1}, strings.Repeat("\xff", 11)...), typed...).wantProblem(400, "bad_request")
	huge := binary.AppendUvarint([]byte{1, 1, 'k'}, 1<<62)
	if a := s.do("POST", "/v1/batch", huge, typed...); a.status != 400 && a.status != 413 {
		t.Errorf("a value of 2^62 bytes: status %d", a.status)
	}
	s.replay()
}

// TestBatchLimits: 10,000 ops and 64 MiB are taken, one more of either is not.
func TestBatchLimits(t *testing.T) {
	s := start(t, options{})
	typed := []string{"Content-Type", "application/x-scribe-batch"}
	var body []byte
	for i := range 10_000 {
		body = appendOp(body, 1, fmt.Sprintf("k%05d", i), "v")
	}
	var r batchReceipt
	s.do("POST", "/v1/batch", body, typed...).want(201).decode(&r)
	if r.Count != 10_000 {
		t.Fatalf("receipt %+v", r)
	}
	s.do("POST", "/v1/batch", appendOp(body, 1, "more", "v"), typed...).wantProblem(413, "batch_too_large")
	half := strings.Repeat("x", 32<<20-16)
	full := appendOp(appendOp(nil, 1, "a", half), 1, "b", half)
	full = appendOp(full, 1, "c", strings.Repeat("y", 64<<20-len(full)-4))
	if len(full) != 64<<20 {
		t.Fatalf("the body has %d bytes", len(full))
	}
	s.do("POST", "/v1/batch", full, typed...).want(201)
	over := append(full, make([]byte, 64<<20+1-len(full))...)
	s.do("POST", "/v1/batch", over, typed...).wantProblem(413, "batch_too_large")
	s.get("/v1/kv/b").want(200).wantBody(half)
	s.do("POST", "/v1/batch", appendOp(nil, 1, "k", strings.Repeat("x", 32<<20+1)), typed...).wantProblem(413, "value_too_large")
}
