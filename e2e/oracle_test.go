package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The hashes of RFC 6962 §2.1 and the canonical record, computed from their definitions.

type hash = [32]byte

func leafHash(record []byte) hash { return sha256.Sum256(append([]byte{0}, record...)) }

func nodeHash(left, right hash) hash {
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

// treeRoot is MTH of RFC 6962 §2.1.
func treeRoot(leaves []hash) hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	default:
		k := 1 << (bits.Len(uint(n-1)) - 1) // the largest power of two below n
		return nodeHash(treeRoot(leaves[:k]), treeRoot(leaves[k:]))
	}
}

// record is the canonical record of an entry.
func record(op byte, seq uint64, micros int64, key, contentType, principal string, value []byte) []byte {
	b := []byte{1, op}
	b = binary.BigEndian.AppendUint64(b, seq)
	b = binary.BigEndian.AppendUint64(b, uint64(micros))
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, key...)
	b = append(append(b, byte(len(contentType))), contentType...)
	b = append(append(b, byte(len(principal))), principal...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(value)))
	sum := sha256.Sum256(value)
	return append(b, sum[:]...)
}

// record computes the entry's record from what the list says of it, which must include the value.
func (e *entry) record(t testing.TB) []byte {
	t.Helper()
	op := map[string]byte{"put": 1, "delete": 2, "segment": 3}[e.Op]
	if op == 0 {
		t.Fatalf("entry %d: op %q", e.Seq, e.Op)
	}
	value := e.value(t)
	if e.Size != len(value) {
		t.Fatalf("entry %d: size %d with a value of %d bytes", e.Seq, e.Size, len(value))
	}
	return record(op, e.Seq, micros(t, e.Time), e.key(t), e.ContentType, e.Principal, []byte(value))
}

// micros reads a time as the ledger writes it: six digits and Z.
func micros(t testing.TB, text string) int64 {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05.000000Z", text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMicro()
}

func unhex(t testing.TB, text string) (h hash) {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(h) || strings.ToLower(text) != text {
		t.Fatalf("%q is no hash", text)
	}
	return hash(b)
}

func unhexAll(t testing.TB, texts []string) []hash {
	t.Helper()
	out := make([]hash, len(texts))
	for i, text := range texts {
		out[i] = unhex(t, text)
	}
	return out
}

