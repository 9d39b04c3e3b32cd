package vfs_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
	"pgregory.net/rapid"
)

const (
	sector   = 512
	memPage  = 4096
	diskFile = 12 * memPage // as long as files of the model get
)

func none(m *vfs.Mem) *vfs.Mem { return m.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone}) }
func all(m *vfs.Mem) *vfs.Mem  { return m.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}) }
func some(m *vfs.Mem, seed uint64) *vfs.Mem {
	return m.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: rand.New(rand.NewPCG(seed, 1))})
}

// diskModel says what one file holds and what of it is durable, byte by byte.
type diskModel struct {
	vol, dur         [diskFile]byte
	size, durSize    int64
	mapped, writable int64 // lengths of the live mappings, 0 without
}

func (d *diskModel) crashed(t *rapid.T, what string, m *vfs.Mem, size int64, data *[diskFile]byte) {
	if got := readModelFile(t, m); !bytes.Equal(got, data[:size]) {
		t.Fatalf("%s: %d bytes, want %d; first difference at %d", what, len(got), size, firstDifference(got, data[:size]))
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func readModelFile(t *rapid.T, m *vfs.Mem) []byte {
	data, err := vfs.ReadFile(m, "f", diskFile)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// check compares crash clones with the model: none and all exactly, random ones sector by sector.
func (d *diskModel) check(t *rapid.T, m *vfs.Mem, seed uint64) {
	d.crashed(t, "none", none(m), d.durSize, &d.dur)
	d.crashed(t, "all", all(m), d.size, &d.vol)
	clone := some(m, seed)
	got := readModelFile(t, clone)
	size := int64(len(got))
	if size < min(d.size, d.durSize) || size > max(d.size, d.durSize) {
		t.Fatalf("random: %d bytes, was %d, is %d", size, d.durSize, d.size)
	}
	for lo := int64(0); lo < size; lo += sector {
		hi := min(lo+sector, size)
		old := d.dur[lo:hi]
		fresh := slices.Clone(old) // what lies behind the volatile end was cut, not written
		copy(fresh, d.vol[lo:max(lo, min(hi, d.size))])
		if s := got[lo:hi]; !bytes.Equal(s, old) && !bytes.Equal(s, fresh) {
			t.Fatalf("random: sector at %d is neither its durable nor its latest content", lo)
		}
	}
	if again := readModelFile(t, none(clone)); !bytes.Equal(again, got) {
		t.Fatal("what survived one crash does not survive the next")
	}
	if again := readModelFile(t, some(m, seed)); !bytes.Equal(again, got) {
		t.Fatal("two clones with one seed differ")
	}
}

// Property: a file after a crash holds its synced bytes, and of the others whole sectors.
func TestCrashContent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := vfs.NewMem()
		f, err := m.Create("f")
		if err != nil {
			t.Fatal(err)
		}
		if err := m.SyncDir("/"); err != nil {
			t.Fatal(err)
		}
		d := &diskModel{}
		var r, w vfs.Mapping
		ok := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		size := rapid.Custom(func(t *rapid.T) int64 {
			n := rapid.Int64Range(0, diskFile).Draw(t, "n")
			if rapid.Bool().Draw(t, "aligned") {
				n -= n % sector
			}
			return n
		})
		fill := func(p []byte) {
			b := rapid.Byte().Draw(t, "byte")
			for i := range p {
				p[i] = b + byte(i%7)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				off := size.Draw(t, "off")
				p := make([]byte, min(diskFile-off, rapid.Int64Range(0, 9000).Draw(t, "len")))
				fill(p)
				_, err := f.WriteAt(p, off)
				ok(err)
				copy(d.vol[off:], p)
				if len(p) > 0 {
					d.size = max(d.size, off+int64(len(p)))
				}
			},
			"truncate": func(t *rapid.T) {
				n := max(size.Draw(t, "size"), d.mapped, d.writable)
				ok(f.Truncate(n))
				clear(d.vol[n:])
				d.size = n
			},
			"preallocate": func(t *rapid.T) {
				n := size.Draw(t, "size")
				ok(f.Preallocate(n))
				d.size = max(d.size, n)
			},
			"sync": func(t *rapid.T) {
				ok(f.Sync())
				d.dur, d.durSize = d.vol, d.size
			},
			"map": func(t *rapid.T) {
				if r != nil || d.size == 0 || w != nil && d.size > d.writable {
					t.Skip()
				}
				r, err = f.Map(d.size, false)
				ok(err)
				d.mapped = d.size
			},
			"map for stores": func(t *rapid.T) {
				if w != nil || d.size == 0 || r != nil && d.size > d.mapped {
					t.Skip()
				}
				ok(f.Preallocate(d.size))
				w, err = f.Map(d.size, true)
				ok(err)
				d.writable = d.size
			},
			"store": func(t *rapid.T) {
				if w == nil {
					t.Skip()
				}
				off := rapid.Int64Range(0, d.writable-1).Draw(t, "off")
				p := w.Bytes()[off:min(d.writable, off+rapid.Int64Range(0, 9000).Draw(t, "len"))]
				fill(p)
				copy(d.vol[off:], p)
			},
			"sync mapping": func(t *rapid.T) {
				if w == nil {
					t.Skip()
				}
				off := rapid.Int64Range(0, d.writable).Draw(t, "off")
				n := rapid.Int64Range(0, d.writable-off).Draw(t, "n")
				ok(w.Sync(off, n))
				if n > 0 {
					lo, hi := off/memPage*memPage, min(diskFile, (off+n+memPage-1)/memPage*memPage)
					copy(d.dur[lo:hi], d.vol[lo:hi])
				}
			},
			"unmap": func(t *rapid.T) {
				if r == nil {
					t.Skip()
				}
				ok(r.Close())
				r, d.mapped = nil, 0
			},
			"unmap stores": func(t *rapid.T) {
				if w == nil {
					t.Skip()
				}
				ok(w.Close())
				w, d.writable = nil, 0
			},
			"crash": func(t *rapid.T) { // and go on with what is left
				m = some(m, rapid.Uint64().Draw(t, "seed"))
				data := readModelFile(t, m)
				f, err = m.OpenRW("f")
				ok(err)
				*d = diskModel{size: int64(len(data)), durSize: int64(len(data))}
				copy(d.vol[:], data)
				d.dur = d.vol
				r, w = nil, nil
			},
			"": func(t *rapid.T) {
				d.check(t, m, rapid.Uint64().Draw(t, "seed"))
				if r != nil && !bytes.Equal(r.Bytes(), d.vol[:d.mapped]) {
					t.Fatal("the mapping shows something else than the file")
				}
			},
		})
	})
}

