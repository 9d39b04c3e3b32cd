package node

import "testing"

// TestForwardOverABrokenConnection: a write that went to the leader over a connection which then broke is not waited for
// until its deadline: the outcome is unknown after an election timeout, unless the answer comes before.
func TestForwardOverABrokenConnection(t *testing.T) {
	c := newCluster(t, 3, nil)
	lead, through := c.leader(), c.follower()
	c.mustWrite(lead, "before", "")
	grace := through.opts.ElectionTicks
	done := func(w told) bool { _, _, done := w.p.Outcome(); return done }
	var all []told
	begin := func(key string) told {
		all = append(all, c.begin(through, key))
		c.settle()
		return all[len(all)-1]
	}

	c.lost = isForward
	w := begin("lost")
	c.tick(2 * grace)
	if done(w) {
		t.Fatal("nothing says that it is lost")
	}
	for _, m := range c.nodes {
		if m.node != lead && m.node != through {
			through.Broken(m.id)
		}
	}
	c.tick(2 * grace)
	if done(w) {
		t.Fatal("another connection broke")
	}
	through.Broken(lead.opts.NodeID)
	c.settle()
	c.tick(grace)
	if done(w) {
		t.Fatal("an answer might still have come")
	}
	c.tick(1)
	if _, err, done := w.p.Outcome(); !done || !isUnavailable(err, OutcomeUnknown) {
		t.Fatalf("done is %v after the connection broke: %v", done, err)
	}

	c.lost, c.hold = nil, isAnswer
	w = begin("answered")
	through.Broken(lead.opts.NodeID)
	c.settle()
	c.tick(2)
	c.hold = nil
	c.settle()
	if _, err, done := w.p.Outcome(); !done || err != nil {
		t.Fatalf("the answer came after all: %v, %v", done, err)
	}

	w = begin("after") // over the next connection
	c.tick(1)
	if _, err, done := w.p.Outcome(); !done || err != nil {
		t.Fatalf("%v, %v", done, err)
	}
	if acked, refused, unknown := c.judge(all); acked != 2 || refused != 0 || unknown != 1 {
		t.Errorf("%d acknowledged, %d refused, %d unknown", acked, refused, unknown)
	}
}
