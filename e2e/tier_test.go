package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/tier/s3test"
)

// onStore is the environment of a node on an S3 server. What it reads of the store it keeps nowhere, and it never brings a
// segment back by itself, so that every read of a cold segment is one of the store.
func onStore(s *s3test.Server, more ...string) []string {
	return append(append(unmerged(), s.Environ()...), append([]string{"SCRIBE_TIER_POLICY_INTERVAL=50ms",
		"SCRIBE_TIER_POLICY_FETCH_READS=0", "SCRIBE_TIER_CACHE_BYTES=0", "SCRIBE_STORAGE_BLOCK_CACHE_BYTES=0"}, more...)...)
}

// tierAnswer is the answer of POST /v1/admin/tier.
type tierAnswer struct {
	Uploaded      []string `json:"uploaded"`
	UploadedBytes uint64   `json:"uploaded_bytes"`
	Evicted       []string `json:"evicted"`
	EvictedBytes  uint64   `json:"evicted_bytes"`
	Published     uint64   `json:"published"`
	Waiting       int      `json:"waiting"`
}

// evict uploads every segment and gives up every file, and checks that there is none left.
func (s *scribe) evict() (out tierAnswer) {
	s.t.Helper()
	s.do("POST", "/v1/admin/tier?evict=1", nil).want(200).decode(&out)
	if out.Waiting != 0 {
		s.t.Fatalf("tier?evict=1: %+v", out)
	}
	for _, g := range s.segments() {
		if g.Tier != "cold" || g.Object == "" {
			s.t.Fatalf("behind tier?evict=1: segment %+v", g)
		}
	}
	eventually(s.t, func() string { // a file goes with its last reader
		if left := s.segmentFiles(); len(left) != 0 {
			return fmt.Sprintf("behind tier?evict=1 there are %v", left)
		}
		return ""
	})
	return out
}

// segmentFiles are the files of segments that the node has.
func (s *scribe) segmentFiles() []string {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, "segments", "*.seg"))
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}

// metric is one figure without labels.
func (s *scribe) metric(name string) float64 {
	s.t.Helper()
	for line := range strings.Lines(string(s.get("/metrics/prometheus").want(200).body)) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return v
		}
	}
	s.t.Fatalf("there is no metric %s", name)
	return 0
}

// tierHealth is what /health says of the store.
func (s *scribe) tierHealth() (status string, h struct {
	Store   string `json:"store"`
	Usable  bool   `json:"usable"`
	Problem string `json:"problem"`
}) {
	s.t.Helper()
	var out struct {
		Status string          `json:"status"`
		Tier   json.RawMessage `json:"tier"`
	}
	if err := json.Unmarshal(s.get("/health").want(200).body, &out); err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(out.Tier, &h); err != nil {
		s.t.Fatalf("/health tells nothing of the tier: %v", err)
	}
	return out.Status, h
}

// fill writes some segments' worth of keys with several versions, tombstones, and a value that is read in pieces, and
// returns the newest value of every key, "" for a deleted one.
func (s *scribe) fill(round string) map[string]string {
	s.t.Helper()
	values := make(map[string]string)
	for i := range 120 {
		key := fmt.Sprintf("k%03d", i%80)
		values[key] = fmt.Sprintf("%s %d %s", round, i, strings.Repeat("x", i*29))
		s.put(key, values[key])
	}
	values["large"] = round + string(noise(300<<10, round))
	s.put("large", values["large"])
	s.del("k007")
	values["k007"] = ""
	s.seal()
	return values
}

