package node

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/wal"
)

// TestMargin: of the flushed log files go what nobody needs, what is too old and what is too much, oldest first.
func TestMargin(t *testing.T) {
	spans := []wal.Span{{Last: 10, Bytes: 100}, {Last: 20, Bytes: 100}, {Last: 30, Bytes: 100}, {Last: 40, Bytes: 100},
		{Last: 45, Bytes: 100}}
	for name, c := range map[string]struct {
		m       margin
		flushed uint64
		want    uint64
	}{
		"no margin":                {margin{}, 45, 40},
		"no margin, less flushed":  {margin{}, 39, 30},
		"nothing flushed":          {margin{}, 9, 0},
		"all fit":                  {margin{bytes: 400}, 45, 0},
		"too many":                 {margin{bytes: 399}, 45, 10},
		"two files":                {margin{bytes: 200}, 45, 20},
		"two files, less flushed":  {margin{bytes: 200}, 35, 10},
		"needed from 21 on":        {margin{bytes: 400, needed: 20}, 45, 20},
		"needed within a file":     {margin{bytes: 400, needed: 19}, 45, 10},
		"nobody needs any":         {margin{bytes: 400, needed: 1 << 60}, 45, 40},
		"needed but too many":      {margin{bytes: 100, needed: 10}, 45, 30},
		"aged":                     {margin{bytes: 400, aged: 35}, 45, 30},
		"aged beyond what flushed": {margin{bytes: 400, aged: 1 << 60}, 25, 20},
	} {
		if got := c.m.goes(c.flushed, spans); got != c.want {
			t.Errorf("%s: goes up to %d, want %d", name, got, c.want)
		}
	}
	if got := (margin{}).goes(100, nil); got != 0 {
		t.Errorf("of no files, %d go", got)
	}
}

// TestMarginNeverTakesWhatIsNotFlushed, nor the active file, whatever the margin.
func TestMarginNeverTakesWhatIsNotFlushed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var spans []wal.Span
		last := uint64(0)
		for range rapid.IntRange(0, 8).Draw(t, "files") {
			last += rapid.Uint64Range(0, 5).Draw(t, "entries")
			spans = append(spans, wal.Span{Last: last, Bytes: rapid.Int64Range(1, 100).Draw(t, "bytes")})
		}
		n := func(label string) uint64 { return rapid.Uint64Range(0, 50).Draw(t, label) }
		m, flushed := margin{bytes: int64(n("bytes kept")), needed: n("needed"), aged: n("aged")}, n("flushed")
		goes := m.goes(flushed, spans)
		var kept int64
		for i, s := range spans {
			stays := s.Last > goes || i == len(spans)-1
			switch {
			case !stays && s.Last > flushed:
				t.Fatalf("file %d goes, which ends at %d, with %d flushed", i, s.Last, flushed)
			case stays && s.Last <= flushed && i < len(spans)-1:
				kept += s.Bytes
				if s.Last <= m.needed || s.Last <= m.aged {
					t.Fatalf("file %d stays, which nobody may want", i)
				}
			}
		}
		if kept > m.bytes {
			t.Fatalf("%d bytes are kept of at most %d", kept, m.bytes)
		}
	})
}

// TestCovered: the age of the flushed log is known coarsely and bounded, and never overestimated.
func TestCovered(t *testing.T) {
	var c trimmer
	now := time.Unix(0, 0)
	for i := range uint64(10_000) {
		now = now.Add(time.Second)
		c.note(i+1, now)
		if len(c.covered) > maxCovered {
			t.Fatalf("%d marks are kept", len(c.covered))
		}
		if aged := c.agedOut(now, time.Hour); aged > 0 && aged+3600 > i+1 {
			t.Fatalf("after %d seconds, what stands up to %d counts as an hour old", i+1, aged)
		}
	}
	if aged := c.agedOut(now.Add(2*time.Hour), time.Hour); aged != 10_000 {
		t.Fatalf("two hours later, up to %d is an hour old", aged)
	}
	if c.note(10_000, now) {
		t.Fatal("what is known is news")
	}
}

// TestClusterKeepsAMargin: a member that was away for a little while goes on with the log, though all it missed is in
// segments, and the margin is given up when it is too old.
func TestClusterKeepsAMargin(t *testing.T) {
	c := newCluster(t, 3, func(o *Options) {
		trimEarly(o)
		o.KeepLogBytes, o.KeepLogAge = 1<<20, time.Minute
	})
	c.leader()
	away := c.follower().opts.NodeID
	c.fillSegments(1)
	next := c.node(away).log.LastIndex() + 1
	c.kill(away)
	c.fillSegments(2)
	for _, m := range c.nodes {
		if m.node != nil && m.node.log.FirstIndex() > next {
			t.Fatalf("node %d has dropped entry %d", m.id, next)
		}
	}
	c.restart(away)
	c.caughtUp()
	if n := testutil.ToFloat64(c.node(away).snapshots.metrics.installed); n != 0 {
		t.Fatal("a snapshot was installed")
	}
	// Everybody has everything now, which the leader knows: it keeps nothing more.
	c.fillSegments(1)
	c.tick(20)
	lead := c.leader()
	if first, sealed := lead.log.FirstIndex(), lead.compacted.Load(); first+200 < sealed || first < next {
		t.Fatalf("the leader's log begins at %d, sealed is %d", first, sealed)
	}
	c.kill(away)
	c.tick(700) // more than a minute
	c.fillSegments(1)
	c.tick(20)
	for _, m := range c.nodes {
		if m.node != nil && m.node.log.FirstIndex() <= next {
			t.Errorf("node %d still has entry %d", m.id, next)
		}
	}
}

// TestJoinsBySnapshot: a new member, which finds the beginning of the log gone, takes over the state and becomes a voter.
func TestJoinsBySnapshot(t *testing.T) {
	c := newCluster(t, 3, trimEarly)
	c.leader()
	c.fillSegments(4)
	c.agree()
	m := c.add(4)
	trimEarly(&m.opts)
	change := c.leader().BeginJoin(JoinRequest{NodeID: 4, RaftAddr: raftAddr(4), HTTPAddr: httpAddr(4)}, c.now.Add(time.Minute))
	if err := c.changed(change); err != nil {
		t.Fatal(err)
	}
	var contacts []Member
	for id := range uint64(3) {
		contacts = append(contacts, Member{NodeID: id + 1, RaftAddr: raftAddr(id + 1)})
	}
	m.opts.Join = &JoinInfo{ClusterID: c.node(1).identity.ClusterID, Members: contacts}
	c.open(m)
	c.until("node 4 votes", func() bool { return c.leader().core.Status().Members.IsVoter(4) })
	if n := testutil.ToFloat64(m.node.snapshots.metrics.installed); n != 1 {
		t.Fatalf("%v snapshots were installed", n)
	}
	c.caughtUp()
	c.kill(4)
	c.fillSegments(1)
	c.restart(4)
	c.caughtUp()
}
