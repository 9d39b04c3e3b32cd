package e2e

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
	"testing"
)

type segment struct {
	ID         string `json:"id"`
	FirstSeq   uint64 `json:"first_seq"`
	LastSeq    uint64 `json:"last_seq"`
	Entries    uint64 `json:"entries"`
	Bytes      uint64 `json:"bytes"`
	MerkleRoot string `json:"merkle_root"`
	MinKey     string `json:"min_key"`
	MinKeyB64  []byte `json:"min_key_b64"`
	MaxKey     string `json:"max_key"`
	MaxKeyB64  []byte `json:"max_key_b64"`
	Tier       string `json:"tier"`
	Object     string `json:"object"`
}

func (s *scribe) segments() []segment {
	s.t.Helper()
	var out struct {
		Segments []segment `json:"segments"`
	}
	s.get("/v1/segments").want(200).decode(&out)
	return out.Segments
}

// TestProofs verifies the proof of every version, before and behind its seal, with the code of this package.
func TestProofs(t *testing.T) {
	s := start(t, options{})
	s.put("bin%01", "\x00\xff", "Content-Type", "application/x-test")
	for i := range 60 {
		s.put(fmt.Sprintf("k%d", i%7), fmt.Sprintf("value %d", i))
		switch i {
		case 20, 45:
			s.seal()
		}
	}
	s.del("k3")
	check := func(sealed uint64) {
		t.Helper()
		entries := s.replay()
		newest := make(map[string]*entry)
		for i := range entries {
			e := &entries[i]
			if e.Op == "segment" {
				continue
			}
			newest[e.key(t)] = e
			var p proof
			s.line("GET", fmt.Sprintf("/verify/%s?seq=%d", strings.ReplaceAll(e.key(t), "\x01", "%01"), e.Seq), "").want(200).decode(&p)
			p.check(t, e)
			if (p.Segment != nil) != (e.Seq < sealed) {
				t.Fatalf("entry %d, with all below %d sealed: segment proof %+v", e.Seq, sealed, p.Segment)
			}
		}
		for key, e := range newest { // a tombstone proves itself too
			var p proof
			s.line("GET", "/verify/"+strings.ReplaceAll(key, "\x01", "%01"), "").want(200).decode(&p)
			p.check(t, e)
		}
	}
	through := s.segments()
	check(through[len(through)-1].LastSeq + 1)
	done := s.seal()
	check(*done.SealedThrough + 1)
	checkSegments(t, s)
	s.get("/verify/k0?seq=0").wantProblem(404, "version_not_found")
	s.get("/verify/k0?seq=9999").wantProblem(404, "version_not_found")
	s.get("/verify/k0?seq=x").wantProblem(400, "bad_request")
	r := s.put("late", "x")
	var p proof
	s.get("/verify/late").want(200).decode(&p)
	if p.Ledger.TreeSize <= r.Seq {
		t.Fatalf("the proof of entry %d stands on a checkpoint of %d entries", r.Seq, p.Ledger.TreeSize)
	}
}

