package raft

import (
	"errors"
	"testing"
)

func vote(from, term, index, logTerm uint64) Message {
	return Message{Kind: MsgVote, ClusterID: testCluster, From: from, To: 1, Term: term, Index: index, LogTerm: logTerm}
}

func appendMsg(from, term, index, logTerm uint64, e ...Entry) Message {
	return Message{
		Kind: MsgAppend, ClusterID: testCluster, From: from, To: 1, Term: term, Index: index, LogTerm: logTerm, Entries: e,
	}
}

// TestStepRefuses: what is not for this node, or not possible, leaves the core as it was.
func TestStepRefuses(t *testing.T) {
	base := appendMsg(2, 5, 0, 0)
	change := func(f func(*Message)) Message {
		m := base
		f(&m)
		return m
	}
	for name, c := range map[string]struct {
		m    Message
		want error
	}{
		"other cluster":       {change(func(m *Message) { m.ClusterID[15] = 1 }), ErrRefused},
		"other node":          {change(func(m *Message) { m.To = 2 }), ErrRefused},
		"own id":              {change(func(m *Message) { m.From = 1 }), ErrRefused},
		"no kind":             {change(func(m *Message) { m.Kind = 0 }), ErrRefused},
		"unknown kind":        {change(func(m *Message) { m.Kind = lastKind + 1 }), ErrRefused},
		"term 0":              {change(func(m *Message) { m.Term = 0 }), ErrRefused},
		"last term":           {change(func(m *Message) { m.Term = ^uint64(0) }), ErrRefused},
		"last index":          {change(func(m *Message) { m.Index = ^uint64(0) }), ErrRefused},
		"last commit":         {change(func(m *Message) { m.Commit = ^uint64(0) }), ErrRefused},
		"log term ahead":      {change(func(m *Message) { m.LogTerm = 6 }), ErrRefused},
		"entry out of order":  {change(func(m *Message) { m.Entries = entries(2, 5) }), ErrRefused},
		"entry of later term": {change(func(m *Message) { m.Entries = entries(1, 6) }), ErrRefused},
		"entry terms go back": {change(func(m *Message) { m.Entries = entries(1, 5, 4) }), ErrRefused},
		"beyond the last index": {change(func(m *Message) {
			m.Index, m.LogTerm, m.Entries = MaxIndex, 5, entries(MaxIndex+1, 5)
		}), ErrRefused},
		"entry of no kind":     {change(func(m *Message) { m.Entries = []Entry{{Index: 1, Term: 5}} }), ErrRefused},
		"entries in a vote":    {change(func(m *Message) { m.Kind, m.Entries = MsgVote, entries(1, 5) }), ErrRefused},
		"snapshot in a vote":   {change(func(m *Message) { m.Kind, m.Snapshot = MsgVote, &Snapshot{} }), ErrRefused},
		"snapshot without one": {change(func(m *Message) { m.Kind = MsgSnapshot }), ErrRefused},
		"empty snapshot":       {change(func(m *Message) { m.Kind, m.Snapshot = MsgSnapshot, &Snapshot{} }), ErrRefused},
		"no sender":            {change(func(m *Message) { m.From = 0 }), ErrRefused},
		"leap of the term":     {change(func(m *Message) { m.Term = maxTermStep + 1 }), ErrRefused},
		"malformed membership": {change(func(m *Message) {
			m.Entries = []Entry{{Index: 1, Term: 5, Kind: EntryMembers}}
		}), ErrRefused},
	} {
		n := startNode(t, voters(1, 2, 3)...)
		if err := n.core.Step(c.m); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if s := n.core.Status(); s.Term != 0 || n.core.HasReady() {
			t.Errorf("%s: left a trace: %+v", name, s)
		}
	}
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(base))
	if s := n.core.Status(); s.Term != 5 || s.Leader != 2 {
		t.Errorf("the message they were made from is not accepted: %+v", s)
	}
}

// TestVoteIsKeptThroughAStepDown: a vote belongs to the term, not to the role.
func TestVoteIsKeptThroughAStepDown(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Campaign()) // votes for itself in term 1
	n.run(t)
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0))) // node 2 leads term 1
	noErr(t, n.core.Step(vote(3, 1, 9, 1)))
	for _, m := range n.run(t) {
		if m.Kind == MsgVoteReply && !m.Reject {
			t.Fatal("a second vote in term 1")
		}
	}
}

