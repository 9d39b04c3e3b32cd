package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
)

// told is one write and what came of it.
type told struct {
	key string
	p   *Pending
}

// begin starts a write of a key of its own through a node.
func (c *cluster) begin(n *Node, key string) told {
	return told{key, n.Begin(put(key, "value of "+key), c.now.Add(5*time.Second))}
}

// judge compares what clients were told with what is in the ledger: an acknowledged write is there once, at its seq; one
// that was refused is not there; of the rest nothing is known, but that it is not there twice. gone says of writes whose
// node has died with them that nobody was told.
func (c *cluster) judge(all []told) (acked, refused, unknown int) {
	c.t.Helper()
	c.agree()
	l := c.leader().Ledger()
	for _, w := range all {
		versions := 0
		it, err := l.History([]byte(w.key), ^uint64(0), false)
		if err != nil {
			c.t.Fatal(err)
		}
		var seq uint64
		for it.Next() {
			versions++
			seq = it.Entry().Seq
		}
		it.Close()
		r, err, done := w.p.Outcome()
		var u *Unavailable
		switch {
		case versions > 1:
			c.t.Errorf("%s was applied %d times", w.key, versions)
		case !done || (errors.As(err, &u) && u.Reason == OutcomeUnknown):
			unknown++
		case err == nil:
			acked++
			if versions == 0 || seq != r.FirstSeq {
				c.t.Errorf("%s was acknowledged at %d, and there are %d versions, at %d", w.key, r.FirstSeq, versions, seq)
			}
		case errors.As(err, &u):
			refused++
			if versions > 0 {
				c.t.Errorf("%s was refused (%v), and is there at %d", w.key, err, seq)
			}
		default:
			c.t.Errorf("%s: %v tells nothing of the outcome", w.key, err)
		}
	}
	return acked, refused, unknown
}

func isForward(p packet) bool {
	return len(p.request) > 0 && requestKind(p.request[0]) == requestForward
}
func isAnswer(p packet) bool {
	return len(p.request) > 0 && requestKind(p.request[0]) == requestAnswers
}

// TestLeaderDiesWithForwardedWrites kills the leader with a follower's write in each phase of its way.
func TestLeaderDiesWithForwardedWrites(t *testing.T) {
	for _, phase := range []struct {
		name    string
		arrange func(c *cluster, leader uint64) // how far the write gets
		there   bool                            // it must be there in the end
		absent  bool                            // it cannot be
	}{
		{"on its way to the leader", func(c *cluster, leader uint64) { c.hold = isForward }, false, true},
		{"queued at the leader", func(c *cluster, leader uint64) { c.member(leader).lazy["turn"] = true }, false, true},
		{"proposed, and not sent on", func(c *cluster, leader uint64) {
			c.hold = func(p packet) bool { return p.from == leader }
		}, false, true},
		{"replicated, and not acknowledged", func(c *cluster, leader uint64) {
			c.hold = func(p packet) bool { return p.to == leader && !isForward(p) }
		}, true, false},
		{"applied, and not answered", func(c *cluster, leader uint64) { c.hold = isAnswer }, true, false},
	} {
		t.Run(phase.name, func(t *testing.T) {
			c := newCluster(t, 3, nil)
			lead := c.leader()
			c.mustWrite(lead, "before", "")
			through := c.follower()
			phase.arrange(c, lead.opts.NodeID)
			w := c.begin(through, "key")
			c.settle()
			c.kill(lead.opts.NodeID)
			c.hold = nil
			c.outcome(w.p)
			c.restart(lead.opts.NodeID)
			c.mustWrite(c.leader(), "after", "")
			_, err, _ := w.p.Outcome()
			var u *Unavailable
			if !errors.As(err, &u) || u.Reason != OutcomeUnknown {
				t.Errorf("outcome %v, which nobody can know", err)
			}
			c.judge([]told{w})
			_, err = c.leader().Ledger().Get([]byte("key"), ledger.Selector{})
			if (phase.there && err != nil) || (phase.absent && err == nil) {
				t.Errorf("in the end: %v", err)
			}
		})
	}
}

