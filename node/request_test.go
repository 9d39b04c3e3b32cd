package node

import (
	"bytes"
	"reflect"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/tlog"
)

// requests are examples of every request, encoded.
func requests() [][]byte {
	f := forward{term: 7, life: 1 << 63, id: 3, commands: []forwardedCommand{{0, []byte("a")}, {1500, nil}, {1, bytes.Repeat([]byte("x"), 300)}}}
	intro := introduction{instance: 9, raftAddr: "a:1", httpAddr: "a:2"}
	join := change{op: changeJoin, id: 4, raftAddr: "d:1", httpAddr: "d:2", learner: true, number: 2}
	transfer := change{op: changeTransfer, number: 3}
	members, _ := raft.NewMembership(raft.Member{ID: 1, Role: raft.Voter, RaftAddr: "a:1"}, raft.Member{ID: 2, Role: raft.Joining})
	report := rootReport{term: 4, segments: []tlog.Descriptor{{FirstSeq: 0, LastSeq: 9, Entries: 10, Root: merkle.Hash{1}}},
		checks: []ledger.RootCheck{{Size: 65536, Root: merkle.Hash{2}}}}
	view := outlook{term: 3, last: 9, short: true, members: []raft.PeerStatus{{ID: 2, Match: 8, Active: true}, {ID: 3}},
		lacking: []bool{false, true}}
	disk := spaceReport{term: 3, short: true, free: 1 << 40, reserve: 5}
	all := [][]byte{view.encode(), disk.encode(), f.encode(), encodeAnswers(5, someAnswers()), intro.encode(), join.encode(6), transfer.encode(7),
		report.encode(), (&rootReport{}).encode()}
	for _, err := range []error{nil, &MemberError{MemberConflict, "no"}, &Unavailable{DiskFull, "full"}, errElsewhere} {
		c := changed{life: 1, number: 2, err: err}
		if err == nil {
			c.members = members
		}
		all = append(all, c.encode())
	}
	return all
}

func someAnswers() []answer {
	return []answer{
		{1, 0, outcome{result: ledger.Result{Receipt: ledger.Receipt{FirstSeq: 4, Count: 2, Time: 5, LeafHash: merkle.Hash{6}, Replayed: true}}}},
		{1, 1, outcome{result: ledger.Result{Err: &ledger.NotFoundError{Tombstone: true, Seq: 3, OpIndex: 1}}}},
		{2, 0, outcome{result: ledger.Result{Err: &ledger.PreconditionError{Exists: true, Seq: 3, OpIndex: 2}}}},
		{2, 1, outcome{result: ledger.Result{Err: ledger.ErrIdempotencyMismatch}}},
		{2, 2, outcome{err: &Unavailable{Overloaded, "too much"}}},
		{2, 3, outcome{err: errElsewhere}},
	}
}

// reencode parses a request and encodes what came of it; nil when it is refused.
func reencode(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	switch requestKind(b[0]) {
	case requestForward:
		if f, err := parseForward(b); err == nil {
			return f.encode()
		}
	case requestAnswers:
		if life, answers, err := parseAnswers(b); err == nil {
			return encodeAnswers(life, answers)
		}
	case requestSpace:
		if r, err := parseSpaceReport(b); err == nil {
			return r.encode()
		}
	case requestIntroduce:
		if i, err := parseIntroduction(b); err == nil {
			return i.encode()
		}
	case requestChange:
		if life, c, err := parseChange(b); err == nil {
			return c.encode(life)
		}
	case requestChanged:
		if c, err := parseChanged(b); err == nil {
			return c.encode()
		}
	case requestOutlook:
		if o, err := parseOutlook(b); err == nil {
			return o.encode()
		}
	case requestRoots:
		if r, err := parseRootReport(b); err == nil {
			return r.encode()
		}
	}
	return nil
}

// TestRequestsComeBack: what is parsed from an encoding encodes to the same, and nothing cut or lengthened is accepted.
func TestRequestsComeBack(t *testing.T) {
	for _, b := range requests() {
		if got := reencode(b); !bytes.Equal(got, b) {
			t.Errorf("%x comes back as %x", b, got)
		}
		for n := range b {
			if reencode(b[:n]) != nil {
				t.Errorf("the first %d of %d bytes of a request of kind %d are accepted", n, len(b), b[0])
			}
		}
		if reencode(append(bytes.Clone(b), 0)) != nil {
			t.Errorf("a request of kind %d is accepted with a byte after its end", b[0])
		}
	}
}

func TestAnswersComeBack(t *testing.T) {
	want := someAnswers()
	life, got, err := parseAnswers(encodeAnswers(3, want))
	if err != nil || life != 3 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d, %+v, %v", life, got, err)
	}
}

// TestHostileCounts: a count that promises more than there is allocates nothing.
func TestHostileCounts(t *testing.T) {
	for _, b := range requests() {
		for at := 1; at+4 <= len(b); at++ {
			hostile := bytes.Clone(b)
			copy(hostile[at:], []byte{0xff, 0xff, 0xff, 0xff})
			if grown := allocated(func() { reencode(hostile) }); grown > 64<<10 {
				t.Fatalf("a request of %d bytes and kind %d makes its parser allocate %d", len(hostile), b[0], grown)
			}
		}
	}
}

func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzRequests: no request makes a parser panic, and what is accepted is understood: it encodes, and parses to the same.
func FuzzRequests(f *testing.F) {
	for _, b := range requests() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		once := reencode(bytes.Clone(b))
		if once == nil {
			return
		}
		if len(once) > 2*len(b)+maxDetailBytes {
			t.Fatalf("%d bytes become %d", len(b), len(once))
		}
		if again := reencode(bytes.Clone(once)); !bytes.Equal(again, once) {
			t.Fatalf("%x becomes %x", once, again)
		}
	})
}

// TestWindow compares a window with a memory of everything. It may forget only what is windowIDs behind in its life, and
// must then take it for a repeat. Lives come in any order, those that have ended too.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w windows
		w.lead(1)
		seen := make(map[[2]uint64]bool)
		highest := make(map[uint64]uint64)
		for range rapid.IntRange(1, 200).Draw(t, "forwards") {
			life := rapid.SampledFrom([]uint64{1, 2, 3}).Draw(t, "life")
			high := highest[life]
			id := rapid.Uint64Range(1, 5000).Draw(t, "id")
			if rapid.Bool().Draw(t, "near") {
				id = high + rapid.Uint64Range(0, 1100).Draw(t, "ahead") - min(high, 50)
			}
			key := [2]uint64{life, id}
			want := !seen[key] && !(high >= id && high-id >= windowIDs)
			if got := w.first(9, life, id); got != want {
				t.Fatalf("forward %d of life %d, the highest is %d: first %v, want %v", id, life, high, got, want)
			}
			seen[key] = true
			highest[life] = max(high, id)
		}
	})
}

// TestWindowsAreBounded: beyond so many lives of a node, the first one is forgotten, and none of the others.
func TestWindowsAreBounded(t *testing.T) {
	var w windows
	w.lead(1)
	for life := range uint64(maxLives + 1) {
		if !w.first(9, life, 1) {
			t.Fatalf("the first forward of life %d is dropped", life)
		}
	}
	for life := range uint64(maxLives) {
		if w.first(9, life+1, 1) {
			t.Fatalf("a repeat of life %d is taken", life+1)
		}
	}
	if n := len(w.nodes[9]); n != maxLives {
		t.Fatalf("%d lives are remembered", n)
	}
}
