package node

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// TestTierUploadsOnce: the leader uploads what is sealed, the log records it, and every node gives up its own files, down to
// its bound. Another leader finds nothing to do.
func TestTierUploadsOnce(t *testing.T) {
	c := newTierCluster(t, 3, func(o *TierOptions) { o.MaxLocalBytes = 1 }, nil)
	c.fill(4)
	c.until("objects", c.tiered)
	c.until("evictions", func() bool { return c.everywhere(func(n *Node) bool { return c.colds(n) >= 4 }) })
	c.checkOneEach()
	c.checkAll()
	if c.removed == 0 {
		t.Fatal("no removal was looked at")
	}
	puts := c.store.Count(tier.OpPut)
	lead := c.leader()
	other := c.follower()
	if err := c.changed(lead.BeginTransfer(other.opts.NodeID, c.now.Add(10*time.Second))); err != nil {
		t.Fatal(err)
	}
	c.until("the other leads", func() bool { return other.tiering.leads() })
	c.tick(30)
	if now := c.store.Count(tier.OpPut); now > puts+8 { // the sweep's clock, no more
		t.Fatalf("%d puts by the next leader", now-puts)
	}
	c.checkOneEach()
	st := other.TierStatus()
	if !st.Usable || st.Problem != "" || st.Waiting != 0 || st.ColdSegments < 4 || st.Report != "mem has all that is needed" {
		t.Fatalf("%+v", st)
	}
}

// TestTierRounds: any node can be asked for a round. All that is recorded is uploaded whatever its age, and that node gives up
// all that it may.
func TestTierRounds(t *testing.T) {
	c := newTierCluster(t, 3, func(o *TierOptions) { o.MinAge = 100 * time.Hour }, nil)
	c.fill(3)
	c.tick(30)
	if got := c.objects(); len(got) > 0 {
		t.Fatalf("uploaded before its time: %q", got)
	}
	lost := 2
	c.lost = func(p packet) bool { // the first ask, and the first answer
		if len(p.request) > 0 && requestKind(p.request[0]) >= requestTier && lost > 0 {
			lost--
			return true
		}
		return false
	}
	n := c.follower()
	r, err := c.round(n, true)
	if err != nil || len(r.Uploaded) != 3 || len(r.Evicted) != 3 || r.Waiting != 0 || r.UploadedBytes == 0 ||
		r.EvictedBytes == 0 || lost != 0 {
		t.Fatalf("%+v, %v, %d", r, err, lost)
	}
	for _, m := range c.nodes {
		if cold := c.colds(m.node); (cold == 3) != (m.node == n) {
			t.Fatalf("node %d has %d cold segments", m.id, cold)
		}
	}
	c.checkOneEach()
	r, err = c.round(c.leader(), true)
	if err != nil || len(r.Uploaded) != 0 || len(r.Evicted) != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	c.checkAll()
	if p := (&Node{}).BeginTier(true, time.Time{}); !errors.Is(p.err, ledger.ErrNoCold) {
		t.Fatal(p.err)
	}
}

// TestTierRoundWithoutLeader: nobody leads, so nobody uploads, and whoever waits is told.
func TestTierRoundWithoutLeader(t *testing.T) {
	c := newTierCluster(t, 3, nil, nil)
	c.fill(1)
	c.until("objects", c.tiered)
	n := c.follower()
	for _, m := range c.nodes {
		if m.node != n {
			c.kill(m.id)
		}
	}
	_, err := c.round(n, false)
	var refused *Unavailable
	if !errors.As(err, &refused) || refused.Reason != NoLeader && refused.Reason != OutcomeUnknown {
		t.Fatal(err)
	}
}

// TestTierRoundGivenUp: a node that was asked as the leader, and is none by the time it gives up, does not answer as if all
// were done.
func TestTierRoundGivenUp(t *testing.T) {
	c := newTierCluster(t, 3, nil, nil)
	lead := c.leader()
	m := c.member(lead.opts.NodeID)
	m.lazy["tier"] = true
	c.fill(1)
	from := c.follower().opts.NodeID
	if p := lead.tiering.takeAsk(from, tierAsk{life: 1, number: 1, wait: time.Hour}); p != "" {
		t.Fatal(p)
	}
	for _, other := range c.nodes {
		if other != m {
			c.kill(other.id)
		}
	}
	c.until("nobody leads", func() bool { return lead.Status().Leader == 0 })
	c.tick(300)
	clear(m.lazy)
	c.until("an answer", func() bool { return lead.tiering.rounds[0].stage == roundEnded })
	if r := lead.tiering.rounds[0]; r.problem != notLeading {
		t.Fatalf("%q: %+v", r.problem, r.result)
	}
}