// TestForwardDeliveredTwice delivers each forward again and again, at once, later, and when its leader leads no more: it
// is applied once, and what was applied is not refused.
func TestForwardDeliveredTwice(t *testing.T) {
	c := newCluster(t, 3, nil)
	lead := c.leader()
	through := c.follower()
	var copies []packet
	c.lost = func(p packet) bool {
		if isForward(p) {
			copies = append(copies, p)
			c.hand(p)
		}
		return false
	}
	var all []told
	for i := range 10 {
		all = append(all, c.begin(through, fmt.Sprint("early-", i)))
		c.settle()
	}
	again := func() {
		for _, p := range copies {
			c.hand(p)
		}
		c.settle()
	}
	again()
	// The leader is cut off with a write, which it loses; the same forward comes again when it follows.
	cut := func(p packet) bool { return (p.from == lead.opts.NodeID || p.to == lead.opts.NodeID) && !isForward(p) }
	deliver := c.lost
	c.lost = func(p packet) bool { deliver(p); return cut(p) }
	all = append(all, c.begin(through, "lost"))
	c.settle()
	c.until("another leader", func() bool {
		for _, m := range c.nodes {
			if m.node != lead && m.node.core.SoftState().Leader == m.id {
				return true
			}
		}
		return false
	})
	c.lost = nil
	c.leader()
	again()
	for _, w := range all {
		c.outcome(w.p)
	}
	again()
	c.judge(all)
}

// TestNoCircle makes two followers each hold the other for the leader: their clients' writes are not passed on and on.
func TestNoCircle(t *testing.T) {
	c := newCluster(t, 3, nil)
	lead := c.leader()
	forwards := 0
	through := c.follower()
	c.lost = func(p packet) bool {
		if isForward(p) {
			forwards++
			if p.from != through.opts.NodeID {
				t.Errorf("node %d passes on what node %d has passed on to it", p.from, through.opts.NodeID)
			}
		}
		return false
	}
	w := c.begin(through, "key")
	c.member(lead.opts.NodeID).lazy["turn"] = true
	c.settle()
	if err := lead.core.Transfer(0); err != nil { // it leads no more when it takes the forward in
		t.Fatal(err)
	}
	c.member(lead.opts.NodeID).lazy["turn"] = false
	c.outcome(w.p)
	if forwards > 3 {
		t.Errorf("one write was forwarded %d times", forwards)
	}
	c.judge([]told{w})
}

// TestForwardQueueIsBounded fills the inbox of a node that does nothing.
func TestForwardQueueIsBounded(t *testing.T) {
	c := newCluster(t, 3, func(o *Options) { o.MaxInbox, o.MaxInboxBytes, o.MaxQueue = 1000, 1<<20, 100 })
	lead := c.leader()
	f := forward{term: lead.soft.Term, life: 1}
	payload := func() []byte {
		f.id++
		f.commands = nil
		for i := range 20 {
			p, err := lead.prepareWrite(t.Context(), put(fmt.Sprint(f.id, i), "value"))
			if err != nil {
				t.Fatal(err)
			}
			f.commands = append(f.commands, forwardedCommand{data: p.data})
		}
		return f.encode()
	}
	from := c.follower().opts.NodeID
	for range 10_000 {
		lead.ReceiveRequest(from, payload())
	}
	if n := len(lead.inbox.mail.frames); n > 1000 || lead.inbox.frameBytes > 1<<20 {
		t.Errorf("%d frames of %d bytes wait", n, lead.inbox.frameBytes)
	}
	if _, err := lead.Turn(); err != nil {
		t.Fatal(err)
	}
	if n := lead.queued.Load(); n > 100 {
		t.Errorf("%d writes wait, at most 100 may", n)
	}
	c.mustWrite(c.follower(), "key", "value")
}

// TestOutcomesUnderFaults lets clients write through all nodes of a cluster whose messages are lost, held back, repeated
// and reordered, and whose nodes are lazy, die and come back.
func TestOutcomesUnderFaults(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	var acked, refused, unknown int
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 1))
		c := newCluster(t, 3, nil)
		c.leader()
		var all []told
		c.lost = func(p packet) bool {
			if rng.IntN(20) == 0 {
				c.wire = append(c.wire, p) // and comes again
			}
			return rng.IntN(30) == 0
		}
		c.hold = func(p packet) bool { return rng.IntN(4) == 0 }
		for step := range 150 {
			m := c.nodes[rng.IntN(len(c.nodes))]
			switch {
			case m.node == nil && rng.IntN(3) == 0:
				c.open(m)
			case m.node == nil:
			case rng.IntN(25) == 0:
				c.kill(m.id)
			default:
				all = append(all, c.begin(m.node, fmt.Sprintf("%d-%d", seed, step)))
			}
			rng.Shuffle(len(c.wire), func(i, j int) { c.wire[i], c.wire[j] = c.wire[j], c.wire[i] })
			for range rng.IntN(6) {
				if m := c.nodes[rng.IntN(len(c.nodes))]; m.node != nil {
					c.step(m)
				}
				c.deliver()
			}
			if rng.IntN(3) == 0 {
				c.now = c.now.Add(100 * time.Millisecond)
				for _, m := range c.nodes {
					if m.node != nil && rng.IntN(4) > 0 {
						m.node.Tick()
					}
				}
			}
		}
		c.lost, c.hold = nil, nil
		for _, m := range c.nodes {
			if m.node == nil {
				c.open(m)
			}
		}
		c.tick(60)
		c.mustWrite(c.leader(), "last", "")
		a, r, u := c.judge(all)
		acked, refused, unknown = acked+a, refused+r, unknown+u
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d acknowledged, %d refused, %d unknown", acked, refused, unknown)
	if acked < refused+unknown {
		t.Error("too few writes got through for the test to mean much")
	}
}

