package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

func TestThreeNodesForm(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.mustWrite(c.leader(), "a", "1")
	for _, m := range c.nodes {
		c.mustWrite(m.node, "b", fmt.Sprint(m.id))
	}
	c.agree()
	for _, m := range c.nodes {
		if got, err := c.read(m.node, "b"); err != nil || got != "3" {
			t.Errorf("node %d reads %q, %v", m.id, got, err)
		}
		if st := m.node.Status(); !st.Ready || st.Fault != "" {
			t.Errorf("node %d is not ready: %+v", m.id, st)
		}
		select {
		case <-m.node.Ready():
		default:
			t.Errorf("node %d does not say that it is ready", m.id)
		}
	}
	c.introduced()
}

// introduced waits until the membership says of all members who they are.
func (c *cluster) introduced() {
	c.t.Helper()
	c.until("all members known", func() bool {
		for _, m := range c.nodes {
			if m.node == nil || m.node.removed.Load() {
				continue
			}
			for _, x := range m.node.status.Load().Members.Members {
				if peer := c.member(x.ID); peer.node != nil &&
					(x.Instance != peer.node.Instance() || x.HTTPAddr != httpAddr(x.ID) || x.RaftAddr != raftAddr(x.ID)) {
					return false
				}
			}
		}
		return true
	})
}

// join makes a new node a member, asked for through some node, and waits until it votes, if it is to.
func (c *cluster) join(through *Node, id uint64, learner bool) *member {
	c.t.Helper()
	m := c.add(id)
	p := through.BeginJoin(JoinRequest{NodeID: id, RaftAddr: raftAddr(id), HTTPAddr: httpAddr(id), Learner: learner}, c.now.Add(10*time.Second))
	if err := c.changed(p); err != nil {
		c.t.Fatalf("join of node %d: %v", id, err)
	}
	m.opts.Join = &JoinInfo{ClusterID: through.ClusterID(), Members: through.Status().Members}
	c.open(m)
	c.until(fmt.Sprintf("node %d has joined", id), func() bool {
		for _, x := range c.leader().Status().Members {
			if x.NodeID == id {
				return x.Voter != learner && m.node.Status().Ready
			}
		}
		return false
	})
	return m
}

func voters(n *Node) (ids []uint64) {
	for _, m := range n.Status().Members {
		if m.Voter {
			ids = append(ids, m.NodeID)
		}
	}
	return ids
}

// TestGrowAndShrink goes from three members to five and back, with writes between all steps.
func TestGrowAndShrink(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.leader()
	var all []told
	writes := func() {
		for _, m := range c.nodes {
			if m.node != nil && !m.node.removed.Load() {
				w := c.begin(m.node, fmt.Sprintf("key-%d", len(all)))
				all = append(all, w)
			}
		}
	}
	writes()
	c.join(c.follower(), 4, false)
	writes()
	c.join(c.leader(), 5, false)
	writes()
	if got := voters(c.leader()); len(got) != 5 {
		t.Fatalf("voters %v", got)
	}
	for range 2 {
		lead := c.leader()
		p := c.follower().BeginLeave(lead.opts.NodeID, c.now.Add(10*time.Second))
		writes()
		if err := c.changed(p); err != nil {
			t.Fatalf("the leader, node %d, leaves: %v\n%s", lead.opts.NodeID, err, c)
		}
		c.until("the node that left knows", func() bool { return strings.Contains(lead.Status().Fault, "removed") })
		writes()
	}
	for _, w := range all {
		c.outcome(w.p)
	}
	if got := voters(c.leader()); len(got) != 3 {
		t.Fatalf("voters %v", got)
	}
	acked, refused, unknown := c.judge(all)
	t.Logf("%d acknowledged, %d refused, %d unknown", acked, refused, unknown)
}

