package sstable

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
)

// benchData is a segment of 262,144 entries: 16-byte keys, values of 256 bytes that are small JSON objects, half of
// them random digits. It holds no pointers, so that the collector has as little to do as in a server.
type benchData struct {
	keys   [][16]byte // in order
	seqs   []uint32   // by ordinal
	values []byte     // by seq
	leaves []merkle.Hash
}

const benchValue = 256

var benchEntries = sync.OnceValue(func() *benchData {
	const n = (64 << 20) / benchValue
	rng := rand.New(rand.NewPCG(1, 2))
	d := &benchData{keys: make([][16]byte, n), seqs: make([]uint32, n), leaves: make([]merkle.Hash, n)}
	for i := range n {
		at := len(d.values)
		d.values = fmt.Appendf(d.values, `{"account":"%016x","amount":%d,"currency":"EUR","note":"transfer no. %d",`+
			`"status":"settled","reference":"%016x%016x%016x","to":"%016x"}`,
			rng.Uint64(), rng.IntN(1e6), i, rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64())
		d.values = append(d.values, bytes.Repeat([]byte{' '}, benchValue)...)[:at+benchValue]
		copy(d.keys[i][:], fmt.Sprintf("key/%012d", i*10))
	}
	for i, seq := range rng.Perm(n) {
		d.seqs[i] = uint32(seq)
	}
	for i := range n {
		e := d.entry(i)
		d.leaves[i] = e.LeafHash()
	}
	return d
})

func (d *benchData) entry(i int) Entry {
	seq := uint64(d.seqs[i])
	value := d.values[seq*benchValue:][:benchValue]
	return Entry{Record: tlog.Record{Op: tlog.OpPut, Seq: seq, Time: 1_700_000_000_000_000 + int64(seq)*7,
		Key: d.keys[i][:], ValueSize: benchValue, ValueHash: merkle.Hash{1}}, Value: value, Leaf: d.leaves[i]}
}

func (d *benchData) build(b *testing.B, out io.Writer, opts WriterOptions) Info {
	w, err := NewWriter(out, 0, uint64(len(d.keys))-1, opts)
	if err != nil {
		b.Fatal(err)
	}
	for i := range d.keys {
		e := d.entry(i)
		if err := w.Add(&e); err != nil {
			b.Fatal(err)
		}
	}
	info, err := w.Finish()
	if err != nil {
		b.Fatal(err)
	}
	return info
}

var benchMethods = []struct {
	name   string
	method segfile.Compression
}{{"s2", segfile.S2}, {"zstd", segfile.Zstd}, {"none", segfile.NoCompression}}

// cpu reports the CPU time of an operation, which another load on the machine does not change much. Use: defer
// cpu(b, operations per iteration)().
func cpu(b *testing.B, ops int) func() {
	var from, to syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &from)
	return func() {
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &to)
		used := to.Utime.Nano() + to.Stime.Nano() - from.Utime.Nano() - from.Stime.Nano()
		b.ReportMetric(float64(used)/float64(b.N*ops), "cpu-ns/op")
	}
}

func BenchmarkBuild(b *testing.B) {
	d := benchEntries()
	for _, c := range benchMethods {
		b.Run(c.name, func(b *testing.B) {
			var info Info
			b.SetBytes(64 << 20)
			defer cpu(b, len(d.keys))()
			for b.Loop() {
				info = d.build(b, io.Discard, WriterOptions{Compression: c.method})
			}
			b.ReportMetric(float64(info.Bytes)/float64(len(d.keys)), "stored/entry")
		})
	}
}

func benchTable(b *testing.B, w WriterOptions, opts Options) (*benchData, *Table) {
	d := benchEntries()
	var file bytes.Buffer
	d.build(b, &file, w)
	return d, open(b, file.Bytes(), opts)
}

