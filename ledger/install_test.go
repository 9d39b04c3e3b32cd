package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// diverge flips a byte of an entry that a ledger holds in memory, as bad memory does.
func diverge(l *Ledger, seq uint64) {
	m := l.peek().memtableOf(seq)
	e, v := m.at(seq), m.versions.at(uint32(seq-m.first))
	e.Value[0] ^= 1 // the memtable's own copy, as it is a small one
	e.ValueHash[0] ^= 1
	v.valueHash, v.leaf = e.ValueHash, e.LeafHash()
}

// outcome of a crash, in terms of what a ledger holds.
func digest(t testing.TB, l *Ledger) string {
	t.Helper()
	size, root := l.Root()
	return fmt.Sprint(l.AppliedIndex(), size, root, content(t, l))
}

// TestInstallCrashes cuts the power before and after every change of the disk that an installation makes, over a state
// that lags, and over one that has diverged, whose segments go by the same names. What opens is the old state or the new
// one, and the new one from the moment on that the note is durable.
func TestInstallCrashes(t *testing.T) {
	for _, rebuild := range []bool{false, true} {
		t.Run(fmt.Sprint("rebuild ", rebuild), func(t *testing.T) {
			_, leader, follower := newPair(t, 4, 2, nil)
			if rebuild {
				follower = divergedSegment(t, leader)
			}
			old := digest(t, follower.reopen(t, vfs.CrashOptions{}).l) // what is in memory only comes from the log
			opts := follower.l.opts
			copies := follower.mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
			var next string // what is installed
			for pass := range 2 {
				if pass == 1 && next == "" {
					t.Fatal("nothing was installed")
				}
				mem := copies.CrashClone(vfs.CrashOptions{})
				seen := map[string]int{}
				installing := false
				crash := func(n int64) {
					for i, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom, vfs.KeepRandom, vfs.KeepRandom} {
						r := (&replica{mem: mem, l: &Ledger{opts: opts}}).reopen(t,
							vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(uint64(n), uint64(i)))})
						_, noted, err := ReadInstallation(r.mem, "data")
						if err != nil {
							t.Fatal(err)
						}
						switch got := digest(t, r.l); {
						case got == next && noted:
							seen["new"]++
						case got == old && !noted:
							seen["old"]++
						default:
							t.Fatalf("operation %d, keep %d: the state is neither the old nor the new one (noted: %v)", n, keep, noted)
						}
						again := r.reopen(t, vfs.CrashOptions{}) // what was finished stays finished
						if digest(t, again.l) != digest(t, r.l) {
							t.Fatal("the state changes when it is opened again")
						}
					}
				}
				o := opts
				o.Rebuild = rebuild
				o.FS = vfs.NewInject(mem, func(op vfs.Op) vfs.Decision {
					if installing && pass == 1 && op.Kind.Mutates() {
						crash(op.N)
					}
					return vfs.Decision{}
				})
				l, err := Open(o)
				if err != nil {
					t.Fatal(err)
				}
				s := stage(t, leader.l, l, StageOptions{})
				copyAll(t, leader.l, s)
				installing = true
				if err := l.Install(s); err != nil {
					t.Fatal(err)
				}
				installing = false
				next = digest(t, l)
				if pass == 1 {
					crash(-1)
					if seen["old"] == 0 || seen["new"] == 0 {
						t.Fatalf("crashes gave %v", seen)
					}
				}
				if err := l.ForgetInstallation(l.AppliedIndex()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// divergedSegment returns a replica of which a segment has another root than the leader's.
func divergedSegment(t *testing.T, leader *replica) *replica {
	t.Helper()
	r := newReplica(t, nil)
	c := &cluster{t: t}
	for i := range 2 {
		c.write(12, 150)
		if i == 0 {
			c.log[3][len(c.log[3])-1] ^= 1 // the last byte of a value
		}
		c.seal(r.l) // on its own: no leader has agreed to it
	}
	if a, b := leader.l.Manifest().Segments, r.l.Manifest().Segments; a[0].ID != b[0].ID || a[0].Root == b[0].Root {
		t.Fatalf("segments %+v and %+v are to have one name and two roots", a[0], b[0])
	}
	return r
}

// TestInstallFails makes every operation of an installation fail, with and without effect: Install says so, and what
// opens next is the old state or the new one.
func TestInstallFails(t *testing.T) {
	_, leader, follower := newPair(t, 3, 1, nil)
	old := digest(t, follower.reopen(t, vfs.CrashOptions{}).l)
	opts := follower.l.opts
	base := follower.mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	next := ""
	for _, done := range []bool{false, true} {
		for fail := int64(-1); ; fail++ {
			mem := base.CrashClone(vfs.CrashOptions{})
			begin, failed := int64(-1), false
			o := opts
			inject := vfs.NewInject(mem, func(op vfs.Op) vfs.Decision {
				if begin >= 0 && fail >= 0 && op.N-begin == fail && op.Kind != vfs.OpClose && op.Kind != vfs.OpUnmap {
					failed = true
					return vfs.Decision{Err: vfs.ErrInjected, Done: done}
				}
				return vfs.Decision{}
			})
			o.FS = inject
			l, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			s := stage(t, leader.l, l, StageOptions{})
			copyAll(t, leader.l, s)
			begin = inject.Ops()
			err = l.Install(s)
			ops := inject.Ops() - begin
			begin = -1 // what is read below is none of the installation
			switch {
			case !failed && err != nil:
				t.Fatal(err)
			case err == nil:
				next = digest(t, l)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			for _, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll} {
				r := (&replica{mem: mem, l: l}).reopen(t, vfs.CrashOptions{Keep: keep})
				if got := digest(t, r.l); got != next && (got != old || err == nil) {
					t.Fatalf("operation %d fails (%v), keep %d: neither the old nor the new state", fail, err, keep)
				}
			}
			if fail >= ops {
				break
			}
		}
	}
}

// TestInstallWaitsForSpace: a disk that is full when the installation would begin leaves the old state, and a second try
// does it.
func TestInstallWaitsForSpace(t *testing.T) {
	_, leader, follower := newPair(t, 3, 1, nil)
	l, s := follower.l, stage(t, leader.l, follower.l, StageOptions{})
	copyAll(t, leader.l, s)
	old := digest(t, l)
	follower.mem.SetLimit(follower.mem.Used())
	if err := l.Install(s); !errors.Is(err, ErrNoRoom) || !vfs.IsNoSpace(err) {
		t.Fatalf("on a full disk: %v", err)
	}
	if got := digest(t, l); got != old {
		t.Fatal("what could not begin has changed the state")
	}
	follower.mem.SetLimit(0)
	if err := l.Install(s); err != nil {
		t.Fatal(err)
	}
	if size := leader.l.Manifest().TreeSize; l.NextSeq() != size || digest(t, l) == old {
		t.Fatalf("after the second try there are %d entries, and the snapshot has %d", l.NextSeq(), size)
	}
}

// TestRebuild opens a directory whose manifest is damaged, one of whose segments has a flipped byte, one of which is
// missing and one of which is another one: nothing of it is served, only the good ones are kept, and the others are put
// aside.
func TestRebuild(t *testing.T) {
	c, leader, _ := newPair(t, 5, 0, nil)
	segments := leader.l.Manifest().Segments
	r := &replica{mem: leader.mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})}
	file := func(i int) string { return path.Join("data/segments", segments[i].ID+segmentSuffix) }
	flipByte(t, r.mem, "data/MANIFEST", 100)
	flipByte(t, r.mem, file(1), 50)
	if err := r.mem.Remove(file(2)); err != nil {
		t.Fatal(err)
	}
	if err := r.mem.Remove(file(3)); err != nil {
		t.Fatal(err)
	}
	diverged := divergedSegment(t, leader)
	copyFile(t, diverged.mem, file(0), r.mem, file(3))
	opts := leader.l.opts
	opts.FS = r.mem
	var corrupt *vfs.CorruptError
	if _, err := Open(opts); !errors.As(err, &corrupt) {
		t.Fatalf("opens: %v", err)
	}
	opts.Rebuild = true
	var err error
	if r.l, err = Open(opts); err != nil {
		t.Fatal(err)
	}
	if _, err := r.l.Get([]byte("k/1"), Selector{}); !errors.Is(err, ErrRebuilding) {
		t.Fatalf("get: %v", err)
	}
	if _, err := r.l.Entries(0, false); !errors.Is(err, ErrRebuilding) {
		t.Fatalf("entries: %v", err)
	}
	if _, _, err := r.l.Snapshot(); !errors.Is(err, ErrRebuilding) {
		t.Fatalf("snapshot: %v", err)
	}
	if worked, err := r.l.FlushStep(); worked || err != nil {
		t.Fatalf("flush: %v, %v", worked, err)
	}
	s := stage(t, leader.l, r.l, StageOptions{})
	var ids []string
	for _, part := range examine(t, s) {
		ids = append(ids, part.ID())
	}
	if want := []string{segments[1].ID, segments[2].ID, segments[3].ID}; !slices.Equal(ids, want) {
		t.Fatalf("missing are %v, want %v", ids, want)
	}
	copyAll(t, leader.l, s)
	if err := r.l.Install(s); err != nil {
		t.Fatal(err)
	}
	note, ok, err := ReadInstallation(r.mem, "data")
	if err != nil || !ok || !note.Rebuilt || note.Index != r.l.AppliedIndex() {
		t.Fatalf("note %+v, %v, %v", note, ok, err)
	}
	c.feed(r.l)
	sameState(t, leader.l, r.l)
	aside, err := r.mem.List("data/damaged")
	if want := []string{segments[1].ID + segmentSuffix, segments[3].ID + segmentSuffix}; err != nil || !slices.Equal(aside, want) {
		t.Fatalf("put aside are %v, %v, want %v", aside, err, want)
	}
	again := r.reopen(t, vfs.CrashOptions{})
	c.feed(again.l)
	sameState(t, leader.l, again.l)
}

func flipByte(t testing.TB, fsys vfs.FS, name string, at int64) {
	t.Helper()
	f, err := fsys.OpenRW(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t testing.TB, from vfs.FS, name string, to vfs.FS, as string) {
	t.Helper()
	b, err := vfs.ReadFile(from, name, 1<<30)
	if err == nil {
		err = vfs.WriteFileAtomic(to, path.Dir(as), path.Base(as), b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRepair damages segment files under a ledger that goes on serving. Each damaged file is told of once, comes whole
// from another member, and takes its place; the old one is put aside.
func TestRepair(t *testing.T) {
	var told []string
	c, leader, follower := newPair(t, 4, 4, func(o *Options) { o.BlockCacheBytes = 1 })
	follower.l.opts.Damaged = func(err error) { told = append(told, err.Error()) }
	c.feed(follower.l)
	segments := follower.l.Manifest().Segments
	name := path.Join("data/segments", segments[1].ID+segmentSuffix)
	damage := func() {
		for at := int64(20); at < int64(segments[1].Bytes)/2; at += 60 {
			flipByte(t, follower.mem, name, at)
		}
	}
	damage()
	var corrupt *vfs.CorruptError
	reads := map[string]func() error{
		"get": func() error {
			_, err := follower.l.Get([]byte("k/0"), Selector{Kind: AsOfSeq, Seq: segments[1].LastSeq})
			return err
		},
		"exists": func() error {
			_, err := follower.l.Prove([]byte("k/0"), Selector{Kind: AsOfSeq, Seq: segments[1].LastSeq})
			return err
		},
		"entries": func() error { return walkAll(follower.l.Entries(0, false)) },
		"history": func() error { return walkAll(follower.l.History([]byte("k/0"), 1<<40, true)) },
		"scan":    func() error { return walkAll(follower.l.Scan(ScanOptions{AsOf: segments[1].LastSeq})) },
	}
	for what, read := range reads {
		follower.l.damage.files = nil
		told = nil
		for range 2 {
			if err := read(); !errors.As(err, &corrupt) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		if len(told) != 1 {
			t.Fatalf("%s: told of %q", what, told)
		}
	}
	it, err := follower.l.Entries(segments[2].FirstSeq, false) // beyond the damage
	if err != nil {
		t.Fatal(err)
	}
	s := stage(t, follower.l, follower.l, StageOptions{Doubt: map[string]bool{segments[1].ID: true, segments[2].ID: true}})
	missing := examine(t, s)
	if len(missing) != 1 || missing[0].ID() != segments[1].ID {
		t.Fatalf("missing are %+v", missing)
	}
	copyPart(t, leader.l, s, missing[0], 500)
	if err := s.Finish(missing[0]); err != nil {
		t.Fatal(err)
	}
	if err := follower.l.Repair(s); err != nil {
		t.Fatal(err)
	}
	for what, read := range reads {
		if err := read(); err != nil {
			t.Fatalf("%s after the repair: %v", what, err)
		}
	}
	for it.Next() {
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	sameState(t, leader.l, follower.l)
	if aside, err := follower.mem.List("data/damaged"); err != nil || len(aside) != 1 {
		t.Fatalf("put aside are %v, %v", aside, err)
	}
	damage()
	told = nil
	if err := reads["get"](); !errors.As(err, &corrupt) || len(told) != 1 {
		t.Fatalf("the repaired file is damaged too: %v, told of %q", err, told)
	}
}

func walkAll(it Iterator, err error) error {
	if err != nil {
		return err
	}
	for it.Next() {
	}
	return it.Close()
}

// TestDamagedIsBounded: of files put aside only so many are kept.
func TestDamagedIsBounded(t *testing.T) {
	r := newReplica(t, nil)
	for i := range maxDamagedFiles + 10 {
		name := fmt.Sprintf("%016x%s", i, segmentSuffix)
		if err := vfs.WriteFileAtomic(r.mem, "data/segments", name, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := r.l.putAside("data/segments", name); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := r.mem.List("data/damaged"); err != nil || len(names) != maxDamagedFiles {
		t.Fatalf("%d files are kept, %v", len(names), err)
	}
	if names := r.segmentFiles(t); len(names) != 0 {
		t.Fatalf("%d files are left", len(names))
	}
}
