package httpapi

import (
	"context"
	"errors"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/node"
)

const (
	// maxChangeBody bounds the body of a change of the membership.
	maxChangeBody = 16 << 10
	// maxAddr bounds an address; a host name has at most 253 bytes (RFC 1035 §2.3.4).
	maxAddr = 260
	// viewWait is how long a change that is done waits for this node to know of it, for the list in the answer.
	viewWait = time.Second
)

// join answers POST /cluster/join.
func (c *call) join() error {
	m, err := c.readChange(true)
	switch {
	case err != nil:
		return err
	case m.NodeID == 0:
		return needsNodeID()
	case !dialable(m.RaftAddr):
		return badRequest(`"raft_addr" is where the other members reach the node: host:port, such as 10.0.0.4:9001`)
	case m.HTTPAddr != "" && !dialable(m.HTTPAddr):
		return badRequest(`"http_addr" is host:port, such as 10.0.0.4:8001`)
	}
	return c.change(m.NodeID, func(ctx context.Context) error {
		_, err := c.api.backend.Join(ctx, m)
		return err
	})
}

// leave answers POST /cluster/leave.
func (c *call) leave() error { return c.changeByID(c.api.backend.Leave, false) }

// promote answers POST /cluster/promote.
func (c *call) promote() error { return c.changeByID(c.api.backend.Promote, false) }

// transfer answers POST /cluster/transfer. Without a node_id any voter may lead next.
func (c *call) transfer() error { return c.changeByID(c.api.backend.Transfer, true) }

func (c *call) changeByID(do func(context.Context, uint64) error, optional bool) error {
	m, err := c.readChange(false)
	switch {
	case err != nil:
		return err
	case m.NodeID == 0 && !optional:
		return needsNodeID()
	}
	return c.change(m.NodeID, func(ctx context.Context) error { return do(ctx, m.NodeID) })
}

func needsNodeID() *problem {
	return badRequest(`the body names a node: {"node_id":4}; ids begin at 1`)
}

// readChange reads the body of a change: with addresses for a join, else a node's id alone.
func (c *call) readChange(join bool) (node.JoinRequest, error) {
	if err := checkJSONType(c.r.Header.Get("Content-Type")); err != nil {
		c.unread = true
		return node.JoinRequest{}, err
	}
	body, err := c.readBody(maxChangeBody, func() *problem {
		return badRequest("the body of a change of the members has at most " + strconv.Itoa(maxChangeBody) + " bytes")
	})
	if err != nil {
		return node.JoinRequest{}, err
	}
	return decodeChange(body, join)
}

// decodeChange reads {"node_id":4,…}, as strictly as a batch is read: the wrong member could go.
func decodeChange(body []byte, join bool) (m node.JoinRequest, err error) {
	s := &jsonScanner{b: body}
	seen := make(map[string]bool)
	err = s.object(func(raw []byte) (err error) {
		name := string(raw)
		if seen[name] {
			return s.errorf("the name %q stands twice", name[:min(len(name), 40)])
		}
		seen[name] = true
		switch {
		case name == "node_id":
			m.NodeID, err = s.number("a node id")
		case join && name == "raft_addr":
			m.RaftAddr, err = s.text()
		case join && name == "http_addr":
			m.HTTPAddr, err = s.text()
		case join && name == "learner":
			m.Learner, err = s.boolean()
		default:
			err = s.unknown(raw)
		}
		return err
	})
	if err == nil && !s.atEnd() {
		err = s.errorf("there is something behind the object")
	}
	return m, err
}

// checkJSONType takes JSON under its name, without one, and under the name that curl gives to any body.
func checkJSONType(contentType string) error {
	if contentType == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err == nil && (media == "application/json" || media == "application/x-www-form-urlencoded") {
		return nil
	}
	return &problem{status: http.StatusUnsupportedMediaType, code: codeMediaType, detail: "the body is application/json"}
}

// dialable says whether addr is host:port that somebody can dial.
func dialable(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || len(addr) > maxAddr || strings.ContainsAny(host, " \t\r\n/\\@?#\x00") {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// change does a change and answers with the members, as this node knows them then.
func (c *call) change(id uint64, do func(context.Context) error) error {
	wait := c.patience()
	defer wait.end()
	if err := do(wait); err != nil {
		return err
	}
	b := c.api.backend
	if s := b.Status(); id != s.NodeID {
		// The change is committed, but this node may not have heard of it yet. That is no reason to fail.
		ctx, cancel := context.WithTimeout(c.r.Context(), viewWait)
		defer cancel()
		if err := b.Barrier(ctx); errors.Is(err, context.Canceled) {
			return err
		}
	}
	s := b.Status()
	return c.sendValueJSON(http.StatusOK, struct {
		NodeID    uint64       `json:"node_id,omitempty"`
		ClusterID string       `json:"cluster_id"`
		LedgerID  string       `json:"ledger_id"`
		Leader    uint64       `json:"leader"`
		Members   []memberJSON `json:"members"`
	}{id, s.ClusterID, s.LedgerID, s.Leader, membersJSON(s.Members)})
}
