package node

import "testing"

func TestThreeNodesForm(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.mustWrite(c.leader(), "a", "1")
	for _, m := range c.nodes {
		c.mustWrite(m.node, "b", "2")
	}
	c.agree()
	for _, m := range c.nodes {
		if got, err := c.read(m.node, "b"); err != nil || got != "2" {
			t.Errorf("node %d reads %q, %v", m.id, got, err)
		}
	}
}
