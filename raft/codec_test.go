package raft

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func drawMembership(t *rapid.T) Membership {
	roles := []MemberRole{Voter, Learner, IncomingVoter, LeavingVoter, DemotedVoter, Joining}
	m := Membership{}
	id := uint64(0)
	for range rapid.IntRange(1, 6).Draw(t, "members") {
		id += rapid.Uint64Range(1, 1<<40).Draw(t, "id")
		m.Members = append(m.Members, Member{
			ID:       id,
			Instance: rapid.Uint64().Draw(t, "instance"),
			Role:     rapid.SampledFrom(roles).Draw(t, "role"),
			RaftAddr: rapid.StringN(0, 20, MaxAddrBytes).Draw(t, "raft"),
			HTTPAddr: rapid.StringN(0, 20, MaxAddrBytes).Draw(t, "http"),
		})
	}
	m.Members[0].Role = Voter
	for range rapid.IntRange(0, 3).Draw(t, "removed") {
		d := Departed{ID: rapid.Uint64Min(1).Draw(t, "removed id"), Instance: rapid.Uint64().Draw(t, "its instance")}
		m.Removed = append(m.Removed, d)
	}
	return m
}

func drawMessage(t *rapid.T) Message {
	m := Message{
		Kind:      MessageKind(rapid.Uint8Range(1, uint8(lastKind)).Draw(t, "kind")),
		Reject:    rapid.Bool().Draw(t, "reject"),
		Transfer:  rapid.Bool().Draw(t, "transfer"),
		ClusterID: testCluster,
		Instance:  rapid.Uint64().Draw(t, "instance"),
		From:      rapid.Uint64().Draw(t, "from"),
		To:        rapid.Uint64().Draw(t, "to"),
		Term:      rapid.Uint64Range(1, MaxTerm).Draw(t, "term"),
		Index:     rapid.Uint64Range(0, MaxIndex-100).Draw(t, "index"),
		Commit:    rapid.Uint64Range(0, MaxIndex).Draw(t, "commit"),
		Hint:      rapid.Uint64Range(0, MaxIndex).Draw(t, "hint"),
		Context:   rapid.Uint64().Draw(t, "context"),
	}
	m.LogTerm = rapid.Uint64Range(0, m.Term).Draw(t, "log term")
	m.HintTerm = rapid.Uint64Range(0, m.Term).Draw(t, "hint term")
	if m.Kind == MsgAppend {
		term := max(m.LogTerm, 1)
		for i := range rapid.IntRange(0, 5).Draw(t, "entries") {
			term = rapid.Uint64Range(term, m.Term).Draw(t, "entry term")
			e := Entry{
				Index: m.Index + 1 + uint64(i), Term: term,
				Kind: rapid.SampledFrom([]EntryKind{EntryNormal, EntryNoop, EntryMembers}).Draw(t, "entry kind"),
			}
			if data := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "data"); e.Kind == EntryMembers {
				e.Data = AppendMembership(nil, drawMembership(t))
			} else if len(data) > 0 {
				e.Data = data
			}
			m.Entries = append(m.Entries, e)
		}
	}
	if m.Kind == MsgSnapshot {
		m.Snapshot = &Snapshot{
			Index:   rapid.Uint64Range(1, MaxIndex).Draw(t, "snapshot index"),
			Term:    rapid.Uint64Range(1, m.Term).Draw(t, "snapshot term"),
			Members: drawMembership(t),
		}
	}
	return m
}

func TestMessageRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		b := AppendMessage([]byte("before"), m)
		got, err := ParseMessage(b[6:])
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Fatalf("%+v came back as %+v", m, got)
		}
		cut := rapid.IntRange(6, len(b)-1).Draw(t, "cut")
		if _, err := ParseMessage(b[6:cut]); err == nil {
			t.Fatalf("accepted when cut to %d of %d bytes", cut-6, len(b)-6)
		}
		if _, err := ParseMessage(append(b[6:], 0)); err == nil {
			t.Fatal("accepted with a byte too many")
		}
	})
}

func TestMembershipRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMembership(t)
		b := AppendMembership(nil, m)
		got, err := ParseMembership(b)
		if err != nil || !got.Equal(m) {
			t.Fatalf("%+v came back as %+v: %v", m, got, err)
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := ParseMembership(b[:cut]); err == nil {
			t.Fatalf("accepted when cut to %d of %d bytes", cut, len(b))
		}
	})
}