func TestVoteNeedsACompleteLog(t *testing.T) {
	for name, c := range map[string]struct {
		index, term uint64
		granted     bool
	}{
		"same":                 {3, 2, true},
		"longer":               {4, 2, true},
		"shorter":              {2, 2, false},
		"later term, shorter":  {1, 3, true},
		"earlier term, longer": {9, 1, false},
	} {
		n := startNode(t, voters(1, 2, 3)...)
		noErr(t, n.core.Step(appendMsg(2, 2, 0, 0, entries(1, 1, 2, 2)...)))
		n.run(t)
		n.core.elapsed = n.core.cfg.ElectionTicks // else it would not listen
		noErr(t, n.core.Step(vote(3, 5, c.index, c.term)))
		msgs := n.run(t)
		if len(msgs) != 1 || msgs[0].Reject == c.granted || msgs[0].Term != 5 {
			t.Errorf("%s: %+v", name, msgs)
		}
	}
}

// TestRepeatedVoteReplyCountsOnce: of five voters, the own vote and one other are no majority, however often it
// arrives.
func TestRepeatedVoteReplyCountsOnce(t *testing.T) {
	n := startNode(t, voters(1, 2, 3, 4, 5)...)
	noErr(t, n.core.Campaign())
	n.run(t)
	reply := Message{Kind: MsgVoteReply, ClusterID: testCluster, From: 2, To: 1, Term: 1}
	for range 5 {
		noErr(t, n.core.Step(reply))
	}
	if r := n.core.Status().Role; r != Candidate {
		t.Fatalf("is %s by two votes of five", r)
	}
	refusal := reply
	refusal.Reject = true
	noErr(t, n.core.Step(refusal)) // nor can the vote be taken back
	reply.From = 3
	noErr(t, n.core.Step(reply))
	if r := n.core.Status().Role; r != Leader {
		t.Fatalf("is %s by three votes of five", r)
	}
}

// TestLateAppendRemovesNothing: a message that brings a part of what is held must not cut off the rest.
func TestLateAppendRemovesNothing(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0, entries(1, 1, 1, 1)...)))
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0, entries(1, 1)...)))
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0)))
	if s := n.core.Status(); s.Last != 3 {
		t.Fatalf("the log ends at %d", s.Last)
	}
}

// TestCommitStopsAtWhatWasVerified: entries above what the message speaks of may be those of a former leader.
func TestCommitStopsAtWhatWasVerified(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0, entries(1, 1, 1, 1)...)))
	heartbeat := appendMsg(3, 2, 1, 1)
	heartbeat.Commit = 3 // of node 3's log, whose entries 2 and 3 are others
	noErr(t, n.core.Step(heartbeat))
	if s := n.core.Status(); s.Commit != 1 {
		t.Fatalf("commit is %d", s.Commit)
	}
}

// TestReplyNamesWhatWasVerified: a leader must not count what it has not sent, and what may be replaced.
func TestReplyNamesWhatWasVerified(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0, entries(1, 1, 1, 1)...)))
	n.run(t)
	noErr(t, n.core.Step(appendMsg(3, 2, 1, 1)))
	msgs := n.run(t)
	if len(msgs) != 1 || msgs[0].Reject || msgs[0].Index != 1 {
		t.Fatalf("answers %+v", msgs)
	}
}

// TestHeartbeatCommitsWhatIsHeld: a leader may speak of a log that is not this one, if the data here were replaced.
func TestHeartbeatCommitsWhatIsHeld(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0, entries(1, 1, 1, 1)...)))
	for _, c := range []struct{ commit, term, want uint64 }{{9, 2, 0}, {3, 2, 0}, {2, 1, 2}, {1, 1, 2}} {
		noErr(t, n.core.Step(Message{Kind: MsgHeartbeat, ClusterID: testCluster, From: 3, To: 1, Term: 2,
			Commit: c.commit, LogTerm: c.term}))
		if got := n.core.Status().Commit; got != c.want {
			t.Fatalf("commit is %d after a heartbeat with %d/%d", got, c.commit, c.term)
		}
	}
}

// TestHeartbeatTellsWhatThePeerHolds: not the leader's own commit index.
func TestHeartbeatTellsWhatThePeerHolds(t *testing.T) {
	n := leading(t)
	_, err := n.core.Propose([][]byte{{1}, {2}})
	noErr(t, err)
	n.run(t)
	noErr(t, n.core.Step(appendReply(2, 3)))
	noErr(t, n.core.Step(appendReply(3, 1)))
	noErr(t, n.core.Tick())
	for _, m := range n.run(t) {
		if want := map[uint64]uint64{2: 3, 3: 1}[m.To]; m.Kind == MsgHeartbeat && m.Commit != want {
			t.Errorf("tells node %d of %d", m.To, m.Commit)
		}
	}
}

