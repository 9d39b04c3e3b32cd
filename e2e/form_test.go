package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestClusterForms: three processes are a cluster that takes writes within two seconds of the last one's start, and every
// node knows all of it.
func TestClusterForms(t *testing.T) {
	rounds := 5
	if raceEnabled {
		rounds = 1
	}
	for round := range rounds {
		c := newCluster(t, clusterOptions{})
		c.startAll()
		started := time.Now()
		f := c.startTraffic("form", 3, 100, c.nodes...)
		took := f.awaitAck(started).done.Sub(started)
		t.Logf("written %v after the last start", took.Round(time.Millisecond))
		within(t, "from the last start to the first write", took, 2*time.Second)
		f.end()
		if round+1 < rounds {
			for _, p := range c.nodes {
				p.kill()
			}
			continue
		}
		c.awaitReady(c.nodes...)
		c.awaitMembers(c.nodes, c.nodes...)
		st := c.awaitAgreement(c.nodes...)
		for _, p := range c.nodes {
			if got := p.status(); got.ClusterID != st.ClusterID || got.ClusterID == "" || got.NodeID != p.id {
				t.Errorf("node %d says it is node %d of cluster %s, node %d that it is of %s", p.id, got.NodeID, got.ClusterID,
					st.NodeID, st.ClusterID)
			}
		}
		f.verify(t, c.replayAll(c.nodes...))
		for _, p := range c.nodes {
			p.stop()
		}
	}
}

// awaitMembers waits until all of these nodes know the same voters and where to reach them, and the leader that all of
// them are well, which nobody else knows.
func (c *cluster) awaitMembers(voters []*peer, nodes ...*peer) {
	c.t.Helper()
	eventually(c.t, func() string {
		for _, p := range nodes {
			members, err := p.members()
			if err != nil {
				return err.Error()
			}
			if len(members) != len(voters) {
				return fmt.Sprintf("node %d knows %d members: %+v", p.id, len(members), members)
			}
			for _, v := range voters {
				m := members[v.id]
				if !m.Voter || m.RaftAddr != v.raft || m.HTTPAddr != v.addr || !m.Healthy && (v == p || members[p.id].Role == "leader") {
					return fmt.Sprintf("node %d knows node %d, raft %s, http %s, as %+v", p.id, v.id, v.raft, v.addr, m)
				}
			}
		}
		return ""
	})
}

// members are the members that a node knows, by their ids.
func (p *peer) members() (map[uint64]member, error) {
	var got struct {
		Members []member `json:"members"`
	}
	err := p.ask("/cluster/members", &got)
	out := make(map[uint64]member)
	for _, m := range got.Members {
		out[m.NodeID] = m
	}
	return out, err
}
