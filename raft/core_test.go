package raft

import (
	"errors"
	"testing"
)

func mustMembers(t testing.TB, members ...Member) Membership {
	t.Helper()
	m, err := NewMembership(members...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func noErr(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// failure is for calls whose result is not what the test is about.
func failure(_ bool, err error) error { return err }

func startNode(t testing.TB, members ...Member) *testNode {
	t.Helper()
	n, err := newTestNode(Config{ID: 1, ClusterID: testCluster, Seed: 1}, mustMembers(t, members...))
	noErr(t, err)
	return n
}

// run does all the work there is and returns what was sent.
func (n *testNode) run(t testing.TB) []Message {
	t.Helper()
	var out []Message
	for n.core.HasReady() {
		rd, err := n.ready()
		noErr(t, err)
		msgs, err := n.sync(len(n.queue))
		noErr(t, err)
		out = append(append(out, rd.Messages...), msgs...)
		noErr(t, n.apply(n.handed()))
	}
	return out
}

func entries(first uint64, terms ...uint64) []Entry {
	var out []Entry
	for i, term := range terms {
		out = append(out, Entry{Index: first + uint64(i), Term: term, Kind: EntryNormal})
	}
	return out
}

// TestNewRefusesContradictions: durable state that no run can leave means damage, and going on could lose entries.
func TestNewRefusesContradictions(t *testing.T) {
	disk := func(base Position, e ...Entry) *testDisk { return &testDisk{base: base, entries: e} }
	snap := func(index, term uint64) Snapshot { return Snapshot{Index: index, Term: term} }
	for name, c := range map[string]struct {
		disk *testDisk
		hard HardState
		snap Snapshot
		ok   bool
	}{
		"new":                      {disk(Position{}), HardState{}, Snapshot{}, true},
		"plain":                    {disk(Position{}, entries(1, 1, 2, 2)...), HardState{Term: 2, Commit: 3}, Snapshot{}, true},
		"commit hint lags":         {disk(Position{}, entries(1, 1, 2, 2)...), HardState{Term: 2}, snap(2, 2), true},
		"log begins at snapshot":   {disk(Position{4, 2}, entries(5, 2)...), HardState{Term: 2}, snap(4, 2), true},
		"log is all in snapshot":   {disk(Position{4, 2}), HardState{Term: 2}, snap(4, 2), true},
		"commit beyond the log":    {disk(Position{}, entries(1, 1)...), HardState{Term: 1, Commit: 2}, Snapshot{}, false},
		"gap after the snapshot":   {disk(Position{5, 2}, entries(6, 2)...), HardState{Term: 2}, snap(4, 2), false},
		"log ends before snapshot": {disk(Position{}, entries(1, 1)...), HardState{Term: 2}, snap(4, 2), false},
		"other term in snapshot":   {disk(Position{}, entries(1, 1, 1, 1)...), HardState{Term: 2}, snap(2, 2), false},
		"terms go back":            {disk(Position{}, entries(1, 3, 2)...), HardState{Term: 3}, Snapshot{}, false},
		"terms below snapshot's":   {disk(Position{4, 3}, entries(5, 2)...), HardState{Term: 3}, snap(4, 3), false},
		"entry of term 0":          {disk(Position{}, entries(1, 0)...), HardState{Term: 1}, Snapshot{}, false},
		"hard state is older":      {disk(Position{}, entries(1, 1, 2)...), HardState{Term: 1}, Snapshot{}, false},
		"hard state before snap":   {disk(Position{4, 2}), HardState{Term: 1}, snap(4, 2), false},
		"vote in term 0":           {disk(Position{}), HardState{Vote: 1}, Snapshot{}, false},
		"term out of range":        {disk(Position{}), HardState{Term: MaxTerm + 1}, Snapshot{}, false},
		"snapshot without a term":  {disk(Position{4, 0}), HardState{Term: 2}, Snapshot{Index: 4}, false},
		"index out of range": {disk(Position{MaxIndex, 1}, entries(MaxIndex+1, 1)...), HardState{Term: 2},
			snap(MaxIndex, 1), false},
	} {
		c.snap.Members = mustMembers(t, voters(1)...)
		_, err := New(Config{ID: 1, ClusterID: testCluster}, c.hard, c.snap, c.disk)
		if c.ok && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !c.ok && !errors.Is(err, ErrInvalidState) {
			t.Errorf("%s: got %v, want ErrInvalidState", name, err)
		}
	}
}

func TestNewRefusesBadConfig(t *testing.T) {
	good := Config{ID: 1, ClusterID: testCluster}
	for name, change := range map[string]func(*Config){
		"no id":               func(c *Config) { c.ID = 0 },
		"no cluster":          func(c *Config) { c.ClusterID = ClusterID{} },
		"slow heartbeat":      func(c *Config) { c.HeartbeatTicks = 10 },
		"negative heartbeat":  func(c *Config) { c.HeartbeatTicks = -1 },
		"negative election":   func(c *Config) { c.ElectionTicks = -1 },
		"negative reads":      func(c *Config) { c.MaxPendingReads = -1 },
		"appends too large":   func(c *Config) { c.MaxAppendBytes = 17 << 20 },
		"overflowing timeout": func(c *Config) { c.ElectionTicks = 1 << 62 },
	} {
		cfg := good
		change(&cfg)
		if _, err := New(cfg, HardState{}, Snapshot{}, &testDisk{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	bad := Snapshot{Members: Membership{Members: []Member{{ID: 1, Role: Learner}}}}
	if _, err := New(good, HardState{}, bad, &testDisk{}); err == nil {
		t.Error("a membership without voters: accepted")
	}
}

func TestClusterIDText(t *testing.T) {
	id, err := ParseClusterID(testCluster.String())
	if err != nil || id != testCluster {
		t.Fatalf("%v, %v", id, err)
	}
	for _, s := range []string{"", "c1", testCluster.String() + "00", "zz" + testCluster.String()[2:]} {
		if _, err := ParseClusterID(s); err == nil {
			t.Errorf("%q: accepted", s)
		}
	}
}

// TestAdvanceRefusesFalseReports: each of these would make the core count what is not there.
func TestAdvanceRefusesFalseReports(t *testing.T) {
	for name, p := range map[string]Progress{
		"a Ready never handed out": {Persisted: 100},
		"going back":               {Persisted: 1},
		"applied beyond commit":    {Applied: 100},
	} {
		n := startNode(t, voters(1)...)
		noErr(t, n.core.Tick())
		n.run(t)
		if err := n.core.Advance(p); !errors.Is(err, ErrInvalidState) {
			t.Errorf("%s: %v", name, err)
		}
		// The error is final: the core does nothing more.
		_, errPropose := n.core.Propose([][]byte{{1}})
		_, errReady := n.core.Ready()
		for _, err := range []error{
			errPropose, errReady, n.core.Tick(), n.core.ReadIndex(1), n.core.Campaign(), n.core.Step(Message{}),
			n.core.Advance(Progress{}), n.core.Compact(Snapshot{}),
		} {
			if !errors.Is(err, ErrInvalidState) {
				t.Errorf("%s: goes on with %v", name, err)
			}
		}
	}
}

// TestLogReaderErrorIsFinal: a committed entry that cannot be read stops the node instead of being skipped.
func TestLogReaderErrorIsFinal(t *testing.T) {
	n := startNode(t, voters(1)...)
	noErr(t, n.core.Tick())
	n.run(t)
	noErr(t, n.crash(0))
	noErr(t, n.core.Campaign())
	n.disk.broken = errors.New("bad sector")
	var err error
	for err == nil && n.core.HasReady() {
		if _, err = n.ready(); err == nil {
			_, err = n.sync(len(n.queue))
		}
	}
	if !errors.Is(err, n.disk.broken) {
		t.Fatalf("got %v", err)
	}
	n.disk.broken = nil
	if _, again := n.core.Ready(); again != err {
		t.Fatalf("got %v, want %v once more", again, err)
	}
}

func TestCompactOnlyWhatIsApplied(t *testing.T) {
	n := startNode(t, voters(1)...)
	noErr(t, n.core.Tick())
	n.run(t)
	if err := n.core.Compact(Snapshot{Index: 2, Term: 1}); !errors.Is(err, ErrInvalidState) {
		t.Fatalf("got %v", err)
	}
}

func TestProposeAndReadNeedALeader(t *testing.T) {
	n := startNode(t, voters(1, 2, 3)...)
	append1 := Message{Kind: MsgAppend, ClusterID: testCluster, From: 3, To: 1, Term: 1}
	noErr(t, n.core.Step(append1))
	var notLeader *NotLeaderError
	_, err := n.core.Propose([][]byte{{1}})
	if !errors.As(err, &notLeader) || notLeader.Leader != 3 || !errors.Is(err, ErrNotLeader) {
		t.Fatalf("propose: %v", err)
	}
	n.core.becomeFollower(2, 0)
	if err := n.core.ReadIndex(1); !errors.As(err, &notLeader) || notLeader.Leader != 0 {
		t.Fatalf("read without a leader: %v", err)
	}
}

func TestProposeRefusesNothingAndTooMuch(t *testing.T) {
	n := startNode(t, voters(1)...)
	noErr(t, n.core.Tick())
	n.run(t)
	if _, err := n.core.Propose(nil); err == nil {
		t.Error("no commands: accepted")
	}
	if _, err := n.core.Propose([][]byte{{1}, make([]byte, MaxEntryBytes+1)}); err == nil {
		t.Error("a command too large: accepted")
	}
	if s := n.core.Status(); s.Last != 1 {
		t.Errorf("something of them stayed: %+v", s)
	}
}

func TestPendingReadsAreBoundedAndNotForgotten(t *testing.T) {
	members := mustMembers(t, voters(1)...)
	n, err := newTestNode(Config{ID: 1, ClusterID: testCluster, MaxPendingReads: 2}, members)
	noErr(t, err)
	noErr(t, n.core.Tick())
	_, err = n.ready()
	noErr(t, err)
	_, err = n.sync(1)
	noErr(t, err)
	noErr(t, n.core.ReadIndex(1))
	noErr(t, n.core.ReadIndex(2))
	if err := n.core.ReadIndex(3); !errors.Is(err, ErrOverloaded) {
		t.Fatalf("third read: %v", err)
	}
	// Leadership ends before the no-op is durable: whoever waits is told. (No peer of a sole voter can send this; a
	// later leader of a larger cluster can.)
	n.core.becomeFollower(9, 0)
	n.run(t)
	if len(n.reads) != 2 || !n.reads[0].Lost || !n.reads[1].Lost {
		t.Fatalf("answers: %+v", n.reads)
	}
}

// TestTailLetsGoOfWhatIsHandedOut: the array behind the tail must not keep commands of up to MaxEntryBytes alive.
func TestTailLetsGoOfWhatIsHandedOut(t *testing.T) {
	n := startNode(t, voters(1)...)
	noErr(t, n.core.Tick())
	n.run(t)
	n.core.cfg.MaxCommittedBytes = 2 // hands out in pieces, so that live and free entries share the array
	_, err := n.core.Propose([][]byte{{1}, {2}, {3}, {4}, {5}})
	noErr(t, err)
	_, err = n.ready()
	noErr(t, err)
	_, err = n.sync(1)
	noErr(t, err)
	for n.core.HasReady() {
		_, err = n.ready()
		noErr(t, err)
		held := 0
		for _, e := range n.core.log.tail[:cap(n.core.log.tail)] {
			if e.Data != nil {
				held++
			}
		}
		if live := len(n.core.log.live()); held != live {
			t.Fatalf("%d entries are live, %d are held", live, held)
		}
	}
}