// TestContradictedCommitIsFinal: a leader that would replace a committed entry proves that something is badly wrong.
func TestContradictedCommitIsFinal(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	first := appendMsg(2, 1, 0, 0, entries(1, 1, 1)...)
	first.Commit = 1
	noErr(t, n.core.Step(first))
	noErr(t, n.core.Step(appendMsg(3, 2, 1, 1, entries(2, 2)...))) // entry 2 is not committed
	bad := appendMsg(3, 2, 1, 1, entries(2, 2)...)
	bad.Commit = 2
	noErr(t, n.core.Step(bad))
	if err := n.core.accept(entries(2, 3)); !errors.Is(err, ErrInvalidState) {
		t.Fatalf("got %v", err)
	}
}

// TestReplacedAndRestoredEntryIsNotCountedEarly: entry 2 is written in term 1, replaced by one of term 2, and brought
// back by a leader of term 3. The report for the first write must not count for the third, because a crash between the
// second and the third would leave the second on disk.
func TestReplacedAndRestoredEntryIsNotCountedEarly(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0, entries(1, 1, 1)...)))
	_, err := n.ready()
	noErr(t, err)
	noErr(t, n.core.Step(appendMsg(3, 2, 1, 1, entries(2, 2)...)))
	_, err = n.ready()
	noErr(t, err)
	noErr(t, n.core.Step(appendMsg(2, 3, 1, 1, entries(2, 1)...)))
	_, err = n.ready()
	noErr(t, err)
	for _, want := range []uint64{1, 1, 2} {
		_, err = n.sync(1)
		noErr(t, err)
		if got := n.core.Status().Durable; got != want {
			t.Fatalf("durable is %d, want %d", got, want)
		}
	}
}

// TestSlowFollowerKeepsItsMemory: a follower acknowledges what is durable, however slowly it applies; the entries
// that wait to be applied must not pile up in memory, and must all be applied in the end.
func TestSlowFollowerKeepsItsMemory(t *testing.T) {
	cfg := Config{ID: 1, ClusterID: testCluster, MaxUncommittedBytes: 1000, MaxApplyingBytes: 100}
	n, err := newTestNode(cfg, mustMembers(t, voters(1, 2, 3)...))
	noErr(t, err)
	for i := range uint64(100) {
		m := appendMsg(2, 1, i, min(i, 1), entries(i+1, 1)...)
		m.Commit = i
		noErr(t, n.core.Step(m))
		_, err := n.ready()
		noErr(t, err)
		_, err = n.sync(1)
		noErr(t, err)
		if s := n.core.Status(); s.TailBytes > cfg.MaxUncommittedBytes+entryOverhead {
			t.Fatalf("%d bytes in memory", s.TailBytes)
		}
	}
	noErr(t, n.apply(n.handed())) // until now the apply loop was stuck, and Ready handed out no more
	n.run(t)
	if s := n.core.Status(); s.Applied != 99 {
		t.Fatalf("applied %d of 99 committed", s.Applied)
	}
}

// leading returns node 1 as the leader of term 1 over nodes 2 and 3, which have answered nothing but the election.
func leading(t *testing.T) *testNode {
	t.Helper()
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Campaign())
	n.run(t)
	noErr(t, n.core.Step(Message{Kind: MsgVoteReply, ClusterID: testCluster, From: 2, To: 1, Term: 1}))
	n.run(t)
	return n
}

func appendReply(from, index uint64) Message {
	return Message{Kind: MsgAppendReply, ClusterID: testCluster, From: from, To: 1, Term: 1, Index: index}
}

// TestOldRepliesMoveNothing: replies arrive late, twice, and from nodes that claim too much.
func TestOldRepliesMoveNothing(t *testing.T) {
	n := leading(t)
	_, err := n.core.Propose([][]byte{{1}, {2}, {3}})
	noErr(t, err)
	noErr(t, n.core.Step(appendReply(2, 1)))
	n.run(t)
	noErr(t, n.core.Step(appendReply(2, 4)))
	old := appendReply(2, 2)
	rejected := appendReply(2, 1)
	rejected.Reject = true
	for _, m := range []Message{old, rejected, appendReply(2, 400)} {
		noErr(t, n.core.Step(m))
		if p := n.core.Status().Peers[0]; p.Match != 4 || p.Next != 5 {
			t.Fatalf("after %+v: %+v", m, p)
		}
	}
	n.core.peer(3).probe(3) // probed down from 5; a rejection of the append after 4 comes late
	rejected.From, rejected.Index, rejected.Hint = 3, 4, 0
	noErr(t, n.core.Step(rejected))
	if p := n.core.Status().Peers[1]; p.Next != 3 {
		t.Fatalf("a rejection of another append moved next: %+v", p)
	}
	rejected.Index, rejected.Hint, rejected.HintTerm = 2, 9, 1 // a hint that leads nowhere
	noErr(t, n.core.Step(rejected))
	if p := n.core.Status().Peers[1]; p.Next != 2 {
		t.Fatalf("a rejection did not move next back: %+v", p)
	}
	rejected.Index = 0
	noErr(t, n.core.Step(rejected)) // next stays above 0
	if p := n.core.Status().Peers[1]; p.Next == 0 || p.Match >= p.Next {
		t.Fatalf("%+v", p)
	}
}

