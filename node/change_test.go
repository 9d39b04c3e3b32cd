package node

import (
	"errors"
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
