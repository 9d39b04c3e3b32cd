package manifest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/merkle"
)

func hash(b ...byte) merkle.Hash { return merkle.LeafHash(b) }

func object(name string) Object {
	return Object{Name: name, Bytes: 100, SHA256: hash([]byte(name)...), MetaOffset: 60}
}

func segment(first, last uint64) Segment {
	return Segment{FirstSeq: first, LastSeq: last, Entries: last - first + 1, Bytes: 100, Root: hash(byte(first)),
		MinKey: []byte("a"), MaxKey: []byte("z"), FirstTime: int64(first), LastTime: int64(last)}
}

// golden is a state with everything in it.
func golden(t testing.TB) *State {
	s := &State{ClusterID: "c0ffee"}
	var err error
	steps := []func() (*State, error){
		func() (*State, error) {
			return s.WithSegment(segment(0, 9),
				SealPoint{AppliedIndex: 20, AppliedTerm: 2, LastTime: 9, Frontier: []byte("front")})
		},
		func() (*State, error) {
			only := segment(10, 10)
			only.MinKey, only.MaxKey = nil, nil
			return s.WithSegment(only, SealPoint{AppliedIndex: 21, AppliedTerm: 2, LastTime: 10,
				Frontier: []byte("tier"), Recorded: []Recorded{{0, 9, hash(0), Object{}}},
				Members: []byte("members"), Idempotency: []byte("window")})
		},
		func() (*State, error) {
			return s.WithSegment(segment(11, 15), SealPoint{AppliedIndex: 30, AppliedTerm: 3, LastTime: 20,
				Frontier: []byte("iron"), Recorded: []Recorded{{0, 9, hash(0), object("segments/0-9")}, {10, 10, hash(10), Object{}}},
				Merges: []Range{{0, 10}}, Members: []byte("members"), Idempotency: []byte("window")})
		},
		func() (*State, error) { return s.WithObject(0, 9, hash(0), object("segments/0-9"), Both, 100) },
		func() (*State, error) { return s.WithSetting("verifier_key", "k") },
		func() (*State, error) { return s.WithSetting("origin", "o") },
	}
	for _, step := range steps {
		if s, err = step(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func drawState(t *rapid.T) *State {
	bytesGen := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) []byte {
		if len(b) == 0 {
			return nil
		}
		return b
	})
	s := &State{Version: rapid.Uint64().Draw(t, "version"), ClusterID: rapid.String().Draw(t, "cluster")}
	s.AppliedIndex, s.AppliedTerm = rapid.Uint64().Draw(t, "index"), rapid.Uint64().Draw(t, "term")
	s.LastTime = rapid.Int64().Draw(t, "time")
	s.Frontier, s.Members = bytesGen.Draw(t, "frontier"), bytesGen.Draw(t, "members")
	s.Idempotency = bytesGen.Draw(t, "idempotency")
	for range rapid.IntRange(0, 8).Draw(t, "segments") {
		n := rapid.Uint64Range(1, 1<<40).Draw(t, "entries")
		g := segment(s.TreeSize, s.TreeSize+n-1)
		g.Bytes, g.Root = rapid.Uint64().Draw(t, "bytes"), hash(bytesGen.Draw(t, "root")...)
		switch g.Tier = Tier(rapid.IntRange(0, 2).Draw(t, "tier")); g.Tier {
		case Both, Cold:
			g.Object = drawObject(t)
		}
		if rapid.Bool().Draw(t, "keyless") {
			g.MinKey, g.MaxKey = nil, nil
		}
		s.Segments = append(s.Segments, g)
		s.TreeSize += n
	}
	drawRecorded(t, s)
	names := rapid.SliceOfNDistinct(rapid.StringN(1, 9, -1), 0, 5, rapid.ID[string]).Draw(t, "names")
	slices.Sort(names)
	for _, n := range names {
		s.Settings = append(s.Settings, Setting{n, "v" + n})
	}
	return s
}

func drawObject(t *rapid.T) Object {
	o := object("o" + rapid.String().Draw(t, "object"))
	o.Bytes = rapid.Uint64Range(1, MaxObjectBytes).Draw(t, "object bytes")
	o.MetaOffset = rapid.Uint64Range(0, o.Bytes-1).Draw(t, "meta offset")
	return o
}

// drawRecorded draws what was recorded: a beginning of the segments, some of them merged, or cut finer; and merges.
func drawRecorded(t *rapid.T, s *State) {
	whole := false // the last one consists of whole segments
	for _, g := range s.Segments[:rapid.IntRange(0, len(s.Segments)).Draw(t, "recorded")] {
		how := rapid.IntRange(0, 3).Draw(t, "how")
		if how == 0 && whole {
			s.Recorded[len(s.Recorded)-1].LastSeq = g.LastSeq
			continue
		}
		whole = how != 1 || g.Entries == 1
		if !whole {
			s.Recorded = append(s.Recorded, Recorded{g.FirstSeq, g.FirstSeq, g.Root, Object{}})
			g.FirstSeq++
		}
		s.Recorded = append(s.Recorded, Recorded{g.FirstSeq, g.LastSeq, g.Root, Object{}})
		if rapid.Bool().Draw(t, "has object") {
			s.Recorded[len(s.Recorded)-1].Object = drawObject(t)
		}
	}
	for i := 0; i+1 < len(s.Recorded) && len(s.Merges) < MaxMerges; i++ {
		to := min(i+rapid.IntRange(0, 3).Draw(t, "merge"), len(s.Recorded)-1)
		if to > i {
			s.Merges = append(s.Merges, Range{s.Recorded[i].FirstSeq, s.Recorded[to].LastSeq})
		}
		i = to
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawState(rt)
		if err := s.Validate(); err != nil {
			rt.Fatal(err)
		}
		b := s.Encode()
		got, err := Decode(b)
		if err != nil || !reflect.DeepEqual(got, s) {
			rt.Fatalf("%+v became %+v, %v", s, got, err)
		}
		if !bytes.Equal(got.Encode(), b) {
			rt.Fatal("another encoding the second time")
		}
		clear(b)
		if !reflect.DeepEqual(got, s) {
			rt.Fatal("what Decode returned shares memory with its input")
		}
	})
}