// TestPeerThatNeedsASnapshot: what it lacks is compacted. It is offered the snapshot, again after an election
// timeout, and gets no entries until it has it; heartbeats go on.
func TestPeerThatNeedsASnapshot(t *testing.T) {
	n := leading(t)
	_, err := n.core.Propose([][]byte{{1}, {2}, {3}})
	noErr(t, err)
	n.run(t)
	noErr(t, n.core.Step(appendReply(2, 4)))
	n.run(t)
	noErr(t, n.snapshot(3))
	reject := appendReply(3, 0)
	n.core.peer(3).probe(4)
	n.core.peer(3).paused = true
	reject.Reject, reject.Index = true, 3
	noErr(t, n.core.Step(reject))
	sent := func() (offers, beats int) {
		for _, m := range n.run(t) {
			switch {
			case m.To != 3:
			case m.Kind == MsgSnapshot && m.Snapshot.Index == 3:
				offers++
			case m.Kind == MsgHeartbeat:
				beats++
			default:
				t.Fatalf("sent %s", describeMessage(m))
			}
		}
		return offers, beats
	}
	if offers, _ := sent(); offers != 1 || n.core.Status().Peers[1].State != PeerSnapshot {
		t.Fatalf("%d offers, %+v", offers, n.core.Status().Peers[1])
	}
	_, err = n.core.Propose([][]byte{{4}})
	noErr(t, err)
	sum, beats := 0, 0
	for range n.core.cfg.ElectionTicks {
		noErr(t, n.core.Tick())
		noErr(t, n.core.Step(Message{Kind: MsgHeartbeatReply, ClusterID: testCluster, From: 2, To: 1, Term: 1}))
		o, b := sent()
		sum, beats = sum+o, beats+b
	}
	if sum != 1 || beats != n.core.cfg.ElectionTicks {
		t.Fatalf("%d offers and %d heartbeats in an election timeout", sum, beats)
	}
	noErr(t, n.core.Step(appendReply(3, 3)))
	if p := n.core.Status().Peers[1]; p.State != PeerReplicate || p.Match != 3 || p.Next != 4 {
		t.Fatalf("it has the snapshot: %+v", p)
	}
}

// TestOnlyVotersCampaign: a learner, a node outside the cluster and one that waits for its membership stay quiet.
func TestOnlyVotersCampaign(t *testing.T) {
	for name, members := range map[string][]Member{
		"learner": {{ID: 1, Role: Learner}, {ID: 2, Role: Voter}},
		"outside": voters(2, 3),
		"waiting": nil,
	} {
		n := startNode(t, members...)
		for range 100 {
			noErr(t, n.core.Tick())
		}
		if err := n.core.Campaign(); !errors.Is(err, ErrNotVoter) || n.core.HasReady() {
			t.Errorf("%s: %v, %+v", name, err, n.core.Status())
		}
	}
}

// TestLearnerForgetsASilentLeader: it cannot campaign, but whoever asks it must not be sent to a leader that is gone.
func TestLearnerForgetsASilentLeader(t *testing.T) {
	n := startNode(t, Member{ID: 1, Role: Learner}, Member{ID: 2, Role: Voter})
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0)))
	for range 2 * n.core.cfg.ElectionTicks {
		noErr(t, n.core.Tick())
	}
	if s := n.core.Status(); s.Leader != 0 || s.Role != Follower {
		t.Fatalf("%+v", s)
	}
}

// TestTimeoutsAreSeeded: the same seed draws the same timeouts, and another seed draws others within the bounds.
func TestTimeoutsAreSeeded(t *testing.T) {
	draw := func(seed uint64) (out [20]int) {
		n, err := newTestNode(Config{ID: 1, ClusterID: testCluster, Seed: seed}, mustMembers(t, voters(1, 2)...))
		noErr(t, err)
		for i := range out {
			for len(n.run(t)) == 0 { // until it asks for votes
				noErr(t, n.core.Tick())
				out[i]++
			}
			if out[i] < 10 || out[i] > 20 {
				t.Fatalf("timeout of %d ticks", out[i])
			}
		}
		return out
	}
	once, again, other := draw(1), draw(1), draw(2)
	if once != again || once == other {
		t.Fatalf("%v, %v, %v", once, again, other)
	}
}
