package ledger

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

func drawCommand(t *rapid.T) *Command {
	text := func(n int, label string) string {
		return string(rapid.SliceOfN(rapid.Byte(), 0, n).Draw(t, label))
	}
	cmd := &Command{Principal: text(MaxPrincipalBytes, "principal"), IdempotencyKey: text(MaxIdempotencyBytes, "key")}
	if cmd.IdempotencyKey != "" {
		copy(cmd.RequestHash[:], text(merkle.HashSize, "request"))
	}
	for range rapid.IntRange(1, 5).Draw(t, "ops") {
		op := WriteOp{Op: tlog.OpPut, Key: rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "key")}
		if rapid.Bool().Draw(t, "delete") {
			op.Op = tlog.OpDelete
		} else {
			op.ContentType = text(MaxContentTypeBytes, "content type")
			op.Value = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "value")
		}
		for range rapid.IntRange(0, maxConditions).Draw(t, "conditions") {
			op.Conditions = append(op.Conditions, Condition{
				Kind: rapid.SampledFrom([]ConditionKind{IfMatch, IfNoneMatch}).Draw(t, "kind"),
				Any:  rapid.Bool().Draw(t, "any"),
				Seqs: rapid.SliceOfN(rapid.Uint64(), 0, maxConditionSeqs).Draw(t, "seqs"),
			})
		}
		cmd.Ops = append(cmd.Ops, op)
	}
	return cmd
}

// drawFindings draws what Check may find for a command, or nothing.
func drawFindings(t *rapid.T, cmd *Command) (f Findings) {
	n := asking(cmd.Ops)
	if n == 0 || !rapid.Bool().Draw(t, "checked") {
		return f
	}
	f.Size = rapid.Uint64Range(1, math.MaxUint64).Draw(t, "size")
	for range n {
		var x Finding
		if x.Exists = rapid.Bool().Draw(t, "exists"); x.Exists {
			x.Live, x.Seq = rapid.Bool().Draw(t, "live"), rapid.Uint64Range(0, f.Size-1).Draw(t, "version")
		}
		f.Newest = append(f.Newest, x)
	}
	return f
}

// plain makes empty and missing slices alike, which the encoding does not tell apart.
func plain(cmd Command) Command {
	ops := make([]WriteOp, len(cmd.Ops))
	for i, op := range cmd.Ops {
		ops[i] = WriteOp{Op: op.Op, Key: append([]byte{}, op.Key...), ContentType: op.ContentType,
			Value: append([]byte{}, op.Value...)}
		for _, c := range op.Conditions {
			c.Seqs = append([]uint64{}, c.Seqs...)
			ops[i].Conditions = append(ops[i].Conditions, c)
		}
	}
	cmd.Ops = ops
	return cmd
}

func TestCommandRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cmd := drawCommand(t)
		bare, err := EncodeWrite(cmd)
		if err != nil {
			t.Fatal(err)
		}
		found := drawFindings(t, cmd)
		data, err := EncodeFound(cmd, found)
		if err != nil || !bytes.HasPrefix(data, bare) || len(found.Newest) == 0 && len(data) != len(bare) {
			t.Fatalf("%d bytes with findings, %d without, %v", len(data), len(bare), err)
		}
		at := rapid.Int64Range(0, math.MaxInt64).Draw(t, "time")
		StampTime(data, at)
		c, err := decodeCommand(data)
		if err != nil {
			t.Fatal(err)
		}
		if c.kind != kindWrite || c.time != at || !reflect.DeepEqual(plain(c.write), plain(*cmd)) ||
			!reflect.DeepEqual(c.found, found) {
			t.Fatalf("encoded %+v at %d, decoded %+v at %d", *cmd, at, c.write, c.time)
		}
		if cut := rapid.IntRange(0, len(data)-1).Draw(t, "cut"); cut != len(bare) {
			if _, err := decodeCommand(data[:cut]); !errors.Is(err, errCommand) {
				t.Fatalf("%d of %d bytes decode: %v", cut, len(data), err)
			}
		}
		if _, err := decodeCommand(append(data, 0)); !errors.Is(err, errCommand) {
			t.Fatalf("a byte too many decodes: %v", err)
		}
	})
}