func isDecodeError(err error) bool {
	var d *DecodeError
	return errors.As(err, &d)
}

func TestDamage(t *testing.T) {
	b := golden(t).Encode()
	for i := range len(b) * 8 {
		b[i/8] ^= 1 << (i % 8)
		if s, err := Decode(b); !isDecodeError(err) {
			t.Fatalf("bit %d of byte %d: %+v, %v", i%8, i/8, s, err)
		}
		b[i/8] ^= 1 << (i % 8)
	}
	for n := range b {
		if s, err := Decode(b[:n]); !isDecodeError(err) {
			t.Fatalf("%d of %d bytes: %+v, %v", n, len(b), s, err)
		}
	}
	if _, err := Decode(append(b, 0)); !isDecodeError(err) {
		t.Fatalf("a byte too many: %v", err)
	}
}

func reseal(b []byte) []byte {
	if len(b) >= sumLen {
		end := len(b) - sumLen
		binary.LittleEndian.PutUint64(b[end:], xxhash.Sum64(b[:end]))
	}
	return b
}

func TestOtherVersionIsRefused(t *testing.T) {
	b := golden(t).Encode()
	b[len(magic)] = 1
	if _, err := Decode(reseal(b)); !isDecodeError(err) || !strings.Contains(err.Error(), "format version 1;") {
		t.Fatalf("format version 1: %v", err)
	}
	b[len(magic)] = 3
	if _, err := Decode(reseal(b)); !isDecodeError(err) {
		t.Fatalf("format version 3: %v", err)
	}
}

// TestDeclaredCounts declares more than there is, and puts bytes behind the end, under a checksum that holds.
func TestDeclaredCounts(t *testing.T) {
	b := (&State{}).Encode()
	// Recorded segments, merges, segments, settings.
	for _, fromEnd := range []int{4 + 4 + 3*4 + 8 + 8 + sumLen, 4 + 3*4 + 8 + 8 + sumLen, 4 + 4 + sumLen, 4 + sumLen} {
		c := bytes.Clone(b)
		binary.LittleEndian.PutUint32(c[len(c)-fromEnd:], 1<<20)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(reseal(c))
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; !isDecodeError(err) || got > 64<<10 {
			t.Errorf("a million items in %d bytes: %v, %d bytes allocated", len(c), err, got)
		}
	}
	if _, err := Decode(reseal(append(bytes.Clone(b), 0))); !isDecodeError(err) {
		t.Errorf("a byte before the checksum: %v", err)
	}
}

