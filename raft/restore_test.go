package raft

import (
	"errors"
	"testing"
)

func snapshotOf(index, term uint64) Snapshot {
	return Snapshot{Index: index, Term: term, Members: Membership{Members: voters(1, 2, 3)}}
}

func offer(from, term uint64, s Snapshot) Message {
	return Message{Kind: MsgSnapshot, ClusterID: testCluster, From: from, To: 1, Term: term, Snapshot: &s}
}

// TestOfferIsPassedOnOnce: for each snapshot and each leader.
func TestOfferIsPassedOnOnce(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	for i, m := range []Message{
		offer(2, 2, snapshotOf(5, 1)), offer(2, 2, snapshotOf(5, 1)), offer(2, 2, snapshotOf(7, 2)),
		offer(3, 3, snapshotOf(7, 2)), offer(3, 3, snapshotOf(7, 2)),
	} {
		n.offer = nil
		noErr(t, n.core.Step(m))
		if msgs := n.run(t); len(msgs) > 0 {
			t.Fatalf("answers %+v", msgs)
		}
		if want := i == 0 || i == 2 || i == 3; (n.offer != nil) != want {
			t.Fatalf("offer %d is passed on: %v", i, !want)
		}
	}
	if s := n.core.Status(); s.Last != 0 || s.Commit != 0 {
		t.Fatalf("an offer changed the log: %+v", s)
	}
}

// TestOfferOfWhatIsHeldIsAnswered: the log leads there, so nothing is fetched.
func TestOfferOfWhatIsHeldIsAnswered(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0, entries(1, 1, 1, 1)...)))
	n.run(t)
	noErr(t, n.core.Step(offer(2, 1, snapshotOf(2, 1))))
	msgs := n.run(t)
	if len(msgs) != 1 || msgs[0].Kind != MsgAppendReply || msgs[0].Index != 2 || n.offer != nil {
		t.Fatalf("answers %+v, offer %+v", msgs, n.offer)
	}
	if s := n.core.Status(); s.Commit != 2 || s.Last != 3 {
		t.Fatalf("%+v", s)
	}
}

// TestOldWritesDoNotCountAfterARestore: a write was under way with entries that the snapshot took the place of. Its
// report must not count for those that came after the snapshot at the same indexes.
func TestOldWritesDoNotCountAfterARestore(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0, entries(1, 1, 1, 1, 1, 1)...)))
	_, err := n.ready()
	noErr(t, err)
	noErr(t, failure(n.core.Restore(snapshotOf(3, 2))))
	noErr(t, n.core.Step(appendMsg(3, 2, 3, 2, entries(4, 2, 2)...)))
	_, err = n.ready()
	noErr(t, err)
	for i, want := range []uint64{3, 5} {
		_, err = n.sync(1)
		noErr(t, err)
		if got := n.core.Status().Durable; got != want {
			t.Fatalf("durable is %d after write %d, want %d", got, i+1, want)
		}
	}
	n.run(t)
	if s := n.core.Status(); s.First != 4 || s.Last != 5 || s.Applied != 3 {
		t.Fatalf("%+v", s)
	}
}

// TestAcknowledgedSuffixSurvivesARestore: entries behind the snapshot are on their way to the disk with an answer that
// promises them.
func TestAcknowledgedSuffixSurvivesARestore(t *testing.T) {
	for _, durable := range []bool{false, true} {
		n := startNode(t, voters(1, 2, 3)...)
		noErr(t, n.core.Step(appendMsg(2, 1, 0, 0, entries(1, 1, 1, 1, 1, 1)...)))
		_, err := n.ready()
		noErr(t, err)
		if durable {
			_, err = n.sync(1)
			noErr(t, err)
		}
		noErr(t, failure(n.core.Restore(snapshotOf(3, 1))))
		if !durable {
			_, err = n.sync(1)
			noErr(t, err)
		}
		n.run(t)
		if s := n.core.Status(); s.Last != 5 || s.Durable != 5 || s.Applied != 3 || !n.disk.holds(Position{5, 1}) {
			t.Fatalf("durable before: %v: %+v", durable, s)
		}
	}
}

