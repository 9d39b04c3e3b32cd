package merkle_test

import (
	"errors"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"pgregory.net/rapid"
)

// tilesOf is a reader of the tiles over leaves that counts the tiles it gave.
func tilesOf(leaves []merkle.Hash, reads *int) merkle.TileFunc {
	return func(tile uint64) ([]merkle.Hash, error) {
		*reads++
		first := int(tile) * merkle.TileWidth
		return leaves[first:min(first+merkle.TileWidth, len(leaves))], nil
	}
}

// Level-8 nodes of many tiles: all nodes above them, stored or folded, are what plain pairing gives, and no others are.
func TestUpperNodes(t *testing.T) {
	level8 := testLeaves(5000) // any hashes will do
	m := newMemTree(level8)
	u := merkle.NewUpper(level8)
	if u.Tiles() != 5000 || len(u.Level8()) != 5000 {
		t.Fatalf("%d tiles", u.Tiles())
	}
	for up, nodes := range m.nodes {
		for i, want := range nodes {
			if got, err := u.Node(uint(merkle.TileHeight+up), uint64(i)); err != nil || got != want {
				t.Fatalf("node %d of level 8+%d: %s, %v, want %s", i, up, got, err, want)
			}
		}
		if _, err := u.Node(uint(merkle.TileHeight+up), uint64(len(nodes))); !errors.Is(err, merkle.ErrRange) {
			t.Fatalf("node %d of level 8+%d, which is not complete: %v", len(nodes), up, err)
		}
	}
	for _, level := range []uint{0, 7, 21, 63, 64, 1 << 20} {
		if _, err := u.Node(level, 0); !errors.Is(err, merkle.ErrRange) {
			t.Errorf("level %d: %v", level, err)
		}
	}
}

// Roots and proofs through an Upper and leaf tiles are those of the plain tree, for at most two tiles read.
func TestUpperProves(t *testing.T) {
	leaves := testLeaves(9000)
	m := newMemTree(leaves)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, uint64(len(leaves))).Draw(t, "n")
		size := rapid.Uint64Range(1, n).Draw(t, "size") // a smaller tree can be proved in as well
		index := rapid.Uint64Range(0, size-1).Draw(t, "index")
		u := merkle.UpperOf(leaves[:n])
		reads := 0
		root, err := merkle.RootAt(size, u.Nodes(tilesOf(leaves[:n], &reads)))
		if err != nil || root != merkle.RootOf(leaves[:size]) || reads > 1 {
			t.Fatalf("root %s, %v, %d tiles read", root, err, reads)
		}
		reads = 0
		proof, err := merkle.InclusionProof(index, size, u.Nodes(tilesOf(leaves[:n], &reads)))
		if err != nil || reads > 2 {
			t.Fatalf("inclusion: %v, %d tiles read", err, reads)
		}
		if err := merkle.VerifyInclusion(leaves[index], index, size, proof, root); err != nil {
			t.Fatal(err)
		}
		from := index + 1
		reads = 0
		proof, err = merkle.ConsistencyProof(from, size, u.Nodes(tilesOf(leaves[:n], &reads)))
		if err != nil || reads > 2 {
			t.Fatalf("consistency: %v, %d tiles read", err, reads)
		}
		want, err := merkle.ConsistencyProof(from, size, m.at(size))
		if err != nil || len(proof) != len(want) {
			t.Fatalf("consistency: %d hashes, want %d, %v", len(proof), len(want), err)
		}
		for i := range want {
			if proof[i] != want[i] {
				t.Fatalf("consistency: hash %d differs", i)
			}
		}
	})
}

// A copy of an Upper stays what it was while the original grows.
func TestUpperSnapshot(t *testing.T) {
	level8 := testLeaves(600)
	var u merkle.Upper
	var snapshots []merkle.Upper
	for _, h := range level8 {
		snapshots = append(snapshots, u)
		u.Append(h)
	}
	for n, s := range snapshots {
		if s.Tiles() != uint64(n) {
			t.Fatalf("snapshot of %d tiles has %d", n, s.Tiles())
		}
		got, err := merkle.RootAt(uint64(n), func(level uint, index uint64) (merkle.Hash, error) {
			return s.Node(level+merkle.TileHeight, index)
		})
		if err != nil || got != merkle.RootOf(level8[:n]) {
			t.Fatalf("snapshot of %d tiles: root %s, %v", n, got, err)
		}
	}
}

func TestNodesOfDamagedTiles(t *testing.T) {
	leaves := testLeaves(600)
	u := merkle.UpperOf(leaves)
	failed := errors.New("disk gone")
	_, err := merkle.InclusionProof(3, 600, u.Nodes(func(uint64) ([]merkle.Hash, error) { return nil, failed }))
	if !errors.Is(err, failed) {
		t.Errorf("a tile that can't be read: %v", err)
	}
	_, err = merkle.InclusionProof(3, 600, u.Nodes(func(uint64) ([]merkle.Hash, error) { return leaves[:87], nil }))
	if !errors.Is(err, merkle.ErrRange) {
		t.Errorf("a tile that is too short: %v", err)
	}
}