// TestRepeatedChangesHold: what holds already is no error, and what cannot be is refused for its reason.
func TestRepeatedChangesHold(t *testing.T) {
	c := newCluster(t, 3, nil)
	lead := c.leader()
	c.join(lead, 4, true)
	deadline := c.now.Add(time.Minute)
	for _, through := range []*Node{c.leader(), c.follower()} {
		for _, x := range []struct {
			name string
			p    *PendingChange
			want MemberProblem
		}{
			{"join again", through.BeginJoin(JoinRequest{NodeID: 4, RaftAddr: raftAddr(4), HTTPAddr: httpAddr(4)}, deadline), 0},
			{"join elsewhere", through.BeginJoin(JoinRequest{NodeID: 4, RaftAddr: "other:1"}, deadline), MemberConflict},
			{"join at another's address", through.BeginJoin(JoinRequest{NodeID: 9, RaftAddr: raftAddr(1)}, deadline), MemberConflict},
			{"join without an address", through.BeginJoin(JoinRequest{NodeID: 9}, deadline), MemberInvalid},
			{"join as 0", through.BeginJoin(JoinRequest{RaftAddr: "x:1"}, deadline), MemberInvalid},
			{"leave of a stranger", through.BeginLeave(77, deadline), 0},
			{"promote a stranger", through.BeginPromote(77, deadline), MemberUnknown},
			{"promote a voter", through.BeginPromote(1, deadline), 0},
			{"transfer to a stranger", through.BeginTransfer(77, deadline), MemberUnknown},
			{"transfer to a learner", through.BeginTransfer(4, deadline), MemberConflict},
			{"transfer to the leader", through.BeginTransfer(lead.opts.NodeID, deadline), 0},
		} {
			err := c.changed(x.p)
			var refused *MemberError
			if x.want == 0 && err != nil || x.want != 0 && (!errors.As(err, &refused) || refused.Problem != x.want) {
				t.Errorf("%s through node %d: %v, want problem %d", x.name, through.opts.NodeID, err, x.want)
			}
		}
	}
	if err := c.changed(c.follower().BeginPromote(4, deadline)); err != nil {
		t.Errorf("promote a learner: %v", err)
	}
	if got := voters(c.leader()); len(got) != 4 {
		t.Errorf("voters %v", got)
	}
}

func TestLastVoterStays(t *testing.T) {
	c := newCluster(t, 1, nil)
	n := c.leader()
	var refused *MemberError
	if err := c.changed(n.BeginLeave(1, c.now.Add(time.Second))); !errors.As(err, &refused) || refused.Problem != MemberConflict {
		t.Errorf("the last voter leaves: %v", err)
	}
	if err := c.changed(n.BeginTransfer(0, c.now.Add(time.Second))); !errors.As(err, &refused) || refused.Problem != MemberConflict {
		t.Errorf("the only voter hands over: %v", err)
	}
}

// TestTransfer moves the leadership to each node in turn, through each node; no write fails of it.
func TestTransfer(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.leader()
	var all []told
	for i, m := range c.nodes {
		through := c.nodes[(i+1)%3].node
		p := through.BeginTransfer(m.id, c.now.Add(10*time.Second))
		for j, x := range c.nodes {
			all = append(all, c.begin(x.node, fmt.Sprintf("key-%d-%d", i, j)))
		}
		before := c.now
		if err := c.changed(p); err != nil {
			t.Fatal(err)
		}
		if got := c.leader().opts.NodeID; got != m.id {
			t.Fatalf("node %d leads, want %d", got, m.id)
		}
		if took := c.now.Sub(before); took > 300*time.Millisecond {
			t.Errorf("the transfer took %v", took)
		}
	}
	for _, w := range all {
		if _, err := c.outcome(w.p); err != nil {
			t.Errorf("%s: %v", w.key, err)
		}
	}
	c.judge(all)
}

