package node

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestChangeWithoutALeader: a change that nobody can make is answered when it is clear that there is no leader, long before
// its deadline, and as one that was not made.
func TestChangeWithoutALeader(t *testing.T) {
	c := newCluster(t, 3, nil)
	left := c.leader()
	for _, m := range c.nodes {
		if m.node != left {
			c.kill(m.id)
		}
	}
	c.until("the leader steps down", func() bool { return left.Status().Leader == 0 })
	began := left.ticks
	p := left.BeginLeave(9, c.now.Add(time.Minute))
	var unavailable *Unavailable
	if err := c.changed(p); !errors.As(err, &unavailable) || unavailable.Reason != NoLeader {
		t.Fatalf("%v", err)
	}
	if took := left.ticks - began; took < left.noLeaderTicks() || took > 2*left.noLeaderTicks() {
		t.Errorf("answered after %d ticks; a leader is given %d to appear", took, left.noLeaderTicks())
	}
}

// TestChangeBeyondItsDeadline: what was asked of a process that was then stopped for long is not done when it goes on. By now
// the node that was to leave may be another one.
func TestChangeBeyondItsDeadline(t *testing.T) {
	c := newCluster(t, 3, nil)
	for _, asked := range []*Node{c.leader(), c.follower()} {
		before := asked.Probe().Members
		p := asked.BeginLeave(before.Members[0].ID, c.now.Add(time.Second))
		c.now = c.now.Add(time.Minute)
		var unavailable *Unavailable
		if err := c.changed(p); !errors.As(err, &unavailable) || unavailable.Reason != NotReady {
			t.Fatalf("node %d: %v", asked.opts.NodeID, err)
		}
		c.tick(20)
		if after := asked.Probe().Members; !after.Equal(before) {
			t.Errorf("node %d: %+v, before %+v", asked.opts.NodeID, after, before)
		}
	}
}

// TestRefusedByPeers: what the peers say who do not let a node in is its fault, said once, until it has a leader.
func TestRefusedByPeers(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.introduced()
	n := c.follower()
	n.Refused(1, "heard of a leader, so it does not count")
	if st := n.Status(); st.Fault != "" {
		t.Errorf("%+v", st)
	}
	for _, m := range c.nodes {
		if m.node != n {
			c.kill(m.id)
		}
	}
	c.until("no leader", func() bool { return n.Status().Leader == 0 })
	n.Refused(1, "the first reason")
	n.Refused(2, "the second reason")
	c.tick(3)
	if st := n.Status(); st.Ready || !strings.Contains(st.Fault, "the first reason") {
		t.Errorf("%+v", st)
	}
	for _, m := range c.nodes {
		if m.node == nil {
			c.restart(m.id)
		}
	}
	c.until("a leader, and no fault", func() bool { st := n.Status(); return st.Ready && st.Fault == "" })
}