// readsBack reads everything in every way, and proves it.
func (s *scribe) readsBack(values map[string]string) {
	s.t.Helper()
	entries := s.replay()
	newest := make(map[string]*entry)
	versions := make(map[string]int)
	for i := range entries {
		if e := &entries[i]; e.Op != "segment" {
			newest[e.key(s.t)] = e
			versions[e.key(s.t)]++
		}
	}
	live := 0
	for key, value := range values {
		var p proof
		s.get("/verify/" + key).want(200).decode(&p)
		p.check(s.t, newest[key])
		if h := s.list("/v1/history/" + key); len(h.Entries) != versions[key] {
			s.t.Fatalf("%s has %d versions in its history and %d in the ledger", key, len(h.Entries), versions[key])
		}
		if value == "" {
			s.get("/v1/kv/"+key).wantProblem(404, "key_not_found")
			continue
		}
		live++
		s.get("/v1/kv/" + key).want(200).wantBody(value)
	}
	s.get("/v1/kv/large", "Range", "bytes=100000-100009").want(206).wantBody(values["large"][100000:100010])
	s.get("/v1/kv/never").wantProblem(404, "key_not_found")
	if got := s.walk("/v1/range?limit=7"); len(got) != live {
		s.t.Fatalf("a scan gives %d keys, want %d", len(got), live)
	}
}

// TestTierOnS3: a node uploads what it seals, gives up every file, and serves all of it from the store: keys, versions,
// parts of values, histories, scans, the ledger in order, proofs; also after it was killed.
func TestTierOnS3(t *testing.T) {
	store := s3test.Start(t)
	o := options{dir: filepath.Join(t.TempDir(), "data"), env: onStore(store, "SCRIBE_TIER_S3_PREFIX=a/b",
		"SCRIBE_TIER_POLICY_MIN_AGE=0")}
	s := start(t, o)
	values := s.fill("one")
	before := len(s.segmentFiles())
	got := s.evict()
	if before == 0 || len(got.Evicted) < before || got.EvictedBytes == 0 {
		t.Fatalf("%d segment files, and %+v", before, got)
	}
	s.readsBack(values)
	if s.metric("scribe_tier_read_requests_total") == 0 {
		t.Error("nothing was read from the store")
	}
	s.kill()
	s = start(t, o)
	s.readsBack(values)

	// More comes on top, by itself this time, and stays here.
	for key, value := range s.fill("two") {
		values[key] = value
	}
	eventually(t, func() string {
		for _, g := range s.segments() {
			if g.Object == "" {
				return fmt.Sprintf("segment %s has no object", g.ID)
			}
		}
		return ""
	})
	both := 0
	for _, g := range s.segments() {
		if g.Tier == "both" {
			both++
		}
	}
	if both == 0 || len(s.segmentFiles()) == 0 {
		t.Errorf("files went though none had to: %+v", s.segments())
	}
	s.readsBack(values)
	if status, h := s.tierHealth(); status != "ok" || !h.Usable || h.Problem != "" || h.Store != "s3://"+store.Bucket+"/a/b" {
		t.Errorf("health %s, %+v", status, h)
	}

	// The command line.
	for command, says := range map[string]string{
		"tier status":        "s3://" + store.Bucket + "/a/b",
		"tier status --json": `"usable":true`,
		"tier":               "uploaded  0 segments",
		"tier evict":         "waiting   0 segments",
		"tier evict --json":  `"waiting":0`,
		"scrub":              "0 findings",
		"scrub --json":       `"findings":[]`,
	} {
		if out, err := s.shell(".bin/scribe " + command); err != nil || !strings.Contains(out, says) {
			t.Errorf("scribe %s: %v\n%s", command, err, out)
		}
	}
	s.readsBack(values)
	s.stop()
}

// TestTierByDefault: a node that was told nothing has its cold tier in its data directory, and one that shall have none
// says so.
func TestTierByDefault(t *testing.T) {
	s := start(t, options{env: small()})
	values := s.fill("one")
	s.evict()
	s.readsBack(values)
	for _, name := range []string{"ledger.json", "segments/*.seg"} {
		files(t, filepath.Join(s.dir, "cold"), name)
	}
	s.stop()

	s = start(t, options{env: []string{"SCRIBE_TIER_BACKEND=none"}})
	s.put("k", "v")
	s.seal()
	s.do("POST", "/v1/admin/tier?evict=1", nil).wantProblem(409, "no_cold_tier")
	s.get("/v1/admin/tier").wantProblem(409, "no_cold_tier")
	if out, err := s.shell(".bin/scribe tier status"); err == nil || !strings.Contains(out, "tier.backend") {
		t.Errorf("scribe tier status: %v, %s", err, out)
	}
	s.stop()
}