// Random crashes reach the extremes and what lies between, in sizes and in sectors; a test that clones a few times must
// not see one kind only.
func TestRandomCrashesVary(t *testing.T) {
	const size = 40 * sector
	m := vfs.NewMem()
	f := create(t, m, "f", nil)
	must(t, m.SyncDir("/"))
	_, err := f.WriteAt(bytes.Repeat([]byte("a"), size), 0)
	must(t, err)
	seen := map[string]int{}
	for seed := range uint64(300) {
		got := content(t, some(m, seed), "f")
		kept := bytes.Count(got, []byte("a"))
		switch len(got) {
		case 0:
			seen["old size"]++
			continue
		case size:
			seen["new size"]++
		default:
			seen["size between"]++
		}
		switch lost := len(got) - kept; {
		case kept == 0:
			seen["no sectors"]++
		case lost == 0:
			seen["all sectors"]++
		case kept == sector || lost == sector:
			seen["all sectors but one, or one"]++
		default:
			seen["some sectors"]++
		}
	}
	for _, kind := range []string{"old size", "new size", "size between", "no sectors", "all sectors",
		"all sectors but one, or one", "some sectors"} {
		if seen[kind] < 2 {
			t.Errorf("%s: %d of 300 crashes", kind, seen[kind])
		}
	}
}

