package merkle_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"pgregory.net/rapid"
)

// inclusionSides is the side on which each hash of a proof stands, leaf to root, straight from the recursion of RFC
// 6962 §2.1.1. It is all that VerifyInclusion can know of index and size.
func inclusionSides(index, size uint64) string {
	if size <= 1 {
		return ""
	}
	k := uint64(1)
	for k < size-k { // k*2 < size, without overflow
		k *= 2
	}
	if index < k {
		return inclusionSides(index, k) + "R"
	}
	return inclusionSides(index-k, size-k) + "L"
}

// consistencySides is the same for SUBPROOF(from, D[to], known) of RFC 6962 §2.1.2; it begins with "=" when the
// verifier starts from its own root, with "*" when the proof gives the first hash.
func consistencySides(from, to uint64, known bool) string {
	if from == to {
		if known {
			return "="
		}
		return "*"
	}
	k := uint64(1)
	for k < to-k {
		k *= 2
	}
	if from <= k {
		return consistencySides(from, k, known) + "R"
	}
	return consistencySides(from-k, to-k, false) + "L"
}

// flips calls f for every single-bit change of h and undoes each.
func flips(h *merkle.Hash, f func(bit int)) {
	for bit := range 8 * merkle.HashSize {
		h[bit/8] ^= 1 << (bit % 8)
		f(bit)
		h[bit/8] ^= 1 << (bit % 8)
	}
}

// Every one-bit change of an inclusion proof or of what it is held against is refused; but a changed size only when it
// changes the shape of the path, which doc.go warns of.
func TestInclusionRefusesEveryFlippedBit(t *testing.T) {
	leaves := testLeaves(300)
	m := newMemTree(leaves)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint64Range(1, uint64(len(leaves))).Draw(t, "size")
		index := rapid.Uint64Range(0, size-1).Draw(t, "index")
		leaf, root := leaves[index], merkle.RootOf(leaves[:size])
		proof, err := merkle.InclusionProof(index, size, m.at(size))
		if err != nil {
			t.Fatal(err)
		}
		refused := func(what string, bit int, index, size uint64) {
			if err := merkle.VerifyInclusion(leaf, index, size, proof, root); !errors.Is(err, merkle.ErrVerify) {
				t.Fatalf("%s with bit %d flipped: %v", what, bit, err)
			}
		}
		flips(&leaf, func(bit int) { refused("leaf", bit, index, size) })
		flips(&root, func(bit int) { refused("root", bit, index, size) })
		for i := range proof {
			flips(&proof[i], func(bit int) { refused("proof", bit, index, size) })
		}
		for bit := range 64 {
			refused("index", bit, index^1<<bit, size)
			other := size ^ 1<<bit
			if index < other && inclusionSides(index, other) == inclusionSides(index, size) {
				continue
			}
			refused("size", bit, index, other)
		}
		proof = append(proof, root)
		refused("proof, one hash too long,", 0, index, size)
		if proof = proof[:len(proof)-1]; len(proof) > 0 {
			proof = proof[:len(proof)-1]
			refused("proof, one hash too short,", 0, index, size)
		}
	})
}

