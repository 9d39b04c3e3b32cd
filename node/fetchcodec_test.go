package node

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
)

func drawBulk(t *rapid.T) bulkFrame {
	f := bulkFrame{kind: rapid.SampledFrom([]bulkKind{1, 2, 3, 4, 5}).Draw(t, "kind"), id: rapid.Uint64().Draw(t, "id")}
	data := func() []byte { return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data") }
	number := func(most uint64) uint64 { return rapid.Uint64Range(0, most).Draw(t, "number") }
	switch f.kind {
	case bulkManifestRequest:
		f.sum, f.offset = number(1<<64-1), number(1<<64-1)
	case bulkManifest:
		f.index, f.sum, f.data = number(1<<64-1), number(1<<64-1), data()
		f.offset = number(1 << 20)
		f.total = f.offset + uint64(len(f.data)) + number(1<<20)
	case bulkChunkRequest:
		f.length = uint32(1 + number(maxChunkBytes-1))
		f.offset = number(1 << 63)
		f.part = ledger.SegmentPart{FirstSeq: number(1 << 62), Bytes: f.offset + uint64(f.length) + number(1<<20),
			Root: merkle.Hash{byte(number(255))}}
		f.part.LastSeq = f.part.FirstSeq + number(1<<62)
	case bulkChunk:
		f.offset, f.data = number(1<<64-1), data()
	}
	return f
}

func TestBulkRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawBulk(t)
		b := f.encode()
		got, err := parseBulk(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.data) == 0 {
			f.data, got.data = nil, nil
		}
		if !reflect.DeepEqual(got, f) {
			t.Fatalf("parsed %+v, want %+v", got, f)
		}
		hasData := f.kind == bulkManifest || f.kind == bulkChunk
		if _, err := parseBulk(append(bytes.Clone(b), 0)); err == nil && !hasData {
			t.Fatal("a byte too many is taken")
		}
		if cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut"); cut < len(b)-len(f.data) {
			if _, err := parseBulk(b[:cut]); err == nil {
				t.Fatalf("%d of %d bytes are taken", cut, len(b))
			}
		}
	})
}

// TestBulkBounds: what is out of bounds is no frame.
func TestBulkBounds(t *testing.T) {
	part := ledger.SegmentPart{FirstSeq: 1, LastSeq: 2, Bytes: 100}
	for name, f := range map[string]bulkFrame{
		"chunk beyond the end":    {kind: bulkChunkRequest, part: part, offset: 1, length: 100},
		"chunk that overflows":    {kind: bulkChunkRequest, part: part, offset: 1<<64 - 10, length: 100},
		"chunk of nothing":        {kind: bulkChunkRequest, part: part},
		"chunk too long":          {kind: bulkChunkRequest, part: ledger.SegmentPart{Bytes: 1 << 40}, length: maxChunkBytes + 1},
		"seqs turned":             {kind: bulkChunkRequest, part: ledger.SegmentPart{FirstSeq: 2, LastSeq: 1, Bytes: 9}, length: 1},
		"too much data":           {kind: bulkChunk, data: make([]byte, maxChunkBytes+1)},
		"manifest too long":       {kind: bulkManifest, total: ledger.MaxSnapshotBytes + 1},
		"manifest beyond its end": {kind: bulkManifest, total: 10, offset: 5, data: make([]byte, 6)},
		"manifest that overflows": {kind: bulkManifest, total: 10, offset: 1<<64 - 1, data: make([]byte, 6)},
		"unknown":                 {kind: 6},
		"zero":                    {},
	} {
		if _, err := parseBulk(f.encode()); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := parseBulk(nil); err == nil {
		t.Error("nothing is taken")
	}
}

func FuzzParseBulk(f *testing.F) {
	part := ledger.SegmentPart{FirstSeq: 1, LastSeq: 2, Bytes: 100}
	for _, frame := range []bulkFrame{
		{kind: bulkManifestRequest, id: 1},
		{kind: bulkManifest, id: 2, index: 7, sum: 9, total: 5, data: []byte("hello")},
		{kind: bulkChunkRequest, id: 3, part: part, offset: 10, length: 90},
		{kind: bulkChunk, id: 4, offset: 10, data: []byte("bytes")},
		{kind: bulkRefusal, id: 5},
	} {
		f.Add(frame.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := parseBulk(b)
		if err != nil {
			return
		}
		if !bytes.Equal(frame.encode(), b) {
			t.Fatalf("%x is %+v, which is encoded as %x", b, frame, frame.encode())
		}
	})
}