func TestOwnCommandsRoundTrip(t *testing.T) {
	for _, first := range []uint64{0, 7, sealAny} {
		if c, err := decodeCommand(encodeSeal(first)); err != nil || c.kind != kindSeal || c.first != first {
			t.Errorf("seal of %d decodes as %+v, %v", first, c, err)
		}
	}
	d := tlog.Descriptor{FirstSeq: 3, LastSeq: 9, Entries: 7, Root: merkle.Hash{1}}
	if c, err := decodeCommand(encodeRecord(d)); err != nil || c.kind != kindRecord || c.desc != d {
		t.Errorf("record of %+v decodes as %+v, %v", d, c, err)
	}
	check := RootCheck{Size: 12, Root: merkle.Hash{2}}
	if c, err := decodeCommand(encodeCheck(check)); err != nil || c.kind != kindCheck || c.check != check {
		t.Errorf("check of %+v decodes as %+v, %v", check, c, err)
	}
	span := manifest.Range{FirstSeq: 3, LastSeq: 12}
	if c, err := decodeCommand(encodeMerge(span)); err != nil || c.kind != kindMerge || c.merge != span {
		t.Errorf("merge of %+v decodes as %+v, %v", span, c, err)
	}
	object := tiered{span, merkle.Hash{3}, manifest.Object{Name: "o", Bytes: 9, SHA256: merkle.Hash{4}, MetaOffset: 8}}
	if c, err := decodeCommand(encodeTiered(&object)); err != nil || c.kind != kindTiered || c.tiered != object {
		t.Errorf("tiered %+v decodes as %+v, %v", object, c, err)
	}
	for name, spoil := range map[string]func(*tiered){
		"nameless":  func(t *tiered) { t.object.Name = "" },
		"long name": func(t *tiered) { t.object.Name = string(make([]byte, manifest.MaxObjectNameBytes+1)) },
		"all meta":  func(t *tiered) { t.object.MetaOffset = 9 },
	} {
		bad := object
		spoil(&bad)
		if c, err := decodeCommand(encodeTiered(&bad)); !errors.Is(err, errCommand) {
			t.Errorf("a %s object decodes as %+v, %v", name, c, err)
		}
	}
	if !bytes.Equal(SealNow(), encodeSeal(sealAny)) {
		t.Error("SealNow is not a seal of anything")
	}
}

