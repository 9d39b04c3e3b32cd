package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestChangesRefused: a change that cannot be is refused with its reason, by any node, and changes nothing.
func TestChangesRefused(t *testing.T) {
	c := formCluster(t, clusterOptions{})
	c.awaitMembers(c.nodes, c.nodes...)
	before := c.leader().status()
	for _, p := range c.nodes {
		for _, v := range []struct {
			route, body string
			status      int
		}{
			{"promote", `{"node_id":9}`, 404},
			{"transfer", `{"node_id":9}`, 404},
			{"join", fmt.Sprintf(`{"node_id":1,"raft_addr":"127.0.0.1:1","http_addr":%q}`, c.nodes[0].addr), 409},
			{"join", fmt.Sprintf(`{"node_id":9,"raft_addr":%q,"http_addr":"127.0.0.1:1"}`, c.nodes[0].raft), 409},
			{"join", `{"node_id":0,"raft_addr":"127.0.0.1:1"}`, 400},
			{"join", `{"node_id":9}`, 400},
			{"join", `{"node_id":9,"raft_addr":"nowhere"}`, 400},
			{"leave", `{"node_id":"1"}`, 400},
			{"leave", `{"node_id":1,"force":true}`, 400},
			{"leave", `{}`, 400},
			{"leave", ``, 400},
		} {
			a := p.do("POST", "/cluster/"+v.route, []byte(v.body), "Content-Type", "application/json")
			var pr problem
			if a.status != v.status || a.read(&pr) != nil || pr.Detail == "" {
				t.Errorf("%s %s at node %d: status %d, want %d: %.300s", v.route, v.body, p.id, a.status, v.status, a.body)
			}
		}
		for _, route := range []string{"join", "leave", "promote", "transfer"} {
			a := p.get("/cluster/" + route)
			a.wantProblem(405, "method_not_allowed")
			if !strings.Contains(a.header.Get("Allow"), "POST") {
				t.Errorf("%s: Allow is %q", a.what, a.header.Get("Allow"))
			}
		}
		// What holds already is no error.
		q := c.nodes[0]
		p.change("join", fmt.Sprintf(`{"node_id":1,"raft_addr":%q,"http_addr":%q}`, q.raft, q.addr))
		p.change("leave", `{"node_id":9}`)
		p.change("promote", `{"node_id":1}`)
	}
	if st := c.leader().status(); st.Term != before.Term || len(st.Members) != 3 {
		t.Errorf("term %d and members %+v, before %d and %+v", st.Term, st.Members, before.Term, before.Members)
	}
	alone := start(t, options{})
	a := alone.do("POST", "/cluster/leave", []byte(`{"node_id":1}`), "Content-Type", "application/json")
	a.wantProblem(409, a.code())
}

// code is the code of a problem, whatever it is.
func (a *answer) code() string {
	var p problem
	_ = a.read(&p)
	return p.Code
}

// TestClusterCommands drives a cluster by the command line, with a node that is down among its endpoints.
func TestClusterCommands(t *testing.T) {
	c := formCluster(t, clusterOptions{})
	c.awaitMembers(c.nodes, c.nodes...)
	var endpoints []string
	for _, p := range c.nodes {
		endpoints = append(endpoints, "http://"+p.addr)
	}
	scribe := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(filepath.Join(programs, "scribe"), args...)
		cmd.Env = append(cleanEnv(), "SCRIBE_ENDPOINT="+strings.Join(endpoints, ","))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("scribe %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	says := func(out string, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(out, text) {
				t.Errorf("no %q in\n%s", text, out)
			}
		}
	}
	all := []string{c.nodes[0].addr, c.nodes[1].addr, c.nodes[2].addr}
	says(scribe("status"), all...)
	says(scribe("members"), all...)
	scribe("put", "k", "v")
	to := c.except(c.leader())[0]
	scribe("transfer", fmt.Sprint(to.id))
	if leader := c.leader(); leader != to {
		t.Errorf("node %d leads, not node %d", leader.id, to.id)
	}
	// The first endpoint does not answer any more: the others do.
	c.nodes[0].kill()
	c.leader(c.nodes[1:]...)
	says(scribe("get", "k"), "v")
	scribe("put", "k2", "v2")
	says(scribe("status"), all...)
	scribe("leave", "1")
	p := c.place()
	scribe("join", fmt.Sprint(p.id), "--raft-addr", p.raft, "--http-addr", p.addr)
	p.args = append(p.args, "--join", c.nodes[1].addr)
	p.start()
	c.awaitReady(p)
	c.awaitMembers(c.up(), c.up()...)
	if out := scribe("members"); strings.Contains(out, c.nodes[0].addr) {
		t.Errorf("node 1 is still there:\n%s", out)
	}
	says(scribe("members"), p.addr)
}

// TestClusterRefusedStarts: what cannot be started is refused with a line that says why.
func TestClusterRefusedStarts(t *testing.T) {
	c := formCluster(t, clusterOptions{})
	p := c.nodes[0]
	refused := func(code int, o options, says ...string) {
		t.Helper()
		s := launch(t, o)
		if got := s.wait(); got != code {
			t.Fatalf("exit status %d, not %d:\n%s", got, code, s.log)
		}
		lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
		for _, text := range append(says, "scribe-node: ") {
			if !strings.Contains(lines[len(lines)-1], text) {
				t.Errorf("the line does not say %q: %s", text, lines[len(lines)-1])
			}
		}
	}
	refused(1, options{args: []string{"--raft-listen", p.raft}}, p.raft, "in use")
	founders := p.args[len(p.args)-1]
	refused(2, options{args: []string{"--initial-cluster", founders, "--node-id", "4"}}, "4")
	p.stop()
	refused(1, options{dir: p.dir, args: []string{"--initial-cluster", founders, "--node-id", "2"}}, "node 1", "node 2")
	refused(1, options{dir: p.dir, args: []string{"--initial-cluster", "1=127.0.0.1:1,2=127.0.0.1:2,3=127.0.0.1:3", "--node-id", "1"}},
		p.dir)
	// Without the flag the directory still knows where it belongs.
	p.args = p.args[:len(p.args)-2]
	p.start()
	c.awaitReady(p)
	c.awaitAgreement(c.nodes...)

	// Nobody to join: it waits, says so, and can be stopped.
	s := launch(t, options{args: []string{"--node-id", "4", "--join", freePorts(t, 1)[0]}})
	s.awaitLine("join")
	began := time.Now()
	s.stop()
	within(t, "stop of a node that waits to join", time.Since(began), 10*time.Second)
}
