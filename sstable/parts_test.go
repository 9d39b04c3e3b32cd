package sstable

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/scribe-ledger/scribe/segfile"
)

// parts is what a segment file is made of, to be changed and put together again with checksums that hold.
type parts struct {
	blocks   [][]byte
	tiles    []byte   // leaf hashes, then ordinals
	parts    [][]byte // of the index: partition, filter, and so on
	sections [5][]byte
}

func takeApart(t testing.TB, m *model) parts {
	t.Helper()
	opts := smallOptions
	opts.Compression = segfile.NoCompression
	file, info := m.build(t, opts)
	r, err := segfile.Open(segfile.NewBytesSource("f", file))
	if err != nil {
		t.Fatal(err)
	}
	var p parts
	for k := uint32(1); k < 5; k++ {
		if p.sections[k], err = r.Section(k); err != nil {
			t.Fatal(err)
		}
	}
	block := func(h segfile.Handle) []byte {
		b, err := r.Block(h, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	leaves, seqs := tileArrays(r.MetaOffset(), info.Entries)
	for _, a := range []tileArray{leaves, seqs} {
		for i := range a.tiles() {
			p.tiles = append(p.tiles, block(a.handle(i))...)
		}
	}
	walk := func(at, end uint64) (out [][]byte) {
		for at < end {
			n := uint64(binary.LittleEndian.Uint32(file[at+5:])) + segfile.BlockOverhead
			out = append(out, block(segfile.Handle{Offset: at, Length: n}))
			at += n
		}
		return out
	}
	p.blocks = walk(0, r.MetaOffset())
	p.parts = walk(seqs.end(), r.BlocksEnd())
	return p
}

func (p *parts) assemble(t testing.TB) []byte {
	t.Helper()
	props, propsErr := parseProperties(p.sections[sectionProperties])
	var buf bytes.Buffer
	w, err := segfile.NewWriter(&buf, segfile.WriterOptions{Compression: segfile.NoCompression, Salt: saltOf(props.ID)})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range p.blocks {
		if _, err := w.AppendBlock(b); err != nil {
			t.Fatal(err)
		}
	}
	w.BeginMeta()
	if n := props.Entries; propsErr == nil && n < 1<<30 && n*(32+ordinalBytes(n)) <= uint64(len(p.tiles)) {
		leaves, seqs := tileArrays(0, n)
		tiles := p.tiles
		for _, a := range []tileArray{leaves, seqs} {
			for i := range a.tiles() {
				k := a.handle(i).Length - segfile.BlockOverhead
				if _, err := w.AppendRaw(tiles[:k]); err != nil {
					t.Fatal(err)
				}
				tiles = tiles[k:]
			}
		}
	}
	for _, b := range p.parts {
		if _, err := w.AppendRaw(b); err != nil {
			t.Fatal(err)
		}
	}
	for k, s := range p.sections[1:] {
		if err := w.AddSection(uint32(k+1), s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestWrongParts changes one thing in a file of two leaf tiles and makes all checksums right again.
func TestWrongParts(t *testing.T) {
	m := tiledModel()
	whole := takeApart(t, m)
	if err := open(t, whole.assemble(t), Options{}).Verify(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	for name, c := range map[string]struct {
		change func(p *parts)
		atOpen bool
	}{
		"leaf in a full tile":  {func(p *parts) { p.tiles[32*100] ^= 1 }, false},
		"leaf in the last":     {func(p *parts) { p.tiles[32*260] ^= 1 }, true},
		"ordinals":             {func(p *parts) { swap(p.tiles[32*270:][:2], p.tiles[32*270+2:][:2]) }, false},
		"root":                 {func(p *parts) { p.sections[sectionProperties][propertiesRootAt] ^= 1 }, true},
		"level 8":              {func(p *parts) { p.sections[sectionUpper][0] ^= 1 }, true},
		"no level 8":           {func(p *parts) { p.sections[sectionUpper] = nil }, true},
		"filter's length":      {func(p *parts) { p.parts[1] = p.parts[1][:len(p.parts[1])-1] }, true},
		"filter's segments":    {func(p *parts) { p.parts[1][12]++ }, true},
		"filter's fingerprint": {func(p *parts) { clear(p.parts[1][16:]) }, false},
		"ledger nodes":         {func(p *parts) { p.sections[sectionLedgerNodes] = []byte{1} }, false},
		"top index's count":    {func(p *parts) { le.PutUint32(p.sections[sectionIndex], 1<<30) }, true},
		"top index's end":      {func(p *parts) { p.sections[sectionIndex] = append(p.sections[sectionIndex], 0) }, true},
		"top index's blocks":   {func(p *parts) { p.sections[sectionIndex][4+12]++ }, true},
		"top index's ordinal":  {func(p *parts) { p.sections[sectionIndex][4+8]++ }, true},
		"index's count":        {func(p *parts) { le.PutUint32(p.parts[0], 1<<30) }, true},
		"index's length":       {func(p *parts) { p.parts[0] = append(p.parts[0], 0) }, true},
		"a partition too many": {func(p *parts) { p.parts = append(p.parts, p.parts[1]) }, true},
		"separators out of order": {func(p *parts) {
			clear(p.parts[0][len(p.parts[0])-9:])
		}, true},
		"a block no one knows": {func(p *parts) { p.blocks = append(p.blocks, []byte("?")) }, true},
		"a value": {func(p *parts) {
			b := bytes.Clone(p.blocks[1])
			b[len(b)-1] ^= 1 // the last entry's only byte
			p.blocks[1] = b
		}, false},
		"entries":    {func(p *parts) { p.sections[sectionProperties][16]++ }, true},
		"no entries": {func(p *parts) { clear(p.sections[sectionProperties][16:24]) }, true},
		"properties' end": {func(p *parts) {
			p.sections[sectionProperties] = append(p.sections[sectionProperties], 0)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := parts{blocks: append([][]byte(nil), whole.blocks...), tiles: bytes.Clone(whole.tiles)}
			for _, b := range whole.parts {
				p.parts = append(p.parts, bytes.Clone(b))
			}
			for k := range p.sections {
				p.sections[k] = bytes.Clone(whole.sections[k])
			}
			c.change(&p)
			table, err := Open(segfile.NewBytesSource("changed", p.assemble(t)), Options{})
			if c.atOpen || err != nil {
				if !isCorrupt(err) || !c.atOpen {
					t.Fatalf("Open: %v", err)
				}
				return
			}
			if err := table.Verify(t.Context(), nil); !isCorrupt(err) {
				t.Fatalf("Verify: %v", err)
			}
			for i := range m.entries { // seqs are not trusted to be where the index says
				want := &m.entries[i]
				if e, err := table.GetBySeq(want.Seq); err == nil && e.Seq != want.Seq || err != nil && !isCorrupt(err) {
					t.Fatalf("GetBySeq(%d): %d, %v", want.Seq, e.Seq, err)
				}
			}
			it := table.BySeq(ScanOptions{})
			for seq := m.first; it.Next(); seq++ {
				if it.Entry().Seq != seq {
					t.Fatalf("BySeq: %d, want %d", it.Entry().Seq, seq)
				}
			}
		})
	}
}