// TestEncodeWriteRefuses holds EncodeWrite to the limits, at them and one beyond.
func TestEncodeWriteRefuses(t *testing.T) {
	put := func(change func(*WriteOp)) Command {
		op := WriteOp{Op: tlog.OpPut, Key: []byte("k")}
		change(&op)
		return Command{Ops: []WriteOp{op}}
	}
	one := put(func(*WriteOp) {}).Ops
	long := func(n int) string { return string(make([]byte, n)) }
	batch := func(n int) Command {
		c := Command{}
		for range n {
			c.Ops = append(c.Ops, one[0])
		}
		return c
	}
	seqs := func(n int) Command {
		return put(func(op *WriteOp) { op.Conditions = []Condition{{Kind: IfMatch, Seqs: make([]uint64, n)}} })
	}
	for name, c := range map[string]struct {
		good, bad Command
	}{
		"ops":    {batch(MaxBatchOps), batch(MaxBatchOps + 1)},
		"no ops": {batch(1), batch(0)},
		"key": {put(func(op *WriteOp) { op.Key = make([]byte, MaxKeyBytes) }),
			put(func(op *WriteOp) { op.Key = make([]byte, MaxKeyBytes+1) })},
		"no key": {put(func(op *WriteOp) { op.Key = []byte{0} }), put(func(op *WriteOp) { op.Key = nil })},
		"content type": {put(func(op *WriteOp) { op.ContentType = long(255) }),
			put(func(op *WriteOp) { op.ContentType = long(256) })},
		"principal":       {Command{Ops: one, Principal: long(255)}, Command{Ops: one, Principal: long(256)}},
		"idempotency key": {Command{Ops: one, IdempotencyKey: long(64)}, Command{Ops: one, IdempotencyKey: long(65)}},
		"op":              {put(func(op *WriteOp) { op.Op = tlog.OpDelete }), put(func(op *WriteOp) { op.Op = tlog.OpSegment })},
		"deleted value": {put(func(op *WriteOp) { op.Op = tlog.OpDelete }),
			put(func(op *WriteOp) { op.Op, op.Value = tlog.OpDelete, []byte("v") })},
		"conditions": {put(func(op *WriteOp) { op.Conditions = make([]Condition, 0) }),
			put(func(op *WriteOp) { op.Conditions = []Condition{{Kind: IfMatch}, {Kind: IfMatch}, {Kind: IfMatch}} })},
		"condition kind": {put(func(op *WriteOp) { op.Conditions = []Condition{{Kind: IfNoneMatch}} }),
			put(func(op *WriteOp) { op.Conditions = []Condition{{Kind: 3}} })},
		"condition seqs": {seqs(maxConditionSeqs), seqs(maxConditionSeqs + 1)},
	} {
		data, err := EncodeWrite(&c.good)
		if err != nil {
			t.Errorf("%s: at the limit: %v", name, err)
		} else if _, err := decodeCommand(data); err != nil {
			t.Errorf("%s: at the limit, decoded: %v", name, err)
		}
		if _, err := EncodeWrite(&c.bad); err == nil {
			t.Errorf("%s: beyond the limit is encoded", name)
		}
	}
}

// TestFindingsRefused: findings that Check cannot have made of the command are neither encoded nor decoded.
func TestFindingsRefused(t *testing.T) {
	put := WriteOp{Op: tlog.OpPut, Key: []byte("k")}
	del := WriteOp{Op: tlog.OpDelete, Key: []byte("k")}
	live := func(seq uint64) Finding { return Finding{Exists: true, Live: true, Seq: seq} }
	for name, c := range map[string]struct {
		ops   []WriteOp
		found Findings
		bytes []byte // behind the ops, as an encoder without checks makes it
		good  bool
	}{
		"good":             {[]WriteOp{put, del}, Findings{7, []Finding{live(6)}}, []byte{1, 7, 2, 6}, true},
		"tombstone":        {[]WriteOp{del, put}, Findings{7, []Finding{{Exists: true}}}, []byte{1, 7, 1, 0}, true},
		"nothing":          {[]WriteOp{del}, Findings{Size: 1, Newest: []Finding{{}}}, []byte{1, 1, 0}, true},
		"beyond":           {[]WriteOp{put, del}, Findings{7, []Finding{live(7)}}, []byte{1, 7, 2, 7}, false},
		"too many":         {[]WriteOp{put, del}, Findings{7, []Finding{{}, {}}}, []byte{1, 7, 0, 0}, false},
		"too few":          {[]WriteOp{del, del}, Findings{7, []Finding{{}}}, []byte{1, 7, 0}, false},
		"of what asks not": {[]WriteOp{put}, Findings{7, []Finding{{}}}, []byte{1, 7, 0}, false},
		"of no entries":    {[]WriteOp{del}, Findings{0, []Finding{{}}}, []byte{1, 0, 0}, false},
		"unknown version":  {[]WriteOp{del}, Findings{}, []byte{2, 7, 0}, false},
		"unknown state":    {[]WriteOp{del}, Findings{}, []byte{1, 7, 3, 0}, false},
		"no size":          {[]WriteOp{del}, Findings{}, []byte{1}, false},
	} {
		bare, err := EncodeWrite(&Command{Ops: c.ops})
		if err != nil {
			t.Fatal(err)
		}
		want := append(bytes.Clone(bare), c.bytes...)
		if got, err := EncodeFound(&Command{Ops: c.ops}, c.found); len(c.found.Newest) > 0 &&
			(c.good && !bytes.Equal(got, want) || c.good != (err == nil) || !c.good && !errors.Is(err, errFindings)) {
			t.Errorf("%s: encoded as %x, %v, want %x", name, got, err, want)
		}
		switch got, err := decodeCommand(want); {
		case c.good && (err != nil || !reflect.DeepEqual(got.found, c.found)):
			t.Errorf("%s: decoded as %+v, %v", name, got.found, err)
		case !c.good && !errors.Is(err, errCommand):
			t.Errorf("%s: decoded as %+v, %v", name, got.found, err)
		}
	}
}