// TestNothingIsPromisedWhileInstalling: the answers that rest on the snapshot wait until it is durable, and so do the
// entries behind it.
func TestNothingIsPromisedWhileInstalling(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(offer(2, 2, snapshotOf(5, 2))))
	n.run(t)
	taken, err := n.core.Restore(snapshotOf(5, 2))
	noErr(t, err)
	rd, err := n.ready()
	noErr(t, err)
	if !taken || rd.Install == nil || rd.InstallKeepsLog || len(rd.Messages) > 0 || len(rd.AfterSync) != 1 {
		t.Fatalf("%+v", rd)
	}
	if rd.HardState == nil || rd.HardState.Commit != 5 {
		t.Fatalf("writes %+v", rd.HardState)
	}
	m := appendMsg(2, 2, 5, 2, entries(6, 2)...)
	m.Commit = 6
	noErr(t, n.core.Step(offer(2, 2, snapshotOf(5, 2))))
	noErr(t, n.core.Step(m))
	rd, err = n.ready()
	noErr(t, err)
	if len(rd.Messages) > 0 || len(rd.AfterSync) != 2 || len(rd.Committed) > 0 {
		t.Fatalf("%+v", rd)
	}
	_, err = n.sync(2)
	noErr(t, err)
	n.run(t)
	if s := n.core.Status(); s.Applied != 6 || s.First != 6 {
		t.Fatalf("%+v", s)
	}
}

// TestRestoreIgnoresWhatIsOld: what the log has reached by itself, or what a leader is given.
func TestRestoreIgnoresWhatIsOld(t *testing.T) {
	n := leading(t)
	if taken, err := n.core.Restore(snapshotOf(9, 1)); taken || err != nil {
		t.Fatal("a leader takes it", err)
	}
	if n.run(t); n.core.Status().Role != Leader || n.core.Status().Commit != 0 {
		t.Fatalf("%+v", n.core.Status())
	}
	noErr(t, n.core.Step(appendReply(2, 1)))
	noErr(t, n.core.Step(appendMsg(3, 2, 1, 1, entries(2, 2)...)))
	n.run(t)
	if taken, err := n.core.Restore(snapshotOf(1, 1)); taken || err != nil || n.core.HasReady() {
		t.Fatal("installs what is applied")
	}
	for name, s := range map[string]Snapshot{
		"no term": snapshotOf(5, 0), "no members": {Index: 5, Term: 1}, "beyond": snapshotOf(MaxIndex+1, 1),
	} {
		if err := failure(n.core.Restore(s)); err == nil || errors.Is(err, ErrInvalidState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRestoreTakesTheMembers: those of the snapshot, and those that a kept log has behind it.
func TestRestoreTakesTheMembers(t *testing.T) {
	change := Entry{Index: 4, Term: 1, Kind: EntryMembers, Data: AppendMembership(nil, Membership{Members: voters(1, 2)})}
	for _, term := range []uint64{1, 2} { // of the snapshot: held or not
		n := startNode(t, voters(1, 2, 3)...)
		log := append(entries(1, 1, 1, 1), change)
		noErr(t, n.core.Step(appendMsg(2, 1, 0, 0, log...)))
		n.run(t)
		s := snapshotOf(3, term)
		s.Members.Members = append(s.Members.Members, Member{ID: 4, Role: Learner})
		noErr(t, failure(n.core.Restore(s)))
		n.run(t)
		got, want := len(n.core.Status().Members.Members), map[uint64]int{1: 2, 2: 4}[term]
		if got != want {
			t.Errorf("snapshot of term %d: %d members, want %d", term, got, want)
		}
	}
}

// TestCompactWithOtherMembersIsRefused: a state machine that lost track of them would mislead whoever it is given to.
func TestCompactWithOtherMembersIsRefused(t *testing.T) {
	n := reign(t)
	if err := n.core.Compact(Snapshot{Index: 1, Term: 1, Members: Membership{Members: voters(1, 2)}}); !errors.Is(err,
		ErrInvalidState) {
		t.Fatalf("got %v", err)
	}
}

// TestSnapshotComesBeforeWhatFollowsIt: entries behind it that the log kept are durable and committed at once, and
// still wait until the state machine has taken the snapshot.
func TestSnapshotComesBeforeWhatFollowsIt(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	noErr(t, n.core.Step(appendMsg(2, 1, 0, 0, entries(1, 1, 1, 1, 1, 1)...)))
	n.run(t)
	noErr(t, failure(n.core.Restore(snapshotOf(3, 1))))
	more := appendMsg(2, 1, 5, 1)
	more.Commit = 5
	noErr(t, n.core.Step(more))
	rd, err := n.ready()
	noErr(t, err)
	if rd.Install == nil || !rd.InstallKeepsLog || len(rd.Committed) > 0 {
		t.Fatalf("%+v", rd)
	}
	noErr(t, n.core.Advance(Progress{Persisted: rd.Number}))
	if rd, err := n.core.Ready(); err != nil || len(rd.Committed) > 0 {
		t.Fatalf("%+v, %v", rd, err)
	}
	noErr(t, n.core.Advance(Progress{Applied: 3}))
	if rd, err := n.core.Ready(); err != nil || len(rd.Committed) != 2 || rd.Committed[0].Index != 4 {
		t.Fatalf("%+v, %v", rd, err)
	}
}
