package httpapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/node"
)

const jsonType = "Content-Type: application/json"

func TestMembershipChanges(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct{ path, body, asks string }{
		{"join", `{"node_id":4,"raft_addr":"h:1","http_addr":"h:2","learner":true}`, "join 4 h:1 h:2 true"},
		{"join", ` { "raft_addr" : "[::1]:65535" , "node_id" : 18446744073709551615 } `,
			"join 18446744073709551615 [::1]:65535  false"},
		{"join", `{"node_id":4,"raft_addr":"h:1","http_addr":"","learner":false}`, "join 4 h:1  false"},
		{"leave", `{"node_id":4}`, "leave 4"},
		{"promote", `{"node_id":4}`, "promote 4"},
		{"transfer", `{"node_id":4}`, "transfer 4"},
		{"transfer", `{"node_id":0}`, "transfer 0"},
		{"transfer", `{}`, "transfer 0"},
	} {
		r.model.changed = nil
		barriers := r.model.barriers
		p := r.do("POST", "/cluster/"+c.path, c.body, jsonType).wants(t, 200)
		if !slices.Equal(r.model.changed, []string{c.asks}) {
			t.Errorf("%s %s asks %q", c.path, c.body, r.model.changed)
		}
		m := p.json(t)
		if members, _ := m["members"].([]any); len(members) != 1 || m["cluster_id"] != "c0ffee" || m["leader"] != 1.0 {
			t.Errorf("%s answers %s", c.path, p.body)
		}
		if strings.Contains(c.asks, " 4") != (m["node_id"] == 4.0) {
			t.Errorf("%s answers %s", c.path, p.body)
		}
		if r.model.barriers != barriers+1 {
			t.Errorf("%s answers with members that may be old", c.path)
		}
	}
	// What curl calls any body, and no name at all.
	r.do("POST", "/cluster/leave", `{"node_id":4}`, "Content-Type: application/x-www-form-urlencoded").wants(t, 200)
	r.do("POST", "/cluster/leave", `{"node_id":4}`).wants(t, 200)
	r.do("POST", "/cluster/leave", `{"node_id":4}`, "Content-Type: application/json; charset=utf-8").wants(t, 200)
	r.do("POST", "/cluster/leave", `{"node_id":1}`).wants(t, 200) // this node: it may not be able to ask any more
	r.idle()
}

func TestMembershipRefusals(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct{ path, body string }{
		{"leave", ``}, {"leave", `{}`}, {"leave", `{"node_id":0}`}, {"leave", `{"node_id":"4"}`}, {"leave", `{"node_id":-4}`},
		{"leave", `{"node_id":04}`}, {"leave", `{"node_id":4.0}`}, {"leave", `{"node_id":1e2}`},
		{"leave", `{"node_id":18446744073709551616}`}, {"leave", `{"node_id":4}x`}, {"leave", `{"node_id":4,"node_id":5}`},
		{"leave", `{"NODE_ID":4}`}, {"leave", `{"node_id":4,"force":true}`}, {"leave", `[{"node_id":4}]`}, {"leave", `4`},
		{"leave", `{"node_id":4`}, {"leave", `{"node_id":null}`}, {"leave", strings.Repeat(" ", maxChangeBody) + `{"node_id":4}`},
		{"promote", `{}`}, {"transfer", ``}, {"transfer", `{"node_id":"4"}`},
		{"join", `{"node_id":4}`}, {"join", `{"raft_addr":"h:1"}`}, {"join", `{"node_id":4,"raft_addr":"h"}`},
		{"join", `{"node_id":4,"raft_addr":"h:0"}`}, {"join", `{"node_id":4,"raft_addr":":1"}`},
		{"join", `{"node_id":4,"raft_addr":"h:65536"}`}, {"join", `{"node_id":4,"raft_addr":"h:1","http_addr":"h"}`},
		{"join", `{"node_id":4,"raft_addr":"http://h:1"}`}, {"join", `{"node_id":4,"raft_addr":"h:1","learner":"yes"}`},
		{"join", `{"node_id":4,"raft_addr":"h:1","learner":truer}`}, {"join", `{"node_id":4,"raft_addr":7}`},
		{"join", `{"node_id":4,"raft_addr":"` + strings.Repeat("h", maxAddr) + `:1"}`},
	} {
		r.do("POST", "/cluster/"+c.path, c.body, jsonType).problem(t, 400, codeBadRequest)
	}
	r.do("POST", "/cluster/leave", `{"node_id":4}`, "Content-Type: text/plain").problem(t, 415, codeMediaType)
	if len(r.model.changed) > 0 {
		t.Errorf("a bad request was passed on: %q", r.model.changed)
	}
	for _, path := range []string{"join", "leave", "promote", "transfer"} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			r.do(method, "/cluster/"+path, "").problem(t, 405, codeMethodNotAllowed)
		}
		r.get("/cluster/"+path).has(t, "Allow", "POST, OPTIONS")
	}
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{&node.MemberError{Problem: node.MemberInvalid, Reason: "why"}, 400, codeBadRequest},
		{&node.MemberError{Problem: node.MemberUnknown, Reason: "why"}, 404, codeMemberUnknown},
		{fmt.Errorf("deep: %w", &node.MemberError{Problem: node.MemberConflict, Reason: "why"}), 409, codeMemberConflict},
		{&node.Unavailable{Reason: node.NoLeader, Detail: "why"}, 503, codeNoLeader},
		{&node.Unavailable{Reason: node.OutcomeUnknown, Detail: "why"}, 504, codeOutcomeUnknown},
	} {
		r.model.changeErr = c.err
		m := r.do("POST", "/cluster/leave", `{"node_id":4}`, jsonType).problem(t, c.status, c.code)
		if m["detail"] != "why" {
			t.Errorf("%v is answered %v", c.err, m)
		}
	}
}

// A change that is committed is told as done, whether or not this node can learn what the members are now.
func TestMembershipAnswersWithoutABarrier(t *testing.T) {
	r := newRig(t, nil)
	r.model.fail = &node.Unavailable{Reason: node.NoLeader, Detail: "d"}
	r.do("POST", "/cluster/transfer", `{"node_id":2}`, jsonType).wants(t, 200)
}
