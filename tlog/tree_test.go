package tlog_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	sumdb "golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// boundedLeaves is a LeafReader over a ledger of as many entries as it has leaves: it fails for any beyond.
type boundedLeaves []merkle.Hash

func (b boundedLeaves) ReadLeaves(first uint64, dst []merkle.Hash) error {
	end := first + uint64(len(dst))
	if len(dst) == 0 || end > uint64(len(b)) || first/merkle.TileWidth != (end-1)/merkle.TileWidth {
		return fmt.Errorf("asked for leaves %d to %d of %d", first, end, len(b))
	}
	copy(dst, b[first:end])
	return nil
}

func newTree(t testing.TB, leaves []merkle.Hash) *tlog.Tree {
	tree, err := tlog.NewTree(&tlog.Frontier{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	tree.Append(leaves...)
	return tree
}

func equal(ours []merkle.Hash, theirs []sumdb.Hash) bool {
	return slices.EqualFunc(ours, theirs, func(a merkle.Hash, b sumdb.Hash) bool { return a == merkle.Hash(b) })
}

// checkTree holds a tree's answers at one size against the oracle's. The readers hold no leaf at or beyond size.
func checkTree(tree *tlog.Tree, leaves []merkle.Hash, sums sumdb.HashReader, size, index, from uint64) error {
	pinned := boundedLeaves(leaves[:size])
	root, err := tree.RootAt(size, pinned)
	if err != nil {
		return err
	}
	if want, err := sumdb.TreeHash(int64(size), sums); err != nil || root != merkle.Hash(want) {
		return fmt.Errorf("size %d: root %s, want %s, %v", size, root, want, err)
	}
	proof, err := tree.Inclusion(index, size, pinned)
	if err != nil {
		return err
	}
	want, err := sumdb.ProveRecord(int64(size), int64(index), sums)
	if err != nil || !equal(proof, want) {
		return fmt.Errorf("index %d of %d: proof %s, want %s, %v", index, size, proof, want, err)
	}
	proof, err = tree.Consistency(from, size, pinned)
	if err != nil {
		return err
	}
	wantTree, err := sumdb.ProveTree(int64(size), int64(from), sums)
	if err != nil || !equal(proof, wantTree) {
		return fmt.Errorf("from %d to %d: proof %s, want %s, %v", from, size, proof, wantTree, err)
	}
	return nil
}

// Every size of a growing tree, with the first and last index and one between; merkle's own tests take every one.
func TestTreeAgrees(t *testing.T) {
	leaves := testLeaves(oracleSize)
	sums := sumdbHashes(t, leaves)
	tree := newTree(t, nil)
	for i, leaf := range leaves {
		tree.Append(leaf)
		size := uint64(i) + 1
		if f := tree.Frontier(); tree.Size() != size || f.Size() != size || f.Root() != tree.Root() {
			t.Fatalf("size %d, frontier of %d, root %s and %s", tree.Size(), f.Size(), f.Root(), tree.Root())
		}
		for _, at := range []uint64{0, size * 2654435761 % size, size * 40503 >> 7 % size, size - 1} {
			if err := checkTree(tree, leaves, sums, size, at, at+1); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A tree answers for all smaller sizes, however its leaves came, with readers that were pinned at those sizes.
func TestTreeAnswersForThePast(t *testing.T) {
	leaves := testLeaves(6000)
	sums := sumdbHashes(t, leaves)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, uint64(len(leaves))).Draw(t, "n")
		tree, err := tlog.NewTree(&tlog.Frontier{}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for rest := leaves[:n]; len(rest) > 0; {
			k := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			tree.Append(rest[:k]...)
			rest = rest[k:]
		}
		for range 5 {
			size := rapid.Uint64Range(1, n).Draw(t, "size")
			index := rapid.Uint64Range(0, size-1).Draw(t, "index")
			from := rapid.Uint64Range(1, size).Draw(t, "from")
			if err := checkTree(tree, leaves, sums, size, index, from); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Recovery: segments of any lengths store the tiles that they complete; from these, the leaves after the last tile and
// the frontier of the sealed part, the tree comes back and goes on as before.
func TestTreeRecovers(t *testing.T) {
	leaves := testLeaves(5000)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, uint64(len(leaves))).Draw(t, "n")
		sealed := rapid.Uint64Range(0, n).Draw(t, "sealed")
		tree, err := tlog.NewTree(&tlog.Frontier{}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		tree.Append(leaves[:sealed]...)
		frontier := tree.Frontier()
		tree.Append(leaves[sealed:n]...)

		var level8 []merkle.Hash
		for first := uint64(0); first < sealed; {
			end := rapid.Uint64Range(first+1, sealed).Draw(t, "segment's end")
			level8 = append(level8, tree.Level8(first, end)...)
			first = end
		}
		tail := leaves[sealed/merkle.TileWidth*merkle.TileWidth : sealed]
		stored, err := tlog.UnmarshalFrontier(frontier.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		again, err := tlog.NewTree(stored, level8, tail)
		if err != nil {
			t.Fatal(err)
		}
		again.Append(leaves[sealed:n]...)
		if again.Size() != n || again.Root() != tree.Root() {
			t.Fatalf("recovered size %d, root %s, want %d, %s", again.Size(), again.Root(), n, tree.Root())
		}
		if n > 0 {
			index := rapid.Uint64Range(0, n-1).Draw(t, "index")
			proof, err := again.Inclusion(index, n, boundedLeaves(leaves[:n]))
			if err != nil {
				t.Fatal(err)
			}
			if err := merkle.VerifyInclusion(leaves[index], index, n, proof, tree.Root()); err != nil {
				t.Fatal(err)
			}
		}

		// Nothing of it may be another.
		damage := func(h *merkle.Hash) {
			bit := rapid.IntRange(0, 8*merkle.HashSize-1).Draw(t, "bit")
			h[bit/8] ^= 1 << (bit % 8)
		}
		cases := [][2][]merkle.Hash{
			{append(slices.Clone(level8), merkle.Hash{}), tail},
			{level8, append(slices.Clone(tail), merkle.Hash{})},
		}
		if len(level8) > 0 {
			other := slices.Clone(level8)
			damage(&other[rapid.IntRange(0, len(other)-1).Draw(t, "tile")])
			cases = append(cases, [2][]merkle.Hash{other, tail}, [2][]merkle.Hash{level8[1:], tail})
		}
		if len(tail) > 0 {
			other := slices.Clone(tail)
			damage(&other[rapid.IntRange(0, len(other)-1).Draw(t, "leaf")])
			cases = append(cases, [2][]merkle.Hash{level8, other}, [2][]merkle.Hash{level8, tail[1:]})
		}
		for i, c := range cases {
			if _, err := tlog.NewTree(stored, c[0], c[1]); !errors.Is(err, tlog.ErrTreeMismatch) {
				t.Fatalf("damage %d of %d is taken: %v", i, len(cases), err)
			}
		}
	})
}

func TestLevel8BeyondTheTree(t *testing.T) {
	tree := newTree(t, testLeaves(600))
	for _, c := range []struct {
		first, end uint64
		want       int
	}{
		{0, 600, 2}, {0, 255, 0}, {0, 256, 1}, {255, 256, 1}, {256, 511, 0}, {511, 600, 1}, {512, 600, 0},
		{0, 1 << 40, 2}, {1 << 40, 1 << 41, 0}, {600, 0, 0},
	} {
		if got := tree.Level8(c.first, c.end); len(got) != c.want {
			t.Errorf("seqs %d to %d complete %d tiles, want %d", c.first, c.end, len(got), c.want)
		}
	}
}

func TestTreeRefusesWhatIsOutside(t *testing.T) {
	leaves := testLeaves(300)
	tree, all := newTree(t, leaves), boundedLeaves(leaves)
	_, err1 := tree.RootAt(301, all)
	_, err2 := tree.Inclusion(0, 301, all)
	_, err3 := tree.Inclusion(300, 300, all)
	_, err4 := tree.Consistency(1, 301, all)
	_, err5 := tree.Consistency(3, 2, all)
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if !errors.Is(err, merkle.ErrRange) {
			t.Errorf("case %d: %v", i+1, err)
		}
	}
	if root, err := tree.RootAt(0, all); err != nil || root != merkle.EmptyRoot() {
		t.Errorf("the empty tree: %s, %v", root, err)
	}
}

// hookedLeaves calls a hook before it reads.
type hookedLeaves struct {
	hook func() error
	boundedLeaves
}

func (h hookedLeaves) ReadLeaves(first uint64, dst []merkle.Hash) error {
	if err := h.hook(); err != nil {
		return err
	}
	return h.boundedLeaves.ReadLeaves(first, dst)
}

// The tree may grow while leaves are read for a proof: reading holds no lock, and the proof is for the size asked for.
func TestTreeGrowsDuringProof(t *testing.T) {
	leaves := testLeaves(2000)
	tree := newTree(t, leaves[:300])
	root, next := tree.Root(), 300
	grow := hookedLeaves{boundedLeaves: leaves[:300], hook: func() error {
		tree.Append(leaves[next : next+700]...)
		next += 700
		return nil
	}}
	proof, err := tree.Inclusion(5, 300, grow)
	if err != nil || next != 1000 {
		t.Fatalf("%d leaves, %v", next, err)
	}
	if err := merkle.VerifyInclusion(leaves[5], 5, 300, proof, root); err != nil {
		t.Error(err)
	}
	failed := errors.New("disk gone")
	_, err = tree.Inclusion(5, 300, hookedLeaves{hook: func() error { return failed }, boundedLeaves: leaves})
	if !errors.Is(err, failed) {
		t.Errorf("a failing reader: %v", err)
	}
}

// One writer and several readers, for the race detector: whatever size a reader sees, its proofs hold.
func TestTreeConcurrent(t *testing.T) {
	leaves := testLeaves(4000)
	tree := newTree(t, leaves[:1])
	var readers sync.WaitGroup
	for r := range uint64(3) {
		readers.Go(func() {
			for i := r; ; i += 977 {
				f := tree.Frontier()
				size, root := f.Size(), f.Root()
				index := i % size
				proof, err := tree.Inclusion(index, size, boundedLeaves(leaves[:size]))
				if err == nil {
					err = merkle.VerifyInclusion(leaves[index], index, size, proof, root)
				}
				if err == nil {
					proof, err = tree.Consistency(index+1, size, boundedLeaves(leaves[:size]))
				}
				if err == nil {
					err = merkle.VerifyConsistency(index+1, size, merkle.RootOf(leaves[:index+1]), root, proof)
				}
				if err != nil {
					t.Errorf("index %d of %d: %v", index, size, err)
					return
				}
				if size == uint64(len(leaves)) {
					return
				}
			}
		})
	}
	for rest := leaves[1:]; len(rest) > 0; {
		k := min(len(rest), 1+len(rest)%7)
		tree.Append(rest[:k]...)
		rest = rest[k:]
	}
	readers.Wait()
}
