package sstable

import (
	"encoding/binary"
	"testing"

	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
)

// TestWrongBlockIsNotCached swaps two blocks of one length, whose checksums are right for their places. They are sound
// blocks, and not those that the index speaks of: a read says so every time, the second one too, when the first could have
// left them in the cache.
func TestWrongBlockIsNotCached(t *testing.T) {
	m := tiledModel()
	p := takeApart(t, m)
	swapped := 0
	for i := range p.blocks {
		for j := range i {
			if swapped == 0 && i > 2 && len(p.blocks[i]) == len(p.blocks[j]) {
				p.blocks[i], p.blocks[j] = p.blocks[j], p.blocks[i]
				swapped = i
			}
		}
	}
	if swapped == 0 {
		t.Fatal("no two blocks have one length")
	}
	table := open(t, p.assemble(t), Options{Cache: NewBlockCache(1 << 20)})
	refused := 0
	for i := range m.entries {
		want := &m.entries[i]
		if want.Op == tlog.OpSegment {
			continue
		}
		for again := range 2 {
			got, found, err := table.Get(want.Key, want.Seq)
			switch {
			case isCorrupt(err):
				refused++
			case err != nil:
				t.Fatal(err)
			case !found || got.Seq != want.Seq:
				t.Fatalf("entry %d, read %d: found %v, entry %d, and no damage is told of", want.Seq, again+1, found, got.Seq)
			}
		}
	}
	if refused == 0 || refused%2 != 0 {
		t.Fatalf("%d reads were refused, of two of each entry", refused)
	}
}

// TestOverlappingBlocks: an index in which a block begins where the one before it does is refused.
func TestOverlappingBlocks(t *testing.T) {
	m := tiledModel()
	p := takeApart(t, m)
	le := binary.LittleEndian
	first, second := p.parts[0][4:], p.parts[0][4+indexRecordLen:]
	le.PutUint64(second, le.Uint64(first))
	if _, err := Open(segfile.NewBytesSource("f", p.assemble(t)), Options{}); !isCorrupt(err) {
		t.Fatalf("an index of overlapping blocks is opened: %v", err)
	}
}
