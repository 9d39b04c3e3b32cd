package tlog_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	"pgregory.net/rapid"
)

// withValue sets a record's value fields.
func withValue(r tlog.Record, value []byte) tlog.Record {
	r.ValueSize, r.ValueHash = uint64(len(value)), sha256.Sum256(value)
	return r
}

// goldenRecords are the records of testdata/records.golden.
func goldenRecords() map[string]tlog.Record {
	d := tlog.Descriptor{FirstSeq: 0, LastSeq: 255, Entries: 256, Root: merkle.LeafHash([]byte("root"))}
	bytes256 := make([]byte, 256)
	for i := range bytes256 {
		bytes256[i] = byte(i)
	}
	return map[string]tlog.Record{
		"put": withValue(tlog.Record{Op: tlog.OpPut, Seq: 12, Time: 1795341600000001, Key: []byte("a"),
			ContentType: "text/plain", Principal: "alice"}, []byte("b")),
		"empty value": withValue(tlog.Record{Op: tlog.OpPut, Key: []byte("k")}, nil),
		"binary key": withValue(tlog.Record{Op: tlog.OpPut, Seq: ^uint64(0), Time: -1,
			Key: bytes.Repeat([]byte("\x00\xff/\n"), 1024), ContentType: strings.Repeat("c", 255),
			Principal: strings.Repeat("p", 255)}, bytes.Repeat(bytes256, 4)),
		"delete": withValue(tlog.Record{Op: tlog.OpDelete, Seq: 13, Time: 1795341600000002, Key: []byte("a"),
			Principal: "alice"}, nil),
		"segment": withValue(tlog.Record{Op: tlog.OpSegment, Seq: 256, Time: 1795341600000003,
			Key: []byte(d.ID())}, d.Append(nil)),
	}
}

// golden reads testdata/records.golden.
func golden(t testing.TB) (names []string, records, leaves [][]byte) {
	text, err := os.ReadFile("testdata/records.golden")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(strings.TrimSpace(line), ": ")
		record, leaf, _ := strings.Cut(rest, " ")
		r, err1 := hex.DecodeString(record)
		l, err2 := hex.DecodeString(leaf)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		names, records, leaves = append(names, name), append(records, r), append(leaves, l)
	}
	return names, records, leaves
}

func TestGoldenRecords(t *testing.T) {
	want := goldenRecords()
	names, records, leaves := golden(t)
	if len(names) != len(want) {
		t.Errorf("%d golden records, want %d", len(names), len(want))
	}
	for i, name := range names {
		r := want[name]
		got, err := tlog.AppendRecord([]byte("before"), &r)
		if err != nil || !bytes.Equal(got, append([]byte("before"), records[i]...)) {
			t.Errorf("%s: encoded as %x, %v, want %x", name, got, err, records[i])
		}
		if leaf := r.LeafHash(); !bytes.Equal(leaf[:], leaves[i]) {
			t.Errorf("%s: leaf %s, want %x", name, leaf, leaves[i])
		}
		parsed, err := tlog.ParseRecord(records[i])
		if err != nil || !reflect.DeepEqual(parsed, r) {
			t.Errorf("%s: parsed as %+v, %v, want %+v", name, parsed, err, r)
		}
	}
}

func drawRecord(t *rapid.T) tlog.Record {
	r := tlog.Record{
		Op:   rapid.SampledFrom([]tlog.Op{tlog.OpPut, tlog.OpDelete, tlog.OpSegment}).Draw(t, "op"),
		Seq:  rapid.Uint64().Draw(t, "seq"),
		Time: rapid.Int64().Draw(t, "time"),
	}
	if r.Op == tlog.OpSegment {
		last := rapid.Uint64().Draw(t, "last")
		d := tlog.Descriptor{FirstSeq: rapid.Uint64Range(0, last).Draw(t, "first"), LastSeq: last}
		r.Key = []byte(d.ID())
		return withValue(r, d.Append(nil))
	}
	r.Key = rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "key")
	if rapid.IntRange(0, 9).Draw(t, "long key") == 0 {
		r.Key = bytes.Repeat([]byte{'k'}, tlog.MaxKeyBytes)
	}
	r.ContentType = string(rapid.SliceOfN(rapid.Byte(), 0, tlog.MaxContentTypeBytes).Draw(t, "content type"))
	r.Principal = string(rapid.SliceOfN(rapid.Byte(), 0, tlog.MaxPrincipalBytes).Draw(t, "principal"))
	if r.Op == tlog.OpPut {
		return withValue(r, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value"))
	}
	return withValue(r, nil)
}

