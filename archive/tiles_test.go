package archive

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/merkle"
)

// tilesOf are all tiles of a tree, by the definition.
func tilesOf(size uint64) map[merkle.Tile]bool {
	out := map[merkle.Tile]bool{}
	for level := range 8 {
		for i := uint64(0); ; i++ {
			w := merkle.TileWidthAt(level, i, size)
			if w == 0 {
				break
			}
			out[merkle.Tile{Level: level, Index: i, Width: w}] = true
		}
	}
	return out
}

// TestNewTiles: what is put is exactly what the larger tree has and the smaller one has not, each once.
func TestNewTiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.Uint64Range(0, 1000), rapid.SampledFrom([]uint64{255, 256, 257, 65_535, 65_536, 65_537}),
			rapid.Uint64Range(0, 300_000))
		from, to := size.Draw(t, "from"), size.Draw(t, "to")
		from, to = min(from, to), max(from, to)
		want := tilesOf(to)
		for tile := range tilesOf(from) {
			delete(want, tile)
		}
		got := slices.Collect(newTiles(from, to))
		seen := map[merkle.Tile]bool{}
		for _, tile := range got {
			seen[tile] = true
		}
		if len(got) != len(seen) || !maps.Equal(seen, want) {
			t.Fatalf("from %d to %d: %v, want %v", from, to, got, want)
		}
	})
}
