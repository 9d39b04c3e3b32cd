package ledger

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// benchEntries is what the benchmarks' ledgers hold: 16-byte keys, 256-byte values, about a default memtable.
const benchEntries = 100_000

func benchKey(i int) []byte { return fmt.Appendf(nil, "key-%012d", i) }

// benchCommands are puts of benchEntries different keys, in random order.
func benchCommands(b *testing.B) [][]byte {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 256)
	out := make([][]byte, benchEntries)
	for n, i := range rng.Perm(benchEntries) {
		for j := range value {
			value[j] = "0123456789abcdef"[rng.UintN(16)]
		}
		var err error
		out[n], err = EncodeWrite(&Command{Ops: []WriteOp{{Op: tlog.OpPut, Key: benchKey(i), Value: value}}})
		if err != nil {
			b.Fatal(err)
		}
	}
	return out
}

func benchLedger(b *testing.B) *Ledger {
	b.Helper()
	l, err := Open(Options{FS: vfs.NewOS(), Dir: b.TempDir(), ClusterID: "bench", Manual: true, BlockCacheBytes: 128 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return l
}

func benchApply(b *testing.B, l *Ledger, index uint64, command []byte) {
	if _, err := l.Apply(index, 1, command); err != nil {
		b.Fatal(err)
	}
}

// filled returns a ledger with benchEntries entries, in memory or in one installed segment.
func filled(b *testing.B, sealed bool) *Ledger {
	b.Helper()
	l := benchLedger(b)
	index := uint64(0)
	for _, c := range benchCommands(b) {
		index++
		benchApply(b, l, index, c)
	}
	if !sealed {
		return l
	}
	benchApply(b, l, index+1, SealNow())
	benchFlush(b, l, index+2)
	return l
}

// benchFlush builds, records and installs what is sealed.
func benchFlush(b *testing.B, l *Ledger, index uint64) {
	for {
		worked, err := l.FlushStep()
		if err != nil {
			b.Fatal(err)
		}
		wants := l.Wanted(time.UnixMicro(0))
		for _, w := range wants {
			benchApply(b, l, index, w.Data)
			index++
		}
		if !worked && len(wants) == 0 {
			return
		}
	}
}

// BenchmarkApply is one put: decode, value hash, leaf hash, ledger tree, memtable.
func BenchmarkApply(b *testing.B) {
	commands := benchCommands(b)
	l := benchLedger(b)
	index := uint64(0)
	for b.Loop() {
		if index%benchEntries == 0 && index > 0 {
			b.StopTimer()
			l = benchLedger(b)
			index = 0
			b.StartTimer()
		}
		index++
		benchApply(b, l, index, commands[index-1])
	}
}

// BenchmarkFlush builds, syncs and installs a segment of benchEntries entries.
func BenchmarkFlush(b *testing.B) {
	b.SetBytes(benchEntries * (16 + 256))
	for b.Loop() {
		b.StopTimer()
		l := filled(b, false)
		benchApply(b, l, benchEntries+1, SealNow())
		b.StartTimer()
		benchFlush(b, l, benchEntries+2)
	}
}

func BenchmarkGet(b *testing.B) {
	for _, where := range []struct {
		name   string
		sealed bool
	}{{"memory", false}, {"segment", true}} {
		b.Run(where.name, func(b *testing.B) {
			l := filled(b, where.sealed)
			rng := rand.New(rand.NewPCG(3, 4))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Get(benchKey(rng.IntN(benchEntries)), Selector{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkScan is one entry of a scan over everything.
func BenchmarkScan(b *testing.B) {
	for _, where := range []struct {
		name   string
		sealed bool
	}{{"memory", false}, {"segment", true}} {
		b.Run(where.name, func(b *testing.B) {
			l := filled(b, where.sealed)
			scan := func() Iterator {
				it, err := l.Scan(ScanOptions{AsOf: l.NextSeq()})
				if err != nil {
					b.Fatal(err)
				}
				return it
			}
			it := scan()
			for b.Loop() {
				if !it.Next() {
					if it.Close() != nil {
						b.Fatal(it.Err())
					}
					it = scan()
				}
			}
			it.Close()
		})
	}
}

// BenchmarkProve is one proof with both trees, of a random key.
func BenchmarkProve(b *testing.B) {
	l := filled(b, true)
	rng := rand.New(rand.NewPCG(3, 4))
	for b.Loop() {
		if _, err := l.Prove(benchKey(rng.IntN(benchEntries)), Selector{}); err != nil {
			b.Fatal(err)
		}
	}
}
