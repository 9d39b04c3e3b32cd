package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// change asks a node for a change of the members and waits until it is committed. What is certainly not done, or may be,
// is asked for again: joins and leaves that hold already are no error.
func (p *peer) change(what, body string) {
	p.c.t.Helper()
	client := clientOf(p.c.t)
	eventually(p.c.t, func() string {
		a, v, err := p.attempt(client, patience, "POST", "/cluster/"+what, []byte(body), "Content-Type", "application/json")
		if v == nonsense || v == answered && a.status != 200 {
			p.c.t.Fatalf("%s %s at node %d: status %d: %.300s (%v)", what, body, p.id, a.status, a.body, err)
		}
		if v != answered {
			return fmt.Sprintf("%s %s at node %d: %+v, %v", what, body, p.id, a, err)
		}
		return ""
	})
}

func (p *peer) leave(gone *peer)   { p.change("leave", fmt.Sprintf(`{"node_id":%d}`, gone.id)) }
func (p *peer) promote(who *peer)  { p.change("promote", fmt.Sprintf(`{"node_id":%d}`, who.id)) }
func (p *peer) transfer(who *peer) { p.change("transfer", fmt.Sprintf(`{"node_id":%d}`, who.id)) }

// TestMembership takes a cluster from three members to five and back to three, other ones, with writers at all nodes.
// Every write succeeds when it is sent again.
func TestMembership(t *testing.T) {
	c := formCluster(t, clusterOptions{env: []string{"SCRIBE_CLUSTER_LEARNER=false"}})
	n := func(id int) *peer { return c.nodes[id-1] }
	f := c.startTraffic("change", 6, 500, c.nodes...)
	f.awaitAck(time.Now())
	step := func(what string, do func()) {
		t.Helper()
		f.awaitAck(time.Now())
		began := time.Now()
		do()
		f.awaitAck(time.Now())
		gap, at := f.gap(began, time.Now())
		t.Logf("%-40s %6v; writes stood still for %v at most, %v into it", what, time.Since(began).Round(time.Millisecond),
			gap.Round(time.Millisecond), at.Round(time.Millisecond))
		if t.Failed() {
			t.FailNow()
		}
	}
	step("two join", func() {
		for _, through := range c.nodes[:2:2] {
			c.joiner(through).start()
		}
		c.awaitReady(n(4), n(5))
		c.awaitMembers(c.nodes, c.nodes...)
		f.use(c.nodes...)
	})
	step("leadership goes to a new member", func() {
		c.except(c.leader(), n(4))[0].transfer(n(4))
		if leader := c.leader(); leader != n(4) {
			t.Errorf("node %d leads after the transfer to node 4", leader.id)
		}
	})
	step("a dead member is replaced", func() {
		n(2).kill()
		c.except()[0].leave(n(2))
		c.joiner(n(3)).start()
		c.awaitReady(n(6))
		c.awaitMembers(c.up(), c.up()...)
		f.use(c.up()...)
	})
	step("a learner joins and is promoted", func() {
		p := c.joiner(n(1))
		p.start("SCRIBE_CLUSTER_LEARNER=true")
		c.awaitReady(p)
		members, err := p.members()
		if m := members[p.id]; err != nil || m.Voter || m.Role != "learner" {
			t.Errorf("the learner is %+v, %v", m, err)
		}
		p.promote(p)
		c.awaitMembers(c.up(), c.up()...)
	})
	var gone []*peer
	step("the leader leaves", func() {
		gone = append(gone, c.leader())
		gone[0].leave(gone[0])
		c.awaitMembers(c.except(gone...), c.except(gone...)...)
	})
	step("two others leave", func() {
		gone = append(gone, c.except(c.leader(c.except(gone...)...), gone[0])[:2]...)
		gone[1].leave(gone[1]) // asked itself
		c.except(gone...)[0].leave(gone[2])
		c.awaitMembers(c.except(gone...), c.except(gone...)...)
	})
	f.use(c.except(gone...)...)
	step("those who left hear of it", func() {
		for _, p := range gone {
			c.awaitRemoved(p)
		}
	})
	step("one of them is started again", func() {
		c.holdTerm(f, c.except(gone...), func() {
			gone[1].kill()
			gone[1].start()
			c.awaitRemoved(gone[1])
		})
		for _, p := range gone {
			began := time.Now()
			p.stop()
			within(t, "stop of a node that was removed", time.Since(began), 3*time.Second)
		}
	})
	f.end()
	members := c.up()
	if len(members) != 3 {
		t.Fatalf("%d nodes are left", len(members))
	}
	t.Logf("%d writes acknowledged", len(f.acks))
	f.verify(t, c.replayAll(members...))
}

