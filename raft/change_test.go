package raft

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTowards: every way from a configuration to another leads there, by one entry or two, and keeps what is recorded.
func TestTowards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, ids uint64) Membership {
			m := Membership{Members: []Member{{ID: 1, Instance: 1, Role: Voter}}}
			for id := uint64(2); id <= ids; id++ {
				role := rapid.SampledFrom([]MemberRole{Voter, Learner, Joining, 0}).Draw(t, name)
				if role != 0 {
					m.Members = append(m.Members, Member{ID: id, Instance: id, Role: role})
				}
			}
			return m
		}
		from, target := draw("from", 6), draw("target", 6)
		next, err := from.towards(target)
		if err != nil {
			for _, mb := range target.Members {
				old, known := from.Get(mb.ID)
				if slices.Equal(from.Members, target.Members) || (known && old.Role == Voter && mb.Role == Joining) {
					return
				}
			}
			t.Fatalf("%v to %v: %v", from, target, err)
		}
		check(t, next.Validate())
		for _, mb := range from.Members {
			if is, ok := next.Get(mb.ID); mb.Role.outgoing() != (ok && is.Role.outgoing()) && next.Joint() {
				t.Fatalf("%v to %v by %v: node %d", from, target, next, mb.ID)
			}
		}
		final := next
		if next.Joint() {
			final = next.settled()
		}
		if !slices.Equal(final.Members, target.Members) {
			t.Fatalf("%v to %v by %v ends in %v", from, target, next, final)
		}
		for _, mb := range from.Members {
			_, stays := target.Get(mb.ID)
			if gone := slices.Contains(final.Removed, Departed{ID: mb.ID, Instance: mb.Instance}); gone == stays {
				t.Fatalf("%v to %v: removed %v", from, target, final.Removed)
			}
		}
	})
}

func TestTowardsRefuses(t *testing.T) {
	from := Membership{Members: []Member{{ID: 1, Instance: 7, Role: Voter}, {ID: 2, Role: Voter}}}
	for name, target := range map[string][]Member{
		"no one":                {},
		"no voter":              {{ID: 1, Instance: 7, Role: Learner}},
		"nothing new":           from.Members,
		"a passing role":        {{ID: 1, Instance: 7, Role: Voter}, {ID: 2, Role: LeavingVoter}},
		"a voter that joins":    {{ID: 1, Instance: 7, Role: Voter}, {ID: 2, Role: Joining}},
		"another instance":      {{ID: 1, Instance: 8, Role: Voter}, {ID: 2, Role: Learner}},
		"an instance forgotten": {{ID: 1, Role: Voter}, {ID: 2, Role: Learner}},
		"ids out of order":      {{ID: 2, Role: Voter}, {ID: 1, Instance: 7, Role: Voter}},
	} {
		if next, err := from.towards(Membership{Members: target}); err == nil {
			t.Errorf("%s: %v", name, next)
		}
	}
	recorded := slices.Clone(from.Members)
	recorded[1].Instance = 9
	if _, err := from.towards(Membership{Members: recorded}); err != nil {
		t.Errorf("an instance recorded for the first time: %v", err)
	}
}

// TestRemovedIsBounded: the latest are remembered; one that comes back with the same data is removed no more.
func TestRemovedIsBounded(t *testing.T) {
	m := Membership{Members: voters(1)}
	for id := uint64(2); id < 2+2*MaxDeparted; id++ {
		for _, target := range []Membership{
			{Members: append(voters(1), Member{ID: id, Instance: id, Role: Learner})}, {Members: voters(1)},
		} {
			next, err := m.towards(target)
			noErr(t, err)
			m = next
		}
	}
	last := Departed{ID: 1 + 2*MaxDeparted, Instance: 1 + 2*MaxDeparted}
	if len(m.Removed) != MaxDeparted || m.Removed[MaxDeparted-1] != last {
		t.Fatalf("%d removed, the last %v", len(m.Removed), m.Removed[len(m.Removed)-1])
	}
	back := Membership{Members: append(voters(1), Member{ID: last.ID, Instance: last.Instance, Role: Learner})}
	if m, err := m.towards(back); err != nil || slices.Contains(m.Removed, last) {
		t.Fatalf("%v, %v", m, err)
	}
}

// TestChangesWait: for the leader's first commit, for each other, and for a transfer.
func TestChangesWait(t *testing.T) {
	n := leading(t)
	target := Membership{Members: append(voters(1, 2, 3), Member{ID: 4, Role: Learner})}
	if _, err := n.core.ProposeMembers(target); !errors.Is(err, ErrMembershipPending) {
		t.Fatalf("before the first commit: %v", err)
	}
	noErr(t, n.core.Step(appendReply(2, 1)))
	noErr(t, n.core.Transfer(3))
	if _, err := n.core.ProposeMembers(target); !errors.Is(err, ErrOverloaded) {
		t.Fatalf("during a transfer: %v", err)
	}
	n.core.transferee = 0
	p, err := n.core.ProposeMembers(target)
	if err != nil || p != (Position{Index: 2, Term: 1}) {
		t.Fatalf("%v, %v", p, err)
	}
	target.Members[3].Role = Joining
	if _, err := n.core.ProposeMembers(target); !errors.Is(err, ErrMembershipPending) {
		t.Fatalf("while one is under way: %v", err)
	}
	if s := n.core.Status(); !s.MembersPending || s.MembersIndex != 2 || len(s.Peers) != 3 {
		t.Fatalf("%+v", s)
	}
}