// TestIsolatedLeader: a leader that is cut off acknowledges nothing and serves no read; when it is back, its clients'
// writes are either in the ledger or their clients know that they may not be.
func TestIsolatedLeader(t *testing.T) {
	c := newCluster(t, 3, nil)
	old := c.leader()
	c.mustWrite(old, "key", "1")
	alone := func(p packet) bool { return p.from == old.opts.NodeID || p.to == old.opts.NodeID }
	c.lost = alone
	all := []told{c.begin(old, "a"), c.begin(old, "b")}
	hasty := told{"hasty", old.Begin(put("hasty", ""), c.now.Add(200*time.Millisecond))}
	c.settle()
	c.tick(3)
	var u *Unavailable
	if _, err, done := hasty.p.Outcome(); !done || !errors.As(err, &u) || u.Reason != OutcomeUnknown {
		t.Errorf("a write in the log whose client waits no more: %v, %v", err, done)
	}
	var other *Node
	c.until("another leader", func() bool {
		i := slices.IndexFunc(c.nodes, func(m *member) bool { return m.node != old && m.node.soft.Leader == m.id })
		if i >= 0 {
			other = c.nodes[i].node
		}
		return i >= 0
	})
	c.mustWrite(other, "key", "2")
	stale := old.BeginBarrier(c.now.Add(time.Second))
	c.settle()
	if _, err, done := stale.Outcome(); done && err == nil {
		t.Error("a leader that nobody follows any more serves a read")
	}
	if _, _, done := all[0].p.Outcome(); done {
		t.Error("a write that is on no quorum has an outcome")
	}
	c.lost = nil
	for _, w := range all {
		if _, err := c.outcome(w.p); err != nil {
			t.Errorf("%s was replaced, and could have been proposed by the next leader: %v", w.key, err)
		}
	}
	if acked, _, _ := c.judge(append(all, hasty)); acked != 2 {
		t.Errorf("%d of 2 are acknowledged", acked)
	}
	if got, err := c.read(old, "key"); err != nil || got != "2" {
		t.Errorf("the old leader reads %q, %v", got, err)
	}
}

// TestPausedLeader: a leader that was paused, and does not know yet that another one has taken its place, serves no read
// and acknowledges no write on what it knew.
func TestPausedLeader(t *testing.T) {
	c := newCluster(t, 3, nil)
	old := c.leader()
	c.mustWrite(old, "key", "1")
	if _, err := c.read(old, "key"); err != nil {
		t.Fatal(err)
	}
	c.pause(old.opts.NodeID)
	c.tick(30)
	c.mustWrite(c.leader(), "key", "2")
	read, write := old.BeginBarrier(c.now.Add(10*time.Second)), c.begin(old, "late")
	if _, err, done := read.Outcome(); done && err == nil {
		t.Fatal("it serves a read before it has heard of anybody")
	}
	// It works at what was asked of it before anything of the others reaches it.
	c.hold = func(p packet) bool { return p.to == old.opts.NodeID }
	c.resume(old.opts.NodeID)
	c.settle()
	for _, p := range []*Pending{read, write.p} {
		if _, err, done := p.Outcome(); done && err == nil {
			t.Fatal("it answers on its own word")
		}
	}
	c.hold = nil
	if _, err := c.outcome(read); err != nil {
		t.Error(err)
	}
	if e, err := old.Ledger().Get([]byte("key"), ledger.Selector{}); err != nil || string(e.Value) != "2" {
		t.Errorf("it reads %v, %v", e, err)
	}
	c.outcome(write.p)
	c.judge([]told{write})
}
