package raft

import (
	"errors"
	"testing"
)

func beatReply(from, round uint64) Message {
	return Message{Kind: MsgHeartbeatReply, ClusterID: testCluster, From: from, To: 1, Term: 1, Context: round}
}

// reign returns node 1 as the leader of term 1, with its first entry committed.
func reign(t *testing.T) *testNode {
	t.Helper()
	n := leading(t)
	noErr(t, n.core.Step(appendReply(2, 1)))
	n.run(t)
	return n
}

// TestReadNeedsARoundBegunAfterIt: the answer to an earlier heartbeat says nothing of the time since; nor does one to a
// heartbeat that was never sent.
func TestReadNeedsARoundBegunAfterIt(t *testing.T) {
	n := reign(t)
	noErr(t, n.core.Tick()) // round 1
	n.run(t)
	noErr(t, n.core.ReadIndex(1))
	for _, round := range []uint64{1, 99, 1} { // the first answer begins round 2; then one that is late, or sent twice
		noErr(t, n.core.Step(beatReply(2, round)))
		if n.run(t); len(n.reads) > 0 {
			t.Fatalf("answered after round %d: %+v", round, n.reads)
		}
	}
	noErr(t, n.core.Step(beatReply(2, 2)))
	if n.run(t); len(n.reads) != 1 || n.reads[0] != (ReadState{Context: 1, Index: 1}) {
		t.Fatalf("answers: %+v", n.reads)
	}
}

// TestManyReadsShareARound: those that come while one is under way wait for the next.
func TestManyReadsShareARound(t *testing.T) {
	n := reign(t)
	for i := uint64(1); i <= 9; i++ {
		noErr(t, n.core.ReadIndex(i))
	}
	beats := 0
	for i := uint64(1); i <= 2; i++ {
		for _, m := range n.run(t) {
			if m.Kind == MsgHeartbeat && m.To == 2 {
				beats++
			}
		}
		noErr(t, n.core.Step(beatReply(2, i)))
	}
	if n.run(t); len(n.reads) != 9 || beats != 2 {
		t.Fatalf("%d answers by %d rounds", len(n.reads), beats)
	}
}

// TestLearnersConfirmNothing: they do not know who else may lead.
func TestLearnersConfirmNothing(t *testing.T) {
	n := startNode(t, Member{ID: 1, Role: Voter}, Member{ID: 2, Role: Voter}, Member{ID: 3, Role: Learner})
	noErr(t, n.core.Campaign())
	n.run(t)
	noErr(t, n.core.Step(Message{Kind: MsgVoteReply, ClusterID: testCluster, From: 2, To: 1, Term: 1}))
	n.run(t)
	noErr(t, n.core.Step(appendReply(2, 1)))
	noErr(t, n.core.ReadIndex(1))
	noErr(t, n.core.Step(beatReply(3, 1)))
	if n.run(t); len(n.reads) > 0 {
		t.Fatalf("answered: %+v", n.reads)
	}
	for range n.core.cfg.ElectionTicks {
		noErr(t, n.core.Tick())
		noErr(t, n.core.Step(beatReply(3, 1)))
	}
	if n.core.Status().Role == Leader {
		t.Fatal("leads by the answers of a learner")
	}
}

func readAnswer(context, index uint64, reject bool) Message {
	return Message{
		Kind: MsgReadIndexReply, ClusterID: testCluster, From: 2, To: 1, Term: 1, Context: context, Index: index,
		Reject: reject,
	}
}

// TestFollowerAsksForMany: one message for the reads of a Ready; a later read needs a later question, for the answer
// may be older than it.
func TestFollowerAsksForMany(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0)))
	n.run(t)
	noErr(t, n.core.ReadIndex(1))
	noErr(t, n.core.ReadIndex(2))
	first := n.run(t)
	noErr(t, n.core.ReadIndex(3))
	second := n.run(t)
	if len(first) != 1 || len(second) != 1 || first[0].Context == second[0].Context {
		t.Fatalf("asks %+v and %+v", first, second)
	}
	noErr(t, n.core.Step(readAnswer(first[0].Context, 5, false)))
	noErr(t, n.core.Step(readAnswer(first[0].Context, 6, false))) // once more
	n.run(t)
	if len(n.reads) != 2 || n.reads[1] != (ReadState{Context: 2, Index: 5}) {
		t.Fatalf("answers: %+v", n.reads)
	}
	noErr(t, n.core.Step(readAnswer(second[0].Context, 0, true)))
	if n.run(t); len(n.reads) != 3 || !n.reads[2].Lost {
		t.Fatalf("refused: %+v", n.reads)
	}
}

// TestFollowersReadsEnd: asked again once, and lost after an election timeout or with the leader.
func TestFollowersReadsEnd(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0)))
	n.run(t)
	noErr(t, n.core.ReadIndex(1))
	asks := 0
	for range n.core.cfg.ElectionTicks {
		noErr(t, n.core.Step(appendMsg(2, 1, 0, 0)))
		noErr(t, n.core.Tick())
		for _, m := range n.run(t) {
			if m.Kind == MsgReadIndex {
				asks++
			}
		}
	}
	if asks != 2 || len(n.reads) != 1 || !n.reads[0].Lost {
		t.Fatalf("asked %d times, %+v", asks, n.reads)
	}
	noErr(t, n.core.ReadIndex(2))
	noErr(t, n.core.Step(appendMsg(3, 2, 0, 0)))
	if n.run(t); len(n.reads) != 2 || !n.reads[1].Lost {
		t.Fatalf("another leader: %+v", n.reads)
	}
}

// TestReadsAreBounded: on a follower, and on a leader whom followers ask.
func TestReadsAreBounded(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	n.core.cfg.MaxPendingReads = 2
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0)))
	noErr(t, n.core.ReadIndex(1))
	noErr(t, n.core.ReadIndex(2))
	if err := n.core.ReadIndex(3); !errors.Is(err, ErrOverloaded) {
		t.Fatalf("a third on a follower: %v", err)
	}
	n = reign(t)
	n.core.cfg.MaxPendingReads = 2
	for i := uint64(1); i <= 3; i++ {
		noErr(t, n.core.Step(Message{Kind: MsgReadIndex, ClusterID: testCluster, From: 3, To: 1, Term: 1, Context: i}))
	}
	for _, m := range n.run(t) {
		if m.Kind == MsgReadIndexReply && (!m.Reject || m.Context != 3) {
			t.Fatalf("answers %+v", m)
		}
	}
	if len(n.core.reads) != 2 {
		t.Fatalf("%d wait", len(n.core.reads))
	}
}

// TestNoAnswerFitsAnotherLife: what an earlier life asked is answered after a restart, with what was committed then.
func TestNoAnswerFitsAnotherLife(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	ask := func() uint64 {
		noErr(t, n.core.Step(appendMsg(2, 1, 0, 0)))
		noErr(t, n.core.ReadIndex(1))
		for _, m := range n.run(t) {
			if m.Kind == MsgReadIndex {
				return m.Context
			}
		}
		t.Fatal("does not ask")
		return 0
	}
	old := ask()
	noErr(t, n.crash(0))
	ask()
	noErr(t, n.core.Step(readAnswer(old, 1, false)))
	if n.run(t); len(n.reads) > 0 {
		t.Fatalf("answered: %+v", n.reads)
	}
}
