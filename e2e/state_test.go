package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestHealthAndCluster(t *testing.T) {
	s := start(t, options{args: []string{"--node-id", "7"}})
	var health map[string]any
	s.get("/health").want(200).wantHeader("Content-Type", "application/json").decode(&health)
	if health["status"] != "ok" || health["node_id"] != 7.0 || health["role"] != "leader" || health["leader"] != 7.0 {
		t.Errorf("health %v", health)
	}
	s.get("/livez").want(200)
	s.get("/readyz").want(200)
	for i := range 5 {
		s.put(fmt.Sprintf("k%d", i), "v")
	}
	st := s.status()
	if st.NodeID != 7 || st.Leader != 7 || st.Role != "leader" || st.ClusterID == "" || st.Term == 0 || st.TreeSize != 5 ||
		st.AppliedIndex < 5 || st.CommitIndex < st.AppliedIndex || st.LastIndex < st.CommitIndex || st.FirstIndex == 0 {
		t.Errorf("status %+v", st)
	}
	check := func(members []member) {
		t.Helper()
		if len(members) != 1 {
			t.Fatalf("members %+v", members)
		}
		m := members[0]
		if m.NodeID != 7 || m.HTTPAddr != s.addr || m.Role != "leader" || !m.Voter || !m.Healthy || m.MatchIndex == 0 || m.Lag != 0 {
			t.Errorf("member %+v", m)
		}
	}
	check(st.Members)
	var members struct {
		Members []member `json:"members"`
	}
	s.get("/cluster/members").want(200).decode(&members)
	check(members.Members)
	var leader struct {
		Leader   uint64 `json:"leader"`
		Term     uint64 `json:"term"`
		RaftAddr string `json:"raft_addr"`
		HTTPAddr string `json:"http_addr"`
	}
	s.get("/cluster/leader").want(200).decode(&leader)
	if leader.Leader != 7 || leader.Term != st.Term || leader.HTTPAddr != s.addr {
		t.Errorf("leader %+v", leader)
	}
	s.get("/checkpoint").want(404) // no signed checkpoint yet
	var index map[string]any
	s.get("/").want(200).wantHeader("Content-Type", "application/json").decode(&index)
	if a := s.get("/", "Accept", "text/html,application/xhtml+xml"); a.status != 200 || !strings.Contains(string(a.body), "<html") {
		t.Errorf("/ shows a browser %.100q", a.body)
	}
}

func TestSealAnswer(t *testing.T) {
	s := start(t, options{})
	if got := s.seal(); got.Segments == nil || len(got.Segments) != 0 || got.SealedThrough != nil {
		t.Errorf("seal of an empty ledger: %+v", got)
	}
	for i := range 10 {
		s.put(fmt.Sprintf("k%d", i), "v")
	}
	got := s.seal()
	if len(got.Segments) != 1 || got.Segments[0] != "0000000000000000-0000000000000009" || *got.SealedThrough != 9 {
		t.Errorf("seal %+v", got)
	}
	s.put("k", "v")
	var sealing sync.WaitGroup
	for range 8 {
		sealing.Go(func() { s.do("POST", "/v1/admin/seal", nil) })
	}
	sealing.Wait()
	next := uint64(0)
	for _, g := range s.segments() {
		if g.FirstSeq != next {
			t.Fatalf("segment %+v, behind entry %d", g, next)
		}
		next = g.LastSeq + 1
	}
	checkSegments(t, s)
}

func TestMetrics(t *testing.T) {
	s := start(t, options{})
	for i := range 20 {
		s.put(fmt.Sprintf("key-%d", i), "v")
		s.get(fmt.Sprintf("/v1/kv/key-%d", i)).want(200)
	}
	digest := s.get("/metrics").want(200).wantHeader("Content-Type", "application/json")
	if !json.Valid(digest.body) {
		t.Fatalf("the digest is no JSON: %s", digest.body)
	}
	for _, want := range []string{"p50", "p95", "p99"} {
		if !strings.Contains(string(digest.body), want) {
			t.Errorf("the digest has no %s: %s", want, digest.body)
		}
	}
	const scraper = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
	for _, a := range []*answer{s.get("/metrics/prometheus").want(200), s.get("/metrics", "Accept", scraper).want(200),
		s.get("/metrics", "Accept", "text/plain").want(200)} {
		if !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") && !strings.HasPrefix(a.header.Get("Content-Type"), "application/openmetrics-text") {
			t.Errorf("%s: content type %s", a.what, a.header.Get("Content-Type"))
		}
		text := string(a.body)
		if !strings.Contains(text, "# TYPE scribe_") {
			t.Errorf("%s: no metrics of the ledger in %.500s", a.what, text)
		}
		if strings.Contains(text, "key-1") {
			t.Errorf("%s: keys are labels", a.what)
		}
	}
}
