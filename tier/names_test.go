package tier_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
)

func drawHash(t *rapid.T) (h merkle.Hash) {
	copy(h[:], rapid.SliceOfN(rapid.Byte(), len(h), len(h)).Draw(t, "hash"))
	return h
}

func TestNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint64().Draw(t, "first")
		last := rapid.Uint64Min(first).Draw(t, "last")
		root := drawHash(t)
		name := tier.SegmentName(first, last, root)
		p, err := tier.ParseSegmentName(name)
		if err != nil || p.FirstSeq != first || p.LastSeq != last || !bytes.Equal(p.Root[:], root[:8]) {
			t.Fatalf("%s: %+v, %v", name, p, err)
		}
		tile := merkle.Tile{Level: rapid.IntRange(-1, 7).Draw(t, "level"), Index: rapid.Uint64().Draw(t, "index"),
			Width: rapid.IntRange(1, 256).Draw(t, "width")}
		got, err := tier.ParseTileName(tier.TileName(tile))
		if err != nil || got != tile {
			t.Fatalf("%s: %+v, %v", tier.TileName(tile), got, err)
		}
		if v, err := tier.ParseManifestName(tier.ManifestName(first, root)); err != nil || v.TreeSize != first ||
			!bytes.Equal(v.SHA256[:], root[:8]) {
			t.Fatal(v, err)
		}
		if v, err := tier.ParseCheckpointName(tier.CheckpointNameAt(last)); err != nil || v != last {
			t.Fatal(v, err)
		}
		if first < last && (tier.ManifestName(first, root) >= tier.ManifestName(last, merkle.Hash{}) ||
			tier.CheckpointNameAt(first) >= tier.CheckpointNameAt(last)) {
			t.Fatal("names do not sort as numbers do")
		}
		for _, key := range []string{name, tier.TileName(tile), tier.ManifestName(first, root), tier.CheckpointNameAt(last)} {
			if err := tier.CheckKey(key); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzNames: a name that is read is written the same again, so that no two names mean one object.
func FuzzNames(f *testing.F) {
	f.Add(tier.SegmentName(1, 2, merkle.Hash{1}))
	f.Add(tier.TileName(merkle.Tile{Level: 1, Index: 1234567, Width: 5}))
	f.Add(tier.ManifestName(17, merkle.Hash{1}))
	f.Add(tier.CheckpointNameAt(1 << 63))
	f.Add("segments/0000000000000001-0000000000000002-0100000000000000.seg.seg")
	f.Add("manifests/+0000000000000000017-0100000000000000.manifest")
	f.Fuzz(func(t *testing.T, name string) {
		if p, err := tier.ParseSegmentName(name); err == nil {
			var root merkle.Hash
			copy(root[:], p.Root[:])
			if got := tier.SegmentName(p.FirstSeq, p.LastSeq, root); got != name {
				t.Fatalf("%q is %q", name, got)
			}
		}
		if tile, err := tier.ParseTileName(name); err == nil && tier.TileName(tile) != name {
			t.Fatalf("%q is %q", name, tier.TileName(tile))
		}
		if v, err := tier.ParseManifestName(name); err == nil {
			var sum merkle.Hash
			copy(sum[:], v.SHA256[:])
			if got := tier.ManifestName(v.TreeSize, sum); got != name {
				t.Fatalf("%q is %q", name, got)
			}
		}
		if v, err := tier.ParseCheckpointName(name); err == nil && tier.CheckpointNameAt(v) != name {
			t.Fatalf("%q is %q", name, tier.CheckpointNameAt(v))
		}
	})
}

func TestSegmentMetadata(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := func(label string) []byte {
			return rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 0, 10),
				rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0xfe, 0xff}), 250, 300),
				rapid.Just(bytes.Repeat([]byte{0xff}, 4096))).Draw(t, label)
		}
		m := tier.SegmentMetadata{FirstSeq: rapid.Uint64().Draw(t, "first"), Entries: rapid.Uint64().Draw(t, "entries"),
			Root: drawHash(t), MetaOffset: rapid.Int64Min(0).Draw(t, "offset"), MinKey: key("min"), MaxKey: key("max")}
		m.LastSeq = rapid.Uint64Min(m.FirstSeq).Draw(t, "last")
		meta := m.Metadata()
		if err := meta.Check(); err != nil {
			t.Fatal(err)
		}
		got, err := tier.ParseSegmentMetadata(meta)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Compare(got.MinKey, m.MinKey) > 0 || got.MaxKey != nil && bytes.Compare(got.MaxKey, m.MaxKey) < 0 {
			t.Fatalf("%x to %x do not bound %x to %x", got.MinKey, got.MaxKey, m.MinKey, m.MaxKey)
		}
		if len(m.MinKey) <= 256 && !bytes.Equal(got.MinKey, m.MinKey) ||
			len(m.MaxKey) <= 256 && !bytes.Equal(got.MaxKey, m.MaxKey) {
			t.Fatal("short keys are not kept as they are")
		}
		got.MinKey, got.MaxKey, m.MinKey, m.MaxKey = nil, nil, nil, nil
		if got.FirstSeq != m.FirstSeq || got.LastSeq != m.LastSeq || got.Entries != m.Entries || got.Root != m.Root ||
			got.MetaOffset != m.MetaOffset {
			t.Fatalf("%+v is %+v", m, got)
		}
	})
}

// FuzzSegmentMetadata gives the parser lines of "name=value".
func FuzzSegmentMetadata(f *testing.F) {
	m := tier.SegmentMetadata{FirstSeq: 1, LastSeq: 9, Entries: 9, MetaOffset: 4711,
		MinKey: []byte("a"), MaxKey: []byte("b")}
	var lines []string
	for name, value := range m.Metadata() {
		lines = append(lines, name+"="+value)
	}
	f.Add(strings.Join(lines, "\n"))
	f.Fuzz(func(t *testing.T, s string) {
		in := tier.Metadata{}
		for line := range strings.Lines(s) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			in[name] = value
		}
		m, err := tier.ParseSegmentMetadata(in)
		if err != nil {
			return
		}
		again, err := tier.ParseSegmentMetadata(m.Metadata())
		if err != nil || !maps.Equal(again.Metadata(), m.Metadata()) {
			t.Fatalf("%+v is %+v, %v", m, again, err)
		}
	})
}

func FuzzCacheTable(f *testing.F) {
	f.Add(binary.LittleEndian.AppendUint64(nil, 1), uint32(0))
	f.Add(tier.CacheTable(3), uint32(tier.CacheTableAt(3)))
	f.Fuzz(func(t *testing.T, b []byte, at uint32) {
		if n, ok := tier.ParseCacheTable(b, at); ok && n > len(b) {
			t.Fatal(n)
		}
	})
}