// BenchmarkGet reads random keys, hot (all blocks cached) and cold (no cache: every read verifies, decompresses and
// decodes its block), and keys that are not there.
func BenchmarkGet(b *testing.B) {
	for _, c := range benchMethods {
		d, cold := benchTable(b, WriterOptions{Compression: c.method}, Options{})
		hot, err := Open(cold.src, Options{Cache: NewBlockCache(512 << 20)})
		if err != nil {
			b.Fatal(err)
		}
		run := func(name string, t *Table) {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				defer cpu(b, 1)()
				for i := 0; b.Loop(); i++ {
					if _, ok, err := t.Get(d.keys[i*7919%len(d.keys)][:], math.MaxUint64); !ok || err != nil {
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
			defer cpu(b, 1)()
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
		d, t := benchTable(b, WriterOptions{Compression: c.method}, Options{})
		for name, opts := range map[string]IterOptions{
			"all": {}, "newest": {Newest: true, AsOf: math.MaxUint64}, "leaves": {Leaves: true},
			"newest, reused": {Newest: true, AsOf: math.MaxUint64, Reuse: true},
		} {
			if c.method != segfile.S2 && name != "all" {
				continue
			}
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.SetBytes(64 << 20)
				defer cpu(b, len(d.keys))()
				for b.Loop() {
					n := 0
					for it := t.Iter(opts); it.Next(); {
						n++
					}
					if n == 0 {
						b.Fatal("nothing")
					}
				}
			})
		}
	}
}

// BenchmarkWalk goes over cached blocks: forwards, backwards, and 100 entries from a random key on.
func BenchmarkWalk(b *testing.B) {
	d, t := benchTable(b, WriterOptions{}, Options{Cache: NewBlockCache(512 << 20)})
	opts := IterOptions{Newest: true, AsOf: math.MaxUint64}
	for name, walk := range map[string]func(it *Iter) bool{"forward": (*Iter).Next, "reverse": (*Iter).Prev} {
		b.Run(name, func(b *testing.B) {
			defer cpu(b, len(d.keys))()
			for b.Loop() {
				for it := t.Iter(opts); walk(it); {
					continue
				}
			}
		})
	}
	b.Run("seek100", func(b *testing.B) {
		b.ReportAllocs()
		defer cpu(b, 1)()
		for i := 0; b.Loop(); i++ {
			it := t.Iter(opts)
			for n, ok := 0, it.SeekGE(d.keys[i*7919%len(d.keys)][:]); ok && n < 100; n++ {
				ok = it.Next()
			}
		}
	})
}

// BenchmarkBlockBytes shows what the size of blocks costs in bytes and in time.
func BenchmarkBlockBytes(b *testing.B) {
	for _, size := range []int{4 << 10, 8 << 10, 16 << 10, 32 << 10} {
		for _, c := range benchMethods[:2] {
			d, t := benchTable(b, WriterOptions{Compression: c.method, BlockBytes: size}, Options{})
			b.Run(fmt.Sprintf("%d/%s", size, c.name), func(b *testing.B) {
				defer cpu(b, 1)()
				for i := 0; b.Loop(); i++ {
					if _, ok, err := t.Get(d.keys[i*7919%len(d.keys)][:], math.MaxUint64); !ok || err != nil {
						b.Fatal(ok, err)
					}
				}
				b.ReportMetric(float64(t.Info().Bytes)/float64(len(d.keys)), "stored/entry")
			})
		}
	}
}

func BenchmarkInclusion(b *testing.B) {
	d, t := benchTable(b, WriterOptions{}, Options{Cache: NewBlockCache(64 << 20)})
	for i := 0; b.Loop(); i++ {
		if _, err := t.Inclusion(uint64(i * 7919 % len(d.keys))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	d, t := benchTable(b, WriterOptions{}, Options{})
	b.SetBytes(64 << 20)
	defer cpu(b, len(d.keys))()
	for b.Loop() {
		// The benchmark's leaves are over another hash than their values'.
		if err := t.Verify(b.Context(), func(e *Entry) merkle.Hash {
			e.ValueHash = merkle.Hash{1}
			return e.LeafHash()
		}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	_, t := benchTable(b, WriterOptions{}, Options{})
	for b.Loop() {
		if _, err := Open(t.src, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
