package client

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/scribe-ledger/scribe/merkle"
)

// Status is a node's view of itself and of its cluster.
type Status struct {
	NodeID       uint64      `json:"node_id"`
	ClusterID    string      `json:"cluster_id"`
	Status       string      `json:"status"`           // "ok", "degraded", "not_ready" or "failed", as at /health
	Detail       string      `json:"detail,omitempty"` // why it is not "ok"
	Role         string      `json:"role"`
	Leader       uint64      `json:"leader"` // 0 when unknown
	Term         uint64      `json:"term"`
	CommitIndex  uint64      `json:"commit_index"`
	AppliedIndex uint64      `json:"applied_index"`
	FirstIndex   uint64      `json:"first_index"`
	LastIndex    uint64      `json:"last_index"`
	TreeSize     uint64      `json:"tree_size"`
	Root         merkle.Hash `json:"-"`
	Members      []Member    `json:"members"`
}

// Member is one member of the cluster. How the others are only the leader knows: in a follower's answer the health, match
// and lag of members other than itself mean little.
type Member struct {
	NodeID     uint64 `json:"node_id"`
	RaftAddr   string `json:"raft_addr"`
	HTTPAddr   string `json:"http_addr"` // empty until the member has told the leader
	Role       string `json:"role"`
	Voter      bool   `json:"voter"`
	Healthy    bool   `json:"healthy"`
	Detail     string `json:"detail"` // why it is not healthy, where that is known
	MatchIndex uint64 `json:"match_index"`
	Lag        uint64 `json:"lag"`
}

// Membership is what a change of the members answers.
type Membership struct {
	ClusterID string   `json:"cluster_id,omitempty"`
	LedgerID  string   `json:"ledger_id,omitempty"` // of the data; the cluster's, but after a restore
	Members   []Member `json:"members"`
}

// Status asks any of the endpoints how it is.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	const path = "/cluster/status"
	var w struct {
		Status
		Root string `json:"root"`
	}
	if err := c.json(ctx, &call{method: http.MethodGet, target: path}, &w); err != nil {
		return nil, err
	}
	var err error
	if w.Status.Root, err = merkle.ParseHash(w.Root); err != nil {
		return nil, &ProtocolError{Path: path, Problem: "root: " + err.Error()}
	}
	return &w.Status, nil
}

// Members lists the members as any of the endpoints knows them.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	var out Membership
	err := c.json(ctx, &call{method: http.MethodGet, target: "/cluster/members"}, &out)
	return out.Members, err
}

// NewMember is a node that is to join.
type NewMember struct {
	NodeID   uint64 `json:"node_id"`
	RaftAddr string `json:"raft_addr"`
	HTTPAddr string `json:"http_addr"`
	Learner  bool   `json:"learner"` // it stays without a vote; otherwise it gets one once it has caught up
}

// The changes of the membership. Any endpoint takes them, the leader does them, and they return once the change is
// committed. One that holds already succeeds, so they are repeated like a read: an *Error with CodeOutcomeUnknown, or a
// lost connection behind the last attempt, is cured by asking again.

// Join makes a node a member. A node started with --join asks for this by itself.
func (c *Client) Join(ctx context.Context, m NewMember) (Membership, error) {
	return c.change(ctx, "join", m)
}

// Leave removes a member. It may be dead; a living one learns of it and serves no more.
func (c *Client) Leave(ctx context.Context, id uint64) (Membership, error) {
	return c.change(ctx, "leave", memberID{id})
}

// Promote gives a learner a vote, once it has caught up.
func (c *Client) Promote(ctx context.Context, id uint64) (Membership, error) {
	return c.change(ctx, "promote", memberID{id})
}

// Transfer hands the leadership to a voter; 0 is the one that is furthest.
func (c *Client) Transfer(ctx context.Context, id uint64) (Membership, error) {
	return c.change(ctx, "transfer", memberID{id})
}

type memberID struct {
	NodeID uint64 `json:"node_id"`
}

func (c *Client) change(ctx context.Context, what string, of any) (out Membership, err error) {
	body, err := json.Marshal(of)
	if err != nil {
		return out, err
	}
	err = c.json(ctx, &call{method: http.MethodPost, target: "/cluster/" + what, body: body,
		header: map[string]string{"Content-Type": "application/json"}}, &out)
	return out, err
}
