package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

func sortEntries(list []Entry, reverse bool) {
	slices.SortFunc(list, func(a, b Entry) int {
		if reverse {
			a, b = b, a
		}
		return strings.Compare(a.Key, b.Key)
	})
}

// fill gives a fake 20 entries, 11 of them sealed: puts, a delete, a key that is no text, a segment entry.
func fill(f *fake) {
	for i := range 8 {
		f.add(OpPut, fmt.Sprintf("k%d", i), strings.Repeat("v", i*10), "text/plain")
	}
	f.add(OpPut, "k1", "second", "")
	f.add(OpDelete, "k2", "", "")
	f.add(OpPut, "\xff\x00/..", "odd", "")
	d := tlog.Descriptor{FirstSeq: 0, LastSeq: 10, Entries: 11, Root: merkle.RootOf(f.leaves)}
	f.add(OpSegment, d.ID(), string(d.Append(nil)), "")
	f.sealed = 11
	for i := range 8 {
		f.add(OpPut, fmt.Sprintf("n%d", i), "new", "")
	}
}

func TestVerify(t *testing.T) {
	f, c := newFake(t)
	fill(f)
	ctx := context.Background()
	for i := range f.all {
		want := &f.all[i]
		if want.Op == OpSegment {
			continue
		}
		e, err := c.Verify(ctx, want.Key, VerifyOptions{Seq: &want.Seq})
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		if e.Record.Seq != want.Seq || string(e.Record.Key) != want.Key || e.Leaf != want.LeafHash ||
			e.ValueChecked != (want.Op == OpPut) || (e.Segment != nil) != (want.Seq < f.sealed) || e.Pinned != (i > 0) {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
	if pin := c.Pin(); pin.Origin != origin || pin.Size != 20 || pin.Root != merkle.RootOf(f.leaves) {
		t.Errorf("pinned %+v", pin)
	}
	if e, err := c.Verify(ctx, "k2", VerifyOptions{}); err != nil || e.Record.Op != tlog.OpDelete {
		t.Errorf("the newest version of a deleted key: %+v, %v", e, err)
	}
	if _, err := c.Verify(ctx, "none", VerifyOptions{}); !IsCode(err, CodeKeyNotFound) {
		t.Error(err)
	}
	for value, want := range map[string]bool{"second": true, "secone": false, "": false, "second ": false} {
		_, err := c.Verify(ctx, "k1", VerifyOptions{Value: []byte(value), HasValue: true})
		if (err == nil) != want {
			t.Errorf("value %q: %v", value, err)
		}
	}
	if _, err := c.Verify(ctx, "k2", VerifyOptions{HasValue: true}); err == nil {
		t.Error("a delete is taken for a version with an empty value")
	}
}

// lie is one way to change a proof document.
type lie struct {
	name   string
	change func(doc map[string]any)
}

func ledgerOf(doc map[string]any) map[string]any  { return doc["ledger"].(map[string]any) }
func segmentOf(doc map[string]any) map[string]any { return doc["segment"].(map[string]any) }

// lies are the corrupted variants, beside what TestEveryBitCounts flips. other is the document of another entry, all
// of it true.
func lies(other map[string]any) []lie {
	set := func(in func(map[string]any) map[string]any, member string, v any) lie {
		return lie{fmt.Sprintf("%s = %.60v", member, v), func(doc map[string]any) { in(doc)[member] = v }}
	}
	top := func(doc map[string]any) map[string]any { return doc }
	h := strings.Repeat("ab", 32)
	all := []lie{
		set(top, "key", "k2"), set(top, "key", nil), set(top, "key_b64", "azE="), set(top, "seq", 0), set(top, "seq", -1),
		set(top, "seq", 8.5), set(top, "seq", nil), set(top, "leaf_hash", h), set(top, "leaf_hash", h[2:]),
		set(top, "leaf_hash", nil), set(top, "value_sha256", h), set(top, "value_sha256", ""), set(top, "record", ""),
		set(top, "record", nil), set(top, "record", "!!!!"), set(top, "record", other["record"]), set(top, "ledger", nil),
		set(top, "ledger", "yes"), set(top, "segment", map[string]any{}), set(top, "ledger", other["ledger"]),
		set(top, "segment", other["segment"]),
		set(ledgerOf, "index", 7), set(ledgerOf, "index", 20), set(ledgerOf, "index", uint64(1<<63)),
		set(ledgerOf, "tree_size", 19), set(ledgerOf, "tree_size", 21), set(ledgerOf, "tree_size", 8),
		set(ledgerOf, "tree_size", 0), set(ledgerOf, "tree_size", uint64(1<<64-1)),
		set(ledgerOf, "root", h), set(ledgerOf, "proof", nil), set(ledgerOf, "proof", []any{}),
		set(ledgerOf, "checkpoint", ""), set(ledgerOf, "checkpoint", nil), set(ledgerOf, "checkpoint", "a\nb\nc\n"),
		set(ledgerOf, "checkpoint", origin+"\n20\n"+base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n"),
		set(segmentOf, "id", "0000000000000000-0000000000000009"), set(segmentOf, "id", "x"),
		set(segmentOf, "id", "0000000000000009-0000000000000013"), set(segmentOf, "id", nil),
		set(segmentOf, "id", "000000000000000A-0000000000000014"), set(segmentOf, "ordinal", 3),
		set(segmentOf, "ordinal", 11), set(segmentOf, "entries", 10), set(segmentOf, "entries", 0),
		set(segmentOf, "root", h), set(segmentOf, "proof", []any{}), set(segmentOf, "ordinal", nil),
	}
	for _, in := range []func(map[string]any) map[string]any{ledgerOf, segmentOf} {
		proof := func(doc map[string]any) []any { return in(doc)["proof"].([]any) }
		all = append(all,
			lie{"last hash dropped", func(d map[string]any) { in(d)["proof"] = proof(d)[:len(proof(d))-1] }},
			lie{"first hash dropped", func(d map[string]any) { in(d)["proof"] = proof(d)[1:] }},
			lie{"hash repeated", func(d map[string]any) { in(d)["proof"] = append(proof(d), proof(d)[0]) }},
			lie{"hashes swapped", func(d map[string]any) { p := proof(d); p[0], p[1] = p[1], p[0] }},
			lie{"hash in capitals", func(d map[string]any) { proof(d)[0] = strings.ToUpper(proof(d)[0].(string)) }},
			lie{"hash null", func(d map[string]any) { proof(d)[0] = nil }},
			lie{"too many hashes", func(d map[string]any) { in(d)["proof"] = slices.Repeat([]any{h}, 65) }},
		)
	}
	return all
}

func TestEveryLieIsRefused(t *testing.T) {
	f, c := newFake(t)
	fill(f)
	ctx := context.Background()
	if _, err := c.Verify(ctx, "k1", VerifyOptions{}); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(f.proof(&f.all[3]))
	if err != nil {
		t.Fatal(err)
	}
	pin := c.Pin()
	for _, l := range lies(decode(b)) {
		f.tamper = func(path string, doc map[string]any) {
			if strings.HasPrefix(path, "/verify/") {
				l.change(doc)
				doc["verified"] = true
			}
		}
		e, err := c.Verify(ctx, "k1", VerifyOptions{})
		if err == nil {
			t.Errorf("%s: %+v", l.name, e)
		}
		if c.Pin() != pin {
			t.Fatalf("%s: the pin moved", l.name)
		}
		// Without a pin too: the checks of the proof itself must see it.
		var refused *ProofError
		var fork *ForkError
		fresh := f.client(Options{})
		if e, err = fresh.Verify(ctx, "k1", VerifyOptions{}); !errors.As(err, &refused) || errors.As(err, &fork) {
			t.Errorf("%s, without a pin: %+v, %v", l.name, e, err)
		}
		if l.name == "too many hashes" && refused.Step != "document" {
			t.Errorf("%s: parsed in full", l.name)
		}
		if fresh.Pin().Origin != "" {
			t.Fatalf("%s: the checkpoint of a refused proof is pinned", l.name)
		}
	}
	// And "verified" counts for nothing either way.
	f.tamper = func(_ string, doc map[string]any) { doc["verified"] = false }
	if _, err := c.Verify(ctx, "k1", VerifyOptions{}); err != nil {
		t.Error(err)
	}
}

// TestAnotherKeysProofIsRefused: a proof that is true, but of something else than was asked for.
func TestAnotherKeysProofIsRefused(t *testing.T) {
	f, c := newFake(t)
	fill(f)
	relabel := false
	for _, other := range []int{1, 1, 3, 3, 9, 9, 11, 11, 15, 15} {
		f.tamper = func(path string, doc map[string]any) {
			if strings.HasPrefix(path, "/verify/") {
				b, _ := json.Marshal(f.proof(&f.all[other]))
				clear(doc)
				for k, v := range decode(b) {
					doc[k] = v
				}
				if relabel {
					delete(doc, "key_b64")
					doc["key"] = "k1"
				}
			}
		}
		seq := uint64(8)
		var refused *ProofError
		if _, err := c.Verify(context.Background(), "k1", VerifyOptions{Seq: &seq}); !errors.As(err, &refused) {
			t.Errorf("entry %d passes for entry 8 of k1: %v", other, err)
		}
		_, err := c.Verify(context.Background(), "k1", VerifyOptions{NoValue: true})
		if older := other == 1; !older && !errors.As(err, &refused) {
			t.Errorf("entry %d passes for one of k1: %v", other, err)
		}
		relabel = !relabel
	}
	// A segment entry is no version of the key that its id makes.
	f.tamper = nil
	var refused *ProofError
	segment := &f.all[11]
	if _, err := c.Verify(context.Background(), segment.Key, VerifyOptions{Seq: &segment.Seq}); !errors.As(err, &refused) {
		t.Error(err)
	}
}

// TestLeafMustStandAtItsSeq: a made-up tree that has the true record, in another place.
func TestLeafMustStandAtItsSeq(t *testing.T) {
	f, _ := newFake(t)
	fill(f)
	doc, err := json.Marshal(f.proof(&f.all[8]))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []uint64{0, 3, 7, 8, 9, 15} {
		p, err := ParseProof(doc)
		if err != nil {
			t.Fatal(err)
		}
		leaves := make([]merkle.Hash, 16)
		leaves[at] = p.LeafHash
		root := merkle.RootOf(leaves)
		path, err := merkle.InclusionProof(at, 16, nodes(leaves))
		if err != nil {
			t.Fatal(err)
		}
		note, _ := (&tlog.Checkpoint{Origin: origin, Size: 16, Root: root}).Text()
		p.Ledger = LedgerProof{Index: at, TreeSize: 16, Root: root, Proof: path, Checkpoint: note}
		if _, err := p.Check(Claim{Key: "k1"}); (err == nil) != (at == 8) {
			t.Errorf("entry 8 at %d: %v", at, err)
		}
	}
}

// TestPinThatMovesMeanwhile: between the check against a pin and its replacement another call may have moved it.
func TestPinThatMovesMeanwhile(t *testing.T) {
	f, c := newFake(t)
	fill(f)
	if _, err := c.Verify(context.Background(), "k1", VerifyOptions{}); err != nil {
		t.Fatal(err)
	}
	f.add(OpPut, "later", "x", "")
	moved := tlog.Checkpoint{Origin: origin, Size: 21, Root: merkle.Hash{1}}
	f.tamper = func(path string, _ map[string]any) {
		if path == "/v1/proof/consistency" {
			c.SetPin(moved)
		}
	}
	var fork *ForkError
	if _, err := c.Verify(context.Background(), "k1", VerifyOptions{}); !errors.As(err, &fork) || c.Pin() != moved {
		t.Fatal(err)
	}
}

// TestEveryBitCounts flips one bit of one hash, the record, or a number.
func TestEveryBitCounts(t *testing.T) {
	f, _ := newFake(t)
	fill(f)
	doc, err := json.Marshal(f.proof(&f.all[8]))
	if err != nil {
		t.Fatal(err)
	}
	claim := Claim{Key: "k1", Value: []byte("second"), HasValue: true}
	honest, err := ParseProof(doc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := honest.Check(claim); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		p, err := ParseProof(doc)
		if err != nil {
			t.Fatal(err)
		}
		places := [][]byte{p.Record, p.LeafHash[:], p.ValueHash[:], p.Ledger.Root[:], p.Segment.Root[:]}
		for i := range p.Ledger.Proof {
			places = append(places, p.Ledger.Proof[i][:])
		}
		for i := range p.Segment.Proof {
			places = append(places, p.Segment.Proof[i][:])
		}
		numbers := []*uint64{&p.Seq, &p.Ledger.Index, &p.Ledger.TreeSize, &p.Segment.Ordinal, &p.Segment.Entries}
		if n := rapid.IntRange(0, len(places)+len(numbers)-1).Draw(t, "place"); n < len(places) {
			bit := rapid.IntRange(0, 8*len(places[n])-1).Draw(t, "bit")
			places[n][bit/8] ^= 1 << (bit % 8)
		} else {
			*numbers[n-len(places)] ^= 1 << rapid.IntRange(0, 63).Draw(t, "bit")
		}
		var refused *ProofError
		if _, err := p.Check(claim); !errors.As(err, &refused) {
			t.Fatalf("accepted: %+v", p)
		}
	})
}

func TestServedValueMustBeTheProvenOne(t *testing.T) {
	f, c := newFake(t)
	fill(f)
	f.all[8].Value = []byte("SECOND") // served, with a digest of its own; the record was hashed before
	f.tamper = func(path string, doc map[string]any) {
		if strings.HasPrefix(path, "/verify/") {
			e := f.all[8]
			e.Value = []byte("second")
			b, _ := json.Marshal(f.proof(&e))
			for k, v := range decode(b) {
				doc[k] = v
			}
		}
	}
	var refused *ProofError
	_, err := c.Verify(context.Background(), "k1", VerifyOptions{})
	if !errors.As(err, &refused) || refused.Step != "value" {
		t.Fatal(err)
	}
	if _, err := c.Verify(context.Background(), "k1", VerifyOptions{NoValue: true}); err != nil {
		t.Fatal(err)
	}
}

// TestAnotherHistoryIsRefused: every proof of a rewritten ledger is true of itself. Only the pin tells.
func TestAnotherHistoryIsRefused(t *testing.T) {
	ctx := context.Background()
	for name, rewrite := range map[string]func(f *fake){
		"entry changed": func(f *fake) { f.all[5].Value, f.all[5].Size = []byte("forged"), 6 },
		"entry dropped": func(f *fake) { f.all = slices.Delete(f.all, 5, 6) },
		"end changed":   func(f *fake) { f.all[19].Value, f.all[19].Size = []byte("forged"), 6 },
		"two swapped":   func(f *fake) { f.all[5], f.all[6] = f.all[6], f.all[5] },
	} {
		for _, grown := range []int{0, 1, 7} {
			f, c := newFake(t)
			fill(f)
			if _, err := c.Verify(ctx, "k1", VerifyOptions{}); err != nil {
				t.Fatal(err)
			}
			pin := c.Pin()
			rewrite(f)
			f.leaves = nil
			for i := range f.all {
				f.all[i].Seq = uint64(i)
				f.all[i].LeafHash = merkle.LeafHash(f.record(&f.all[i]))
				f.leaves = append(f.leaves, f.all[i].LeafHash)
			}
			for i := range grown {
				f.add(OpPut, fmt.Sprint("later", i), "x", "")
			}
			if _, err := f.client(Options{}).Verify(ctx, "k1", VerifyOptions{}); err != nil {
				t.Fatalf("the rewritten ledger does not even agree with itself: %v", err)
			}
			for which, client := range []*Client{c, f.client(Options{Pin: pin})} {
				_, err := client.Verify(ctx, "k1", VerifyOptions{})
				var fork *ForkError
				// A server with fewer entries than are pinned cannot be asked for a proof; it might just lag.
				shorter := uint64(len(f.all)) < pin.Size
				if err == nil || !shorter && (!errors.As(err, &fork) || fork.Pinned != pin) {
					t.Errorf("%s, grown by %d, client %d: %v", name, grown, which, err)
				}
				if shorter && (err == nil || !strings.Contains(err.Error(), "20 entries and there are only 19 here")) {
					t.Errorf("%s: %v", name, err)
				}
				if client.Pin() != pin {
					t.Errorf("%s: the pin moved to another history", name)
				}
			}
		}
	}
}

func TestPinFollowsGrowthAndSuffersLag(t *testing.T) {
	ctx := context.Background()
	f, c := newFake(t)
	fill(f)
	for i := range 40 {
		if _, err := c.Verify(ctx, "k1", VerifyOptions{NoValue: true}); err != nil {
			t.Fatal(err)
		}
		if pin := c.Pin(); pin.Size != uint64(len(f.all)) {
			t.Fatalf("pinned %d of %d entries", pin.Size, len(f.all))
		}
		// A node behind the one asked before proves in a smaller tree of the same history.
		f.lag = uint64(i % 11)
		pin := c.Pin()
		if e, err := c.Verify(ctx, "k1", VerifyOptions{NoValue: true}); err != nil || !e.Pinned {
			t.Fatalf("lagging %d: %v", f.lag, err)
		}
		if c.Pin() != pin {
			t.Fatal("the pin went back")
		}
		f.lag = 0
		for j := range i % 5 {
			f.add(OpPut, fmt.Sprint("later", i, j), "x", "")
		}
	}
}

func TestConsistencyProofIsChecked(t *testing.T) {
	ctx := context.Background()
	f, c := newFake(t)
	fill(f)
	if _, err := c.Verify(ctx, "k1", VerifyOptions{}); err != nil {
		t.Fatal(err)
	}
	pin := c.Pin()
	f.add(OpPut, "later", "x", "")
	for name, change := range map[string]func(doc map[string]any){
		"empty":      func(doc map[string]any) { doc["proof"] = []any{} },
		"null":       func(doc map[string]any) { doc["proof"] = nil },
		"other from": func(doc map[string]any) { doc["from"] = 3 },
		"other to":   func(doc map[string]any) { doc["to"] = 30 },
		"no hash":    func(doc map[string]any) { doc["proof"].([]any)[0] = "zz" },
		"wrong hash": func(doc map[string]any) { doc["proof"].([]any)[0] = strings.Repeat("ab", 32) },
		"short":      func(doc map[string]any) { doc["proof"] = doc["proof"].([]any)[1:] },
		"long":       func(doc map[string]any) { doc["proof"] = slices.Repeat(doc["proof"].([]any), 40) },
	} {
		f.tamper = func(path string, doc map[string]any) {
			if path == "/v1/proof/consistency" {
				change(doc)
			}
		}
		if e, err := c.Verify(ctx, "k1", VerifyOptions{}); err == nil || e.Pinned || c.Pin() != pin {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.tamper = func(path string, doc map[string]any) {
		if strings.HasPrefix(path, "/verify/") {
			l := ledgerOf(doc)
			l["checkpoint"] = "another.test" + strings.TrimPrefix(l["checkpoint"].(string), origin)
		}
	}
	var fork *ForkError
	if _, err := c.Verify(ctx, "k1", VerifyOptions{}); !errors.As(err, &fork) {
		t.Errorf("another origin: %v", err)
	}
}

func TestVerifyConcurrently(t *testing.T) {
	f, c := newFake(t)
	fill(f)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				f.add(OpPut, fmt.Sprint("c", i, j), "x", "")
				if _, err := c.Verify(context.Background(), fmt.Sprint("c", i, j), VerifyOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	e, err := c.Verify(context.Background(), "k1", VerifyOptions{})
	if err != nil || !e.Pinned || c.Pin().Size != 100 {
		t.Fatal(c.Pin(), err)
	}
}

// FuzzParseProof: no document panics or is held beyond its bounds, and what parses is checked without a panic.
func FuzzParseProof(f *testing.F) {
	fk := &fake{}
	fk.add(OpPut, "a", "1", "text/plain")
	fk.add(OpPut, "k\xff", "2", "")
	fk.add(OpDelete, "a", "", "")
	fk.sealed = 2
	for i := range fk.all {
		doc, err := json.Marshal(fk.proof(&fk.all[i]))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"key":"a","seq":0,"record":"","ledger":{"index":0,"tree_size":1,"proof":[],"checkpoint":""}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProof(data)
		if err != nil {
			var refused *ProofError
			if !errors.As(err, &refused) || p != nil {
				t.Fatalf("%v", err)
			}
			return
		}
		if len(p.Record) > tlog.MaxRecordBytes || len(p.Ledger.Proof) > maxProofHashes {
			t.Fatal("beyond the bounds of a proof")
		}
		e, err := p.Check(Claim{Key: p.Key})
		if err != nil {
			return
		}
		// What is accepted is in the ledger tree by a second reckoning, from the leaf up.
		if e.Leaf != merkle.LeafHash(p.Record) || !bytes.Contains(data, []byte(hex.EncodeToString(e.Checkpoint.Root[:]))) {
			t.Fatalf("accepted %+v", e)
		}
	})
}

// FuzzParseConsistency: the same for consistency proofs.
func FuzzParseConsistency(f *testing.F) {
	h := strings.Repeat("ab", 32)
	f.Add([]byte(`{"from":3,"to":9,"to_root":"`+h+`","proof":["`+h+`"]}`), uint64(3), uint64(9))
	f.Add([]byte(`{"from":3}`), uint64(3), uint64(9))
	f.Fuzz(func(t *testing.T, data []byte, from, to uint64) {
		hashes, err := parseConsistency(data, from, to)
		if err != nil {
			return
		}
		if len(hashes) > maxProofHashes {
			t.Fatal("beyond the bounds of a proof")
		}
		if err := merkle.VerifyConsistency(from, to, merkle.Hash{1}, merkle.Hash{2}, hashes); err == nil && from != 0 {
			t.Fatal("made-up roots are consistent")
		}
	})
}
