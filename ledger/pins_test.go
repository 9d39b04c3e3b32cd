package ledger

import (
	"path"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// pinsOf returns how often each file is pinned.
func (l *Ledger) pinsOf() map[string]int {
	l.leftovers.mu.Lock()
	defer l.leftovers.mu.Unlock()
	out := make(map[string]int)
	for id, n := range l.leftovers.pins {
		out[id] = n
	}
	return out
}

// TestStagingsPinOnce: each staging pins what it has looked at once, and lets go of it once, when it is closed; what
// another one has found of use stays pinned.
func TestStagingsPinOnce(t *testing.T) {
	r := newReplica(t, func(o *Options) { o.CompactFanIn = -1 })
	for i := range 3 {
		mustApply(t, r.l, uint64(2*i+1), putCommand(t, string(keyOf(uint64(i))), valueOf(uint64(i), 50)))
		mustApply(t, r.l, uint64(2*i+2), SealNow())
	}
	if err := flushAll(r.l); err != nil {
		t.Fatal(err)
	}
	index := uint64(6)
	for _, d := range r.l.BuiltRoots() {
		index++
		mustApply(t, r.l, index, RecordWant(d).Data)
	}
	if err := flushAll(r.l); err != nil {
		t.Fatal(err)
	}
	segments := len(r.l.Manifest().Segments)
	expect := func(when string, each int) {
		t.Helper()
		got := r.l.pinsOf()
		if each > 0 && len(got) != segments || each == 0 && len(got) != 0 {
			t.Fatalf("%s: pinned are %v", when, got)
		}
		for id, n := range got {
			if n != each {
				t.Fatalf("%s: %s is pinned %d times", when, id, n)
			}
		}
	}
	if segments == 0 {
		t.Fatal("no segments")
	}
	first, second := stage(t, r.l, r.l, StageOptions{}), stage(t, r.l, r.l, StageOptions{})
	examine(t, first)
	expect("one has looked", 1)
	examine(t, second)
	expect("both have looked", 2)
	first.Close()
	expect("one is closed", 1)
	first.Close() // does nothing
	expect("one is closed again", 1)
	second.Close()
	expect("both are closed", 0)
}

// TestOpenRemovesWhatWasHalfBuilt, of flushes and of merges, and nothing else.
func TestOpenRemovesWhatWasHalfBuilt(t *testing.T) {
	r := newReplica(t, nil)
	mustApply(t, r.l, 1, putCommand(t, "k", valueOf(1, 50)))
	mustApply(t, r.l, 2, SealNow())
	if err := flushAll(r.l); err != nil {
		t.Fatal(err)
	}
	whole := r.segmentFiles(t)
	opts := r.l.opts
	for _, name := range []string{r.l.segmentFile("0000000000000000-0000000000000009") + temporarySuffix,
		r.l.segmentFile("0000000000000000-0000000000000009") + ".scratch" + temporarySuffix,
		path.Join(opts.Dir, manifestName+temporarySuffix)} {
		f, err := r.mem.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("half"), 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	left := r.mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	opts.FS = left
	next, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	for _, dir := range []string{opts.Dir, next.segmentDir()} {
		names, err := left.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, temporarySuffix) {
				t.Errorf("%s is left", path.Join(dir, name))
			}
		}
	}
	if got := (&replica{left, next}).segmentFiles(t); len(got) != len(whole) {
		t.Errorf("%d files are left of %d", len(got), len(whole))
	}
}