// rootFromInclusion is the root that a proof leads to (RFC 9162 §2.1.3.2).
func rootFromInclusion(index, size uint64, leaf hash, proof []hash) (hash, error) {
	if index >= size {
		return hash{}, fmt.Errorf("index %d of %d", index, size)
	}
	fn, sn, r := index, size-1, leaf
	for _, p := range proof {
		if sn == 0 {
			return hash{}, fmt.Errorf("the proof is too long")
		}
		if fn&1 == 1 || fn == sn {
			r = nodeHash(p, r)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = nodeHash(r, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return hash{}, fmt.Errorf("the proof is too short")
	}
	return r, nil
}

// checkConsistency verifies a consistency proof (RFC 9162 §2.1.4.2).
func checkConsistency(from, to uint64, fromRoot, toRoot hash, proof []hash) error {
	switch {
	case from == to && (len(proof) > 0 || fromRoot != toRoot):
		return fmt.Errorf("equal sizes with a proof or other roots")
	case from == to, from == 0 && len(proof) == 0:
		return nil
	case len(proof) == 0:
		return fmt.Errorf("the proof is empty")
	}
	if from&(from-1) == 0 {
		proof = append([]hash{fromRoot}, proof...)
	}
	fn, sn := from-1, to-1
	for fn&1 == 1 {
		fn, sn = fn>>1, sn>>1
	}
	fr, sr := proof[0], proof[0]
	for _, c := range proof[1:] {
		if sn == 0 {
			return fmt.Errorf("the proof is too long")
		}
		if fn&1 == 1 || fn == sn {
			fr, sr = nodeHash(c, fr), nodeHash(c, sr)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			sr = nodeHash(sr, c)
		}
		fn, sn = fn>>1, sn>>1
	}
	if fr != fromRoot || sr != toRoot || sn != 0 {
		return fmt.Errorf("the proof leads to other roots")
	}
	return nil
}

// checkpoint reads the size and the root of a checkpoint note: origin, size, root in base64, a line each.
func checkpoint(t testing.TB, note string) (size uint64, root hash) {
	t.Helper()
	lines := strings.Split(note, "\n")
	if len(lines) < 4 || lines[0] == "" {
		t.Fatalf("checkpoint %q", note)
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(b) != len(root) {
		t.Fatalf("checkpoint root %q", lines[2])
	}
	return size, hash(b)
}

type proof struct {
	Key         *string `json:"key"`
	KeyB64      *string `json:"key_b64"`
	Seq         uint64  `json:"seq"`
	Verified    bool    `json:"verified"`
	Record      []byte  `json:"record"`
	LeafHash    string  `json:"leaf_hash"`
	ValueSHA256 string  `json:"value_sha256"`
	Ledger      struct {
		Index      uint64   `json:"index"`
		TreeSize   uint64   `json:"tree_size"`
		Root       string   `json:"root"`
		Proof      []string `json:"proof"`
		Checkpoint string   `json:"checkpoint"`
	} `json:"ledger"`
	Segment *struct {
		ID      string   `json:"id"`
		Ordinal uint64   `json:"ordinal"`
		Entries uint64   `json:"entries"`
		Root    string   `json:"root"`
		Proof   []string `json:"proof"`
	} `json:"segment"`
}

// check verifies a proof against the entry that it should be of.
func (p *proof) check(t testing.TB, e *entry) {
	t.Helper()
	if got := string(eitherForm(t, p.Key, p.KeyB64)); got != e.key(t) || p.Seq != e.Seq || !p.Verified {
		t.Fatalf("the proof is of key %q, seq %d, verified %v; want %q, %d", got, p.Seq, p.Verified, e.key(t), e.Seq)
	}
	want := e.record(t)
	if !bytes.Equal(p.Record, want) {
		t.Fatalf("record of entry %d:\n%x, want\n%x", e.Seq, p.Record, want)
	}
	leaf := leafHash(want)
	if unhex(t, p.LeafHash) != leaf || unhex(t, e.LeafHash) != leaf {
		t.Fatalf("leaf hash of entry %d: %s in the proof, %s in the list, want %x", e.Seq, p.LeafHash, e.LeafHash, leaf)
	}
	if sum := sha256.Sum256([]byte(e.value(t))); unhex(t, p.ValueSHA256) != sum {
		t.Fatalf("value hash of entry %d: %s, want %x", e.Seq, p.ValueSHA256, sum)
	}
	l := &p.Ledger
	root, err := rootFromInclusion(l.Index, l.TreeSize, leaf, unhexAll(t, l.Proof))
	if err != nil || l.Index != e.Seq || root != unhex(t, l.Root) {
		t.Fatalf("ledger proof of entry %d at %d of %d: root %x, not %s (%v)", e.Seq, l.Index, l.TreeSize, root, l.Root, err)
	}
	if size, noted := checkpoint(t, l.Checkpoint); size != l.TreeSize || noted != root || size <= e.Seq {
		t.Fatalf("the checkpoint says %d entries, root %x; the proof %d, %x", size, noted, l.TreeSize, root)
	}
	if s := p.Segment; s != nil {
		root, err := rootFromInclusion(s.Ordinal, s.Entries, leaf, unhexAll(t, s.Proof))
		if err != nil || root != unhex(t, s.Root) {
			t.Fatalf("segment proof of entry %d: root %x, not %s (%v)", e.Seq, root, s.Root, err)
		}
	}
}

// status is the part of /cluster/status that says how long the ledger is.
type clusterStatus struct {
	NodeID       uint64   `json:"node_id"`
	ClusterID    string   `json:"cluster_id"`
	Status       string   `json:"status"`
	Detail       string   `json:"detail"`
	Role         string   `json:"role"`
	Leader       uint64   `json:"leader"`
	Term         uint64   `json:"term"`
	CommitIndex  uint64   `json:"commit_index"`
	AppliedIndex uint64   `json:"applied_index"`
	FirstIndex   uint64   `json:"first_index"`
	LastIndex    uint64   `json:"last_index"`
	TreeSize     uint64   `json:"tree_size"`
	Root         string   `json:"root"`
	Members      []member `json:"members"`
}

type member struct {
	NodeID     uint64 `json:"node_id"`
	RaftAddr   string `json:"raft_addr"`
	HTTPAddr   string `json:"http_addr"`
	Role       string `json:"role"`
	Voter      bool   `json:"voter"`
	Healthy    bool   `json:"healthy"`
	MatchIndex uint64 `json:"match_index"`
	Lag        uint64 `json:"lag"`
	Detail     string `json:"detail"`
}

func (s *scribe) status() (st clusterStatus) {
	s.t.Helper()
	s.get("/cluster/status").want(200).decode(&st)
	return st
}

// replay reads the whole ledger at rest and checks that it is dense, that times never decrease, that every leaf is its
// entry's, and that the root is the one of /cluster/status. A segment that is being recorded adds an entry of its own, so
// the ledger is at rest when it was as long before as after.
func (s *scribe) replay() []entry {
	s.t.Helper()
	var entries []entry
	var st clusterStatus
	eventually(s.t, func() string {
		st = s.status()
		entries = s.lines("/v1/entries")
		if uint64(len(entries)) != st.TreeSize || s.status().TreeSize != st.TreeSize {
			return fmt.Sprintf("the ledger grows beyond %d", st.TreeSize)
		}
		return ""
	})
	leaves := make([]hash, len(entries))
	last := int64(0)
	for i := range entries {
		e := &entries[i]
		if e.Seq != uint64(i) {
			s.t.Fatalf("entry %d stands at place %d", e.Seq, i)
		}
		at := micros(s.t, e.Time)
		if at < last {
			s.t.Fatalf("entry %d was made before entry %d", e.Seq, e.Seq-1)
		}
		last = at
		leaves[i] = leafHash(e.record(s.t))
		if unhex(s.t, e.LeafHash) != leaves[i] {
			s.t.Fatalf("entry %d: leaf hash %s, want %x", e.Seq, e.LeafHash, leaves[i])
		}
	}
	if root := treeRoot(leaves); unhex(s.t, st.Root) != root {
		s.t.Fatalf("the root of %d entries is %x, and %s in /cluster/status", len(leaves), root, st.Root)
	}
	return entries
}