// A clone and its origin share pages; neither may see the other's writes, through whatever path they come.
func TestCloneIsApart(t *testing.T) {
	m := vfs.NewMem()
	f := create(t, m, "f", bytes.Repeat([]byte("a"), 2*memPage))
	must(t, f.Sync())
	must(t, m.SyncDir("/"))
	clone := none(m)
	_, err := f.WriteAt([]byte("origin"), 0)
	must(t, err)
	must(t, f.Sync())
	w, err := f.Map(2*memPage, true)
	must(t, err)
	copy(w.Bytes()[memPage:], "origin")
	must(t, w.Sync(0, 2*memPage))
	want := bytes.Repeat([]byte("a"), 2*memPage)
	if !bytes.Equal(content(t, clone, "f"), want) {
		t.Error("the clone sees writes to its origin")
	}
	g, err := clone.OpenRW("f")
	must(t, err)
	_, err = g.WriteAt([]byte("clone"), 100)
	must(t, err)
	copy(want[100:], "clone")
	if !bytes.Equal(content(t, clone, "f"), want) {
		t.Error("the clone cannot be written")
	}
	copy(want, bytes.Repeat([]byte("a"), 200))
	copy(want, "origin")
	copy(want[memPage:], "origin")
	if !bytes.Equal(content(t, m, "f"), want) {
		t.Error("the origin sees writes to its clone")
	}
	l, err := m.Lock("LOCK")
	must(t, err)
	defer l.Close()
	if _, err := all(m).Lock("LOCK"); err != nil {
		t.Errorf("a lock outlives a crash: %v", err)
	}
}

// Clones are taken while another goroutine stores through a mapping; the race detector must stay silent, since the
// package promises that this is allowed.
func TestCloneBesideStores(t *testing.T) {
	m := vfs.NewMem()
	f := create(t, m, "f", nil)
	must(t, f.Preallocate(8*memPage))
	must(t, f.Sync())
	must(t, m.SyncDir("/"))
	w, err := f.Map(8*memPage, true)
	must(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			for j := range w.Bytes() {
				w.Bytes()[j] = byte(i)
			}
			if err := w.Sync(0, memPage); err != nil {
				t.Error(err)
			}
		}
	})
	for seed := range uint64(200) {
		some(m, seed)
		all(m)
		if err := f.Sync(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

// BenchmarkCrashClone clones 16 files of 16 KiB with some unsynced pages, and one mapped log of 1 MiB.
func BenchmarkCrashClone(b *testing.B) {
	m := vfs.NewMem()
	for i := range 16 {
		f := create(b, m, fmt.Sprintf("f%d", i), bytes.Repeat([]byte{1}, 16<<10))
		must(b, f.Sync())
		_, err := f.WriteAt([]byte("unsynced"), int64(i)*1000)
		must(b, err)
	}
	log := create(b, m, "log", nil)
	must(b, log.Preallocate(1<<20))
	must(b, log.Sync())
	must(b, m.SyncDir("/"))
	w, err := log.Map(1<<20, true)
	must(b, err)
	copy(w.Bytes()[10_000:], bytes.Repeat([]byte{2}, 10_000))
	for _, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom} {
		b.Run([]string{"none", "all", "random"}[keep], func(b *testing.B) {
			opts := vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(1, 2))}
			for b.Loop() {
				m.CrashClone(opts)
			}
		})
	}
}

// A mapping syncs whole blocks, also what lies in the last one behind the mapping's end.
func TestMappingSyncsBlocks(t *testing.T) {
	m := vfs.NewMem()
	f, err := m.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const at = 3000 // in another sector than the mapping's end, in the same block
	for _, err := range []error{f.Preallocate(8192), f.Sync(), m.SyncDir("/")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err := f.Map(1000, true)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, off := range []int64{at, 4096} {
		if _, err := f.WriteAt([]byte("x"), off); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Sync(0, 1000); err != nil {
		t.Fatal(err)
	}
	b, err := vfs.ReadFile(none(m), "f", 8192)
	if err != nil || len(b) != 8192 || b[at] != 'x' || b[4096] != 0 {
		t.Fatalf("%v, %d bytes; the first block is not durable, or more is", err, len(b))
	}
}