// TestTierInTrouble: a store that cannot be used is told of, in one line of the log and in /health, and takes nothing from
// the node: it starts, takes writes, seals, and keeps every file.
func TestTierInTrouble(t *testing.T) {
	store := s3test.Start(t)
	foreign := start(t, options{env: onStore(store, "SCRIBE_TIER_S3_PREFIX=taken")})
	eventually(t, func() string {
		if _, h := foreign.tierHealth(); !h.Usable {
			return "the store is not usable yet: " + h.Problem
		}
		return ""
	})
	web := httpServer(t)
	for _, c := range []struct {
		name string
		env  []string
		says string
	}{
		{"no bucket", []string{"SCRIBE_TIER_S3_BUCKET=nowhere"}, "tier.s3.bucket"},
		{"wrong secret", []string{"SCRIBE_TIER_S3_SECRET_ACCESS_KEY=hunter2"}, "credentials"},
		{"unknown access key", []string{"SCRIBE_TIER_S3_ACCESS_KEY_ID=nobody"}, "credentials"},
		{"wrong region", []string{"SCRIBE_TIER_S3_REGION=eu-central-1"}, "tier.s3.region"},
		{"nobody listens", []string{"SCRIBE_TIER_S3_ENDPOINT=http://" + freePorts(t, 1)[0]}, "tier.s3.endpoint"},
		{"no S3", []string{"SCRIBE_TIER_S3_ENDPOINT=" + web}, "tier.s3.endpoint"},
		{"a bucket of another ledger", []string{"SCRIBE_TIER_S3_PREFIX=taken"}, "is the archive of ledger"},
		{"no Object Lock", []string{"SCRIBE_TIER_S3_OBJECT_LOCK=true"}, "Object Lock"},
		{"a file for a folder", []string{"SCRIBE_TIER_BACKEND=dir", "SCRIBE_TIER_DIR=/dev/null/cold"}, "/dev/null/cold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, options{env: onStore(store, append([]string{"SCRIBE_TIER_POLICY_MIN_AGE=0"}, c.env...)...)})
			values := s.fill("one")
			problem := ""
			eventually(t, func() string {
				status, h := s.tierHealth()
				if problem = h.Problem; status != "ok" || h.Usable || h.Store == "" || h.Problem == "" {
					return fmt.Sprintf("health %s, %+v", status, h)
				}
				return ""
			})
			if !strings.Contains(problem, c.says) || strings.ContainsAny(problem, "\r\n") || strings.Contains(problem, "hunter2") {
				t.Errorf("the problem does not say %q: %s", c.says, problem)
			}
			before := len(s.segmentFiles())
			s.do("POST", "/v1/admin/tier?evict=1", nil).wantProblem(502, "cold_unavailable")
			if after := len(s.segmentFiles()); before == 0 || after < before {
				t.Errorf("%d segment files, then %d", before, after)
			}
			for _, g := range s.segments() {
				if g.Tier != "local" {
					t.Errorf("segment %+v", g)
				}
			}
			s.readsBack(values)
			lines := 0
			for line := range strings.Lines(s.log.String()) {
				if strings.Contains(line, "object store cannot be used") || strings.Contains(line, "archive is not this cluster's") {
					lines++
				}
			}
			if lines != 1 {
				t.Errorf("%d lines of the log tell of it:\n%s", lines, s.log)
			}
			s.stop()
		})
	}
	foreign.stop()
}

// httpServer is a web server that is no object store, and gives its URL.
func httpServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: patience}
	ended := make(chan struct{})
	go func() {
		_ = server.Serve(l) // until Close
		close(ended)
	}()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	return "http://" + l.Addr().String()
}