// TestWipedFounder: a founder that comes back with an empty disk has forgotten what it promised. It is refused until it is
// removed and joined anew.
func TestWipedFounder(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.leader()
	c.introduced()
	c.mustWrite(c.leader(), "a", "1")
	wiped := c.follower().opts.NodeID
	c.kill(wiped)
	m := c.member(wiped)
	m.fsys = vfs.NewMem()
	told := false
	c.lost = func(p packet) bool {
		told = told || p.to == wiped && len(p.request) > 0 && requestKind(p.request[0]) == requestStranger
		return false
	}
	c.restart(wiped)
	c.tick(60)
	if st := m.node.Status(); st.Ready || st.TreeSize > 0 || !strings.Contains(st.Fault, "join it anew") {
		t.Fatalf("a wiped node is taken back: %+v", st)
	}
	if !told {
		t.Error("nobody has told it why")
	}
	c.lost = nil
	if err := c.leaderOf(1+wiped%3).Admit(wiped, m.node.Instance()); err == nil {
		t.Error("its connections are admitted")
	}
	if lead := c.leaderOf(1 + wiped%3); lead == nil || lead.opts.NodeID == wiped {
		t.Fatal("the wiped node disturbs the others")
	}
	// Removed and joined anew, with yet another disk.
	other := c.node(1 + wiped%3)
	if err := c.changed(other.BeginLeave(wiped, c.now.Add(10*time.Second))); err != nil {
		t.Fatal(err)
	}
	m.node = nil
	p := other.BeginJoin(JoinRequest{NodeID: wiped, RaftAddr: raftAddr(wiped), HTTPAddr: httpAddr(wiped)}, c.now.Add(10*time.Second))
	if err := c.changed(p); err != nil {
		t.Fatal(err)
	}
	m.fsys, m.opts.Initial = vfs.NewMem(), nil
	m.opts.Join = &JoinInfo{ClusterID: other.ClusterID(), Members: other.Status().Members}
	c.open(m)
	c.until("it votes again", func() bool { return len(voters(c.leader())) == 3 && m.node.Status().Ready })
	c.agree()
}

// leaderOf is the leader that a node follows.
func (c *cluster) leaderOf(id uint64) *Node {
	st := c.node(id).core.SoftState()
	if st.Leader == 0 {
		return nil
	}
	return c.node(st.Leader)
}

// TestRemovedNodeIsQuiet: a node that was down when it was removed comes back, and disturbs nobody.
func TestRemovedNodeIsQuiet(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.leader()
	c.introduced()
	gone := c.follower().opts.NodeID
	c.kill(gone)
	lead := c.leader()
	if err := c.changed(lead.BeginLeave(gone, c.now.Add(10*time.Second))); err != nil {
		t.Fatal(err)
	}
	c.tick(30)
	term := lead.core.SoftState().Term
	c.restart(gone)
	c.tick(100)
	if now := lead.core.SoftState(); now.Term != term || now.Role != raft.Leader {
		t.Errorf("the removed node made the cluster elect again: term %d, now %+v", term, now)
	}
	if st := c.node(gone).Status(); st.Ready {
		t.Errorf("the removed node is ready: %+v", st)
	}
	c.mustWrite(lead, "key", "value")
}

// TestFullLeaderHandsOver: a leader whose disk is full would refuse every write; one that has space takes over.
func TestFullLeaderHandsOver(t *testing.T) {
	c := newCluster(t, 3, nil)
	full := c.leader()
	c.mustWrite(full, "before", "")
	disk := c.member(full.opts.NodeID).fsys
	disk.SetLimit(disk.Used() + 1<<10)
	var all []told
	for i := 0; c.leader() == full; i++ {
		if i == 300 {
			t.Fatalf("a leader without space keeps the lead\n%s", c)
		}
		key := fmt.Sprintf("key-%03d", i)
		all = append(all, told{key, full.Begin(put(key, strings.Repeat("x", 2000)), c.now.Add(5*time.Second))})
		c.tick(1)
	}
	c.mustWrite(c.leader(), "after", "")
	disk.SetLimit(0)
	for _, w := range all {
		c.outcome(w.p)
	}
	c.judge(all)
}