// A record survives its encoding; cut short, extended or with any bit changed it is refused, or is another record that
// has just those bytes for its encoding.
func TestRecordHasOneEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		b, err := tlog.AppendRecord(nil, &r)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > tlog.MaxRecordBytes {
			t.Fatalf("record of %d bytes", len(b))
		}
		got, err := tlog.ParseRecord(b)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("parsed as %+v, %v, want %+v", got, err, r)
		}
		if r.LeafHash() != merkle.LeafHash(b) {
			t.Fatal("the leaf hash is not that of the encoding")
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := tlog.ParseRecord(b[:cut]); !errors.Is(err, tlog.ErrMalformed) {
			t.Fatalf("cut to %d bytes: %v", cut, err)
		}
		if _, err := tlog.ParseRecord(append(bytes.Clone(b), 0)); !errors.Is(err, tlog.ErrMalformed) {
			t.Fatalf("with a byte more: %v", err)
		}
		for bit := range 8 * len(b) {
			b[bit/8] ^= 1 << (bit % 8)
			if other, err := tlog.ParseRecord(b); err == nil {
				again, err := tlog.AppendRecord(nil, &other)
				if err != nil || !bytes.Equal(again, b) {
					t.Fatalf("bit %d flipped: %x is read, but written as %x, %v", bit, b, again, err)
				}
			} else if !errors.Is(err, tlog.ErrMalformed) {
				t.Fatalf("bit %d flipped: %v", bit, err)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
	})
}

func TestImpossibleRecords(t *testing.T) {
	valid := goldenRecords()
	for _, c := range []struct {
		name, from string
		change     func(*tlog.Record)
	}{
		{"no key", "put", func(r *tlog.Record) { r.Key = nil }},
		{"long key", "put", func(r *tlog.Record) { r.Key = make([]byte, tlog.MaxKeyBytes+1) }},
		{"key that wraps its length", "put", func(r *tlog.Record) { r.Key = make([]byte, 1<<16+1) }},
		{"long content type", "put", func(r *tlog.Record) { r.ContentType = strings.Repeat("c", 256) }},
		{"long principal", "put", func(r *tlog.Record) { r.Principal = strings.Repeat("p", 256) }},
		{"no value hash", "put", func(r *tlog.Record) { r.ValueHash = merkle.Hash{} }},
		{"hash of another value", "empty value", func(r *tlog.Record) { r.ValueHash[0]++ }},
		{"op 0", "put", func(r *tlog.Record) { r.Op = 0 }},
		{"op 4", "put", func(r *tlog.Record) { r.Op = 4 }},
		{"delete with a value", "put", func(r *tlog.Record) { r.Op = tlog.OpDelete }},
		{"segment with a key that is no id", "segment", func(r *tlog.Record) { r.Key = []byte("a") }},
		{"segment with a content type", "segment", func(r *tlog.Record) { r.ContentType = "a/b" }},
		{"segment with a principal", "segment", func(r *tlog.Record) { r.Principal = "alice" }},
		{"segment with a short value", "segment", func(r *tlog.Record) { r.ValueSize-- }},
	} {
		r := valid[c.from]
		c.change(&r)
		if err := r.Check(); !errors.Is(err, tlog.ErrRecord) {
			t.Errorf("%s: Check gives %v", c.name, err)
		}
		if b, err := tlog.AppendRecord([]byte("dst"), &r); !errors.Is(err, tlog.ErrRecord) || string(b) != "dst" {
			t.Errorf("%s: AppendRecord gives %q, %v", c.name, b, err)
		}
		if leaf := r.LeafHash(); leaf != (merkle.Hash{}) {
			t.Errorf("%s: leaf %s", c.name, leaf)
		}
	}
	_, records, _ := golden(t)
	for _, version := range []byte{0, 2, 255} {
		records[0][0] = version
		if _, err := tlog.ParseRecord(records[0]); !errors.Is(err, tlog.ErrMalformed) {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

func TestLeafHashAllocatesNothing(t *testing.T) {
	r := goldenRecords()["put"]
	if n := testing.AllocsPerRun(100, func() { r.LeafHash() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseRecord(f *testing.F) {
	_, records, _ := golden(f)
	for _, b := range records {
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := tlog.ParseRecord(b)
		if err != nil {
			if !errors.Is(err, tlog.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		again, err := tlog.AppendRecord(nil, &r)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is read, but written as %x, %v", b, again, err)
		}
	})
}
