package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/merkle"
)

// member is a node that answers for itself; its view of the cluster is shared.
type member struct {
	cluster *cluster
	id      uint64
	claims  uint64 // the id that it gives as its own
	hidden  bool   // the others do not know its HTTP address
	addr    string
	state   string
	applied uint64
}

// cluster is three members, of which the second leads and the third does not answer.
type cluster struct {
	t       *testing.T
	id      string
	members []*member

	mu    sync.Mutex
	asked []string // method, path and body of what came; guarded by mu
}

func newCluster(t *testing.T) (*cluster, *command) {
	cl := &cluster{t: t, id: "c0ffee"}
	for id := uint64(1); id <= 3; id++ {
		m := &member{cluster: cl, id: id, claims: id, state: "ok", applied: 10 * id}
		server := httptest.NewServer(m)
		t.Cleanup(server.Close)
		if m.addr = strings.TrimPrefix(server.URL, "http://"); id == 3 {
			server.Close()
		}
		cl.members = append(cl.members, m)
	}
	return cl, &command{t: t, env: map[string]string{endpointEnv: "http://" + cl.members[0].addr}}
}

func (m *member) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m.cluster.mu.Lock()
	m.cluster.asked = append(m.cluster.asked, strings.TrimSpace(fmt.Sprint(r.Method, " ", r.URL.Path, " ", string(body))))
	m.cluster.mu.Unlock()
	var list []map[string]any
	for _, other := range m.cluster.members {
		one := map[string]any{"node_id": other.id, "raft_addr": fmt.Sprint("r", other.id, ":1"), "http_addr": other.addr,
			"role": "follower", "voter": true, "healthy": false, "match_index": 0, "lag": 99}
		if other.id == 2 {
			one["role"] = "leader"
		}
		if other.hidden {
			one["http_addr"] = ""
		}
		if m.id == 2 { // only the leader knows
			one["healthy"], one["match_index"], one["lag"] = other.id != 3, 40+other.id, 3-other.id
		}
		list = append(list, one)
	}
	doc := map[string]any{"cluster_id": m.cluster.id, "members": list}
	switch {
	case r.URL.Path == "/cluster/status":
		doc["node_id"], doc["leader"], doc["term"], doc["status"] = m.claims, 2, 7, m.state
		doc["applied_index"], doc["root"], doc["tree_size"] = m.applied, merkle.Hash{}.String(), 5
		if m.state != "ok" {
			doc["detail"] = "because"
		}
	case r.URL.Path == "/cluster/leave" && strings.Contains(string(body), "9"):
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		doc = map[string]any{"code": "conflict", "detail": "it is the last voter"}
	}
	if err := json.NewEncoder(w).Encode(doc); err != nil {
		m.cluster.t.Error(err)
	}
}

// row is the line of a table that begins with a node's id, its columns split.
func row(t *testing.T, table string, id int) []string {
	t.Helper()
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 0 && f[0] == fmt.Sprint(id) {
			return f
		}
	}
	t.Fatalf("no row for node %d in\n%s", id, table)
	return nil
}

