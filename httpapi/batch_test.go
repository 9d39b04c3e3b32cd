package httpapi

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tlog"
)

var testLimits = batchLimits{key: 64, value: 1000, ops: ledger.MaxBatchOps}

// appendBatchBinary appends one operation as decodeBatchBinary reads it.
func appendBatchBinary(dst []byte, op *ledger.WriteOp) []byte {
	dst = append(dst, byte(op.Op))
	dst = binary.AppendUvarint(dst, uint64(len(op.Key)))
	dst = append(dst, op.Key...)
	dst = binary.AppendUvarint(dst, uint64(len(op.Value)))
	return append(dst, op.Value...)
}

func binaryPut(key, value string) string {
	return string(appendBatchBinary(nil, &ledger.WriteOp{Op: tlog.OpPut, Key: []byte(key), Value: []byte(value)}))
}

func binaryDelete(key string) string {
	return string(appendBatchBinary(nil, &ledger.WriteOp{Op: tlog.OpDelete, Key: []byte(key)}))
}

func (r *rig) batch(body string, headers ...string) reply {
	r.t.Helper()
	return r.do("POST", "/v1/batch", body, append(headers, "Content-Type: application/json")...)
}

func TestBatch(t *testing.T) {
	r := newRig(t, nil)
	r.model.put("c", "old") // 0
	p := r.batch(`{"ops":[{"op":"put","key":"a","value":"b","if_none_match":"*","content_type":"t/x"},
		{"op":"delete","key":"c","if_match":0},{"op":"put","key":"a","value_b64":"/w=="},
		{"op":"put","key_b64":"/v8=","value":""},{"op":"put","key":"\u00e9\ud83d\ude00\n","value":"\"\\\/\b\f\n\r\t"}]}`).
		wants(t, 201).has(t, "Content-Type", "application/json")
	var receipt struct {
		FirstSeq uint64 `json:"first_seq"`
		Count    uint64 `json:"count"`
		Time     string `json:"time"`
	}
	p.into(t, &receipt)
	if receipt.FirstSeq != 1 || receipt.Count != 5 || receipt.Time == "" {
		t.Errorf("%+v", receipt)
	}
	want := []struct{ key, value, contentType string }{{"a", "b", "t/x"}, {"c", "", ""}, {"a", "\xff", ""},
		{"\xfe\xff", "", ""}, {"é😀\n", "\"\\/\b\f\n\r\t", ""}}
	for i, w := range want {
		e := r.model.log[1+i]
		if string(e.Key) != w.key || string(e.Value) != w.value || e.ContentType != w.contentType {
			t.Errorf("op %d is %q=%q", i, e.Key, e.Value)
		}
	}
	r.get("/v1/kv/c").problem(t, 404, codeKeyNotFound)
}

func TestBatchIsAllOrNothing(t *testing.T) {
	r := newRig(t, nil)
	r.model.put("a", "x") // 0
	for _, c := range []struct {
		body, code string
		status     int
		op         float64
	}{
		{`{"ops":[{"op":"put","key":"z","value":"1"},{"op":"delete","key":"nope"}]}`, codeKeyNotFound, 404, 1},
		{`{"ops":[{"op":"put","key":"z","value":"1"},{"op":"put","key":"a","value":"1","if_match":5}]}`,
			codePrecondition, 412, 1},
		{`{"ops":[{"op":"put","key":"a","value":"1","if_none_match":"*"}]}`, codePrecondition, 412, 0},
		// Conditions look at the state before the batch, not at its earlier operations.
		{`{"ops":[{"op":"put","key":"n","value":"1"},{"op":"delete","key":"n"}]}`, codeKeyNotFound, 404, 1},
	} {
		p := r.batch(c.body)
		m := p.problem(t, c.status, c.code)
		if m["op_index"] != c.op || !strings.Contains(m["detail"].(string), fmt.Sprintf("operation %v", c.op)) {
			t.Errorf("%s: %v", c.body, m)
		}
		if c.status == 412 {
			p.has(t, "Etag", `"0"`)
		}
	}
	if len(r.model.log) != 1 {
		t.Errorf("%d entries", len(r.model.log))
	}
}