// TestTierPolicy: what is least read goes first, what is pinned and what is young stays, and what is read often comes back.
func TestTierPolicy(t *testing.T) {
	var most int64 = 1 << 40
	c := newTierCluster(t, 1, func(o *TierOptions) {
		o.Pins, o.FetchReads = [][]byte{[]byte("key-00001")}, 20
	}, nil)
	c.fill(5)
	c.until("objects", c.tiered)
	n := c.nodes[0].node
	placed := n.ledger.Placed()
	read := func(segment, times int) {
		for range times {
			if _, err := n.ledger.Get(placed[segment].MaxKey, ledger.Selector{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var all int64
	for _, p := range placed {
		all += int64(p.Bytes)
	}
	read(1, 10)
	read(2, 5)
	most = all - int64(placed[3].Bytes+placed[4].Bytes) + 1
	n.tiering.opts.MaxLocalBytes = most
	n.tiering.opts.MinAge = 100 * time.Hour
	c.tick(30)
	if cold := c.colds(n); cold != 0 {
		t.Fatalf("%d segments went before their time", cold)
	}
	n.tiering.opts.MinAge = 0
	c.tick(30)
	// 3 and 4 are not read at all, 2 is colder than 1, and 0 is pinned.
	got := ""
	for _, p := range n.ledger.Placed()[:5] {
		got += map[bool]string{true: "c", false: "."}[p.Cold]
	}
	if got != "...cc" {
		t.Fatalf("cold are %s", got)
	}
	// The bound is lifted, and segment 4 is read.
	n.tiering.opts.MaxLocalBytes = 0
	c.tick(30)
	read(4, 19)
	c.tick(30)
	if got := c.colds(n); got != 2 {
		t.Fatalf("%d are cold after 19 reads", got)
	}
	read(4, 1)
	c.until("it is back", func() bool { return !n.ledger.Placed()[4].Cold })
	if !n.ledger.Placed()[3].Cold {
		t.Fatal("another one is back")
	}
	r, err := c.round(n, true)
	if err != nil || len(r.Evicted) != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	c.tick(30)
	if p := n.ledger.Placed(); p[0].Cold || !p[1].Cold || !p[2].Cold || !p[4].Cold {
		t.Fatal("the pinned one went, or another one came back")
	}
	c.checkAll()
}

// TestTierProblems: a store that is not there, refuses, belongs to another ledger, or cannot do what is needed. The node says so
// in one line, keeps taking writes, and evicts nothing; when it is put right everything is uploaded.
func TestTierProblems(t *testing.T) {
	for _, x := range []struct {
		name    string
		tune    func(*tierCluster, *TierOptions)
		problem string
		mend    func(*tierCluster)
	}{
		{"no bucket", func(c *tierCluster, o *TierOptions) {
			c.faults = func(tier.Request) tier.Fault { return tier.Fault{Kind: tier.Refused} }
		}, "the store refuses access", func(c *tierCluster) { c.faults = nil }},
		{"unconditional", func(c *tierCluster, o *TierOptions) { o.Store = &careless{Store: o.Store} },
			"mem lacks conditional puts", nil},
		{"no lock", func(c *tierCluster, o *TierOptions) { o.LockWanted = true }, "mem lacks Object Lock", nil},
		{"silent", func(c *tierCluster, o *TierOptions) {
			c.faults = func(tier.Request) tier.Fault { return tier.Fault{Kind: tier.Stalled} }
		}, "deadline exceeded", func(c *tierCluster) { c.faults = nil }},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newTierCluster(t, 1, func(o *TierOptions) { o.MaxLocalBytes = 1 }, nil)
			m := c.nodes[0]
			c.kill(m.id)
			x.tune(c, m.opts.Tier)
			c.restart(m.id)
			c.fill(2)
			c.tick(100)
			st := m.node.TierStatus()
			if st.Usable || !strings.Contains(st.Problem, x.problem) || strings.Contains(st.Problem, "\n") || st.Waiting != 2 ||
				st.ColdSegments != 0 || len(c.objects()) > 0 && c.faults == nil {
				t.Fatalf("%+v", st)
			}
			r, err := c.round(m.node, true)
			if !errors.Is(err, tier.ErrUnavailable) || !strings.Contains(err.Error(), x.problem) || r.Waiting != 2 {
				t.Fatalf("%+v, %v", r, err)
			}
			c.checkAll()
			if x.mend == nil {
				return
			}
			x.mend(c)
			c.until("objects", func() bool { return c.tiered() && c.colds(m.node) >= 2 })
			if st := m.node.TierStatus(); !st.Usable || st.Problem != "" {
				t.Fatalf("%+v", st)
			}
			c.checkOneEach()
			c.checkAll()
		})
	}
}

// careless is a store that overwrites.
type careless struct{ tier.Store }

func (s *careless) Put(ctx context.Context, key string, body tier.Body, o tier.PutOptions) (tier.Object, error) {
	if err := s.Delete(ctx, key); err != nil {
		return tier.Object{}, err
	}
	return s.Store.Put(ctx, key, body, o)
}

// TestTierForeign: the bucket is another ledger's, or that of one with this one's id which has gone another way.
func TestTierForeign(t *testing.T) {
	theirs := newTierCluster(t, 3, nil, nil) // another list of founders, and so another id
	theirs.fill(2)
	if r, err := theirs.round(theirs.leader(), true); err != nil || r.Published == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	ours := newTierCluster(t, 1, func(o *TierOptions) { o.MaxLocalBytes = 1 }, nil)
	m := ours.nodes[0]
	ours.kill(m.id)
	ours.store = theirs.store
	m.opts.Tier.Store = &nodeStore{ours.store, ours, m}
	puts := ours.store.Count(tier.OpPut)
	before := ours.objects()
	ours.restart(m.id)
	ours.fill(2)
	ours.tick(100)
	st := m.node.TierStatus()
	if st.Usable || !strings.Contains(st.Problem, "use another bucket or prefix") || st.ColdSegments != 0 {
		t.Fatalf("%+v", st)
	}
	if now := ours.objects(); len(now) != len(before) {
		t.Fatalf("%q, before %q; %d puts", now, before, ours.store.Count(tier.OpPut)-puts)
	}
	ours.checkAll()
}

// TestTierParted: what is published is of a ledger with this one's id that has gone another way, as after a restore from a copy
// while the old cluster goes on. Nothing is evicted for it, and nothing of what is there is touched.
func TestTierParted(t *testing.T) {
	c := newTierCluster(t, 1, nil, nil)
	c.fill(1)
	m := c.nodes[0]
	if r, err := c.round(m.node, false); err != nil || r.Published == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	other := newTierCluster(t, 1, nil, nil)
	o := other.nodes[0]
	other.kill(o.id)
	o.fsys = m.fsys.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	other.now, other.serial = c.now, c.serial+1000
	other.restart(o.id)
	other.fill(2) // over a store of its own, from which it is cut off now
	o.opts.Tier.MaxLocalBytes = 1
	c.fill(1)
	if r, err := c.round(m.node, false); err != nil || r.Waiting != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	names := c.objects()
	other.kill(o.id)
	other.store = c.store
	o.opts.Tier.Store = &nodeStore{other.store, other, o}
	other.restart(o.id)
	other.tick(100)
	st := o.node.TierStatus()
	if st.Usable || !strings.Contains(st.Problem, "they have parted") || st.Waiting == 0 {
		t.Fatalf("%+v", st)
	}
	if _, err := other.round(o.node, true); !errors.Is(err, tier.ErrUnavailable) {
		t.Fatal(err)
	}
	if now := c.objects(); !slices.Equal(now, names) {
		t.Fatalf("%q, before %q", now, names)
	}
}

// TestTierSameEachTime: in manual mode all depends on what the node was given: two runs ask the store for the same.
func TestTierSameEachTime(t *testing.T) {
	run := func() (asked []tier.Request) {
		c := newTierCluster(t, 3, func(o *TierOptions) { o.MaxLocalBytes = 20 << 10 }, func(o *Options) {
			o.Ledger.CompactFanIn = 2
		})
		faults := tier.FaultMix{Overloaded: .1, AnswerLost: .1, Cut: .1, Flipped: .1}.Draw(7)
		c.faults = func(r tier.Request) tier.Fault {
			if strings.HasPrefix(r.Key, tier.ScratchPrefix) { // among them are puts at once, in any order
				return tier.Fault{}
			}
			asked = append(asked, r)
			return faults(r)
		}
		for range 6 {
			c.writeSome(30)
			c.tick(30)
		}
		return asked
	}
	first, second := run(), run()
	for i := range first {
		first[i].N = 0
	}
	for i := range second {
		second[i].N = 0
	}
	if len(first) < 50 || !slices.Equal(first, second) {
		i := 0
		for i < min(len(first), len(second)) && first[i] == second[i] {
			i++
		}
		t.Fatalf("%d requests and %d, which differ from %d on: %v and %v", len(first), len(second), i,
			first[i:min(i+3, len(first))], second[i:min(i+3, len(second))])
	}
}
