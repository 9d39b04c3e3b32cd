package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/httpapi"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

func TestAnEmptySlotAnswers(t *testing.T) {
	s := newSlot(7)
	registry := prometheus.NewRegistry()
	handler := httpapi.New(httpapi.Options{Backend: s, Registerer: registry, Gatherer: registry})
	bodies := map[string]string{"/cluster/join": `{"node_id":1,"raft_addr":"h:1"}`, "/cluster/leave": `{"node_id":1}`,
		"/cluster/promote": `{"node_id":1}`, "/cluster/transfer": `{"node_id":1}`}
	ask := func(method, target string) (int, map[string]any) {
		t.Helper()
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, target, strings.NewReader(bodies[target]))
		r.RequestURI = target
		handler.ServeHTTP(w, r)
		body, err := io.ReadAll(w.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(body, &doc); err != nil {
			t.Fatalf("%s %s: %q: %v", method, target, body, err)
		}
		return w.Code, doc
	}
	for _, failed := range []bool{false, true} {
		s.empty(&occupant{why: "the reason", failed: failed})
		for _, target := range []string{"PUT /v1/kv/a", "GET /v1/kv/a", "GET /v1/kv/a?consistency=stale", "DELETE /v1/kv/a",
			"GET /v1/range", "GET /v1/range?consistency=stale", "GET /v1/entries", "GET /v1/entries?consistency=stale",
			"GET /v1/history/a", "GET /v1/history/a?consistency=stale", "GET /verify/a", "GET /verify/a?consistency=stale",
			"GET /v1/range?as_of_time=2026-11-22T10:00:00Z&consistency=stale", "POST /v1/admin/seal", "POST /v1/admin/tier",
			"POST /v1/admin/scrub", "POST /cluster/join",
			"POST /cluster/leave", "POST /cluster/promote", "POST /cluster/transfer"} {
			method, path, _ := strings.Cut(target, " ")
			if code, doc := ask(method, path); code != http.StatusServiceUnavailable || doc["code"] != "not_ready" ||
				doc["detail"] != "the reason" {
				t.Errorf("%s: %d %v", target, code, doc)
			}
		}
		want := "not_ready"
		if failed {
			want = "failed"
		}
		if code, doc := ask("GET", "/health"); code != 503 || doc["status"] != want || doc["detail"] != "the reason" ||
			doc["node_id"] != 7.0 {
			t.Errorf("/health: %d %v", code, doc)
		}
		if code, doc := ask("GET", "/readyz"); code != 503 || doc["detail"] != "the reason" {
			t.Errorf("/readyz: %d %v", code, doc)
		}
		for _, target := range []string{"/livez", "/metrics", "/cluster/status", "/cluster/members", "/v1/manifest", "/v1/segments"} {
			if code, doc := ask("GET", target); code != 200 {
				t.Errorf("%s: %d %v", target, code, doc)
			}
		}
	}
}

// A node that takes another's place tells how it is, and serves nothing before it is put in.
func TestSlotChangesHands(t *testing.T) {
	c := config.Default()
	c.Node.DataDir = t.TempDir()
	c.Network.ListenAddr, c.Network.RaftAddr = "127.0.0.1:0", "127.0.0.1:0"
	a, err := listen(c)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	opts := nodeOptions(c, a, nil, prometheus.NewRegistry())
	opts.FS = vfs.NewMem()
	m, err := openMember(opts, a.raft, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-m.Ready()
	s := newSlot(1)
	write := func() error {
		_, err := s.Write(context.Background(), &ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut, Key: []byte("a")}}})
		return err
	}
	s.empty(&occupant{why: "rebuilt", failed: true, rebuilt: m.Node})
	var unavailable *node.Unavailable
	if err := write(); !errors.As(err, &unavailable) || unavailable.Reason != node.NotReady {
		t.Errorf("a write before its time: %v", err)
	}
	if st := s.Status(); st.Fault != "rebuilt" || st.Ready || st.ClusterID == "" || st.Leader != 1 {
		t.Errorf("%+v", st)
	}
	s.fill(m.Node)
	if err := write(); err != nil || s.NextSeq() != 1 {
		t.Errorf("%v, %d entries", err, s.NextSeq())
	}
	if st := s.Status(); st.Fault != "" || !st.Ready {
		t.Errorf("%+v", st)
	}
	if e, err := s.Get([]byte("a"), ledger.Selector{}); err != nil || e.Seq != 0 {
		t.Errorf("%v, %v", e, err)
	}
	if _, _, _, err := s.Consistency(0, 1); err != nil {
		t.Error(err)
	}
	if err := m.close(); err != nil {
		t.Error(err)
	}
	if a.relistenRaft() != nil {
		t.Error("the raft port is not free")
	}
}
