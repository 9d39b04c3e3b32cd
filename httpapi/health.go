package httpapi

import (
	"net/http"

	"github.com/scribe-ledger/scribe/node"
)

// healthJSON is the answer of /health and /readyz.
type healthJSON struct {
	Status   string `json:"status"` // "ok", "degraded" (it serves, and something fails), "not_ready" or "failed"
	NodeID   uint64 `json:"node_id"`
	Role     string `json:"role"`
	Leader   uint64 `json:"leader"`
	Term     uint64 `json:"term"`
	TreeSize uint64 `json:"tree_size"`
	Detail   string `json:"detail,omitempty"`

	Tier *tierHealthJSON `json:"tier,omitempty"`
}

// healthOf is what a node's status comes to.
func healthOf(s node.Status) (status int, body healthJSON) {
	body = healthJSON{Status: "ok", NodeID: s.NodeID, Role: s.Role, Leader: s.Leader, Term: s.Term, TreeSize: s.TreeSize}
	switch {
	case s.Fault != "":
		body.Status, body.Detail = "failed", s.Fault
		return http.StatusServiceUnavailable, body
	case !s.Ready:
		body.Status, body.Detail = "not_ready", "this node has a leader and has not caught up with it yet"
		switch {
		case s.Warning != "":
			body.Detail = s.Warning
		case s.Leader == 0:
			body.Detail = "this node knows of no leader"
		}
		return http.StatusServiceUnavailable, body
	case s.WritesFault != "":
		body.Status, body.Detail = "degraded", "writes are refused: "+s.WritesFault
	case s.Warning != "":
		body.Status, body.Detail = "degraded", s.Warning
	}
	return http.StatusOK, body
}

// health answers /health: 503 when this node cannot serve. One that serves reads alone, or will soon,
// is degraded, and 200.
func (c *call) health() error {
	status, body := healthOf(c.api.backend.Status())
	body.Tier = tierHealthOf(c.api.backend.TierStatus())
	if status != http.StatusOK {
		c.head.add("Retry-After", "1")
	}
	return c.sendValueJSON(status, body)
}

// readyz answers /readyz, for those that route requests.
func (c *call) readyz() error {
	status, body := healthOf(c.api.backend.Status())
	if status != http.StatusOK {
		return &problem{status: status, code: codeNotReady, detail: body.Detail}
	}
	return c.sendValueJSON(status, body)
}

// livez answers /livez, for those that restart processes: the process answers, and that is all that is asked. A node
// with a fault stays up, as a restart would not mend it and the fault can be read from it.
func (c *call) livez() error {
	return c.sendValueJSON(http.StatusOK, struct {
		Status string `json:"status"`
	}{"ok"})
}
