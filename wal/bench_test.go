package wal

import (
	"fmt"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

func BenchmarkAppend(b *testing.B) {
	for _, m := range []AppendMethod{ByPwrite, ByStores} {
		for _, c := range []struct {
			name    string
			n, size int
		}{{"1x300B", 1, 300}, {"64x300B", 64, 300}, {"1x1MiB", 1, 1 << 20}} {
			b.Run(fmt.Sprintf("%s/%s", m, c.name), func(b *testing.B) {
				l, err := Open(Options{FS: vfs.NewOS(), Dir: b.TempDir(), Method: m})
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				batch := run(1, c.n, 1, c.size)
				b.SetBytes(int64(c.n * c.size))
				b.ResetTimer()
				for range b.N {
					if l.Room() < BatchBytes(batch) {
						// Making files ahead is not the appender's work; with it goes what a state machine would do.
						b.StopTimer()
						if err := l.Trim(l.LastIndex()); err != nil {
							b.Fatal(err)
						}
						if err := l.Prepare(); err != nil {
							b.Fatal(err)
						}
						b.StartTimer()
					}
					if err := l.Append(nil, batch); err != nil {
						b.Fatal(err)
					}
					for i := range batch {
						batch[i].Index += uint64(c.n)
					}
				}
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	const n = 1 << 16
	dir := b.TempDir()
	l, err := Open(Options{FS: vfs.NewOS(), Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	for i := uint64(0); i < n; i += 1024 {
		mustAppend(b, l, nil, run(i+1, 1024, 1, 1000))
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(n * 1000)
	for b.Loop() {
		l, err := Open(Options{FS: vfs.NewOS(), Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if l.LastIndex() != n {
			b.Fatal(l.LastIndex())
		}
		l.Close()
	}
}

func BenchmarkEntries(b *testing.B) {
	l, err := Open(Options{FS: vfs.NewOS(), Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	mustAppend(b, l, nil, run(1, 1024, 1, 300))
	b.SetBytes(1024 * 300)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Entries(1, 1025, 1<<30); err != nil {
			b.Fatal(err)
		}
	}
}