func TestValidate(t *testing.T) {
	for name, spoil := range map[string]func(*State){
		"gap":             func(s *State) { s.Segments = s.Segments[:2]; s.Segments[1] = segment(11, 11); s.TreeSize = 12 },
		"overlap":         func(s *State) { s.Segments[1] = segment(9, 10) },
		"not from 0":      func(s *State) { s.Segments = s.Segments[1:] },
		"swapped":         func(s *State) { slices.Reverse(s.Segments) },
		"entries":         func(s *State) { s.Segments[0].Entries-- },
		"backward":        func(s *State) { s.Segments[0].FirstSeq, s.Segments[0].LastSeq = 9, 0 },
		"whole range":     func(s *State) { s.Segments = []Segment{{LastSeq: ^uint64(0)}}; s.TreeSize = 0 },
		"tree size":       func(s *State) { s.TreeSize++ },
		"recorded gap":    func(s *State) { s.Recorded = []Recorded{{0, 9, hash(0), Object{}}, {11, 15, hash(1), Object{}}} },
		"recorded beyond": func(s *State) { s.Recorded = []Recorded{{0, 16, hash(0), Object{}}}; s.Merges = nil },
		"recorded across": func(s *State) {
			s.Recorded = []Recorded{{0, 4, hash(0), Object{}}, {5, 12, hash(0), Object{}}}
			s.Merges = nil
		},
		"recorded back": func(s *State) {
			s.Recorded = []Recorded{{0, 10, hash(0), Object{}}, {11, 10, hash(0), Object{}}}
			s.Merges = nil
		},
		"merge of one":     func(s *State) { s.Merges = []Range{{0, 9}} },
		"merge of a part":  func(s *State) { s.Merges = []Range{{1, 10}} },
		"merge beyond":     func(s *State) { s.Merges = []Range{{0, 15}} },
		"merge back":       func(s *State) { s.Merges = []Range{{10, 0}} },
		"merge twice":      func(s *State) { s.Merges = []Range{{0, 10}, {0, 10}} },
		"merges":           func(s *State) { s.Merges = make([]Range, MaxMerges+1) },
		"times":            func(s *State) { s.Segments[0].FirstTime = 99 },
		"keys":             func(s *State) { s.Segments[0].MinKey = []byte("zz") },
		"one key":          func(s *State) { s.Segments[0].MinKey = nil },
		"key too long":     func(s *State) { s.Segments[0].MinKey = make([]byte, MaxKeyBytes+1) },
		"tier":             func(s *State) { s.Segments[0].Tier = 3 },
		"no object":        func(s *State) { s.Segments[0].Object = Object{} },
		"object of local":  func(s *State) { s.Segments[1].Object = object("o") },
		"object all meta":  func(s *State) { s.Segments[0].Object.MetaOffset = 100 },
		"object too large": func(s *State) { s.Segments[0].Object.Bytes = MaxObjectBytes + 1 },
		"object name":      func(s *State) { s.Segments[0].Object.Name = string(make([]byte, MaxObjectNameBytes+1)) },
		"recorded object":  func(s *State) { s.Recorded[0].Object.MetaOffset = 100 },
		"settings order":   func(s *State) { slices.Reverse(s.Settings) },
		"setting twice":    func(s *State) { s.Settings[1] = s.Settings[0] },
		"empty setting":    func(s *State) { s.Settings[0].Value = "" },
		"nameless setting": func(s *State) { s.Settings[0].Name = "" },
		"cluster id":       func(s *State) { s.ClusterID = string(make([]byte, MaxNameBytes+1)) },
	} {
		s := *golden(t)
		s.Segments, s.Settings = slices.Clone(s.Segments), slices.Clone(s.Settings)
		s.Recorded, s.Merges = slices.Clone(s.Recorded), slices.Clone(s.Merges)
		spoil(&s)
		if err := s.Validate(); err == nil {
			t.Errorf("%s: valid", name)
		}
		if _, err := Decode(s.Encode()); !isDecodeError(err) {
			t.Errorf("%s: decodes: %v", name, err)
		}
	}
}

