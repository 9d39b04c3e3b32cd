package sstable

import (
	"errors"
	"fmt"
	"testing"

	"github.com/scribe-ledger/scribe/segfile"
)

// surveyed walks a damaged table: each ordinal is visited, rightly, or is in exactly one hole, in order.
func surveyed(t *testing.T, m *model, table *Table) (holes []Hole) {
	t.Helper()
	next := uint64(0)
	err := table.Survey(ScanOptions{}, func(ordinal uint64, e *Entry) error {
		if ordinal != next {
			return fmt.Errorf("visits ordinal %d, want %d", ordinal, next)
		}
		next++
		return same(e, &m.entries[ordinal], false, false)
	}, func(h Hole) error {
		if h.Ordinal != next || h.Entries == 0 || h.Damage == nil {
			return fmt.Errorf("a hole of %d entries at ordinal %d, want one at %d", h.Entries, h.Ordinal, next)
		}
		for i := range h.Entries {
			if _, err := table.At(h.Ordinal+i, false); !isCorrupt(err) {
				return fmt.Errorf("ordinal %d is in a hole, and can be read: %v", h.Ordinal+i, err)
			}
		}
		next += h.Entries
		holes = append(holes, h)
		return nil
	})
	if err != nil || next != uint64(len(m.entries)) {
		t.Fatalf("survey ends at ordinal %d of %d: %v", next, len(m.entries), err)
	}
	return holes
}

// TestSurvey flips bits of the data blocks: what can be read is read, and nothing else is given up.
func TestSurvey(t *testing.T) {
	for name, c := range map[string]struct {
		m    *model
		opts WriterOptions
		step int
	}{
		"small": {smallModel(), smallOptions, 1},
		"tiled": {tiledModel(), WriterOptions{BlockBytes: 500}, 17},
	} {
		t.Run(name, func(t *testing.T) {
			file, _ := c.m.build(t, c.opts)
			whole := open(t, file, Options{})
			if holes := surveyed(t, c.m, whole); len(holes) > 0 {
				t.Fatalf("holes in a whole segment: %+v", holes)
			}
			for at := 0; at < int(whole.file.MetaOffset()); at += c.step {
				file[at] ^= 8
				table, err := Open(segfile.NewBytesSource("damaged", file), Options{ResidentBytes: -1})
				if err != nil {
					t.Fatalf("byte %d: %v", at, err)
				}
				holes := surveyed(t, c.m, table)
				if len(holes) != 1 {
					t.Fatalf("byte %d: %d holes: %+v", at, len(holes), holes)
				}
				h := holes[0]
				if h.Ordinal > 0 && string(h.After) != string(c.m.entries[h.Ordinal-1].Key) ||
					h.Ordinal+h.Entries < uint64(len(c.m.entries)) && string(h.Before) != string(c.m.entries[h.Ordinal+h.Entries].Key) {
					t.Fatalf("byte %d: a hole between %q and %q", at, h.After, h.Before)
				}
				file[at] ^= 8
			}
		})
	}
}

// TestBlocks: the blocks that are listed hold all entries, and a damaged one is told.
func TestBlocks(t *testing.T) {
	m := tiledModel()
	file, _ := m.build(t, WriterOptions{BlockBytes: 500})
	table := open(t, file, Options{})
	var blocks []BlockInfo
	collect := func(b *BlockInfo) error { blocks = append(blocks, *b); return nil }
	if err := table.Blocks(collect); err != nil {
		t.Fatal(err)
	}
	next := uint64(0)
	for _, b := range blocks {
		if b.FirstOrdinal != next || b.Damage != nil || b.RawBytes == 0 || string(b.FirstKey) != string(m.entries[next].Key) {
			t.Fatalf("%+v at ordinal %d", b, next)
		}
		next += b.Entries
	}
	if next != uint64(len(m.entries)) || len(blocks) < 3 {
		t.Fatalf("%d blocks of %d entries", len(blocks), next)
	}
	file[blocks[1].Offset+20] ^= 1
	want := len(blocks)
	blocks = nil
	if err := open(t, file, Options{}).Blocks(collect); err != nil || len(blocks) != want {
		t.Fatalf("%d blocks of a damaged segment, %v", len(blocks), err)
	}
	for i, b := range blocks {
		if (b.Damage != nil) != (i == 1) {
			t.Errorf("block %d: %+v", i, b)
		}
	}
	enough := errors.New("enough")
	if err := table.Blocks(func(*BlockInfo) error { return enough }); err != enough {
		t.Error(err)
	}
}