func TestStatusAsksEveryMember(t *testing.T) {
	cl, c := newCluster(t)
	cl.members[0].state = "degraded"
	out := c.ok("status")
	if !strings.Contains(out, "cluster c0ffee  leader 2, term 7\n") || !strings.Contains(out, "5 entries") {
		t.Error(out)
	}
	addr := func(i int) string { return cl.members[i].addr }
	for id, want := range map[int]string{
		1: "1 follower yes 41 2 10 " + addr(0) + " r1:1 degraded: because",
		2: "2 leader yes 42 1 20 " + addr(1) + " r2:1 ok",
		3: "3 follower no 43 0 - " + addr(2) + " r3:1 no answer",
	} {
		if got := strings.Join(row(t, out, id), " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	var doc struct {
		Leader  uint64
		Root    string
		Members []struct {
			NodeID  uint64 `json:"node_id"`
			Match   uint64 `json:"match_index"`
			Applied uint64 `json:"applied_index"`
			Healthy bool
			Answers bool   `json:"answered"`
			Status  string `json:"status"`
			Detail  string
		}
	}
	if err := json.Unmarshal([]byte(c.ok("status", "--json")), &doc); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(doc.Members) != "[{1 41 10 true true degraded because} {2 42 20 true true ok } {3 43 0 false false  }]" ||
		len(doc.Root) != 64 || doc.Leader != 2 {
		t.Errorf("%+v", doc)
	}
}

// What answers at a member's address counts for the node that it says it is, in this cluster.
func TestStatusTakesNoStrangersWord(t *testing.T) {
	cl, c := newCluster(t)
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"node_id":3,"cluster_id":"other","applied_index":77,"root":%q}`, merkle.Hash{})
	}))
	defer stranger.Close()
	c.env[endpointEnv] += "," + stranger.URL
	cl.members[1].claims = 3
	out := c.ok("status")
	if row(t, out, 2)[5] != "-" || row(t, out, 3)[5] != "20" ||
		!strings.Contains(out, "The leader did not answer: this is what node 1 knows.") {
		t.Error(out)
	}
	if got := row(t, out, 1); got[2] != "no" {
		t.Errorf("%v", got)
	}
}

// A node that takes the question and never answers holds nobody up for long.
func TestStatusPassesOverTheSilent(t *testing.T) {
	_, c := newCluster(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c.env[endpointEnv] = "http://" + silent.Addr().String() + "," + c.env[endpointEnv]
	began := time.Now()
	if out := c.ok("status"); !strings.Contains(out, "leader 2") || time.Since(began) > 4*memberTimeout {
		t.Errorf("after %v:\n%s", time.Since(began), out)
	}
}

// A member whose address the cluster does not know yet may be among the endpoints.
func TestStatusAsksTheEndpoints(t *testing.T) {
	cl, c := newCluster(t)
	c.env[endpointEnv] += ", http://" + cl.members[1].addr
	cl.members[1].hidden = true
	if got := row(t, c.ok("status"), 2); got[5] != "20" || got[6] != "-" {
		t.Errorf("%v", got)
	}
}

func TestMemberCommands(t *testing.T) {
	cl, c := newCluster(t)
	if out := c.ok("members"); strings.Join(row(t, out, 3), " ") != "3 follower yes "+cl.members[2].addr+" r3:1" {
		t.Error(out)
	}
	for _, tc := range []struct{ args, asked, says string }{
		{"join 4 --raft-addr h:1 --http-addr h:2",
			`POST /cluster/join {"node_id":4,"raft_addr":"h:1","http_addr":"h:2","learner":false}`, "node 4 is a member\n"},
		{"join 4 --raft-addr h:1 --learner",
			`POST /cluster/join {"node_id":4,"raft_addr":"h:1","http_addr":"","learner":true}`, "node 4 is a member\n"},
		{"leave 3", `POST /cluster/leave {"node_id":3}`, "node 3 is no member\n"},
		{"promote 4", `POST /cluster/promote {"node_id":4}`, "node 4 has a vote\n"},
		{"transfer 2", `POST /cluster/transfer {"node_id":2}`, "node 2 leads\n"},
		{"transfer", `POST /cluster/transfer {"node_id":0}`, "the leadership has moved\n"},
	} {
		out := c.ok(strings.Fields(tc.args)...)
		if got := cl.asked[len(cl.asked)-1]; got != tc.asked || !strings.HasPrefix(out, tc.says) || row(t, out, 2)[1] != "leader" {
			t.Errorf("%s asks %s and says\n%s", tc.args, got, out)
		}
	}
	if out := c.ok("leave", "3", "--json"); !json.Valid([]byte(out)) || !strings.Contains(out, `"members":[{"node_id":1`) {
		t.Error(out)
	}
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{"leave 9", exitFailure, "409 conflict: it is the last voter"},
		{"leave", exitUsage, "see scribe leave --help"},
		{"leave x", exitUsage, `a node id is a whole number, 1 or more, not "x"`},
		{"promote 0", exitUsage, "a node id is"},
		{"transfer 1 2", exitUsage, "see scribe transfer --help"},
		{"join 4", exitUsage, "join needs --raft-addr"},
		{"members 4", exitUsage, "see scribe members --help"},
	} {
		code, out, stderr := c.run(strings.Fields(tc.args)...)
		if code != tc.code || !strings.Contains(stderr, tc.want) || out != "" {
			t.Errorf("%s: exit %d, want %d; %q lacks %q; printed %q", tc.args, code, tc.code, stderr, tc.want, out)
		}
	}
}