func TestBatchJSONIsStrict(t *testing.T) {
	r := newRig(t, nil)
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{"ops":null}`, `{"ops":[]}`, `{"ops":{}}`, `{"ops":[{}]}`, `{"ops":[null]}`,
		`{"ops":[{"op":"put","key":"a","value":"b"}]`,
		`{"ops":[{"op":"put","key":"a","value":"b"}]}x`,
		`{"ops":[{"op":"put","key":"a","value":"b"}]}{}`,
		`{"ops":[{"op":"put","key":"a","value":"b"},]}`,
		`{"ops":[{"op":"put","key":"a","value":"b",}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b"} {"op":"put","key":"a","value":"b"}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b"}],"ops":[{"op":"put","key":"a","value":"b"}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b"}],"more":1}`,
		`{"Ops":[{"op":"put","key":"a","value":"b"}]}`,
		`{"ops":[{"op":"put","KEY":"a","value":"b"}]}`,
		`{"ops":[{"op":"put","key":"a","key":"b","value":"b"}]}`,
		`{"ops":[{"op":"put","key":"a","key_b64":"Yg==","value":"b"}]}`,
		`{"ops":[{"op":"put","value":"b"}]}`,
		`{"ops":[{"op":"put","key":"a"}]}`,
		`{"ops":[{"op":"put","key":"a","value":null}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b","value_b64":"Yg=="}]}`,
		`{"ops":[{"key":"a","value":"b"}]}`,
		`{"ops":[{"op":"get","key":"a"}]}`,
		`{"ops":[{"op":"delete","key":"a","value":"b"}]}`,
		`{"ops":[{"op":"delete","key":"a","content_type":"b"}]}`,
		`{"ops":[{"op":"put","key":1,"value":"b"}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b","ttl":1}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b","if_match":"1"}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b","if_match":-1}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b","if_match":1.0}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b","if_match":01}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b","if_match":18446744073709551616}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b","if_none_match":"1"}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b","if_none_match":1}]}`,
		`{"ops":[{"op":"put","key":"` + "\xff" + `","value":"b"}]}`,
		`{"ops":[{"op":"put","key":"\ud800","value":"b"}]}`,
		`{"ops":[{"op":"put","key":"\ud800\ud800","value":"b"}]}`,
		`{"ops":[{"op":"put","key":"\udc00","value":"b"}]}`,
		`{"ops":[{"op":"put","key":"\x41","value":"b"}]}`,
		`{"ops":[{"op":"put","key":"\u12","value":"b"}]}`,
		"{\"ops\":[{\"op\":\"put\",\"key\":\"a\nb\",\"value\":\"b\"}]}",
		`{"ops":[{"op":"put","key":"a","value_b64":"Yg"}]}`,
		`{"ops":[{"op":"put","key":"a","value_b64":"Yh=="}]}`,
		`{"ops":[{"op":"put","key":"a","value_b64":"Y g=="}]}`,
		`{"ops":[{"op":"put","key":"a","value_b64":"Yg==\n"}]}`,
		`{"ops":[{"op":"put","key":"a","value_b64":"_w=="}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b","content_type":"` + strings.Repeat("t", 256) + `"}]}`,
		`{"ops":[{"op":"put","key":"a","value":"b","content_type":"a\r\nb"}]}`,
	} {
		r.batch(body).problem(t, 400, codeBadRequest)
	}
	r.batch(`{"ops":[{"op":"put","key":"","value":"b"}]}`).problem(t, 400, codeKeyEmpty)
	m := r.batch(`{"ops":[{"op":"put","key":"a","value":"b"},{"op":"put","key":"`+strings.Repeat("k", 4097)+
		`","value":"b"}]}`).problem(t, 400, codeKeyTooLong)
	if m["op_index"] != 1.0 {
		t.Errorf("%v", m)
	}
	if len(r.model.log) != 0 {
		t.Errorf("%d entries", len(r.model.log))
	}
	r.batch(` {"ops" : [ { "op" : "put" , "key":"a","value":"b","value_b64":null,"if_match":null } ] } `).wants(t, 201)
}

func TestBatchHeaders(t *testing.T) {
	r := newRig(t, nil)
	const body = `{"ops":[{"op":"put","key":"a","value":"b"}]}`
	for contentType, status := range map[string]int{"application/json": 201, "Application/JSON; charset=utf-8": 201,
		"":           415,
		"text/plain": 415, "application/x-www-form-urlencoded": 415, "application/json;": 201, "json": 415} {
		p := r.do("POST", "/v1/batch", body, "Content-Type: "+contentType).wants(t, status)
		if status == 415 {
			p.problem(t, 415, codeMediaType)
		}
	}
	r.batch(body, `If-Match: "1"`).problem(t, 400, codeBadRequest)
	r.batch(body, "If-None-Match: *").problem(t, 400, codeBadRequest)
	first := r.batch(body, "Idempotency-Key: k").wants(t, 201)
	n := len(r.model.log)
	if again := r.batch(body, "Idempotency-Key: k").wants(t, 201); again.body != first.body || len(r.model.log) != n {
		t.Errorf("retry: %s after %s", again.body, first.body)
	}
	r.batch(body+" ", "Idempotency-Key: k").problem(t, 422, codeIdempotency)
}

func TestBatchLimits(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxValueBytes = 100; o.MaxKeyBytes = 10 })
	many := strings.Repeat(binaryPut("k", "v"), ledger.MaxBatchOps)
	binaryType := "Content-Type: " + mediaBinaryBatch
	if m := r.do("POST", "/v1/batch", many, binaryType).wants(t, 201).json(t); m["count"] != float64(ledger.MaxBatchOps) {
		t.Errorf("%v", m)
	}
	r.do("POST", "/v1/batch", many+binaryPut("k", "v"), binaryType).problem(t, 413, codeBatchTooLarge)
	ops := strings.Repeat(`{"op":"put","key":"k","value":"v"},`, ledger.MaxBatchOps)
	r.batch(`{"ops":[`+ops[:len(ops)-1]+`]}`).wants(t, 201)
	r.batch(`{"ops":[`+ops+ops[:len(ops)-1]+`]}`).problem(t, 413, codeBatchTooLarge)
	r.do("POST", "/v1/batch", "", binaryType, fmt.Sprint("Content-Length: ", ledger.MaxBatchBytes+1)).
		problem(t, 413, codeBatchTooLarge)
	m := r.do("POST", "/v1/batch", binaryPut("k", "v")+binaryPut("k", strings.Repeat("v", 101)), binaryType).
		problem(t, 413, codeValueTooLarge)
	if m["op_index"] != 1.0 {
		t.Errorf("%v", m)
	}
	r.do("POST", "/v1/batch", binaryPut(strings.Repeat("k", 11), "v"), binaryType).problem(t, 400, codeKeyTooLong)
	r.do("POST", "/v1/batch", binaryPut("", "v"), binaryType).problem(t, 400, codeKeyEmpty)
	r.do("POST", "/v1/batch", "", binaryType).problem(t, 400, codeBadRequest)
	m = r.do("POST", "/v1/batch", binaryPut("k", "v")+"\x03", binaryType).problem(t, 400, codeBadRequest)
	if m["op_index"] != 1.0 {
		t.Errorf("%v", m)
	}
}

