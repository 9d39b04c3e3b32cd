package httpapi

import (
	"net/http"

	"github.com/scribe-ledger/scribe/node"
)

// memberJSON is a member as /cluster/members shows it.
type memberJSON struct {
	NodeID     uint64 `json:"node_id"`
	RaftAddr   string `json:"raft_addr"`
	HTTPAddr   string `json:"http_addr"`
	Role       string `json:"role"`
	Voter      bool   `json:"voter"`
	Healthy    bool   `json:"healthy"`
	MatchIndex uint64 `json:"match_index"`
	Lag        uint64 `json:"lag"`
	Detail     string `json:"detail,omitempty"`
}

func membersJSON(members []node.Member) []memberJSON {
	out := make([]memberJSON, 0, len(members))
	for _, m := range members {
		out = append(out, memberJSON(m))
	}
	return out
}

// clusterStatus answers /cluster/status. Like all of /cluster it shows this node's view and asks nobody.
func (c *call) clusterStatus() error {
	s := c.api.backend.Status()
	_, health := healthOf(s)
	return c.sendValueJSON(http.StatusOK, struct {
		NodeID       uint64       `json:"node_id"`
		ClusterID    string       `json:"cluster_id"`
		Status       string       `json:"status"`
		Detail       string       `json:"detail,omitempty"`
		Role         string       `json:"role"`
		Leader       uint64       `json:"leader"`
		Term         uint64       `json:"term"`
		CommitIndex  uint64       `json:"commit_index"`
		AppliedIndex uint64       `json:"applied_index"`
		FirstIndex   uint64       `json:"first_index"`
		LastIndex    uint64       `json:"last_index"`
		TreeSize     uint64       `json:"tree_size"`
		Root         string       `json:"root"`
		Members      []memberJSON `json:"members"`
	}{s.NodeID, s.ClusterID, health.Status, health.Detail, s.Role, s.Leader, s.Term, s.CommitIndex, s.AppliedIndex, s.FirstIndex, s.LastIndex,
		s.TreeSize, s.Root.String(), membersJSON(s.Members)})
}

// clusterMembers answers /cluster/members.
func (c *call) clusterMembers() error {
	return c.sendValueJSON(http.StatusOK, struct {
		Members []memberJSON `json:"members"`
	}{membersJSON(c.api.backend.Status().Members)})
}

// clusterLeader answers /cluster/leader.
func (c *call) clusterLeader() error {
	s := c.api.backend.Status()
	if s.Leader == 0 {
		return &node.Unavailable{Reason: node.NoLeader, Detail: "this node knows of no leader"}
	}
	answer := struct {
		Leader   uint64 `json:"leader"`
		Term     uint64 `json:"term"`
		RaftAddr string `json:"raft_addr"`
		HTTPAddr string `json:"http_addr"`
	}{Leader: s.Leader, Term: s.Term}
	for _, m := range s.Members {
		if m.NodeID == s.Leader {
			answer.RaftAddr, answer.HTTPAddr = m.RaftAddr, m.HTTPAddr
		}
	}
	return c.sendValueJSON(http.StatusOK, answer)
}