func TestConsistencyRefusesEveryFlippedBit(t *testing.T) {
	leaves := testLeaves(300)
	m := newMemTree(leaves)
	rapid.Check(t, func(t *rapid.T) {
		to := rapid.Uint64Range(1, uint64(len(leaves))).Draw(t, "to")
		from := rapid.Uint64Range(1, to).Draw(t, "from")
		fromRoot, toRoot := merkle.RootOf(leaves[:from]), merkle.RootOf(leaves[:to])
		proof, err := merkle.ConsistencyProof(from, to, m.at(to))
		if err != nil {
			t.Fatal(err)
		}
		refused := func(what string, bit int, from, to uint64) {
			err := merkle.VerifyConsistency(from, to, fromRoot, toRoot, proof)
			if !errors.Is(err, merkle.ErrVerify) {
				t.Fatalf("%s with bit %d flipped: %v", what, bit, err)
			}
		}
		flips(&fromRoot, func(bit int) { refused("old root", bit, from, to) })
		flips(&toRoot, func(bit int) { refused("new root", bit, from, to) })
		for i := range proof {
			flips(&proof[i], func(bit int) { refused("proof", bit, from, to) })
		}
		sides := consistencySides(from, to, true)
		for bit := range 64 {
			other := from ^ 1<<bit
			if other == 0 || other > to || consistencySides(other, to, true) != sides {
				refused("old size", bit, other, to)
			}
			other = to ^ 1<<bit
			if other < from || consistencySides(from, other, true) != sides {
				refused("new size", bit, from, other)
			}
		}
		proof = append(proof, toRoot)
		refused("proof, one hash too long,", 0, from, to)
		if proof = proof[:len(proof)-1]; len(proof) > 0 {
			proof = proof[:len(proof)-1]
			refused("proof, one hash too short,", 0, from, to)
		}
	})
}

// The last leaf's proof does not pass for a leaf one beyond the end of the tree that lacks it: for an odd index that
// proof has the length and sides that such an index would ask for.
func TestInclusionRefusesIndexBeyondSize(t *testing.T) {
	leaves := testLeaves(300)
	m := newMemTree(leaves)
	for index := range uint64(len(leaves)) {
		root := merkle.RootOf(leaves[:index+1])
		proof, err := merkle.InclusionProof(index, index+1, m.at(index+1))
		if err != nil {
			t.Fatal(err)
		}
		if err := merkle.VerifyInclusion(leaves[index], index, index+1, proof, root); err != nil {
			t.Fatal(err)
		}
		err = merkle.VerifyInclusion(leaves[index], index, index, proof, root)
		if !errors.Is(err, merkle.ErrVerify) {
			t.Errorf("index %d of %d: %v", index, index, err)
		}
	}
}

// uniform gives the nodes of a tree whose leaves are all alike, so a tree of any size can be had for 64 hashings. It
// fails for a node that is not complete in a tree of size leaves.
func uniform(t *rapid.T, size uint64) (leaf merkle.Hash, node merkle.NodeFunc) {
	var levels [64]merkle.Hash
	levels[0] = merkle.LeafHash([]byte("same"))
	for i := 1; i < len(levels); i++ {
		levels[i] = merkle.NodeHash(levels[i-1], levels[i-1])
	}
	return levels[0], func(level uint, index uint64) (merkle.Hash, error) {
		if level > 63 || index >= size>>level {
			t.Fatalf("asked for node %d of level %d in a tree of %d", index, level, size)
		}
		return levels[level], nil
	}
}

// Sizes up to 2^64-1: nothing overflows, what is proved verifies, and no node beyond the tree is asked for.
func TestHugeTrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		to := rapid.OneOf(rapid.Uint64Min(1), rapid.Just(^uint64(0)), rapid.Just(uint64(1)<<63)).Draw(t, "to")
		from := rapid.Uint64Range(1, to).Draw(t, "from")
		index := rapid.Uint64Range(0, to-1).Draw(t, "index")
		leaf, node := uniform(t, to)
		toRoot, _ := merkle.RootAt(to, node)
		proof, err := merkle.InclusionProof(index, to, node)
		if err != nil {
			t.Fatal(err)
		}
		if err := merkle.VerifyInclusion(leaf, index, to, proof, toRoot); err != nil {
			t.Fatal(err)
		}
		fromRoot, _ := merkle.RootAt(from, node)
		proof, err = merkle.ConsistencyProof(from, to, node)
		if err != nil {
			t.Fatal(err)
		}
		if err := merkle.VerifyConsistency(from, to, fromRoot, toRoot, proof); err != nil {
			t.Fatal(err)
		}
	})
}

