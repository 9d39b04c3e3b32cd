package merkle_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
)

const benchSize = 1 << 20

// benchTree is a tree of benchSize leaves with its upper part, made once.
var benchTree = sync.OnceValues(func() ([]merkle.Hash, *merkle.Upper) {
	leaves := testLeaves(benchSize)
	return leaves, merkle.UpperOf(leaves)
})

func BenchmarkLeafHash(b *testing.B) {
	for _, n := range []int{100, 300, 4000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			record := make([]byte, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				merkle.LeafHash(record)
			}
		})
	}
}

func BenchmarkNodeHash(b *testing.B) {
	h := merkle.EmptyRoot()
	b.ReportAllocs()
	for b.Loop() {
		h = merkle.NodeHash(h, h)
	}
}

// BenchmarkRootOf is the root over a segment's leaves, per leaf.
func BenchmarkRootOf(b *testing.B) {
	leaves := testLeaves(1 << 16)
	for b.Loop() {
		merkle.RootOf(leaves)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(leaves)), "ns/leaf")
}

func BenchmarkNewUpper(b *testing.B) {
	_, upper := benchTree()
	for b.Loop() {
		merkle.NewUpper(upper.Level8())
	}
}

// BenchmarkInclusionProof proves one leaf of a million from leaf tiles in memory and the upper part.
func BenchmarkInclusionProof(b *testing.B) {
	leaves, upper := benchTree()
	b.ReportAllocs()
	index, reads := uint64(0), 0
	for b.Loop() {
		index = (index + 514_229) % benchSize
		if _, err := merkle.InclusionProof(index, benchSize, upper.Nodes(tilesOf(leaves, &reads))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyInclusion(b *testing.B) {
	leaves, upper := benchTree()
	const index = 514_229
	reads := 0
	node := upper.Nodes(tilesOf(leaves, &reads))
	root, _ := merkle.RootAt(benchSize, node)
	proof, err := merkle.InclusionProof(index, benchSize, node)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := merkle.VerifyInclusion(leaves[index], index, benchSize, proof, root); err != nil {
			b.Fatal(err)
		}
	}
}
