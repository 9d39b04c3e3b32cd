package merkle_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	tdmerkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	sumdb "golang.org/x/mod/sumdb/tlog"
)

// oracleSize is the size up to which every index and every pair of sizes is held against the two other
// implementations.
const oracleSize = 1024

// testLeaves are n leaves, each different from the others.
func testLeaves(n int) []merkle.Hash {
	leaves := make([]merkle.Hash, n)
	for i := range leaves {
		leaves[i] = merkle.LeafHash(binary.BigEndian.AppendUint64(nil, uint64(i)))
	}
	return leaves
}

// memTree is all complete nodes over some leaves: nodes[level][index].
type memTree struct{ nodes [][]merkle.Hash }

func newMemTree(leaves []merkle.Hash) *memTree {
	m := &memTree{nodes: [][]merkle.Hash{leaves}}
	for low := leaves; len(low) > 1; {
		var up []merkle.Hash
		for i := 0; i+1 < len(low); i += 2 {
			up = append(up, merkle.NodeHash(low[i], low[i+1]))
		}
		m.nodes = append(m.nodes, up)
		low = up
	}
	return m
}

// at gives the nodes of the tree of the first size leaves and fails for every other.
func (m *memTree) at(size uint64) merkle.NodeFunc {
	return func(level uint, index uint64) (merkle.Hash, error) {
		if level > 63 || (index+1)<<level > size {
			return merkle.Hash{}, fmt.Errorf("node %d of level %d is not complete in a tree of %d", index, level, size)
		}
		return m.nodes[level][index], nil
	}
}

// sumdbHashes is the leaves in the form that golang.org/x/mod/sumdb/tlog reads.
func sumdbHashes(t testing.TB, leaves []merkle.Hash) sumdb.HashReaderFunc {
	var stored []sumdb.Hash
	read := sumdb.HashReaderFunc(func(indexes []int64) ([]sumdb.Hash, error) {
		out := make([]sumdb.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	for i, leaf := range leaves {
		hashes, err := sumdb.StoredHashesForRecordHash(int64(i), sumdb.Hash(leaf), read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	return read
}

// rehash puts the proof of transparency-dev/merkle together from our nodes.
func rehash(m *memTree, nodes tdmerkle.Nodes) ([]merkle.Hash, error) {
	raw := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		raw[i] = m.nodes[id.Level][id.Index][:]
	}
	raw, err := nodes.Rehash(raw, rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		return nil, err
	}
	proof := make([]merkle.Hash, len(raw))
	for i := range raw {
		proof[i] = merkle.Hash(raw[i])
	}
	return proof, nil
}

func equalProofs(ours []merkle.Hash, sums []sumdb.Hash, tds []merkle.Hash) bool {
	if len(ours) != len(sums) || len(ours) != len(tds) {
		return false
	}
	for i := range ours {
		if ours[i] != merkle.Hash(sums[i]) || ours[i] != tds[i] {
			return false
		}
	}
	return true
}

func TestHashesAgree(t *testing.T) {
	if got := merkle.EmptyRoot(); !bytes.Equal(got[:], rfc6962.DefaultHasher.EmptyRoot()) {
		t.Errorf("empty root %s", got)
	}
	record := make([]byte, 1200) // on both sides of LeafHash's buffer
	for i := range record {
		record[i] = byte(i * 7)
	}
	for n := range len(record) {
		got := merkle.LeafHash(record[:n])
		if got != merkle.Hash(sumdb.RecordHash(record[:n])) ||
			!bytes.Equal(got[:], rfc6962.DefaultHasher.HashLeaf(record[:n])) {
			t.Fatalf("leaf hash of %d bytes: %s", n, got)
		}
	}
	l, r := merkle.LeafHash([]byte("l")), merkle.LeafHash([]byte("r"))
	got := merkle.NodeHash(l, r)
	if got != merkle.Hash(sumdb.NodeHash(sumdb.Hash(l), sumdb.Hash(r))) ||
		!bytes.Equal(got[:], rfc6962.DefaultHasher.HashChildren(l[:], r[:])) {
		t.Errorf("node hash %s", got)
	}
}

func TestRootsAgree(t *testing.T) {
	leaves := testLeaves(oracleSize)
	m, sums := newMemTree(leaves), sumdbHashes(t, leaves)
	for size := range uint64(oracleSize + 1) {
		want, err := sumdb.TreeHash(int64(size), sums)
		if err != nil {
			t.Fatal(err)
		}
		got, err := merkle.RootAt(size, m.at(size))
		if err != nil || got != merkle.Hash(want) || got != merkle.RootOf(leaves[:size]) {
			t.Fatalf("size %d: root %s, %v, want %s", size, got, err, want)
		}
	}
}

// forEachSize runs f for every size, in subtests that run in parallel.
func forEachSize(t *testing.T, f func(size uint64) error) {
	const parts = 8
	for part := range uint64(parts) {
		t.Run(fmt.Sprintf("part %d", part), func(t *testing.T) {
			t.Parallel()
			for size := part + 1; size <= oracleSize; size += parts * sizeStride {
				if err := f(size); err != nil {
					t.Fatalf("size %d: %v", size, err)
				}
			}
		})
	}
}

func TestInclusionAgrees(t *testing.T) {
	leaves := testLeaves(oracleSize)
	m, sums := newMemTree(leaves), sumdbHashes(t, leaves)
	forEachSize(t, func(size uint64) error {
		root, err := merkle.RootAt(size, m.at(size))
		if err != nil {
			return err
		}
		for index := range size {
			ours, err := merkle.InclusionProof(index, size, m.at(size))
			if err != nil {
				return err
			}
			theirs, err := sumdb.ProveRecord(int64(size), int64(index), sums)
			if err != nil {
				return err
			}
			nodes, err := tdmerkle.Inclusion(index, size)
			if err != nil {
				return err
			}
			others, err := rehash(m, nodes)
			if err != nil {
				return err
			}
			if !equalProofs(ours, theirs, others) {
				return fmt.Errorf("index %d: proof %s, want %s and %s", index, ours, theirs, others)
			}
			if err := merkle.VerifyInclusion(leaves[index], index, size, ours, root); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestConsistencyAgrees(t *testing.T) {
	leaves := testLeaves(oracleSize)
	m, sums := newMemTree(leaves), sumdbHashes(t, leaves)
	roots := make([]merkle.Hash, oracleSize+1)
	for size := range roots {
		var err error
		if roots[size], err = merkle.RootAt(uint64(size), m.at(uint64(size))); err != nil {
			t.Fatal(err)
		}
	}
	forEachSize(t, func(to uint64) error {
		for from := uint64(1); from <= to; from++ {
			ours, err := merkle.ConsistencyProof(from, to, m.at(to))
			if err != nil {
				return err
			}
			theirs, err := sumdb.ProveTree(int64(to), int64(from), sums)
			if err != nil {
				return err
			}
			nodes, err := tdmerkle.Consistency(from, to)
			if err != nil {
				return err
			}
			others, err := rehash(m, nodes)
			if err != nil {
				return err
			}
			if !equalProofs(ours, theirs, others) {
				return fmt.Errorf("from %d: proof %s, want %s and %s", from, ours, theirs, others)
			}
			if err := merkle.VerifyConsistency(from, to, roots[from], roots[to], ours); err != nil {
				return err
			}
		}
		ours, err := merkle.ConsistencyProof(0, to, m.at(to))
		if err != nil || len(ours) != 0 {
			return fmt.Errorf("from the empty tree: proof %s, %v", ours, err)
		}
		return merkle.VerifyConsistency(0, to, roots[0], roots[to], ours)
	})
}
