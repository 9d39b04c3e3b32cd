package sstable

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
)

// benchModel has 64 MiB in values of 256 bytes: small JSON objects, half of them random digits, under 16-byte keys.
var benchModel = sync.OnceValue(func() *model {
	const n = (64 << 20) / 256
	rng := rand.New(rand.NewPCG(1, 2))
	entries := make([]Entry, n)
	for i := range entries {
		value := fmt.Appendf(nil, `{"account":"%016x","amount":%d,"currency":"EUR","note":"transfer no. %d",`+
			`"status":"settled","reference":"%016x%016x%016x","to":"%016x"}`,
			rng.Uint64(), rng.IntN(1e6), i, rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64())
		value = append(value, bytes.Repeat([]byte{' '}, 256)...)[:256]
		entries[i] = put(fmt.Sprintf("key/%012d", rng.IntN(n*10)), value)
		entries[i].Time += int64(i)
	}
	return newModel(0, entries)
})

var benchMethods = []struct {
	name   string
	method segfile.Compression
}{{"s2", segfile.S2}, {"zstd", segfile.Zstd}, {"none", segfile.NoCompression}}

func BenchmarkBuild(b *testing.B) {
	m := benchModel()
	for _, c := range benchMethods {
		b.Run(c.name, func(b *testing.B) {
			var info Info
			b.SetBytes(64 << 20)
			for b.Loop() {
				w, err := NewWriter(io.Discard, m.first, m.last(), WriterOptions{Compression: c.method})
				if err != nil {
					b.Fatal(err)
				}
				for i := range m.entries {
					if err := w.Add(&m.entries[i]); err != nil {
						b.Fatal(err)
					}
				}
				if info, err = w.Finish(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(info.Bytes)/float64(64<<20), "stored/value-byte")
		})
	}
}

func benchTable(b *testing.B, method segfile.Compression, opts Options) (*model, *Table) {
	m := benchModel()
	file, _ := m.build(b, WriterOptions{Compression: method})
	return m, open(b, file, opts)
}

// BenchmarkGet reads random keys, hot (all blocks cached) and cold (no cache: every read verifies, decompresses and
// decodes its block), and keys that are not there.
func BenchmarkGet(b *testing.B) {
	for _, c := range benchMethods {
		m, cold := benchTable(b, c.method, Options{})
		hot, err := Open(cold.src, Options{Cache: NewBlockCache(512 << 20)})
		if err != nil {
			b.Fatal(err)
		}
		run := func(name string, t *Table) {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					e := &m.entries[i*7919%len(m.entries)]
					if _, ok, err := t.Get(e.Key, e.Seq); !ok || err != nil {
						b.Fatal(ok, err)
					}
				}
			})
		}
		run("cold", cold)
		for it := hot.Iter(IterOptions{KeysOnly: true}); it.Next(); {
			continue
		}
		run("hot", hot)
		if c.method != segfile.S2 {
			continue
		}
		b.Run("absent", func(b *testing.B) {
			b.ReportAllocs()
			key := []byte("key/000000000000x")
			for i := 0; b.Loop(); i++ {
				key[len(key)-2], key[len(key)-3], key[len(key)-4] = '0'+byte(i%10), '0'+byte(i/10%10), '0'+byte(i/100%10)
				if _, ok, err := hot.Get(key, math.MaxUint64); ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

func BenchmarkScan(b *testing.B) {
	for _, c := range benchMethods {
		m, t := benchTable(b, c.method, Options{})
		for name, opts := range map[string]IterOptions{
			"all": {}, "newest": {Newest: true, AsOf: math.MaxUint64}, "leaves": {Leaves: true},
		} {
			if c.method != segfile.S2 && name != "all" {
				continue
			}
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.SetBytes(64 << 20)
				for b.Loop() {
					n := 0
					for it := t.Iter(opts); it.Next(); {
						n++
					}
					if n == 0 {
						b.Fatal("nothing")
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(m.entries)), "ns/entry")
			})
		}
	}
}

func BenchmarkInclusion(b *testing.B) {
	m, t := benchTable(b, segfile.S2, Options{Cache: NewBlockCache(64 << 20)})
	for i := 0; b.Loop(); i++ {
		if _, err := t.Inclusion(uint64(i * 7919 % len(m.entries))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	_, t := benchTable(b, segfile.S2, Options{})
	b.SetBytes(64 << 20)
	for b.Loop() {
		if err := t.Verify(b.Context(), func(e *Entry) merkle.Hash { return e.LeafHash() }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	m := benchModel()
	file, _ := m.build(b, WriterOptions{})
	src := segfile.NewBytesSource("f", bytes.Clone(file))
	for b.Loop() {
		if _, err := Open(src, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
