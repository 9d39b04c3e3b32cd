package ledger

import (
	"fmt"
	"math/rand/v2"
	"slices"
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

// benchPlaces are where the entries of a read benchmark lie: in a memtable, in one segment, in eight.
var benchPlaces = []struct {
	name     string
	segments int
}{{"memory", 0}, {"segment", 1}, {"segments", 8}}

// filled returns a ledger with benchEntries entries, in memory or in so many installed segments.
func filled(b *testing.B, segments int) *Ledger {
	b.Helper()
	l := benchLedger(b)
	index := uint64(0)
	for i, c := range benchCommands(b) {
		index++
		benchApply(b, l, index, c)
		if segments > 0 && (i+1)%(benchEntries/segments) == 0 {
			index++
			benchApply(b, l, index, SealNow())
			index = benchFlush(b, l, index+1)
		}
	}
	return l
}

// benchFlush builds, records and installs what is sealed. It returns the index of the last entry applied.
func benchFlush(b *testing.B, l *Ledger, index uint64) uint64 {
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
			return index - 1
		}
	}
}

// benchBatch is how many commands a commit brings, as with that many writers.
const benchBatch = 256

// BenchmarkApply is one put of a batch: decode, value hash, leaf hash, ledger tree, memtable. Without hashing it is the
// same but for the two hashes and the tree: what the proofs cost is the difference.
func BenchmarkApply(b *testing.B) {
	for _, hashed := range []bool{true, false} {
		b.Run(map[bool]string{true: "hashed", false: "unhashed"}[hashed], func(b *testing.B) {
			commands := benchCommands(b)
			l := benchLedger(b)
			batch, results := make([]Committed, benchBatch), make([]Result, 0, benchBatch)
			b.ReportAllocs()
			at := 0
			for b.Loop() {
				if at == len(commands) {
					b.StopTimer()
					l, at = benchLedger(b), 0
					b.StartTimer()
				}
				batch[at%benchBatch] = Committed{uint64(at + 1), 1, commands[at]}
				if at++; at%benchBatch > 0 && at < len(commands) {
					continue
				}
				var err error
				if full := batch[:(at-1)%benchBatch+1]; hashed {
					_, err = l.ApplyBatch(full, results[:0])
				} else {
					err = applyUnhashed(l, full)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// applyUnhashed is ApplyBatch of puts without hashes and trees.
func applyUnhashed(l *Ledger, batch []Committed) error {
	l.active.handed = ^uint32(0) - hashRun // none is ever due
	for i := range batch {
		var res Result
		if err := l.applyCommand(&batch[i], &res); err != nil {
			return err
		}
		l.command.forget()
	}
	l.active.link()
	l.active.publish()
	l.pending.receipts = l.pending.receipts[:0]
	l.published.Store(l.next)
	l.applied.Store(batch[len(batch)-1].Index)
	return nil
}

// BenchmarkApplyBesideFlush is apply while the memtable before is written to disk: the figures are percentiles.
func BenchmarkApplyBesideFlush(b *testing.B) {
	commands := benchCommands(b)
	l := benchLedger(b)
	index := uint64(0)
	took := make([]time.Duration, 0, benchEntries)
	for b.Loop() {
		for _, c := range commands { // new versions, from the second time on
			index++
			benchApply(b, l, index, c)
		}
		index++
		benchApply(b, l, index, SealNow())
		flushed := make(chan error, 1)
		go func() {
			_, err := l.FlushStep()
			flushed <- err
		}()
		var err error
		for busy := true; busy; {
			began := time.Now()
			index++
			benchApply(b, l, index, commands[index%benchEntries])
			took = append(took, time.Since(began))
			select {
			case err = <-flushed:
				busy = false
			default:
			}
		}
		if err != nil {
			b.Fatal(err)
		}
		index = benchFlush(b, l, index+1)
	}
	slices.Sort(took)
	for _, p := range []struct {
		name string
		at   int
	}{{"p50-ns", len(took) / 2}, {"p99.9-ns", len(took) * 999 / 1000}, {"max-ns", len(took) - 1}} {
		b.ReportMetric(float64(took[p.at].Nanoseconds()), p.name)
	}
}

// BenchmarkFlush builds, syncs and installs a segment of benchEntries entries.
func BenchmarkFlush(b *testing.B) {
	b.SetBytes(benchEntries * (16 + 256))
	for b.Loop() {
		b.StopTimer()
		l := filled(b, 0)
		benchApply(b, l, benchEntries+1, SealNow())
		b.StartTimer()
		benchFlush(b, l, benchEntries+2)
	}
}

// BenchmarkGet is a point read of a random key. Absent keys lie between the others.
func BenchmarkGet(b *testing.B) {
	for _, where := range benchPlaces {
		l := filled(b, where.segments)
		b.Run("present/"+where.name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(3, 4))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Get(benchKey(rng.IntN(benchEntries)), Selector{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("absent/"+where.name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(3, 4))
			b.ReportAllocs()
			for b.Loop() {
				key := append(benchKey(rng.IntN(benchEntries)), 'x')
				if ok, err := l.Exists(key); ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

// BenchmarkScan is one entry of a scan over everything.
func BenchmarkScan(b *testing.B) {
	for _, where := range benchPlaces {
		l := filled(b, where.segments)
		for _, reverse := range []bool{false, true} {
			b.Run(map[bool]string{false: "forward/", true: "reverse/"}[reverse]+where.name, func(b *testing.B) {
				it := benchKeys(b, l, reverse)
				b.ReportAllocs()
				for b.Loop() {
					if !it.Next() {
						if err := it.Close(); err != nil {
							b.Fatal(err)
						}
						it = benchKeys(b, l, reverse)
					}
				}
				it.Close()
			})
		}
	}
}

// BenchmarkScan100 is a scan of 100 entries from a random key.
func BenchmarkScan100(b *testing.B) {
	for _, where := range benchPlaces {
		l := filled(b, where.segments)
		b.Run(where.name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(3, 4))
			b.ReportAllocs()
			for b.Loop() {
				it := benchKeys(b, l, false)
				n := 0
				for ok := it.Seek(benchKey(rng.IntN(benchEntries - 100))); ok && n < 100; n++ {
					ok = it.Next()
				}
				if err := it.Close(); err != nil || n != 100 {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func benchKeys(b *testing.B, l *Ledger, reverse bool) *KeyIterator {
	it, err := l.Keys(ScanOptions{AsOf: l.NextSeq(), Reverse: reverse})
	if err != nil {
		b.Fatal(err)
	}
	return it
}

// BenchmarkProve is one proof with both trees, of a random key.
func BenchmarkProve(b *testing.B) {
	l := filled(b, 1)
	rng := rand.New(rand.NewPCG(3, 4))
	for b.Loop() {
		if _, err := l.Prove(benchKey(rng.IntN(benchEntries)), Selector{}); err != nil {
			b.Fatal(err)
		}
	}
}