// TestStoreGone: while the store stalls, and while it is gone, what is here is read and written as before, what is there is
// 502 or 504 cold_unavailable within the deadline and never "not found"; when the store is back it is read again.
func TestStoreGone(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	run := func() *s3test.Server {
		t.Helper()
		store, err := s3test.Run(s3test.VersityGW, dir, port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Stop)
		return store
	}
	store := run()
	const deadline = time.Second
	s := start(t, options{env: onStore(store, "SCRIBE_TIER_READ_TIMEOUT="+deadline.String())})
	values := s.fill("cold")
	s.evict()
	s.put("hot", "here")

	gone := func(what string) {
		t.Helper()
		for range 3 {
			for _, path := range []string{"/v1/kv/k001", "/v1/kv/large", "/v1/range", "/v1/kv/k002?consistency=stale"} {
				began := time.Now()
				a := s.get(path)
				if took := time.Since(began); took > deadline+5*time.Second { // what a loaded machine adds
					t.Errorf("%s: %s took %v", what, path, took)
				}
				a.wantCold()
			}
			s.do("PUT", "/v1/kv/k003", []byte("x"), "If-None-Match", "*").wantCold() // whether it is live is in the store
			s.do("DELETE", "/v1/kv/k003", nil).wantCold()
			s.batch(`{"ops":[{"op":"put","key":"new","value":"x"},{"op":"delete","key":"k003"}]}`).wantCold()
			began := time.Now()
			s.get("/v1/kv/hot").want(200).wantBody("here")
			s.put("new", what)
			s.get("/v1/kv/new").want(200).wantBody(what)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s: reading and writing what is here took %v", what, took)
			}
		}
		s.seal()
		if status, h := s.tierHealth(); status != "ok" || h.Problem == "" {
			t.Errorf("%s: health is %s, %+v", what, status, h)
		}
	}
	back := func() {
		t.Helper()
		eventually(t, func() string {
			if a := s.get("/v1/kv/k001"); a.status != 200 {
				return string(a.body)
			}
			return ""
		})
		for _, key := range []string{"new", "hot"} {
			delete(values, key)
		}
		for key, value := range values {
			if value != "" {
				s.get("/v1/kv/" + key).want(200).wantBody(value)
			}
		}
	}
	if err := store.Stall(); err != nil {
		t.Fatal(err)
	}
	gone("the store stalls")
	if err := store.Resume(); err != nil {
		t.Fatal(err)
	}
	back()
	store.Stop()
	gone("the store is gone")
	s.kill() // a node starts without its store, too
	s = start(t, options{dir: s.dir, env: onStore(store, "SCRIBE_TIER_READ_TIMEOUT="+deadline.String())})
	gone("the store is still gone")
	store = run()
	back()
	if err := store.Stall(); err != nil {
		t.Fatal(err)
	}
	s.stop() // and ends while it stalls
	if err := store.Resume(); err != nil {
		t.Fatal(err)
	}
}

// wantCold checks that the answer says that the store does not give what is needed.
func (a *answer) wantCold() {
	a.t.Helper()
	if a.status == 504 {
		a.wantProblem(504, "cold_unavailable")
		return
	}
	a.wantProblem(502, "cold_unavailable")
}

// freePort is the number of a port that nobody has.
func freePort(t *testing.T) int {
	t.Helper()
	_, text, err := net.SplitHostPort(freePorts(t, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestTierCredentialsFromFiles: credentials come from files, and from the SDK's own chain, too.
func TestTierCredentialsFromFiles(t *testing.T) {
	store := s3test.Start(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"id": store.AccessKey, "secret": store.SecretKey} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var env []string
	for _, v := range onStore(store) {
		if !strings.Contains(v, "ACCESS_KEY") {
			env = append(env, v)
		}
	}
	for what, more := range map[string][]string{
		"files": {"SCRIBE_TIER_S3_ACCESS_KEY_ID_FILE=" + filepath.Join(dir, "id"),
			"SCRIBE_TIER_S3_SECRET_ACCESS_KEY_FILE=" + filepath.Join(dir, "secret"), "SCRIBE_TIER_S3_PREFIX=files"},
		"chain": {"AWS_ACCESS_KEY_ID=" + store.AccessKey, "AWS_SECRET_ACCESS_KEY=" + store.SecretKey,
			"SCRIBE_TIER_S3_PREFIX=chain"},
	} {
		s := start(t, options{env: append(append([]string{}, env...), more...)})
		s.put("k", what)
		s.seal()
		s.evict()
		s.get("/v1/kv/k").want(200).wantBody(what)
		s.stop()
	}
}