func TestEdits(t *testing.T) {
	s := golden(t)
	s.Segments = slices.Grow(s.Segments, 8) // room that edits must not share
	before := s.Encode()
	point := s.SealPoint
	refused := func(name string, _ *State, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	_, err := s.WithSegment(segment(17, 18), point)
	refused("a segment behind a gap", nil, err)
	_, err = s.WithSegment(segment(10, 12), point)
	refused("a segment that overlaps", nil, err)
	back := point
	back.AppliedIndex--
	_, err = s.WithSegment(segment(16, 17), back)
	refused("an index that goes back", nil, err)
	_, err = s.WithMerged(segment(0, 9))
	refused("one segment merged", nil, err)
	_, err = s.WithMerged(segment(0, 12))
	refused("more than there is merged", nil, err)
	_, err = s.WithMerged(segment(1, 10))
	refused("half a segment merged", nil, err)
	_, err = s.WithObject(0, 10, hash(0), object("o"), Both, 100)
	refused("an object of no segment", nil, err)
	_, err = s.WithObject(0, 9, hash(1), object("o"), Both, 100)
	refused("an object of another root", nil, err)
	_, err = s.WithObject(0, 9, hash(0), Object{}, Both, 100)
	refused("a tier without an object", nil, err)
	_, err = s.WithObject(0, 9, hash(0), object("o"), Local, 100)
	refused("an object of a local segment", nil, err)

	next, err := s.WithSegment(segment(16, 20), point)
	if err == nil {
		next.Segments = slices.Grow(next.Segments, 8)
	}
	if err != nil || next.TreeSize != 21 || next.Version != s.Version+1 || len(next.Segments) != 4 {
		t.Fatalf("WithSegment: %+v, %v", next, err)
	}
	one, err1 := next.WithSegment(segment(21, 21), point)
	two, err2 := next.WithSegment(segment(21, 22), point)
	if err1 != nil || err2 != nil || one.Segments[4].LastSeq != 21 || two.Segments[4].LastSeq != 22 {
		t.Fatalf("two edits of one state share memory: %v, %v", err1, err2)
	}
	merged, err := next.WithMerged(segment(10, 20))
	if err != nil || len(merged.Segments) != 2 || merged.TreeSize != 21 || merged.Segments[1].FirstSeq != 10 {
		t.Fatalf("WithMerged: %+v, %v", merged, err)
	}
	if rest, err := merged.WithMerged(segment(0, 20)); err != nil || len(rest.Segments) != 1 || len(rest.Merges) != 1 {
		t.Fatalf("WithMerged of all, before it is recorded: %+v, %v", rest, err)
	}
	if g, ok := merged.Segment(20); !ok || g.FirstSeq != 10 {
		t.Fatalf("Segment(20): %+v, %v", g, ok)
	}
	if _, ok := merged.Segment(21); ok {
		t.Fatal("Segment(21) is there")
	}
	removed, err := merged.WithSetting("origin", "")
	if err != nil || removed.Setting("origin") != "" || removed.Setting("verifier_key") != "k" {
		t.Fatalf("WithSetting: %+v, %v", removed.Settings, err)
	}
	changed, err := merged.WithSetting("origin", "other")
	if err != nil || changed.Setting("origin") != "other" || merged.Setting("origin") != "o" {
		t.Fatalf("WithSetting: %+v, %v", changed.Settings, err)
	}
	if members, err := s.WithMembers([]byte("m")); err != nil || string(members.Members) != "m" {
		t.Fatal(err)
	}
	if !bytes.Equal(s.Encode(), before) {
		t.Error("an edit changed the state it began with")
	}
}

var update = flag.Bool("update", false, "write golden files anew")

func TestGolden(t *testing.T) {
	b := golden(t).Encode()
	name := filepath.Join("testdata", "manifest.v2")
	if *update {
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Errorf("the format changed: what is written is no longer %s", name)
	}
	if s, err := Decode(want); err != nil || !reflect.DeepEqual(s, golden(t)) {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(golden(f).Encode())
	f.Add((&State{}).Encode())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, reseal(bytes.Clone(b))} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s, err := Decode(b)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > uint64(len(b))+1<<20 {
				t.Fatalf("%d bytes allocated for an input of %d", got, len(b))
			}
			if err != nil {
				if !isDecodeError(err) {
					t.Fatal(err)
				}
				continue
			}
			if !bytes.Equal(s.Encode(), b) {
				t.Fatalf("%d bytes encode to others", len(b))
			}
		}
	})
}

func BenchmarkEncodeDecode(b *testing.B) {
	s := &State{}
	for i := range uint64(1000) {
		s.Segments = append(s.Segments, segment(i*10, i*10+9))
	}
	s.TreeSize = 10_000
	s.Idempotency = []byte(strconv.Itoa(1 << 20))
	enc := s.Encode()
	b.SetBytes(int64(len(enc)))
	for b.Loop() {
		enc = s.Append(enc[:0])
		if _, err := Decode(enc); err != nil {
			b.Fatal(err)
		}
	}
}
