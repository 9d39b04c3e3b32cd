package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestPutAnswer(t *testing.T) {
	s := start(t, options{})
	a := s.do("PUT", "/v1/kv/dir/key", []byte("value"), "Content-Type", "text/plain; charset=utf-8").want(201)
	a.wantHeader("Etag", `"0"`).wantHeader("X-Scribe-Seq", "0").wantHeader("Location", "/v1/kv/dir/key?seq=0")
	a.wantHeader("Content-Type", "application/json")
	var r receipt
	a.decode(&r)
	at := micros(t, r.Time)
	if r.Seq != 0 || r.Key != "dir/key" || r.Size != 5 || time.Since(time.UnixMicro(at)).Abs() > time.Minute {
		t.Fatalf("receipt %+v", r)
	}
	leaf := leafHash(record(1, 0, at, "dir/key", "text/plain; charset=utf-8", "", []byte("value")))
	if unhex(t, r.LeafHash) != leaf {
		t.Fatalf("leaf hash %s, want %x", r.LeafHash, leaf)
	}

	for _, method := range []string{"GET", "HEAD"} {
		g := s.do(method, "/v1/kv/dir/key", nil).want(200)
		sum := sha256.Sum256([]byte("value"))
		g.wantHeader("Content-Type", "text/plain; charset=utf-8").wantHeader("Etag", `"0"`).wantHeader("X-Scribe-Seq", "0")
		g.wantHeader("X-Scribe-Time", r.Time).wantHeader("Content-Length", "5")
		g.wantHeader("Last-Modified", time.UnixMicro(at).UTC().Format(http.TimeFormat))
		g.wantHeader("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
		if method == "GET" {
			g.wantBody("value")
		} else {
			g.wantBody("")
		}
	}
	// Chunked, empty, and without a type.
	s.raw("PUT /v1/kv/chunked HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").want(201)
	s.get("/v1/kv/chunked").want(200).wantBody("abcde").wantHeader("Content-Type", "application/octet-stream")
	if r := s.put("empty", ""); r.Size != 0 || r.Seq != 2 {
		t.Fatalf("receipt of an empty value: %+v", r)
	}
	s.get("/v1/kv/empty").want(200).wantBody("").wantHeader("Content-Length", "0").wantHeader("Etag", `"2"`)
	// A type of 255 bytes is kept, one more is refused.
	longest := "text/" + strings.Repeat("x", 250)
	s.put("typed", "v", "Content-Type", longest)
	s.get("/typed").want(200).wantHeader("Content-Type", longest)
	s.do("PUT", "/typed", nil, "Content-Type", longest+"x").wantProblem(400, "bad_request")
	s.do("PUT", "/root", []byte("short form")).want(201).wantHeader("Location", "/v1/kv/root?seq=4")
	s.get("/v1/kv/root").want(200).wantBody("short form")
	s.do("DELETE", "/root", nil).want(200)
	s.replay()
}

func TestDelete(t *testing.T) {
	s := start(t, options{})
	s.do("DELETE", "/v1/kv/k", nil).wantProblem(404, "key_not_found")
	s.put("k", "one")
	a := s.do("DELETE", "/v1/kv/k", nil).want(200).wantHeader("Etag", `"1"`).wantHeader("X-Scribe-Seq", "1")
	var r receipt
	a.decode(&r)
	if leaf := leafHash(record(2, 1, micros(t, r.Time), "k", "", "", nil)); r.Seq != 1 || r.Size != 0 || unhex(t, r.LeafHash) != leaf {
		t.Fatalf("receipt %+v", r)
	}
	gone := s.get("/v1/kv/k")
	gone.wantHeader("X-Scribe-Seq", "1").wantProblem(404, "key_not_found")
	s.do("HEAD", "/v1/kv/k", nil).want(404).wantBody("")
	d := s.do("DELETE", "/v1/kv/k", nil)
	d.wantHeader("X-Scribe-Seq", "1").wantProblem(404, "key_not_found")
	s.get("/v1/kv/k?seq=0").want(200).wantBody("one")
	s.get("/v1/kv/k?seq=1").wantProblem(404, "version_not_found")
	s.get("/v1/kv/k?as_of_seq=0").want(200).wantBody("one")
	s.get("/v1/kv/k?as_of_seq=1").wantProblem(404, "key_not_found")
	s.put("k", "two")
	s.get("/v1/kv/k").want(200).wantBody("two")
	if st := s.status(); st.TreeSize != 3 {
		t.Fatalf("%d entries; a failing delete appends nothing", st.TreeSize)
	}
	// All of it once more from a segment.
	s.seal()
	s.get("/v1/kv/k?seq=1").wantProblem(404, "version_not_found")
	s.get("/v1/kv/k?as_of_seq=1").wantHeader("X-Scribe-Seq", "1").wantProblem(404, "key_not_found")
	s.get("/v1/kv/k?seq=0").want(200).wantBody("one")
	s.get("/v1/kv/k").want(200).wantBody("two")
}

// TestSelectors picks versions by seq and by time, in memory and from segments.
func TestSelectors(t *testing.T) {
	s := start(t, options{})
	var receipts []receipt
	for i := range 6 {
		receipts = append(receipts, s.put("k", fmt.Sprint(i)))
		s.put("other", fmt.Sprint(i))
	}
	check := func() {
		for i, r := range receipts {
			want := fmt.Sprint(i)
			s.get(fmt.Sprintf("/v1/kv/k?seq=%d", r.Seq)).want(200).wantBody(want)
			s.get(fmt.Sprintf("/v1/kv/k?as_of_seq=%d", r.Seq)).want(200).wantBody(want)
			s.get(fmt.Sprintf("/v1/kv/k?as_of_seq=%d", r.Seq+1)).want(200).wantBody(want)
			s.get(fmt.Sprintf("/v1/kv/k?seq=%d", r.Seq+1)).wantProblem(404, "version_not_found")
			at := time.UnixMicro(micros(t, r.Time))
			// The newest version of that microsecond: another may share it.
			newest := i
			for newest+1 < len(receipts) && receipts[newest+1].Time == r.Time {
				newest++
			}
			for _, text := range []string{r.Time, at.In(time.FixedZone("", 5*3600+1800)).Format(time.RFC3339Nano),
				at.Add(999 * time.Nanosecond).UTC().Format("2006-01-02T15:04:05.000000000Z")} {
				s.get("/v1/kv/k?as_of_time=" + strings.ReplaceAll(text, ":", "%3A")).want(200).wantBody(fmt.Sprint(newest))
			}
		}
		s.get("/v1/kv/k?as_of_time=2000-01-01T00:00:00Z").wantProblem(404, "key_not_found")
		s.get("/v1/kv/k?as_of_time=2999-01-01T00:00:00.5-07:00").want(200).wantBody("5")
		s.get("/v1/kv/k?as_of_seq=18446744073709551615").want(200).wantBody("5")
		s.get("/v1/kv/k?seq=999").wantProblem(404, "version_not_found")
		s.get("/v1/kv/absent?seq=0").wantProblem(404, "version_not_found")
		s.get("/v1/kv/absent?as_of_seq=3").wantProblem(404, "key_not_found")
	}
	check()
	s.seal()
	check()
	s.get(fmt.Sprintf("/v1/kv/k?seq=%d", s.status().TreeSize-1)).wantProblem(404, "version_not_found") // the op 3 entry
	for _, query := range []string{"seq=0&as_of_seq=0", "seq=0&as_of_time=2026-01-01T00:00:00Z", "seq=", "seq=x", "seq=-1",
		"seq=1&seq=1", "as_of_time=2026-01-01", "as_of_time=2026-01-01T00:00:00", "as_of_time=2026-13-01T00:00:00Z",
		"as_of_time=2026-01-01T00:00:00.1234567890Z", "as_of_time=1700000000", "seq=%zz", "consistency=no"} {
		s.get("/v1/kv/k?"+query).wantProblem(400, "bad_request")
	}
	s.get("/v1/kv/k?as_of_time=2999-01-01T00:00:00+01:00").want(200) // a plus is a plus
	a := s.get("/v1/kv/k?consistency=stale").want(200)
	a.wantHeader("X-Scribe-Applied", strconv.FormatUint(s.status().TreeSize-1, 10))
	s.get("/v1/kv/k?consistency=stale&max_staleness=5s").want(200)
	s.get("/v1/kv/k?consistency=linearizable").want(200)
}

// TestPreconditions: RFC 9110 §13 on writes and reads.
func TestPreconditions(t *testing.T) {
	s := start(t, options{})
	s.do("PUT", "/v1/kv/k", nil, "If-Match", `"0"`).wantProblem(412, "precondition_failed")
	s.do("PUT", "/v1/kv/k", nil, "If-Match", "*").wantProblem(412, "precondition_failed")
	s.do("PUT", "/v1/kv/k", []byte("0"), "If-None-Match", "*").want(201)
	refused := s.do("PUT", "/v1/kv/k", []byte("x"), "If-None-Match", "*")
	refused.wantHeader("Etag", `"0"`).wantProblem(412, "precondition_failed")
	s.do("PUT", "/v1/kv/k", []byte("1"), "If-Match", `"0"`).want(201)
	stale := s.do("PUT", "/v1/kv/k", []byte("x"), "If-Match", `"0"`)
	stale.wantHeader("Etag", `"1"`).wantProblem(412, "precondition_failed")
	s.do("PUT", "/v1/kv/k", []byte("x"), "If-Match", `W/"1"`).wantProblem(412, "precondition_failed")
	s.do("PUT", "/v1/kv/k", []byte("2"), "If-Match", `"7", "1"`).want(201)
	s.do("PUT", "/v1/kv/k", []byte("3"), "If-Match", "*").want(201)
	s.do("PUT", "/v1/kv/k", []byte("x"), "If-None-Match", `"3"`).wantProblem(412, "precondition_failed")
	s.do("PUT", "/v1/kv/k", []byte("4"), "If-None-Match", `"2"`).want(201)
	s.do("DELETE", "/v1/kv/k", nil, "If-Match", `"3"`).wantProblem(412, "precondition_failed")
	s.do("DELETE", "/v1/kv/k", nil, "If-Match", `"4"`).want(200)
	// A tombstone is no live version.
	dead := s.do("PUT", "/v1/kv/k", nil, "If-Match", `"5"`)
	dead.wantHeader("Etag", `"5"`).wantProblem(412, "precondition_failed")
	s.do("PUT", "/v1/kv/k", nil, "If-Match", "*").wantProblem(412, "precondition_failed")
	s.do("PUT", "/v1/kv/k", []byte("6"), "If-None-Match", "*").want(201)
	for _, field := range []string{"6", `"6`, "", "latest", `"6" "7"`, `"6",x`} {
		s.do("PUT", "/v1/kv/k", nil, "If-Match", field).wantProblem(400, "bad_request")
	}

	for _, method := range []string{"GET", "HEAD"} {
		for _, field := range []string{`"6"`, `W/"6"`, "*", `"1", "6"`} {
			a := s.do(method, "/v1/kv/k", nil, "If-None-Match", field).want(304).wantBody("").wantHeader("Etag", `"6"`)
			a.wantHeader("X-Scribe-Seq", "6")
		}
		s.do(method, "/v1/kv/k", nil, "If-None-Match", `"5"`).want(200)
		s.do(method, "/v1/kv/k", nil, "If-Match", `"6"`).want(200)
		s.do(method, "/v1/kv/k", nil, "If-Match", `"5"`).want(412)
	}
	modified := s.get("/v1/kv/k").header.Get("Last-Modified")
	s.get("/v1/kv/k", "If-Modified-Since", modified).want(304)
	s.get("/v1/kv/k?seq=6", "If-None-Match", `"6"`).want(304)
	s.get("/v1/kv/absent", "If-None-Match", "*").wantProblem(404, "key_not_found")
	if st := s.status(); st.TreeSize != 7 {
		t.Fatalf("%d entries of 7 writes that were good", st.TreeSize)
	}
}

func TestByteRanges(t *testing.T) {
	s := start(t, options{})
	value := strings.Repeat("0123456789", 100)
	s.put("k", value)
	s.put("empty", "")
	check := func() {
		for field, want := range map[string][2]int{
			"bytes=0-9": {0, 10}, "bytes=990-": {990, 1000}, "bytes=-10": {990, 1000}, "bytes=5-5": {5, 6},
			"bytes=0-99999": {0, 1000}, "bytes=-99999": {0, 1000}, "Bytes=1-2": {1, 3},
		} {
			a := s.get("/v1/kv/k", "Range", field).want(206).wantBody(value[want[0]:want[1]])
			a.wantHeader("Content-Range", fmt.Sprintf("bytes %d-%d/1000", want[0], want[1]-1)).wantHeader("Etag", `"0"`)
			a.wantHeader("Content-Length", strconv.Itoa(want[1]-want[0]))
		}
		for _, field := range []string{"bytes=5-1", "lines=1-2", "bytes=", "bytes=a-b", "bytes"} {
			s.get("/v1/kv/k", "Range", field).want(200).wantBody(value)
		}
		for _, field := range []string{"bytes=1000-", "bytes=5000-6000", "bytes=-0"} {
			s.get("/v1/kv/k", "Range", field).want(416).wantHeader("Content-Range", "bytes */1000")
		}
		s.do("HEAD", "/v1/kv/k", nil, "Range", "bytes=0-9").want(200).wantHeader("Content-Length", "1000")
		s.get("/v1/kv/k", "Range", "bytes=0-9", "If-Range", `"0"`).want(206)
		s.get("/v1/kv/k", "Range", "bytes=0-9", "If-Range", `"1"`).want(200).wantBody(value)
		s.get("/v1/kv/k", "Range", "bytes=0-9", "If-None-Match", `"0"`).want(304)
		s.get("/v1/kv/empty", "Range", "bytes=0-").want(416)
	}
	check()
	s.seal()
	check()
}

// TestIdempotency: a retry gets the first answer and appends nothing, also behind a restart.
func TestIdempotency(t *testing.T) {
	o := options{dir: t.TempDir()}
	s := start(t, o)
	s.put("k", "0")
	retry := func(method, path, body string, headers ...string) *answer {
		return s.do(method, path, []byte(body), append(headers, "Idempotency-Key", "put")...)
	}
	first := retry("PUT", "/v1/kv/k", "1", "If-Match", `"0"`).want(201)
	same := func(again *answer) {
		t.Helper()
		again.want(201).wantBody(string(first.body))
		for _, name := range []string{"Etag", "X-Scribe-Seq", "Location", "Content-Type"} {
			again.wantHeader(name, first.header.Get(name))
		}
	}
	// The condition does not hold any more; the request is the same all the same.
	same(retry("PUT", "/v1/kv/k", "1", "If-Match", `"0"`))
	mismatches := func() {
		t.Helper()
		retry("PUT", "/v1/kv/k", "2", "If-Match", `"0"`).wantProblem(422, "idempotency_mismatch")
		retry("PUT", "/v1/kv/other", "1", "If-Match", `"0"`).wantProblem(422, "idempotency_mismatch")
		retry("PUT", "/v1/kv/k", "1", "If-Match", `"1"`).wantProblem(422, "idempotency_mismatch")
		retry("PUT", "/v1/kv/k", "1").wantProblem(422, "idempotency_mismatch")
		retry("PUT", "/v1/kv/k", "1", "If-Match", `"0"`, "Content-Type", "text/plain").wantProblem(422, "idempotency_mismatch")
		retry("DELETE", "/v1/kv/k", "").wantProblem(422, "idempotency_mismatch")
	}
	mismatches()
	// A failure is not remembered.
	key := []string{"Idempotency-Key", "later"}
	s.do("DELETE", "/v1/kv/none", nil, key...).wantProblem(404, "key_not_found")
	s.put("none", "x")
	gone := s.do("DELETE", "/v1/kv/none", nil, key...).want(200)
	s.do("DELETE", "/v1/kv/none", nil, key...).want(200).wantBody(string(gone.body))
	batch := []byte(`{"ops":[{"op":"put","key":"a","value":"b"},{"op":"put","key":"a","value":"c"}]}`)
	typed := []string{"Content-Type", "application/json", "Idempotency-Key", "batch"}
	receipt := s.do("POST", "/v1/batch", batch, typed...).want(201)
	s.do("POST", "/v1/batch", batch, typed...).want(201).wantBody(string(receipt.body))
	s.do("PUT", "/v1/kv/k", nil, "Idempotency-Key", strings.Repeat("x", 65)).wantProblem(400, "bad_request")
	s.do("PUT", "/v1/kv/k", nil, "Idempotency-Key", "").wantProblem(400, "bad_request")
	s.do("PUT", "/v1/kv/long", nil, "Idempotency-Key", strings.Repeat("x", 64)).want(201)
	size := s.status().TreeSize

	s.kill()
	s = start(t, o)
	same(retry("PUT", "/v1/kv/k", "1", "If-Match", `"0"`))
	s.seal() // from here on the window comes out of the manifest
	s.stop()
	s = start(t, o)
	same(retry("PUT", "/v1/kv/k", "1", "If-Match", `"0"`))
	mismatches()
	s.do("POST", "/v1/batch", batch, typed...).want(201).wantBody(string(receipt.body))
	if now := s.status().TreeSize; now != size+1 { // the segment's own entry
		t.Fatalf("%d entries, %d before the retries", now, size)
	}
}