func TestBinaryBatchRefuses(t *testing.T) {
	good := binaryPut("key", "value") + binaryDelete("key")
	if ops, err := decodeBatchBinary([]byte(good), testLimits); err != nil || len(ops) != 2 {
		t.Fatal(ops, err)
	}
	whole := len(binaryPut("key", "value"))
	for n := range len(good) {
		if _, err := decodeBatchBinary([]byte(good[:n]), testLimits); err == nil && n != whole {
			t.Errorf("the first %d of %d bytes pass", n, len(good))
		}
	}
	for _, bad := range []string{"\x00\x01a\x00", "\x03\x01a\x00", "\x01\x81\x00a\x00", "\x01\x01a\x80\x00",
		"\x02\x01a\x01v", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a\x00",
		"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a\x00"} {
		if ops, err := decodeBatchBinary([]byte(bad), testLimits); err == nil {
			t.Errorf("%q passes as %v", bad, ops)
		}
	}
}

func drawOps(t *rapid.T) []ledger.WriteOp {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ledger.WriteOp {
		op := ledger.WriteOp{Op: tlog.OpDelete, Key: rapid.SliceOfN(rapid.Byte(), 1, testLimits.key).Draw(t, "key")}
		if rapid.Bool().Draw(t, "put") {
			op.Op, op.Value = tlog.OpPut, rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "value")
		}
		return op
	}), 1, 20).Draw(t, "ops")
}

func sameOps(a, b []ledger.WriteOp) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Op != b[i].Op || !bytes.Equal(a[i].Key, b[i].Key) || !bytes.Equal(a[i].Value, b[i].Value) {
			return false
		}
	}
	return true
}

func TestBatchRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := drawOps(t)
		var bin []byte
		text := []byte(`{"ops":[`)
		for i := range ops {
			bin = appendBatchBinary(bin, &ops[i])
			if i > 0 {
				text = append(text, ',')
			}
			text = append(text, `{"op":"`...)
			text = append(text, ops[i].Op.String()...)
			text = append(text, `",`...)
			text = appendBytesField(text, "key", ops[i].Key)
			if ops[i].Op == tlog.OpPut {
				text = append(text, ',')
				text = appendBytesField(text, "value", ops[i].Value)
			}
			text = append(text, '}')
		}
		text = append(text, "]}"...)
		if got, err := decodeBatchBinary(bin, testLimits); err != nil || !sameOps(got, ops) {
			t.Fatalf("binary: %v %v", got, err)
		}
		if got, err := decodeBatchJSON(text, testLimits); err != nil || !sameOps(got, ops) {
			t.Fatalf("json: %v %v", got, err)
		}
	})
}
