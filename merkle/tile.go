package merkle

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Tile geometry of C2SP tlog-tiles.
const (
	// TileHeight is the number of tree levels in a tile.
	TileHeight = 8
	// TileWidth is the number of hashes in a full tile, and of entries in a full entry bundle.
	TileWidth = 1 << TileHeight
	// EntryBundle stands in Tile.Level for the bundles of entries that go with the tiles of level 0.
	EntryBundle = -1
)

// maxTileLevel is the highest level that tlog-tiles allows in a path. Trees of fewer than 2^64 leaves end at level 7.
const maxTileLevel = 63

// Tile names a tile: the hashes [Index*256, Index*256+Width) of tree level Level*8. Width is 1 to 255 for a partial
// tile, 256 for a full one.
type Tile struct {
	Level int // 0 to 63, or EntryBundle
	Index uint64
	Width int
}

// TileWidthAt is the width that a tile has in the tree of size leaves: 256, fewer at the right edge, 0 beyond it.
func TileWidthAt(level int, index, size uint64) int {
	n := size >> (TileHeight * uint(max(level, 0)))
	full := n / TileWidth
	switch {
	case index < full:
		return TileWidth
	case index == full:
		return int(n % TileWidth)
	}
	return 0
}

// Path is the tile's place below a log's prefix: tile/<L>/<N>[.p/<W>], with N in groups of three digits, all but the
// last led by an x.
func (t Tile) Path() string {
	level := "entries"
	if t.Level != EntryBundle {
		level = strconv.Itoa(t.Level)
	}
	index := fmt.Sprintf("%03d", t.Index%1000)
	for n := t.Index / 1000; n > 0; n /= 1000 {
		index = fmt.Sprintf("x%03d/%s", n%1000, index)
	}
	path := "tile/" + level + "/" + index
	if t.Width != TileWidth {
		path += ".p/" + strconv.Itoa(t.Width)
	}
	return path
}

// maxTilePath is the length of the longest path: seven groups make 2^64 tiles.
const maxTilePath = len("tile/entries/x018/x446/x744/x073/x709/x551/615.p/255")

// ParseTilePath reads what Path writes, and nothing else.
func ParseTilePath(path string) (Tile, error) {
	bad := fmt.Errorf("merkle: %.60q is no tile path", path)
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(path) > maxTilePath {
		return Tile{}, bad
	}
	level, index, ok := strings.Cut(rest, "/")
	if !ok {
		return Tile{}, bad
	}
	t := Tile{Level: EntryBundle, Width: TileWidth}
	if level != "entries" {
		n, err := strconv.ParseUint(level, 10, 8)
		if err != nil || n > maxTileLevel {
			return Tile{}, bad
		}
		t.Level = int(n)
	}
	index, width, partial := strings.Cut(index, ".p/")
	if partial {
		n, err := strconv.ParseUint(width, 10, 16)
		if err != nil || n == 0 || n >= TileWidth {
			return Tile{}, bad
		}
		t.Width = int(n)
	}
	for group := range strings.SplitSeq(index, "/") {
		n, err := strconv.ParseUint(strings.TrimPrefix(group, "x"), 10, 64)
		hi, lo := bits.Mul64(t.Index, 1000)
		sum, carry := bits.Add64(lo, n, 0)
		if err != nil || n > 999 || hi != 0 || carry != 0 {
			return Tile{}, bad
		}
		t.Index = sum
	}
	if t.Path() != path { // one spelling each: no missing x, no padding, no signs
		return Tile{}, bad
	}
	return t, nil
}
