package raft

import "testing"

// TestVoteInAKnownTermIsWritten: the term is durable already when the vote is given; the vote must become so as well.
func TestVoteInAKnownTermIsWritten(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(vote(3, 4, 0, 0))) // for which it votes; then it learns of a later term from an answer
	n.run(t)
	noErr(t, n.core.Step(Message{Kind: MsgAppendReply, ClusterID: testCluster, From: 3, To: 1, Term: 6}))
	n.run(t)
	if h := n.disk.hard; h.Term != 6 || h.Vote != 0 {
		t.Fatalf("%+v is durable", h)
	}
	noErr(t, n.core.Step(vote(2, 6, 0, 0)))
	msgs := n.run(t)
	if len(msgs) != 1 || msgs[0].Reject {
		t.Fatalf("answers %+v", msgs)
	}
	if h := n.disk.hard; h.Vote != 2 {
		t.Fatalf("%+v is durable", h)
	}
	noErr(t, n.crash(0))
	noErr(t, n.core.Step(vote(3, 6, 9, 5)))
	if msgs := n.run(t); len(msgs) != 1 || !msgs[0].Reject {
		t.Fatalf("a second vote after a crash: %+v", msgs)
	}
}

// TestNoVoteWhileTheLeaderIsHeard: neither the follower of a leader nor the leader itself moves to a candidate's term,
// unless the leader has asked for the campaign.
func TestNoVoteWhileTheLeaderIsHeard(t *testing.T) {
	follower := startNode(t, voters(1, 2, 3)...)
	noErr(t, follower.core.Step(appendMsg(2, 1, 0, 0, entries(1, 1)...)))
	follower.run(t)
	for name, n := range map[string]*testNode{"follower": follower, "leader": leading(t)} {
		for _, kind := range []MessageKind{MsgVote, MsgPreVote} {
			m := vote(3, 2, 9, 1)
			m.Kind = kind
			noErr(t, n.core.Step(m))
			if msgs := n.run(t); len(msgs) > 0 || n.core.Status().Term != 1 {
				t.Errorf("%s: answers a %s with %+v", name, kind, msgs)
			}
		}
		m := vote(3, 2, 9, 1)
		m.Transfer = true
		noErr(t, n.core.Step(m))
		if msgs := n.run(t); len(msgs) != 1 || msgs[0].Reject {
			t.Errorf("%s: answers the leader's choice with %+v", name, msgs)
		}
	}
}

// TestLeaseEnds: an election timeout without a word from the leader, and the node listens again.
func TestLeaseEnds(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0)))
	n.run(t)
	n.core.timeout = 1 << 20 // it does not campaign itself
	for i := range n.core.cfg.ElectionTicks {
		noErr(t, n.core.Step(vote(3, 2, 0, 0)))
		if n.core.Status().Term != 1 {
			t.Fatalf("votes after %d ticks", i)
		}
		noErr(t, n.core.Tick())
	}
	noErr(t, n.core.Step(vote(3, 2, 0, 0)))
	if msgs := n.run(t); len(msgs) != 1 || msgs[0].Reject {
		t.Fatalf("answers %+v", msgs)
	}
}

// TestPreVoteChangesNothing: neither asking nor answering moves the term or the vote, and the answers of a majority are
// needed before the term begins.
func TestPreVoteChangesNothing(t *testing.T) {
	n := startNode(t, voters(1, 2, 3, 4, 5)...)
	n.core.elapsed = 2 * n.core.cfg.ElectionTicks
	noErr(t, n.core.Tick())
	if msgs := n.run(t); len(msgs) != 4 || msgs[0].Kind != MsgPreVote {
		t.Fatalf("asks %+v", msgs)
	}
	reply := Message{Kind: MsgPreVoteReply, ClusterID: testCluster, From: 2, To: 1}
	for range 3 {
		noErr(t, n.core.Step(reply))
	}
	wrong := reply
	wrong.From, wrong.Kind, wrong.Term = 3, MsgVoteReply, 1 // an answer to another question
	noErr(t, n.core.Step(wrong))
	other := startNode(t, voters(1, 2, 3)...)
	ask := vote(2, 1, 0, 0)
	ask.Kind, ask.Term = MsgPreVote, 0
	noErr(t, other.core.Step(ask))
	if msgs := other.run(t); len(msgs) != 1 || msgs[0].Reject || other.disk.hard != (HardState{}) {
		t.Fatalf("answers %+v, writes %+v", msgs, other.disk.hard)
	}
	if n.disk.hard != (HardState{}) || n.core.Status().Role == Candidate {
		t.Fatalf("%+v by two of five", n.core.Status())
	}
}

// TestVoteForAnotherInstanceDoesNotCount: it was given to the data that was here before.
func TestVoteForAnotherInstanceDoesNotCount(t *testing.T) {
	n, err := newTestNode(Config{ID: 1, Instance: 7, ClusterID: testCluster}, mustMembers(t, voters(1, 2, 3)...))
	noErr(t, err)
	noErr(t, n.core.Campaign())
	n.run(t)
	for _, instance := range []uint64{6, 7} {
		noErr(t, n.core.Step(Message{
			Kind: MsgVoteReply, ClusterID: testCluster, From: 2, To: 1, Term: 1, Context: instance,
		}))
		if leads := n.core.Status().Role == Leader; leads != (instance == 7) {
			t.Fatalf("leads by a vote for instance %d: %v", instance, leads)
		}
	}
}

// TestReplacedDataHasNoVote: a node that finds its id recorded with other data does not campaign.
func TestReplacedDataHasNoVote(t *testing.T) {
	members := voters(1, 2, 3)
	members[0].Instance = 6
	n, err := newTestNode(Config{ID: 1, Instance: 7, ClusterID: testCluster}, mustMembers(t, members...))
	noErr(t, err)
	for range 50 {
		noErr(t, n.core.Tick())
	}
	if n.core.HasReady() || n.core.Campaign() != ErrNotVoter {
		t.Fatalf("%+v", n.core.Status())
	}
}
