package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// The changes of the disk that giving up a file, and bringing it back, make, in their order. Writes of one file that
// follow each other are one here.
var (
	evictSteps = []string{
		// The manifest lists the object.
		"remove MANIFEST.tmp", "create MANIFEST.tmp", "write MANIFEST.tmp", "sync MANIFEST.tmp", "rename MANIFEST.tmp",
		"sync directory data",
		// The meta tail is here.
		"remove .meta.tmp", "create .meta.tmp", "write .meta.tmp", "sync .meta.tmp", "rename .meta.tmp",
		"sync directory segments",
		// The file goes with its last reader.
		"rename .seg", "remove .seg.gone.tmp",
	}
	fetchSteps = []string{
		// The whole object is here.
		"mkdir incoming", "create .part", "sync directory incoming", "truncate .part", "write .part", "sync .part",
		"rename .part", "sync directory segments", "sync directory incoming",
		// The meta tail goes with its last reader.
		"rename .meta", "remove .meta.gone.tmp",
	}
)

// stepOf names an operation as the lists above do.
func stepOf(op vfs.Op) string {
	name := path.Base(op.Name)
	if first, _, ok := strings.Cut(name, "."); ok && len(first) > 30 {
		name = name[len(first):]
		if strings.HasSuffix(name, partialSuffix) {
			name = partialSuffix
		}
	}
	return fmt.Sprintf("%v %s", op.Kind, name)
}

// TestEvictCrashes cuts the power before every change of the disk that an eviction, and the way back, make. Each entry is
// there afterwards, from the file or from the object; what opens needs no meta tail from the store, which is away just then;
// and what was cut short can be done again.
func TestEvictCrashes(t *testing.T) {
	c, store, base := newTiered(t, 2)
	want := content(t, base.l)
	opts := base.l.opts
	id := ids(base.l)[0]
	var steps []string
	var mem *vfs.Mem
	crash := func(n int64, last string) {
		for i, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom, vfs.KeepRandom, vfs.KeepRandom} {
			store.setAway(true)
			r := (&replica{mem: mem, l: &Ledger{opts: opts}}).reopen(t,
				vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(uint64(n), uint64(i)))})
			store.setAway(false)
			c.feed(r.l)
			what := fmt.Sprintf("before %q, keep %d", last, keep)
			holds := func() {
				t.Helper()
				for key, value := range content(t, r.l) {
					if want[key] != value {
						t.Fatalf("%s: %s is %q, want %q", what, key, value, want[key])
					}
				}
				disk, err := r.l.readManifest()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.mem.Stat(r.l.segmentFile(id)); err != nil && !disk.Segments[0].Object.Exists() {
					t.Fatalf("%s: the file is gone, and the manifest lists no object: %v", what, err)
				}
			}
			holds()
			for _, again := range []func(context.Context, string) error{r.l.Evict, r.l.Fetch, r.l.Evict} {
				if err := again(context.Background(), id); err != nil {
					t.Fatalf("%s: again: %v", what, err)
				}
				if err := compactAll(r.l); err != nil {
					t.Fatal(err)
				}
				holds()
			}
			if n, m := r.files(t); n != 1 || m != 1 {
				t.Fatalf("%s: %d files and %d meta tails are left", what, n, m)
			}
		}
	}
	mem = base.mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	watching := false
	o := opts
	o.FS = vfs.NewInject(mem, func(op vfs.Op) vfs.Decision {
		if watching && op.Kind.Mutates() {
			watching = false
			step := stepOf(op)
			if len(steps) == 0 || steps[len(steps)-1] != step {
				steps = append(steps, step)
			}
			crash(op.N, step)
			watching = true
		}
		return vfs.Decision{}
	})
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	c.feed(l)
	watching = true
	for _, do := range []func(context.Context, string) error{l.Evict, l.Fetch} {
		if err := do(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		if err := compactAll(l); err != nil {
			t.Fatal(err)
		}
	}
	watching = false
	crash(-1, "the end")
	if all := slices.Concat(evictSteps, fetchSteps); !slices.Equal(steps, all) {
		t.Fatalf("the steps are\n%q, want\n%q", steps, all)
	}
}