// checkSegments recomputes the root of every segment from the entries, and the entries that record the segments.
func checkSegments(t *testing.T, s *scribe) {
	t.Helper()
	type manifest struct {
		Version      uint64            `json:"version"`
		AppliedIndex uint64            `json:"applied_index"`
		TreeSize     uint64            `json:"tree_size"`
		Segments     []segment         `json:"segments"`
		Members      []member          `json:"members"`
		Settings     map[string]string `json:"settings"`
	}
	var m manifest
	var entries []entry
	var segments []segment
	eventually(t, func() string { // merges go on meanwhile
		var before manifest
		s.get("/v1/manifest").want(200).decode(&before)
		entries, segments = s.replay(), s.segments()
		m = manifest{}
		if s.get("/v1/manifest").want(200).decode(&m); m.Version != before.Version {
			return fmt.Sprintf("the manifest of version %d became %d", before.Version, m.Version)
		}
		return ""
	})
	recorded := make(map[string]*entry)
	for i := range entries {
		if entries[i].Op == "segment" {
			recorded[entries[i].key(t)] = &entries[i]
		}
	}
	next := uint64(0)
	for _, g := range segments {
		if g.FirstSeq != next || g.ID != fmt.Sprintf("%016x-%016x", g.FirstSeq, g.LastSeq) ||
			g.Entries != g.LastSeq-g.FirstSeq+1 || g.Bytes == 0 || g.Tier != "local" {
			t.Fatalf("segment %+v, behind entry %d", g, next)
		}
		next = g.LastSeq + 1
		part := entries[g.FirstSeq : g.LastSeq+1]
		order := make([]*entry, len(part))
		for i := range part {
			order[i] = &part[i]
		}
		sort.SliceStable(order, func(i, j int) bool {
			a, b := order[i], order[j]
			if aSegment, bSegment := a.Op == "segment", b.Op == "segment"; aSegment || bSegment {
				return aSegment && (!bSegment || a.Seq < b.Seq)
			}
			if a.key(t) != b.key(t) {
				return a.key(t) < b.key(t)
			}
			return a.Seq > b.Seq
		})
		leaves := make([]hash, len(order))
		minKey, maxKey := "", ""
		for i, e := range order {
			leaves[i] = leafHash(e.record(t))
			if e.Op != "segment" {
				if minKey == "" {
					minKey = e.key(t)
				}
				maxKey = e.key(t)
			}
		}
		root := treeRoot(leaves)
		if unhex(t, g.MerkleRoot) != root || g.MinKey+string(g.MinKeyB64) != minKey || g.MaxKey+string(g.MaxKeyB64) != maxKey {
			t.Fatalf("segment %+v: its entries give root %x, keys %q to %q", g, root, minKey, maxKey)
		}
		e := recorded[g.ID]
		if e == nil {
			t.Fatalf("segment %s is recorded by no entry", g.ID)
		}
		want := binary.BigEndian.AppendUint64(nil, g.FirstSeq)
		want = binary.BigEndian.AppendUint64(want, g.LastSeq)
		want = append(binary.BigEndian.AppendUint64(want, g.Entries), root[:]...)
		if e.value(t) != string(want) || e.ContentType != "" {
			t.Fatalf("entry %d records segment %s as %x, want %x", e.Seq, g.ID, e.value(t), want)
		}
	}
	if len(m.Segments) != len(segments) || m.TreeSize != next || len(m.Members) != 1 || m.Settings == nil || m.Version == 0 {
		t.Fatalf("manifest %+v, with %d segments up to %d", m, len(segments), next)
	}
}

// TestConsistency verifies the proofs between all pairs of sizes of a small ledger.
func TestConsistency(t *testing.T) {
	s := start(t, options{})
	for i := range 24 {
		s.put(fmt.Sprintf("k%d", i), "v")
		if i == 12 {
			s.seal()
		}
	}
	entries := s.replay()
	leaves := make([]hash, len(entries))
	for i := range entries {
		leaves[i] = leafHash(entries[i].record(t))
	}
	for to := range len(leaves) + 1 {
		for from := range to + 1 {
			var p struct {
				From     uint64   `json:"from"`
				To       uint64   `json:"to"`
				FromRoot string   `json:"from_root"`
				ToRoot   string   `json:"to_root"`
				Proof    []string `json:"proof"`
			}
			s.get(fmt.Sprintf("/v1/proof/consistency?from=%d&to=%d", from, to)).want(200).decode(&p)
			fromRoot, toRoot := treeRoot(leaves[:from]), treeRoot(leaves[:to])
			if p.From != uint64(from) || p.To != uint64(to) || unhex(t, p.FromRoot) != fromRoot || unhex(t, p.ToRoot) != toRoot {
				t.Fatalf("from %d to %d: %+v", from, to, p)
			}
			if p.Proof == nil || from == 0 && len(p.Proof) != 0 {
				t.Fatalf("from %d to %d: proof %v", from, to, p.Proof)
			}
			if err := checkConsistency(uint64(from), uint64(to), fromRoot, toRoot, unhexAll(t, p.Proof)); err != nil {
				t.Fatalf("from %d to %d: %v", from, to, err)
			}
		}
	}
	for _, query := range []string{"from=5&to=3", "from=0&to=999", "from=999", "to=3", "from=x&to=3", "from=-1&to=2", ""} {
		s.get("/v1/proof/consistency?"+query).wantProblem(400, "bad_request")
	}
	if empty := sha256.Sum256(nil); treeRoot(nil) != empty {
		t.Fatal("the root of nothing")
	}
}
