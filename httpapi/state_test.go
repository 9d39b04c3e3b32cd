package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// treeJSON is a proof as section 5 of the contract has it.
type treeJSON struct {
	ID         string   `json:"id"`
	Index      uint64   `json:"index"`
	Ordinal    uint64   `json:"ordinal"`
	TreeSize   uint64   `json:"tree_size"`
	Entries    uint64   `json:"entries"`
	Root       string   `json:"root"`
	Proof      []string `json:"proof"`
	Checkpoint string   `json:"checkpoint"`
}

type proofJSON struct {
	Key       string    `json:"key"`
	KeyB64    []byte    `json:"key_b64"`
	Seq       uint64    `json:"seq"`
	Verified  bool      `json:"verified"`
	Record    string    `json:"record"`
	LeafHash  string    `json:"leaf_hash"`
	ValueHash string    `json:"value_sha256"`
	Ledger    treeJSON  `json:"ledger"`
	Segment   *treeJSON `json:"segment"`
}

func hashes(t *testing.T, texts []string) []merkle.Hash {
	t.Helper()
	var out []merkle.Hash
	for _, s := range texts {
		h, err := merkle.ParseHash(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, h)
	}
	return out
}

func TestVerify(t *testing.T) {
	r := newRig(t, nil)
	m := r.model
	for i := range 5 {
		m.put("a", fmt.Sprint(i))
		m.put("\xff", "b")
	}
	m.sealed = 7
	m.del("a") // 10
	for target, seq := range map[string]uint64{"/verify/a": 10, "/verify/a?seq=10": 10, "/verify/a?seq=4": 4,
		"/verify/%ff": 9, "/verify/%ff?seq=1": 1} {
		var p proofJSON
		r.get(target).wants(t, 200).into(t, &p)
		want := m.log[seq]
		record, err := base64.StdEncoding.DecodeString(p.Record)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := tlog.ParseRecord(record)
		if err != nil || parsed.Seq != seq || !bytes.Equal(parsed.Key, want.Key) {
			t.Fatalf("record %+v: %v", parsed, err)
		}
		if p.Key+string(p.KeyB64) != string(want.Key) || p.Seq != seq || !p.Verified || p.LeafHash != want.Leaf.String() ||
			p.ValueHash != want.ValueHash.String() || p.Ledger.Index != seq || p.Ledger.Checkpoint != "model\n\"note\"\n" {
			t.Errorf("%s: %+v", target, p)
		}
		leaf := merkle.LeafHash(record)
		if err := merkle.VerifyInclusion(leaf, p.Ledger.Index, p.Ledger.TreeSize, hashes(t, p.Ledger.Proof),
			hashes(t, []string{p.Ledger.Root})[0]); err != nil {
			t.Errorf("%s: %v", target, err)
		}
		if (p.Segment != nil) != (seq < 7) {
			t.Fatalf("%s: segment %+v", target, p.Segment)
		}
		if s := p.Segment; s != nil {
			if err := merkle.VerifyInclusion(leaf, s.Ordinal, s.Entries, hashes(t, s.Proof),
				hashes(t, []string{s.Root})[0]); err != nil || s.ID != tlog.SegmentID(0, 6) {
				t.Errorf("%s: %v", target, err)
			}
		} else if !strings.Contains(r.get(target).body, `"segment":null`) {
			t.Errorf("segment is left out")
		}
	}
	r.get("/verify/none").problem(t, 404, codeKeyNotFound)
	r.get("/verify/a?seq=1").problem(t, 404, codeVersionNotFound)
	r.get("/verify/a?seq=99").problem(t, 404, codeVersionNotFound)
	r.get("/verify/a?as_of_seq=1").problem(t, 400, codeBadRequest)
	m.badProof = true
	r.get("/verify/a").problem(t, 500, codeCorrupt)
}