func TestEmptyTree(t *testing.T) {
	empty, other := merkle.EmptyRoot(), merkle.LeafHash(nil)
	for _, c := range []struct {
		name             string
		to               uint64
		fromRoot, toRoot merkle.Hash
		proof            []merkle.Hash
		ok               bool
	}{
		{"to itself", 0, empty, empty, nil, true},
		{"to itself under another root", 0, empty, other, nil, false},
		{"to any tree", 5, empty, other, nil, true},
		{"under another root", 5, other, other, nil, false},
		{"with a proof", 5, empty, other, []merkle.Hash{other}, false},
		{"to itself with a proof", 0, empty, empty, []merkle.Hash{other}, false},
	} {
		err := merkle.VerifyConsistency(0, c.to, c.fromRoot, c.toRoot, c.proof)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, merkle.ErrVerify) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := merkle.VerifyInclusion(empty, 0, 0, nil, empty); !errors.Is(err, merkle.ErrVerify) {
		t.Errorf("a leaf of the empty tree: %v", err)
	}
}

func TestProversRefuseWhatIsOutside(t *testing.T) {
	m := newMemTree(testLeaves(8))
	for _, size := range []uint64{0, 1, 8} {
		if _, err := merkle.InclusionProof(size, size, m.at(8)); !errors.Is(err, merkle.ErrRange) {
			t.Errorf("index %d of %d: %v", size, size, err)
		}
	}
	if _, err := merkle.ConsistencyProof(5, 4, m.at(8)); !errors.Is(err, merkle.ErrRange) {
		t.Errorf("from 5 to 4: %v", err)
	}
}

// An error of the NodeFunc, wherever it comes, ends the proof and is handed on.
func TestProversHandErrorsOn(t *testing.T) {
	m := newMemTree(testLeaves(200))
	failed := errors.New("disk gone")
	for _, prove := range []struct {
		name string
		run  func(merkle.NodeFunc) ([]merkle.Hash, error)
	}{
		{"root", func(f merkle.NodeFunc) ([]merkle.Hash, error) { _, err := merkle.RootAt(199, f); return nil, err }},
		{"inclusion", func(f merkle.NodeFunc) ([]merkle.Hash, error) { return merkle.InclusionProof(70, 199, f) }},
		{"consistency", func(f merkle.NodeFunc) ([]merkle.Hash, error) { return merkle.ConsistencyProof(77, 199, f) }},
	} {
		calls := 0
		_, err := prove.run(func(l uint, i uint64) (merkle.Hash, error) { calls++; return m.at(199)(l, i) })
		if err != nil {
			t.Fatal(err)
		}
		for fail := range calls {
			n := 0
			proof, err := prove.run(func(l uint, i uint64) (merkle.Hash, error) {
				if n++; n > fail {
					return merkle.Hash{}, failed
				}
				return m.at(199)(l, i)
			})
			if !errors.Is(err, failed) || proof != nil {
				t.Errorf("%s, call %d of %d failing: %v, %v", prove.name, fail, calls, proof, err)
			}
		}
	}
}

// A verifier takes hostile numbers as they come.
func FuzzVerify(f *testing.F) {
	f.Add(uint64(3), uint64(7), make([]byte, 3*merkle.HashSize))
	f.Add(uint64(0), ^uint64(0), make([]byte, 64*merkle.HashSize))
	f.Add(^uint64(0)-1, ^uint64(0), []byte{})
	f.Fuzz(func(t *testing.T, a, b uint64, raw []byte) {
		var proof []merkle.Hash
		for chunk := range slices.Chunk(raw, merkle.HashSize) {
			var h merkle.Hash
			copy(h[:], chunk)
			proof = append(proof, h)
		}
		leaf, root := merkle.LeafHash(raw), merkle.LeafHash([]byte("root"))
		if err := merkle.VerifyInclusion(leaf, a, b, proof, root); err == nil {
			t.Fatalf("index %d of %d verifies", a, b)
		}
		err := merkle.VerifyConsistency(a, b, leaf, root, proof)
		if err == nil || !errors.Is(err, merkle.ErrVerify) {
			t.Fatalf("from %d to %d: %v", a, b, err)
		}
	})
}
