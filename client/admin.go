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

// Member is one member of the cluster.
type Member struct {
	NodeID     uint64 `json:"node_id"`
	RaftAddr   string `json:"raft_addr"`
	HTTPAddr   string `json:"http_addr"`
	Role       string `json:"role"`
	Voter      bool   `json:"voter"`
	Healthy    bool   `json:"healthy"`
	MatchIndex uint64 `json:"match_index"`
	Lag        uint64 `json:"lag"`
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

// SealResult says what a seal did.
type SealResult struct {
	Segments      []string `json:"segments"`       // ids of the segments made
	SealedThrough *uint64  `json:"sealed_through"` // last sealed seq; nil for an empty ledger
}

// Seal returns once everything committed before the call is in durable, recorded segments. It can be repeated freely.
func (c *Client) Seal(ctx context.Context) (SealResult, error) {
	var out SealResult
	err := c.json(ctx, &call{method: http.MethodPost, target: "/v1/admin/seal"}, &out)
	return out, err
}

// maxAnswer bounds the answers that are small by nature.
const maxAnswer = 16 << 20

func (c *Client) json(ctx context.Context, r *call, out any) error {
	r.limit = maxAnswer
	a, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return &ProtocolError{Path: r.target, Problem: err.Error()}
	}
	return nil
}
