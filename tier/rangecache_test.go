package tier_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// cacheObject is an object whose bytes are told by their place.
func cacheObject(number byte) *tier.SealedObject {
	return &tier.SealedObject{Name: fmt.Sprintf("segments/%d", number), Bytes: 1 << 40, SHA256: [32]byte{number, 1}}
}

func cacheBytes(o *tier.SealedObject, off int64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{o.SHA256[0], byte(off), byte(off >> 8), byte(off >> 16), byte(off >> 24)}).Read(b)
	return b
}

func openCache(t testing.TB, fsys vfs.FS, maxBytes int64) *tier.RangeCache {
	t.Helper()
	c, err := tier.OpenRangeCache(tier.RangeCacheOptions{FS: fsys, Dir: "cache", MaxBytes: maxBytes})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// offer reads a range as a reader does: from the cache, else from elsewhere. It says which.
func offer(t testing.TB, c *tier.RangeCache, o *tier.SealedObject, off int64, n int) (hit bool) {
	t.Helper()
	p := make([]byte, n)
	want := cacheBytes(o, off, n)
	if c.Get(o, p, off) {
		if !bytes.Equal(p, want) {
			t.Fatalf("the cache gave wrong bytes for %s at %d", o.Name, off)
		}
		return true
	}
	c.Offer(o, want, off)
	return false
}

func TestRangeCache(t *testing.T) {
	fsys := vfs.NewMem()
	c := openCache(t, fsys, 0)
	a, b := cacheObject(1), cacheObject(2)
	for i, want := range []bool{false, false, true, true} { // in at the second request
		if got := offer(t, c, a, 100, 8000); got != want {
			t.Fatalf("request %d: %v", i, got)
		}
	}
	if offer(t, c, b, 100, 8000) || offer(t, c, a, 101, 8000) || offer(t, c, a, 100, 7999) {
		t.Fatal("another range is taken for it")
	}
	c.Drop(a, 100, 8000)
	if offer(t, c, a, 100, 8000) || !offer(t, c, a, 100, 8000) {
		t.Fatal("what was dropped is not read again")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if offer(t, c, a, 100, 8000) {
		t.Fatal("a closed cache gives")
	}
	c = openCache(t, fsys, 0)
	if !offer(t, c, a, 100, 8000) || offer(t, c, b, 100, 8000) {
		t.Fatal("an opened cache does not have what it had")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	var none *tier.RangeCache
	none.Offer(a, make([]byte, 10), 0)
	none.Drop(a, 0, 10)
	if none.Get(a, make([]byte, 10), 0) || none.Close() != nil {
		t.Fatal("no cache")
	}
}

// TestRangeCacheBounds: the space is bounded, what is read often stays, and one pass over much does not push it out.
func TestRangeCacheBounds(t *testing.T) {
	fsys := vfs.NewMem()
	const most = 4 << 20
	c := openCache(t, fsys, most)
	defer c.Close()
	o := cacheObject(1)
	hot := func() (hits int) {
		for i := range int64(50) {
			if offer(t, c, o, i*10_000, 8000) {
				hits++
			}
		}
		return hits
	}
	hot()
	hot()
	for i := range int64(5000) {
		off := 1<<30 + i/2*10_000
		offer(t, c, o, off, 8000) // each twice: it is let in
		if i%20 == 0 {
			hot()
		}
		if used := fsys.Used(); used > most+64<<10 {
			t.Fatalf("%d bytes are used, of %d", used, most)
		}
	}
	if hits := hot(); hits < 40 {
		t.Fatalf("%d of 50 hot ranges are left", hits)
	}
	used := fsys.Used()
	for i := range int64(5000) {
		offer(t, c, o, 1<<35+i*10_000, 8000) // each once
	}
	if fsys.Used() != used {
		t.Fatal("a pass over much that is read once was written")
	}
}

// TestRangeCacheDamage flips every byte of the files in turn: nothing wrong is ever given, and the range comes back.
func TestRangeCacheDamage(t *testing.T) {
	fsys := vfs.NewMem()
	c := openCache(t, fsys, 0)
	o := cacheObject(1)
	for range 2 {
		for i := range int64(4) {
			offer(t, c, o, i*1000, 40)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := fsys.List("cache")
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	name := path.Join("cache", names[0])
	whole, err := vfs.ReadFile(fsys, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	write := func(fsys vfs.FS, data []byte) {
		if err := fsys.Remove(name); err != nil {
			t.Fatal(err)
		}
		f, err := fsys.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(data, 0); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	for at := range whole {
		for _, open := range []bool{false, true} { // damaged before it is opened, and while it is
			fsys := vfs.NewMem()
			if err := fsys.MkdirAll("cache"); err != nil {
				t.Fatal(err)
			}
			bad := bytes.Clone(whole)
			bad[at] ^= 0x10
			f, err := fsys.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			var c *tier.RangeCache
			if open {
				write(fsys, whole)
				c = openCache(t, fsys, 0)
				f, err := fsys.OpenRW(name)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteAt(bad[at:at+1], int64(at)); err != nil {
					t.Fatal(err)
				}
				f.Close()
			} else {
				write(fsys, bad)
				c = openCache(t, fsys, 0)
			}
			for range 3 {
				for i := range int64(4) {
					offer(t, c, o, i*1000, 40)
				}
			}
			for i := range int64(4) {
				if !offer(t, c, o, i*1000, 40) {
					t.Fatalf("byte %d: range %d does not come back", at, i)
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRangeCacheCrash cuts the power at any moment, over and over: what is given afterwards is right.
func TestRangeCacheCrash(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fsys := vfs.NewMem()
		c := openCache(t, fsys, 1<<20)
		o := cacheObject(1)
		for range rapid.IntRange(1, 8).Draw(rt, "lives") {
			for range rapid.IntRange(0, 150).Draw(rt, "reads") {
				offer(t, c, o, rapid.Int64Range(0, 100).Draw(rt, "at")*5000,
					rapid.SampledFrom([]int{100, 4000, 20_000}).Draw(rt, "n"))
			}
			if rapid.Bool().Draw(rt, "closed") {
				if err := c.Close(); err != nil {
					rt.Fatal(err)
				}
			}
			seed := rapid.Uint64().Draw(rt, "seed")
			clone := fsys.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: rand.New(rand.NewPCG(seed, 1))})
			c.Close()
			fsys = clone
			c = openCache(t, fsys, 1<<20)
		}
		c.Close()
	})
}

// TestRangeCacheFullDisk: a disk that is full, or nearly, keeps the cache from growing and nothing else.
func TestRangeCacheFullDisk(t *testing.T) {
	fsys := vfs.NewMem()
	now := time.Unix(1e9, 0)
	reserve := int64(0)
	c, err := tier.OpenRangeCache(tier.RangeCacheOptions{FS: fsys, Dir: "cache", MaxBytes: 4 << 20,
		ReserveBytes: func() int64 { return reserve }, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := cacheObject(1)
	all := func(n int64) (hits int) {
		for i := range n {
			if offer(t, c, o, i*10_000, 8000) {
				hits++
			}
		}
		return hits
	}
	fsys.SetLimit(1 << 20)
	all(300)
	all(300)
	all(80)
	if hits := all(80); hits != 80 || fsys.Used() > 1<<20 {
		t.Fatal(hits, fsys.Used())
	}
	now = now.Add(time.Minute)
	fsys.SetLimit(8 << 20)
	all(300)
	if hits := all(300); hits != 300 {
		t.Fatalf("%d hits once there is room", hits)
	}
	reserve, now = 7<<20, now.Add(time.Minute)
	for i := range int64(600) { // new ones make it give way
		offer(t, c, o, 1<<30+i/2*10_000, 8000)
	}
	if used := fsys.Used(); used > 1<<20+64<<10 {
		t.Fatalf("%d bytes are used, the reserve leaves 1 MiB", used)
	}
}

// TestRangeCacheErrors fails each call to the file system in turn, done or not done: reads go on, and give what is
// right.
func TestRangeCacheErrors(t *testing.T) {
	run := func(hook vfs.Hook) (ops int64) {
		inner := vfs.NewMem()
		fsys := vfs.NewInject(inner, hook)
		now := time.Unix(1e9, 0)
		o := cacheObject(1)
		for range 2 {
			c, err := tier.OpenRangeCache(tier.RangeCacheOptions{FS: fsys, Dir: "cache", MaxBytes: 1 << 20,
				Now: func() time.Time { return now }})
			if err != nil {
				if !errors.Is(err, unix.EIO) {
					t.Fatal(err)
				}
				continue // the node goes on without a cache
			}
			for i := range int64(160) {
				offer(t, c, o, i%40*10_000, 16_000)
				now = now.Add(time.Second)
			}
			if err := c.Close(); err != nil && !errors.Is(err, unix.EIO) {
				t.Fatal(err)
			}
		}
		return fsys.Ops()
	}
	n := run(nil)
	for _, done := range []bool{false, true} {
		for at := int64(0); at < n; at += 1 + at/5 {
			run(func(op vfs.Op) vfs.Decision {
				if op.N == at {
					return vfs.Decision{Err: unix.EIO, Done: done}
				}
				return vfs.Decision{}
			})
		}
	}
}

func TestRangeCacheConcurrent(t *testing.T) {
	fsys := vfs.NewMem()
	c := openCache(t, fsys, 1<<20)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 2))
			for range 1000 {
				o, off := cacheObject(byte(random.IntN(2))), random.Int64N(120)*10_000
				p := make([]byte, 8000)
				want := cacheBytes(o, off, len(p))
				if !c.Get(o, p, off) {
					c.Offer(o, want, off)
				} else if !bytes.Equal(p, want) {
					t.Error("wrong bytes")
				}
				if random.IntN(100) == 0 {
					c.Drop(o, off, len(p))
				}
			}
		})
	}
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
