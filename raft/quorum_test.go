package raft

import (
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestQuorumAgainstCounting compares with the definition, for every pair of an outgoing and an incoming set of up to
// seven nodes: something is decided when more than half of each set says so.
func TestQuorumAgainstCounting(t *testing.T) {
	const n = 7
	for out := uint(1); out < 1<<n; out++ {
		for in := uint(1); in < 1<<n; in++ {
			if in != out && (in*31+out*17)%7 != 0 {
				continue // one joint pair of seven is enough; the plain ones are all tried
			}
			m := jointOf(out, in, n)
			for yes := uint(0); yes < 1<<n; yes += 3 {
				for _, no := range []uint{0, ^yes, ^yes & 0x55} {
					wantTally(t, m, out, in, yes, no&(1<<n-1))
				}
			}
		}
	}
}

// jointOf makes the membership whose outgoing and incoming voters are the bits of two sets; the rest are learners.
func jointOf(out, in uint, n int) Membership {
	var m Membership
	for i := range n {
		mb := Member{ID: uint64(i + 1), Role: Learner}
		switch bit := uint(1) << i; {
		case out&bit != 0 && in&bit != 0:
			mb.Role = Voter
		case in&bit != 0:
			mb.Role = IncomingVoter
		case out&bit != 0 && i%2 == 0:
			mb.Role = LeavingVoter
		case out&bit != 0:
			mb.Role = DemotedVoter
		}
		m.Members = append(m.Members, mb)
	}
	return m
}

func wantTally(t *testing.T, m Membership, out, in, yes, no uint) {
	t.Helper()
	majority := func(set, of uint) bool { return bits.OnesCount(set&of)*2 > bits.OnesCount(of) }
	want := VotePending
	switch {
	case majority(yes, out) && majority(yes, in):
		want = VoteWon
	case !majority(^no, out) || !majority(^no, in):
		want = VoteLost
	}
	votes := map[uint64]bool{}
	for i := range len(m.Members) {
		if yes&(1<<i) != 0 {
			votes[uint64(i+1)] = true
		} else if no&(1<<i) != 0 {
			votes[uint64(i+1)] = false
		}
	}
	if got := m.Tally(votes); got != want {
		t.Fatalf("sets %07b, %07b, yes %07b, no %07b: %d, want %d", out, in, yes, no, got, want)
	}
}

// TestQuorumIndexIsTheHighestHeldByBoth compares with trying every index.
func TestQuorumIndexIsTheHighestHeldByBoth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "nodes")
		set := rapid.UintRange(1, 1<<n-1)
		out, in := set.Draw(t, "outgoing"), set.Draw(t, "incoming")
		m := jointOf(out, in, n)
		match := rapid.SliceOfN(rapid.Uint64Range(0, 9), n, n).Draw(t, "match")
		got := m.QuorumIndex(func(id uint64) uint64 { return match[id-1] })
		for i := uint64(1); i <= 10; i++ {
			votes := map[uint64]bool{}
			for k, have := range match {
				votes[uint64(k+1)] = have >= i
			}
			if held := m.Tally(votes) == VoteWon; held != (i <= got) {
				t.Fatalf("index %d held by a quorum: %v; QuorumIndex %d; match %v, sets %b, %b", i, held, got, match, out, in)
			}
		}
	})
}

func TestNoVotersDecideNothing(t *testing.T) {
	var none Membership
	if none.Tally(map[uint64]bool{1: true}) == VoteWon || none.QuorumIndex(func(uint64) uint64 { return 9 }) != 0 {
		t.Fatal("something was decided without voters")
	}
	if none.SoleVoter(1) || none.IsVoter(1) || none.Joint() {
		t.Fatal("the empty membership has a voter")
	}
}

func TestMembershipRoles(t *testing.T) {
	m, err := NewMembership(Member{ID: 3, Role: Learner}, Member{ID: 2, Role: Voter})
	if err != nil || m.Members[0].ID != 2 {
		t.Fatalf("%v, %v", m, err)
	}
	if !m.SoleVoter(2) || m.SoleVoter(3) || m.IsVoter(3) || m.Joint() {
		t.Fatal("a voter and a learner")
	}
	m.Members = slices.Clone(m.Members)
	m.Members[1].Role = IncomingVoter
	if m.SoleVoter(2) || !m.IsVoter(3) || !m.Joint() {
		t.Fatal("a voter and an incoming voter")
	}
}

func TestMembershipRefusesWhatCannotDecide(t *testing.T) {
	long := string(make([]byte, MaxAddrBytes+1))
	tooMany := make([]Member, MaxMembers+1)
	for i := range tooMany {
		tooMany[i] = Member{ID: uint64(i + 1), Role: Voter}
	}
	for name, members := range map[string][]Member{
		"id 0":             {{ID: 0, Role: Voter}},
		"same id twice":    {{ID: 1, Role: Voter}, {ID: 1, Role: Learner}},
		"no role":          {{ID: 1}},
		"unknown role":     {{ID: 1, Role: 7}},
		"learners only":    {{ID: 1, Role: Learner}},
		"no outgoing":      {{ID: 1, Role: IncomingVoter}},
		"no incoming":      {{ID: 1, Role: LeavingVoter}},
		"long address":     {{ID: 1, Role: Voter, RaftAddr: long}},
		"too many members": tooMany,
	} {
		if _, err := NewMembership(members...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
