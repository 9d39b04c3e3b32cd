package tlog_test

import (
	"sync"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

const benchSize = 1_000_000

var benchLeaves = sync.OnceValue(func() []merkle.Hash { return testLeaves(benchSize) })

// BenchmarkRecordLeafHash encodes and hashes the record of a 16-byte key.
func BenchmarkRecordLeafHash(b *testing.B) {
	r := withValue(tlog.Record{Op: tlog.OpPut, Seq: 1, Time: 1, Key: make([]byte, 16)}, make([]byte, 256))
	b.ReportAllocs()
	for b.Loop() {
		r.LeafHash()
	}
}

func BenchmarkParseRecord(b *testing.B) {
	_, records, _ := golden(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tlog.ParseRecord(records[0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFrontierAppend(b *testing.B) {
	var f tlog.Frontier
	leaf := merkle.EmptyRoot()
	b.ReportAllocs()
	for b.Loop() {
		f.Append(leaf)
	}
}

func BenchmarkFrontierRoot(b *testing.B) {
	var f tlog.Frontier
	for _, leaf := range benchLeaves() {
		f.Append(leaf)
	}
	b.ReportAllocs()
	for b.Loop() {
		f.Root()
	}
}

// BenchmarkTreeAppend appends leaves one by one and 64 at a time; figures are per leaf.
func BenchmarkTreeAppend(b *testing.B) {
	leaves := benchLeaves()
	for name, batch := range map[string]int{"1": 1, "64": 64} {
		b.Run(name, func(b *testing.B) {
			tree := newTree(b, nil)
			b.ReportAllocs()
			for b.Loop() {
				tree.Append(leaves[:batch]...)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/leaf")
		})
	}
}

// BenchmarkTreeInclusion proves one leaf of a million, its tile read from memory.
func BenchmarkTreeInclusion(b *testing.B) {
	leaves := boundedLeaves(benchLeaves())
	tree := newTree(b, leaves)
	index := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		index = (index + 514_229) % benchSize
		if _, err := tree.Inclusion(index, benchSize, leaves); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNewTree opens a tree of a million leaves on stored nodes.
func BenchmarkNewTree(b *testing.B) {
	leaves := benchLeaves()
	tree := newTree(b, leaves)
	sealed, level8 := tree.Frontier(), tree.Level8(0, benchSize)
	tail := leaves[benchSize/merkle.TileWidth*merkle.TileWidth:]
	for b.Loop() {
		if _, err := tlog.NewTree(sealed, level8, tail); err != nil {
			b.Fatal(err)
		}
	}
}