// awaitRemoved waits until a node says that it is no member any more, in /health, and in its log.
func (c *cluster) awaitRemoved(p *peer) {
	c.t.Helper()
	p.awaitFault("removed from the cluster")
}

// awaitFault waits until /health answers 503 with this text, and until the log has it too.
func (p *peer) awaitFault(text string) {
	p.c.t.Helper()
	eventually(p.c.t, func() string {
		a, err := p.try(quick, "GET", "/health", nil)
		switch {
		case err != nil:
			return err.Error()
		case a.status != 503 || !strings.Contains(string(a.body), text):
			return fmt.Sprintf("node %d: status %d: %s", p.id, a.status, a.body)
		}
		return ""
	})
	p.awaitLine(text)
}

// holdTerm does something that must not disturb these nodes: for that long and 1.5 seconds more, which is more than an
// election timeout, their term stays, and writes go on.
func (c *cluster) holdTerm(f *traffic, nodes []*peer, do func()) {
	c.t.Helper()
	c.leader(nodes...)
	before := nodes[0].status()
	began := time.Now()
	do()
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); {
		f.awaitAck(time.Now())
	}
	gap, _ := f.gap(began, time.Now())
	for _, p := range nodes {
		if st := p.status(); st.Term != before.Term || st.Leader != before.Leader {
			c.t.Errorf("node %d: term %d, leader %d; it was %d, %d", p.id, st.Term, st.Leader, before.Term, before.Leader)
		}
	}
	c.t.Logf("undisturbed in term %d for %v; writes stood still for %v at most", before.Term,
		time.Since(began).Round(time.Millisecond), gap.Round(time.Millisecond))
	within(c.t, "longest time without an acknowledged write", gap, 500*time.Millisecond)
}

// TestWiped: a member that comes back without its data is kept out, since it may have promised what it does not know, and
// says why. Once it was removed it may join under its old number.
func TestWiped(t *testing.T) {
	c := formCluster(t, clusterOptions{})
	f := c.startTraffic("wiped", 4, 500, c.nodes...)
	f.awaitAck(time.Now())
	c.awaitMembers(c.nodes, c.nodes...)
	wiped := c.except(c.leader())[0]
	others := c.except(wiped)
	f.use(others...)
	wiped.kill()
	wiped.wipe()
	c.holdTerm(f, others, func() {
		wiped.start()
		wiped.awaitFault("replaced")
	})
	told := 0
	for _, p := range others {
		if strings.Contains(p.log.String(), fmt.Sprintf("remove node %d from the cluster and join it anew", wiped.id)) {
			told++
		}
	}
	if told == 0 {
		t.Error("no other node's log says what to do about the wiped one")
	}
	if a, err := wiped.try(http.DefaultClient, "GET", "/v1/kv/wiped/w0/0", nil); err != nil || a.status != 503 {
		t.Errorf("a read at the wiped node: %+v, %v", a, err)
	}
	wiped.kill()
	wiped.wipe()
	others[0].leave(wiped)
	wiped.args = []string{"--node-id", fmt.Sprint(wiped.id), "--listen", wiped.addr, "--raft-listen", wiped.raft, "--join",
		others[0].addr}
	wiped.start()
	c.awaitReady(wiped)
	c.awaitMembers(c.nodes, c.nodes...)
	f.use(c.nodes...)
	f.awaitAck(time.Now())
	f.end()
	f.verify(t, c.replayAll(c.nodes...))
}
