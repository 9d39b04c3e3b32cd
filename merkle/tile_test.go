package merkle_test

import (
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	sumdb "golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

func TestTilePaths(t *testing.T) {
	for _, c := range []struct {
		tile merkle.Tile
		path string
	}{
		// The example of C2SP tlog-tiles.
		{merkle.Tile{Level: 0, Index: 1234067, Width: 256}, "tile/0/x001/x234/067"},
		{merkle.Tile{Level: 1, Index: 8, Width: 17}, "tile/1/008.p/17"},
		{merkle.Tile{Level: merkle.EntryBundle, Index: 1000, Width: 1}, "tile/entries/x001/000.p/1"},
		{merkle.Tile{Level: 63, Index: ^uint64(0), Width: 255}, "tile/63/x018/x446/x744/x073/x709/x551/615.p/255"},
	} {
		if got := c.tile.Path(); got != c.path {
			t.Errorf("%+v: path %s, want %s", c.tile, got, c.path)
		}
		if got, err := merkle.ParseTilePath(c.path); err != nil || got != c.tile {
			t.Errorf("%s: %+v, %v, want %+v", c.path, got, err, c.tile)
		}
	}
	for _, path := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "tile/0/1", "tile/0/0001", "tile/0/x000/001", "tile/0/001/002",
		"tile/0/x001", "tile/00/001", "tile/64/001", "tile/-1/001", "tile/+1/001", "tile/data/001", "tile/0/001.p/0",
		"tile/0/001.p/256", "tile/0/001.p/", "tile/0/001.p/017", "tile/0/001.p/1.p/1", "tile/0/001/", "/tile/0/001",
		"tile/0/x018/x446/x744/x073/x709/x551/616", "tile/0/x999/x999/x999/x999/x999/x999/999", "tile/0/xx01/001",
		"tile/0/x001/x002/x003/x004/x005/x006/x007/x008/009",
	} {
		if tile, err := merkle.ParseTilePath(path); err == nil {
			t.Errorf("%s is taken for %+v", path, tile)
		}
	}
}

func TestTilePathsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tile := merkle.Tile{
			Level: rapid.IntRange(merkle.EntryBundle, 7).Draw(t, "level"),
			Index: rapid.Uint64Range(0, 1<<62).Draw(t, "index"),
			Width: rapid.IntRange(1, merkle.TileWidth).Draw(t, "width"),
		}
		theirs := sumdb.Tile{H: merkle.TileHeight, L: tile.Level, N: int64(tile.Index), W: tile.Width}
		want := strings.Replace(strings.Replace(theirs.Path(), "tile/8/", "tile/", 1), "/data/", "/entries/", 1)
		if got := tile.Path(); got != want {
			t.Fatalf("%+v: path %s, want %s", tile, got, want)
		}
		if got, err := merkle.ParseTilePath(want); err != nil || got != tile {
			t.Fatalf("%s: %+v, %v", want, got, err)
		}
	})
}

// The tiles with a width are exactly those that x/mod says a log of that size publishes.
func TestTileWidthsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 200_000).Draw(t, "size")
		want := map[merkle.Tile]bool{}
		for _, tile := range sumdb.NewTiles(merkle.TileHeight, 0, size) {
			want[merkle.Tile{Level: tile.L, Index: uint64(tile.N), Width: tile.W}] = true
		}
		n := 0
		for level := range 9 {
			for index := uint64(0); ; index++ {
				width := merkle.TileWidthAt(level, index, uint64(size))
				if width == 0 {
					break
				}
				n++
				if !want[merkle.Tile{Level: level, Index: index, Width: width}] {
					t.Fatalf("size %d: level %d, tile %d, width %d", size, level, index, width)
				}
			}
		}
		if n != len(want) {
			t.Fatalf("size %d: %d tiles, want %d", size, n, len(want))
		}
	})
	if w := merkle.TileWidthAt(merkle.EntryBundle, 3, 3*256+5); w != 5 {
		t.Errorf("last bundle of entries: width %d", w)
	}
	if w := merkle.TileWidthAt(63, 0, ^uint64(0)); w != 0 {
		t.Errorf("level 63: width %d", w)
	}
}

func FuzzParseTilePath(f *testing.F) {
	f.Add("tile/0/x001/x234/067")
	f.Add("tile/entries/000.p/1")
	f.Add("tile/7/x018/x446/x744/x073/x709/x551/615")
	f.Fuzz(func(t *testing.T, path string) {
		tile, err := merkle.ParseTilePath(path)
		if err != nil {
			return
		}
		if got := tile.Path(); got != path {
			t.Fatalf("%q is read as %+v, which is %q", path, tile, got)
		}
	})
}

func FuzzParseHash(f *testing.F) {
	f.Add(merkle.EmptyRoot().String())
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := merkle.ParseHash(s)
		if err == nil && h.String() != strings.ToLower(s) {
			t.Fatalf("%q is read as %s", s, h)
		}
	})
}