// goldenMessages have one of everything. Their bytes are committed: a change of the format needs a new version.
func goldenMessages() map[string]Message {
	members := Membership{Members: []Member{
		{ID: 1, Instance: 77, Role: Voter, RaftAddr: "10.0.0.1:9001", HTTPAddr: "10.0.0.1:8001"},
		{ID: 2, Instance: 78, Role: DemotedVoter, RaftAddr: "10.0.0.2:9001"},
		{ID: 3, Role: Learner},
		{ID: 5, Role: Joining},
	}, Removed: []Departed{{ID: 4, Instance: 79}}}
	return map[string]Message{
		"vote": {Kind: MsgVote, Transfer: true, ClusterID: testCluster, From: 1, To: 2, Instance: 77, Term: 7,
			Index: 40, LogTerm: 6},
		"append": {Kind: MsgAppend, ClusterID: testCluster, From: 1, To: 2, Term: 7, Index: 40, LogTerm: 6, Commit: 39,
			Entries: []Entry{
				{Index: 41, Term: 6, Kind: EntryNormal, Data: []byte("command")},
				{Index: 42, Term: 7, Kind: EntryNoop},
				{Index: 43, Term: 7, Kind: EntryMembers, Data: AppendMembership(nil, members)},
			}},
		"append-reply": {Kind: MsgAppendReply, ClusterID: testCluster, From: 2, To: 1, Term: 7, Reject: true, Index: 40,
			Hint: 38, HintTerm: 5},
		"snapshot": {Kind: MsgSnapshot, ClusterID: testCluster, From: 1, To: 3, Term: 7,
			Snapshot: &Snapshot{Index: 30, Term: 4, Members: members}},
	}
}

func TestGoldenMessages(t *testing.T) {
	for name, m := range goldenMessages() {
		file := filepath.Join("testdata", "golden", name+".hex")
		b := AppendMessage(nil, m)
		if *rewrite {
			text := hex.EncodeToString(b)
			var lines []string
			for len(text) > 64 {
				lines, text = append(lines, text[:64]), text[64:]
			}
			if err := os.WriteFile(file, []byte(strings.Join(append(lines, text), "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s is encoded as %x, want %x, %v", name, b, want, err)
		}
		if got, err := ParseMessage(want); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s is parsed as %+v, %v", name, got, err)
		}
	}
}

// TestWriteCorpus keeps the committed seeds of the fuzz targets in step with the format, under -rewrite.
func TestWriteCorpus(t *testing.T) {
	if !*rewrite {
		return // the targets themselves run the corpus
	}
	write := func(target, name string, b []byte) {
		dir := filepath.Join("testdata", "fuzz", target)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", b)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, m := range goldenMessages() {
		b := AppendMessage(nil, m)
		write("FuzzParseMessage", name, b)
		write("FuzzParseMessage", name+"-cut", b[:len(b)-3])
	}
	b := AppendMessage(nil, goldenMessages()["append"])
	binary.BigEndian.PutUint32(b[92:], MaxMessageEntries)
	write("FuzzParseMessage", "many-entries", b)
	binary.BigEndian.PutUint64(b[52:], ^uint64(0))
	write("FuzzParseMessage", "last-index", b)
	members := AppendMembership(nil, goldenMessages()["snapshot"].Snapshot.Members)
	write("FuzzParseMembership", "three", members)
	write("FuzzParseMembership", "cut", members[:len(members)-1])
	write("FuzzParseMembership", "many", []byte{2, 255})
	write("FuzzParseMembership", "none", []byte{2, 0, 0})
}

// TestParseMessageRefusesHostileNumbers: what would make a sum overflow, or an allocation too large.
func TestParseMessageRefusesHostileNumbers(t *testing.T) {
	valid := AppendMessage(nil, goldenMessages()["append"])
	for name, at := range map[string]int{
		"term": 44, "index": 52, "log term": 60, "commit": 68, "hint": 76, "hint term": 84,
	} {
		for _, v := range []uint64{1 << 63, ^uint64(0), MaxIndex + 1} {
			b := bytes.Clone(valid)
			binary.BigEndian.PutUint64(b[at:], v)
			if m, err := ParseMessage(b); err == nil {
				t.Errorf("%s %d: accepted as %+v", name, v, m)
			}
		}
	}
	for _, n := range []uint32{4, MaxMessageEntries + 1, 1<<32 - 1} {
		b := bytes.Clone(valid)
		binary.BigEndian.PutUint32(b[messageHeader-4:], n)
		if _, err := ParseMessage(b); err == nil {
			t.Errorf("%d entries: accepted", n)
		}
	}
	b := bytes.Clone(valid)
	binary.BigEndian.PutUint32(b[messageHeader+9:], 1<<32-1)
	if _, err := ParseMessage(b); err == nil {
		t.Error("an entry of 4 GiB: accepted")
	}
}

func FuzzParseMessage(f *testing.F) {
	for _, m := range goldenMessages() {
		f.Add(AppendMessage(nil, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.Clone(b)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := ParseMessage(b)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(len(b))+1<<20 {
			t.Fatalf("%d bytes allocated for %d", grown, len(b))
		}
		if err == nil && !bytes.Equal(AppendMessage(nil, m), in) {
			t.Fatalf("%x parses as %+v, which is encoded differently", in, m)
		}
	})
}

func FuzzParseMembership(f *testing.F) {
	f.Add(AppendMembership(nil, goldenMessages()["snapshot"].Snapshot.Members))
	f.Add([]byte{2, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMembership(b)
		if err != nil {
			return
		}
		if m.Validate() != nil || (b[0] == membershipVersion && !bytes.Equal(AppendMembership(nil, m), b)) {
			t.Fatalf("%x parses as %+v", b, m)
		}
	})
}