// TestRemovedNodesAreRefused: by their instance, once that is committed; what they answer to is heard while they are
// told.
func TestRemovedNodesAreRefused(t *testing.T) {
	members := voters(1, 2, 3)
	for i := range members {
		members[i].Instance = members[i].ID
	}
	n, err := newTestNode(Config{ID: 1, Instance: 1, ClusterID: testCluster}, mustMembers(t, members...))
	noErr(t, err)
	from := func(id uint64, m Message) Message {
		m.From, m.Instance = id, id
		return m
	}
	noErr(t, n.core.Campaign())
	n.run(t)
	granted := Message{Kind: MsgVoteReply, ClusterID: testCluster, To: 1, Term: 1, Context: 1}
	noErr(t, n.core.Step(from(2, granted)))
	n.run(t)
	noErr(t, n.core.Step(from(2, appendReply(2, 1))))
	_, err = n.core.ProposeMembers(Membership{Members: members[:2]})
	noErr(t, err)
	n.run(t)
	noErr(t, n.core.Step(from(2, appendReply(2, 2))))
	n.run(t)
	noErr(t, n.core.Step(from(3, vote(3, 1, 9, 1)))) // not committed
	noErr(t, n.core.Step(from(2, appendReply(2, 3))))
	n.run(t)
	later := Message{Kind: MsgHeartbeatReply, ClusterID: testCluster, To: 1, Term: 9, Reject: true}
	if err := n.core.Step(from(3, later)); !errors.Is(err, ErrRefused) {
		t.Fatalf("a removed node's term: %v", err)
	}
	noErr(t, n.core.Step(from(3, appendReply(3, 3))))
	for range 2 * n.core.cfg.ElectionTicks {
		noErr(t, n.core.Step(from(2, Message{Kind: MsgHeartbeatReply, ClusterID: testCluster, To: 1, Term: 1})))
		noErr(t, n.core.Tick())
		n.run(t)
	}
	if n.core.peer(3) != nil || n.core.Status().Role != Leader {
		t.Fatalf("node 3 is sent to for ever: %+v", n.core.Status())
	}
	if err := n.core.Step(from(3, appendReply(3, 3))); !errors.Is(err, ErrRefused) {
		t.Fatalf("a removed node: %v", err)
	}
	other := from(3, vote(3, 1, 9, 1))
	other.Instance = 33 // its id again, with other data
	noErr(t, n.core.Step(other))
}

// membersEntry is an entry of term 1 with that configuration.
func membersEntry(index uint64, m Membership) Entry {
	return Entry{Index: index, Term: 1, Kind: EntryMembers, Data: AppendMembership(nil, m)}
}

// TestWhoeverMayBeNeededCampaigns: a node that the last configuration leaves without a vote has one until that is
// decided. It may be the only one whose log can win.
func TestWhoeverMayBeNeededCampaigns(t *testing.T) {
	from := Membership{Members: voters(1, 2, 3)}
	joint, err := from.towards(Membership{Members: voters(2, 3)})
	noErr(t, err)
	for commit := uint64(0); commit <= 2; commit++ {
		n := startNode(t, voters(1, 2, 3)...)
		m := appendMsg(2, 1, 0, 0, membersEntry(1, joint), membersEntry(2, joint.settled()))
		m.Commit = commit
		noErr(t, n.core.Step(m))
		n.run(t)
		if err := n.core.Campaign(); errors.Is(err, ErrNotVoter) != (commit == 2) {
			t.Errorf("with %d of 2 entries committed: %v", commit, err)
		}
	}
}

// TestReadmittedNodeIsHeard: it was removed, that is committed; its vote may be needed to commit that it is back.
func TestReadmittedNodeIsHeard(t *testing.T) {
	gone := Membership{Members: voters(1, 2, 3), Removed: []Departed{{ID: 4, Instance: 4}}}
	joint, err := gone.towards(Membership{Members: append(voters(1, 2, 3), Member{ID: 4, Instance: 4, Role: Voter})})
	noErr(t, err)
	for _, back := range []bool{false, true} {
		n := startNode(t, voters(1, 2, 3)...)
		m := appendMsg(2, 1, 0, 0, membersEntry(1, gone))
		if back {
			m.Entries = append(m.Entries, membersEntry(2, joint))
		}
		m.Commit = 1
		noErr(t, n.core.Step(m))
		n.run(t)
		ask := vote(4, 1, 9, 1)
		ask.Instance = 4
		if err := n.core.Step(ask); errors.Is(err, ErrRefused) == back || n.core.departed(4, 4) == back {
			t.Errorf("back: %v: %v", back, err)
		}
	}
}