// No proof in which anything is wrong goes out as verified.
func TestCheckProofRefuses(t *testing.T) {
	m := newModel()
	for i := range 9 {
		m.put("a", fmt.Sprint(i))
	}
	m.sealed = 6
	for name, spoil := range map[string]func(*ledger.Proof){
		"nothing":         func(*ledger.Proof) {},
		"record":          func(p *ledger.Proof) { p.Record[len(p.Record)-1] ^= 1 },
		"record cut":      func(p *ledger.Proof) { p.Record = p.Record[:5] },
		"leaf":            func(p *ledger.Proof) { p.Leaf[3] ^= 1 },
		"root":            func(p *ledger.Proof) { p.Root[0] ^= 1 },
		"size":            func(p *ledger.Proof) { p.TreeSize = 4 },
		"path":            func(p *ledger.Proof) { p.Inclusion[1][0] ^= 1 },
		"path cut":        func(p *ledger.Proof) { p.Inclusion = p.Inclusion[1:] },
		"segment root":    func(p *ledger.Proof) { p.Segment.Root[0] ^= 1 },
		"segment ordinal": func(p *ledger.Proof) { p.Segment.Ordinal++ },
		"segment path":    func(p *ledger.Proof) { p.Segment.Inclusion[0][0] ^= 1 },
		"other entry":     func(p *ledger.Proof) { p.Entry = &m.log[5] },
		"other key": func(p *ledger.Proof) {
			*p = *mustProve(t, m, 4)
			p.Record = append([]byte(nil), p.Record...)
			p.Record[20]++
		},
	} {
		p := mustProve(t, m, 4)
		spoil(p)
		if _, err := checkProof(p, []byte("a")); (err == nil) != (name == "nothing") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := checkProof(mustProve(t, m, 4), []byte("b")); err == nil {
		t.Error("a proof of another key passes")
	}
}

func mustProve(t *testing.T, m *model, seq uint64) *ledger.Proof {
	t.Helper()
	p, err := m.Prove([]byte("a"), ledger.Selector{Kind: ledger.BySeq, Seq: seq})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConsistencyProof(t *testing.T) {
	r := newRig(t, nil)
	for range 9 {
		r.model.put("a", "x")
	}
	var c struct {
		From     uint64   `json:"from"`
		To       uint64   `json:"to"`
		FromRoot string   `json:"from_root"`
		ToRoot   string   `json:"to_root"`
		Proof    []string `json:"proof"`
	}
	for _, target := range []string{"from=3&to=9", "from=3", "from=0&to=9", "from=9&to=9", "from=0&to=0"} {
		p := r.get("/v1/proof/consistency?"+target).wants(t, 200)
		p.into(t, &c)
		roots := hashes(t, []string{c.FromRoot, c.ToRoot})
		if err := merkle.VerifyConsistency(c.From, c.To, roots[0], roots[1], hashes(t, c.Proof)); err != nil {
			t.Errorf("%s: %v", target, err)
		}
		if c.From == 0 && (len(c.Proof) > 0 || !strings.Contains(p.body, `"proof":[]`)) {
			t.Errorf("%s: %s", target, p.body)
		}
	}
	for _, bad := range []string{"", "to=3", "from=4&to=3", "from=3&to=10", "from=x&to=3", "from=1&to=", "from=10"} {
		r.get("/v1/proof/consistency?"+bad).problem(t, 400, codeBadRequest)
	}
}

func TestCompact(t *testing.T) {
	r := newRig(t, nil)
	if m := r.do("POST", "/v1/admin/compact", "").wants(t, 200).json(t); fmt.Sprint(m) != "map[left:2 merged:0 segments:[]]" {
		t.Errorf("%v", m)
	}
	m := r.do("POST", "/v1/admin/compact?full=1", "").wants(t, 200).json(t)
	if fmt.Sprint(m) != "map[left:1 merged:2 segments:["+tlog.SegmentID(0, 1)+"]]" {
		t.Errorf("%v", m)
	}
	r.do("POST", "/v1/admin/compact?full=yes", "").problem(t, 400, codeBadRequest)
}

func TestManifestAndSeal(t *testing.T) {
	r := newRig(t, nil)
	if p := r.get("/v1/segments").wants(t, 200); strings.TrimSpace(p.body) != `{"segments":[]}` {
		t.Errorf("%s", p.body)
	}
	if m := r.do("POST", "/v1/admin/seal", "").wants(t, 200).json(t); fmt.Sprint(m) != "map[segments:[]]" {
		t.Errorf("%v", m)
	}
	r.model.put("a", "x")
	r.model.put("b", "x")
	m := r.do("POST", "/v1/admin/seal", "").wants(t, 200).json(t)
	if fmt.Sprint(m) != "map[sealed_through:1 segments:["+tlog.SegmentID(0, 1)+"]]" {
		t.Errorf("%v", m)
	}
	m = r.get("/v1/segments").wants(t, 200).json(t)
	segment := m["segments"].([]any)[0].(map[string]any)
	for name, want := range map[string]any{"id": tlog.SegmentID(0, 1), "first_seq": 0.0, "last_seq": 1.0, "entries": 2.0,
		"bytes": 1234.0, "merkle_root": strings.Repeat("0", 64), "min_key": "a", "max_key_b64": "/w==", "tier": "local",
		"object": "", "max_key": nil, "min_key_b64": nil} {
		if segment[name] != want {
			t.Errorf("segment %s is %v, want %v", name, segment[name], want)
		}
	}
	m = r.get("/v1/manifest").wants(t, 200).json(t)
	if m["version"] != 4.0 || m["applied_index"] != 7.0 || m["tree_size"] != 2.0 || len(m["segments"].([]any)) != 1 ||
		len(m["members"].([]any)) != 1 || fmt.Sprint(m["settings"]) != "map[a:b]" {
		t.Errorf("%v", m)
	}
}

func TestCluster(t *testing.T) {
	r := newRig(t, nil)
	r.model.status.CommitIndex = 12
	m := r.get("/cluster/status").wants(t, 200).json(t)
	for name, want := range map[string]any{"node_id": 1.0, "cluster_id": "c0ffee", "role": "leader", "leader": 1.0, "status": "ok",
		"term":         3.0,
		"commit_index": 12.0, "applied_index": 0.0, "first_index": 0.0, "last_index": 0.0, "tree_size": 0.0,
		"root": strings.Repeat("0", 64)} {
		if m[name] != want {
			t.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
	const member = `{"node_id":1,"raft_addr":"127.0.0.1:9001","http_addr":"127.0.0.1:8001","role":"leader","voter":true,` +
		`"healthy":true,"match_index":9,"lag":0}`
	if p := r.get("/cluster/members").wants(t, 200); strings.TrimSpace(p.body) != `{"members":[`+member+`]}` {
		t.Errorf("%s", p.body)
	}
	if p := r.get("/cluster/leader").wants(t, 200); strings.TrimSpace(p.body) !=
		`{"leader":1,"term":3,"raft_addr":"127.0.0.1:9001","http_addr":"127.0.0.1:8001"}` {
		t.Errorf("%s", p.body)
	}
	r.model.status.Leader = 0
	r.get("/cluster/leader").problem(t, 503, codeNoLeader)
}

func TestHealth(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct {
		change        func(*node.Status)
		health, ready int
		status        string
	}{
		{func(*node.Status) {}, 200, 200, "ok"},
		{func(s *node.Status) { s.Warning = "input/output error" }, 200, 200, "degraded"},
		{func(s *node.Status) { s.Warning, s.WritesFault = "", "disk full" }, 200, 200, "degraded"},
		{func(s *node.Status) { s.Ready = false }, 503, 503, "not_ready"},
		{func(s *node.Status) { s.Fault = "diverged" }, 503, 503, "failed"},
	} {
		c.change(&r.model.status)
		p := r.get("/health").wants(t, c.health)
		m := p.json(t)
		if m["status"] != c.status || m["node_id"] != 1.0 || m["role"] != "leader" || m["leader"] != 1.0 {
			t.Errorf("%v", m)
		}
		st := r.model.status
		if detail, _ := m["detail"].(string); (detail == "") != (c.status == "ok") ||
			!strings.Contains(detail, st.Warning+st.WritesFault) && c.status == "degraded" {
			t.Errorf("detail %q of %+v", detail, st)
		}
		if (p.header.Get("Retry-After") != "") != (c.health == 503) {
			t.Errorf("Retry-After %q", p.header.Get("Retry-After"))
		}
		p = r.get("/readyz").wants(t, c.ready)
		if c.ready == 503 {
			p.problem(t, 503, codeNotReady)
		}
		r.get("/livez").wants(t, 200)
		r.do("HEAD", "/health", "").wants(t, c.health)
	}
}

func TestBackendErrors(t *testing.T) {
	r := newRig(t, nil)
	r.model.put("a", "x")
	for _, c := range []struct {
		err        error
		code       string
		status     int
		readCode   string
		readStatus int
	}{
		{&node.Unavailable{Reason: node.Overloaded, Detail: "d"}, codeOverloaded, 503, codeOverloaded, 503},
		{&node.Unavailable{Reason: node.NoLeader, Detail: "d"}, codeNoLeader, 503, codeNoLeader, 503},
		{&node.Unavailable{Reason: node.NotReady, Detail: "d"}, codeNotReady, 503, codeNotReady, 503},
		{&node.Unavailable{Reason: node.OutcomeUnknown, Detail: "d"}, codeOutcomeUnknown, 504, codeNotReady, 503},
		{&node.Unavailable{Reason: node.DiskFull, Detail: "d"}, codeDiskFull, 507, codeDiskFull, 507},
		{fmt.Errorf("deep: %w", &node.Unavailable{Reason: node.NoLeader, Detail: "d"}), codeNoLeader, 503, codeNoLeader, 503},
		{&vfs.CorruptError{File: "/d/w.log", Offset: 5, Reason: "r"}, codeCorrupt, 500, codeCorrupt, 500},
		{ledger.ErrClosed, codeNotReady, 503, codeNotReady, 503},
		{fmt.Errorf("deep: %w", ledger.ErrRebuilding), codeNotReady, 503, codeNotReady, 503},
		{ledger.ErrIdempotencyMismatch, codeIdempotency, 422, codeIdempotency, 422},
		{fmt.Errorf("surprise"), codeInternal, 500, codeInternal, 500},
	} {
		r.model.fail = c.err
		r.put("/v1/kv/a", "x").problem(t, c.status, c.code)
		r.do("DELETE", "/v1/kv/a", "").problem(t, c.status, c.code)
		r.batch(`{"ops":[{"op":"delete","key":"a"}]}`).problem(t, c.status, c.code)
		r.get("/v1/kv/a").problem(t, c.readStatus, c.readCode)
		r.get("/v1/range").problem(t, c.readStatus, c.readCode)
		if p := r.put("/v1/kv/a", "x"); c.code == codeInternal && strings.Contains(p.body, "surprise") {
			t.Errorf("an internal error is shown: %s", p.body)
		}
	}
}

func TestIndex(t *testing.T) {
	r := newRig(t, nil)
	if m := r.get("/?x=1").wants(t, 200).json(t); m["name"] != "Scribe Ledger" || m["version"] != "test" {
		t.Errorf("%v", m)
	}
	p := r.get("/", "Accept: text/html,application/xhtml+xml,*/*;q=0.8").wants(t, 200)
	if !strings.HasPrefix(p.header.Get("Content-Type"), "text/html") || !strings.Contains(p.body, "<h1>Scribe Ledger") {
		t.Errorf("%s", p.body)
	}
}

func TestMetrics(t *testing.T) {
	r := newRig(t, nil)
	r.put("/v1/kv/a", "x").wants(t, 201)
	for range 9 {
		r.get("/v1/kv/a").wants(t, 200)
	}
	r.get("/v1/kv/b").wants(t, 404)
	r.do("MADEUP", "/v1/x/y", "").wants(t, 404)
	var digest struct {
		Routes map[string]latencyJSON `json:"routes"`
		NodeID int                    `json:"node_id"`
		Uptime float64                `json:"uptime_seconds"`
	}
	p := r.get("/metrics").wants(t, 200).has(t, "Content-Type", "application/json")
	if err := json.Unmarshal([]byte(p.body), &digest); err != nil {
		t.Fatal(err)
	}
	if l := digest.Routes["kv_get"]; l.Count != 10 || l.P50 <= 0 || l.P50 > l.P95 || l.P95 > l.P99 {
		t.Errorf("%s", p.body)
	}
	for _, accept := range []string{"*/*", "application/json, text/plain, */*"} {
		r.get("/metrics", "Accept: "+accept).wants(t, 200).has(t, "Content-Type", "application/json")
	}
	if p := r.get("/metrics/prometheus", "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"+
		"encoding=delimited"); !strings.HasPrefix(p.header.Get("Content-Type"), "text/plain") {
		t.Errorf("%v", p.header)
	}
	for _, p := range []reply{r.get("/metrics/prometheus"), r.get("/metrics", "Accept: text/plain;version=0.0.4"),
		r.get("/metrics", "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3,*/*;q=0.1")} {
		p.wants(t, 200)
		for _, want := range []string{
			`scribe_http_requests_total{code="2xx",method="GET",route="kv_get"} 9`,
			`scribe_http_requests_total{code="4xx",method="GET",route="kv_get"} 1`,
			`scribe_http_requests_total{code="2xx",method="PUT",route="kv_put"} 1`,
			`scribe_http_requests_total{code="4xx",method="other",route="other"} 1`,
			`scribe_http_request_duration_seconds_count{route="kv_get"} 10`,
			"scribe_http_in_flight_bytes 0", "scribe_http_requests_in_flight 1"} {
			if !strings.Contains(p.body, want+"\n") {
				t.Errorf("no line %s", want)
			}
		}
	}
	gatherer, _ := r.api.opt.Gatherer.(*prometheus.Registry)
	problems, err := testutil.GatherAndLint(gatherer)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

func TestLatencyBuckets(t *testing.T) {
	for b := 1; b < latencyBuckets; b++ {
		lower := latencyUpper(b - 1)
		if got := latencyBucket(lower); got != b {
			t.Fatalf("%v falls in bucket %d, want %d", lower, got, b)
		}
		if got := latencyBucket(lower - 1); got != b-1 {
			t.Fatalf("%v falls in bucket %d, want %d", lower-1, got, b-1)
		}
	}
	var l latency
	for i := 1; i <= 1000; i++ {
		l.observe(time.Duration(i) * time.Millisecond)
	}
	l.observe(-time.Second)
	count, at := l.quantiles(0.5, 0.95, 0.99)
	if count != 1001 {
		t.Errorf("count %d", count)
	}
	for i, want := range []float64{500, 950, 990} {
		if got := float64(at[i].Milliseconds()); got < want*0.98 || got > want*1.08 {
			t.Errorf("quantile %d is %v ms, want about %v", i, got, want)
		}
	}
	desc := prometheus.NewDesc("x_seconds", "h", []string{"l"}, nil)
	if _, err := l.histogram(desc, "v"); err != nil {
		t.Error(err)
	}
}

func TestRequestIDs(t *testing.T) {
	r := newRig(t, nil)
	for id, taken := range map[string]bool{"abc-123": true, strings.Repeat("i", 128): true,
		strings.Repeat("i", 129): false,
		"a\tb":                   false, "\xc3\xa9": false, "": false, "with space": true, `"quoted"`: true} {
		for _, target := range []string{"/livez", "/v1/kv/none"} {
			p := r.get(target, "X-Request-ID: "+id)
			if got := p.header.Get("X-Request-Id"); (got == id) != taken || got == "" {
				t.Errorf("%q is answered with %q", id, got)
			}
			if target != "/livez" {
				p.problem(t, 404, codeKeyNotFound)
			}
		}
	}
	if a, b := r.get("/livez").header.Get("X-Request-Id"), r.get("/livez").header.Get("X-Request-Id"); a == b {
		t.Errorf("the id %q twice", a)
	}
}

func TestLogLines(t *testing.T) {
	var text bytes.Buffer
	m := newModel()
	level := slog.LevelInfo
	api := New(Options{Backend: m, Logger: slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: &level}))})
	ask := func(target string) *httptest.ResponseRecorder {
		req := httptest.NewRequest("GET", target, nil)
		req.Header.Set("X-Request-ID", "req-7")
		req.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, req)
		return w
	}
	m.put("a", "x")
	ask("/v1/kv/a")
	ask("/v1/kv/b")
	if text.Len() > 0 {
		t.Errorf("ordinary answers are logged: %s", text.String())
	}
	m.onGet = func() { panic("boom") }
	w := ask("/v1/kv/a")
	reply{status: w.Code, header: w.Header(), body: w.Body.String()}.problem(t, 500, codeInternal)
	for _, want := range []string{"boom", "request_id=req-7", "traceparent=00-4bf9", "route=kv_get", "model_test.go"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log of a panic has no %q: %s", want, text.String())
		}
	}
	text.Reset()
	m.onGet = nil
	m.fail = fmt.Errorf("disk on fire")
	ask("/v1/kv/a")
	if !strings.Contains(text.String(), "disk on fire") || !strings.Contains(text.String(), "request_id=req-7") {
		t.Errorf("log: %s", text.String())
	}
	text.Reset()
	level = slog.LevelDebug
	m.fail = nil
	ask("/v1/kv/a")
	if !strings.Contains(text.String(), "status=200") || strings.Contains(text.String(), "key") {
		t.Errorf("log: %s", text.String())
	}
}