// allocated is how many bytes fn allocates, at most: other goroutines count too.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzDecodeCommand(f *testing.F) {
	full := Command{Principal: "app", IdempotencyKey: "id", RequestHash: merkle.Hash{1}, Ops: []WriteOp{
		{Op: tlog.OpPut, Key: []byte("k"), ContentType: "text/plain", Value: []byte("v"),
			Conditions: []Condition{{Kind: IfMatch, Seqs: []uint64{1, 2}}, {Kind: IfNoneMatch, Any: true}}},
		{Op: tlog.OpDelete, Key: []byte("k")},
	}}
	for _, cmd := range []Command{full, {Ops: full.Ops[1:]}} {
		for _, found := range []Findings{{}, {9, []Finding{{true, true, 8}, {}}[:len(cmd.Ops)]}} {
			data, err := EncodeFound(&cmd, found)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add(encodeSeal(sealAny))
	f.Add(encodeMerge(manifest.Range{FirstSeq: 3, LastSeq: 12}))
	f.Add(encodeTiered(&tiered{object: manifest.Object{Name: "o", Bytes: 2, MetaOffset: 1}}))
	f.Add(encodeRecord(tlog.Descriptor{FirstSeq: 1, LastSeq: 2, Entries: 2}))
	f.Add(encodeCheck(RootCheck{Size: 1 << 40}))
	f.Add(append(make([]byte, commandHeaderBytes), 0xff))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c command
		var err error
		if n := allocated(func() { c, err = decodeCommand(data) }); n > uint64(len(data))+1<<20 {
			t.Fatalf("%d bytes allocated for %d", n, len(data))
		}
		if err != nil {
			if !errors.Is(err, errCommand) {
				t.Fatalf("error is not errCommand: %v", err)
			}
			return
		}
		if c.kind != kindWrite {
			return
		}
		again, err := EncodeFound(&c.write, c.found)
		if err != nil {
			t.Fatalf("what was decoded does not encode: %v", err)
		}
		StampTime(again, c.time)
		back, err := decodeCommand(again)
		if err != nil || !reflect.DeepEqual(back, c) {
			t.Fatalf("decoded %+v, then %+v, %v", c, back, err)
		}
	})
}

// TestDecodeCommandIsBounded feeds the counts that promise the most for the fewest bytes.
func TestDecodeCommandIsBounded(t *testing.T) {
	small := Command{}
	for range 5_000 {
		small.Ops = append(small.Ops, WriteOp{Op: tlog.OpPut, Key: []byte("k"),
			Conditions: []Condition{{Kind: IfMatch}, {Kind: IfMatch}}})
	}
	wide := Command{}
	for range 1_000 {
		wide.Ops = append(wide.Ops, WriteOp{Op: tlog.OpPut, Key: []byte("k"),
			Conditions: []Condition{{Kind: IfMatch, Seqs: make([]uint64, maxConditionSeqs)}}})
	}
	for name, cmd := range map[string]*Command{"many conditions": &small, "many tags": &wide} {
		data, err := EncodeWrite(cmd)
		if err != nil {
			t.Fatal(err)
		}
		if n := allocated(func() { _, err = decodeCommand(data) }); err != nil || n > uint64(len(data))+1<<20 {
			t.Errorf("%s: %d bytes allocated for %d, %v", name, n, len(data), err)
		}
	}
}
