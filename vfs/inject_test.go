package vfs_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
	"golang.org/x/sys/unix"
)

// everyOp makes each kind of operation once and returns the errors by kind.
func everyOp(fsys vfs.FS) map[vfs.OpKind]error {
	errs := map[vfs.OpKind]error{}
	errs[vfs.OpMkdirAll] = fsys.MkdirAll("d")
	f, err := fsys.Create("new")
	errs[vfs.OpCreate] = err
	if err == nil {
		errs[vfs.OpClose] = f.Close()
	}
	r, err := fsys.Open("f")
	errs[vfs.OpOpen] = err
	if err == nil {
		errs[vfs.OpClose] = errors.Join(errs[vfs.OpClose], r.Close())
	}
	if f, err = fsys.OpenRW("f"); err == nil {
		_, errs[vfs.OpWriteAt] = f.WriteAt([]byte("abcd"), 0)
		_, errs[vfs.OpReadAt] = f.ReadAt(make([]byte, 1), 0)
		_, errs[vfs.OpSize] = f.Size()
		errs[vfs.OpTruncate] = f.Truncate(10)
		errs[vfs.OpPreallocate] = f.Preallocate(100)
		errs[vfs.OpSync] = f.Sync()
		errs[vfs.OpDropCache] = f.DropCache()
		errs[vfs.OpStartSync] = f.StartSync(0, 1)
		var m vfs.Mapping
		if m, errs[vfs.OpMap] = f.Map(1, true); m != nil {
			errs[vfs.OpMapSync] = m.Sync(0, 1)
			errs[vfs.OpUnmap] = m.Close()
		}
		errs[vfs.OpClose] = errors.Join(errs[vfs.OpClose], f.Close())
	}
	errs[vfs.OpOpenRW] = err
	_, errs[vfs.OpList] = fsys.List("/")
	_, errs[vfs.OpStat] = fsys.Stat("f")
	_, errs[vfs.OpSpace] = fsys.Space("/")
	errs[vfs.OpRename] = fsys.Rename("from", "to")
	errs[vfs.OpLink] = fsys.Link("f", "linked")
	errs[vfs.OpRemove] = fsys.Remove("gone")
	errs[vfs.OpSyncDir] = fsys.SyncDir("/")
	l, err := fsys.Lock("LOCK")
	errs[vfs.OpLock] = err
	if err == nil {
		errs[vfs.OpUnlock] = l.Close()
	}
	return errs
}

// stage is a Mem on which everyOp succeeds.
func stage(t *testing.T) *vfs.Mem {
	m := vfs.NewMem()
	for _, name := range []string{"f", "from", "gone"} {
		must(t, create(t, m, name, []byte("0123")).Close())
	}
	return m
}

func TestInjectSeesEveryKind(t *testing.T) {
	var kinds []vfs.OpKind
	var last vfs.Op
	x := vfs.NewInject(stage(t), vfs.OnOp(func(op vfs.Op) {
		if op.N != int64(len(kinds)) {
			t.Errorf("%v after %d operations", op, len(kinds))
		}
		kinds = append(kinds, op.Kind)
		last = op
	}))
	for kind, err := range everyOp(x) {
		if err != nil {
			t.Errorf("%v: %v", kind, err)
		}
	}
	if x.Ops() != int64(len(kinds)) {
		t.Errorf("Ops = %d, the hook saw %d", x.Ops(), len(kinds))
	}
	if want := fmt.Sprintf("#%d unlock LOCK", len(kinds)-1); last.String() != want {
		t.Errorf("last operation %q, want %q", last, want)
	}
	for kind := vfs.OpCreate; !strings.HasPrefix(kind.String(), "operation "); kind++ {
		if !slices.Contains(kinds, kind) {
			t.Errorf("the hook never saw %v", kind)
		}
	}
}

// Each kind of operation, failed by its filter, fails with the error given, and only it and what it opens.
func TestFaultByKind(t *testing.T) {
	for kind := vfs.OpCreate; !strings.HasPrefix(kind.String(), "operation "); kind++ {
		for _, persisted := range []bool{false, true} {
			fault := vfs.FailOnce(0, unix.EIO).Kinds(kind)
			if persisted {
				fault.Persisted()
			}
			errs := everyOp(vfs.NewInject(stage(t), fault.Hook))
			wantError(t, kind.String(), errs[kind], unix.EIO)
			if fault.Fired() != 1 {
				t.Errorf("%v: fired %d times", kind, fault.Fired())
			}
			for other, err := range errs {
				if other != kind && err != nil && !errors.Is(err, unix.EIO) {
					t.Errorf("failing %v: %v says %v", kind, other, err)
				}
			}
		}
	}
}

func TestFailedAndPersisted(t *testing.T) {
	for _, persisted := range []bool{false, true} {
		fault := vfs.FailFrom(0, nil).Kinds(vfs.OpWriteAt, vfs.OpRename, vfs.OpLink, vfs.OpRemove, vfs.OpCreate,
			vfs.OpTruncate)
		if persisted {
			fault.Persisted()
		}
		m := stage(t)
		for kind, err := range everyOp(vfs.NewInject(m, fault.Hook)) {
			switch kind {
			case vfs.OpWriteAt, vfs.OpRename, vfs.OpLink, vfs.OpRemove, vfs.OpCreate, vfs.OpTruncate:
				wantError(t, kind.String(), err, vfs.ErrInjected)
			}
		}
		names, err := m.List("/")
		must(t, err)
		want := "d f from gone LOCK"
		head := "0123"
		if persisted {
			want, head = "d f linked new to LOCK", "abcd"
		}
		wanted := strings.Fields(want)
		slices.Sort(wanted)
		if !slices.Equal(names, wanted) {
			t.Errorf("persisted %v: names %v, want %v", persisted, names, wanted)
		}
		if got := content(t, m, "f"); string(got[:4]) != head {
			t.Errorf("persisted %v: content %q", persisted, got[:4])
		}
	}
}

// A sync that failed without being done leaves nothing durable; one that was done and then failed leaves all.
func TestFailedSync(t *testing.T) {
	for _, persisted := range []bool{false, true} {
		m := vfs.NewMem()
		fault := vfs.FailOnce(0, nil).Kinds(vfs.OpSync)
		if persisted {
			fault.Persisted()
		}
		x := vfs.NewInject(m, fault.Hook)
		f := create(t, x, "f", []byte("data"))
		must(t, x.SyncDir("/"))
		wantError(t, "Sync", f.Sync(), vfs.ErrInjected)
		want := ""
		if persisted {
			want = "data"
		}
		if got := content(t, none(m), "f"); string(got) != want {
			t.Errorf("persisted %v: %q survives", persisted, got)
		}
		must(t, f.Sync())
	}
}

func TestShortWrite(t *testing.T) {
	m := vfs.NewMem()
	fault := vfs.FailOnce(1, unix.ENOSPC).Kinds(vfs.OpWriteAt).ShortWrite(3)
	f := create(t, vfs.NewInject(m, fault.Hook), "f", []byte("....."))
	n, err := f.WriteAt([]byte("abcde"), 0)
	if n != 3 || !vfs.IsNoSpace(err) {
		t.Errorf("WriteAt = %d, %v", n, err)
	}
	if got := content(t, m, "f"); string(got) != "abc.." {
		t.Errorf("the file holds %q", got)
	}
}

func TestFaultCounts(t *testing.T) {
	run := func(fault *vfs.Fault) (failed []int) {
		x := vfs.NewInject(vfs.NewMem(), fault.Hook)
		for i := range 6 {
			if _, err := x.Stat([]string{"/", "d/../"}[i%2]); err != nil {
				failed = append(failed, i)
			}
			if _, err := x.List("/"); err != nil {
				failed = append(failed, -i)
			}
		}
		if fault.Fired() != int64(len(failed)) {
			t.Errorf("Fired = %d, failed %v", fault.Fired(), failed)
		}
		return failed
	}
	named := func(name string) bool { return strings.HasPrefix(name, "d") }
	for _, c := range []struct {
		fault *vfs.Fault
		want  []int
	}{
		{vfs.FailOnce(2, nil), []int{1}},
		{vfs.FailFrom(9, nil), []int{-4, 5, -5}},
		{vfs.FailOnce(2, nil).Kinds(vfs.OpStat), []int{2}},
		{vfs.FailFrom(4, nil).Kinds(vfs.OpStat), []int{4, 5}},
		{vfs.FailOnce(1, nil).Named(named), []int{3}},
		{vfs.FailOnce(12, nil), nil},
	} {
		if got := run(c.fault); !slices.Equal(got, c.want) {
			t.Errorf("failed %v, want %v", got, c.want)
		}
	}
	if fault := vfs.FailOnce(0, nil).Named(func(name string) bool { return name == "to" }); true {
		err := vfs.NewInject(stage(t), fault.Hook).Rename("from", "to")
		wantError(t, "Rename to the name", err, vfs.ErrInjected)
	}
}

// Closing goes through even when its answer is a failure; else every fault test would leak files and locks.
func TestFailedCloseCloses(t *testing.T) {
	m := vfs.NewMem()
	x := vfs.NewInject(m, vfs.FailFrom(0, nil).Kinds(vfs.OpClose, vfs.OpUnlock, vfs.OpUnmap).Hook)
	f := create(t, x, "f", []byte("x"))
	mapping, err := f.Map(1, true)
	must(t, err)
	l, err := x.Lock("LOCK")
	must(t, err)
	wantError(t, "Close of a mapping", mapping.Close(), vfs.ErrInjected)
	wantError(t, "Close", f.Close(), vfs.ErrInjected)
	wantError(t, "Close of a lock", l.Close(), vfs.ErrInjected)
	_, err = m.Lock("LOCK")
	must(t, err)
	must(t, m.Remove("f"))
	if used := m.Used(); used != 0 {
		t.Errorf("%d bytes are still held", used)
	}
}

// What a failed but persisted opening made is closed, not leaked.
func TestPersistedOpenIsClosed(t *testing.T) {
	m := vfs.NewMem()
	create(t, m, "f", []byte("x")).Close()
	x := vfs.NewInject(m, vfs.FailFrom(0, nil).Kinds(vfs.OpOpen, vfs.OpLock).Persisted().Hook)
	_, err := x.Open("f")
	wantError(t, "Open", err, vfs.ErrInjected)
	_, err = x.Lock("LOCK")
	wantError(t, "Lock", err, vfs.ErrInjected)
	_, err = m.Lock("LOCK")
	must(t, err)
	must(t, m.Remove("f"))
	if used := m.Used(); used != 0 {
		t.Errorf("%d bytes are still held", used)
	}
}

func TestHooks(t *testing.T) {
	var seen int
	look := vfs.OnOp(func(vfs.Op) { seen++ })
	first, second := vfs.FailOnce(0, unix.EIO), vfs.FailFrom(0, unix.ENOSPC)
	x := vfs.NewInject(vfs.NewMem(), vfs.Hooks(look, first.Hook, second.Hook, look))
	wantError(t, "first call", x.SyncDir("/"), unix.EIO)
	wantError(t, "second call", x.SyncDir("/"), unix.ENOSPC)
	if seen != 4 {
		t.Errorf("the observers saw %d operations, want 4", seen)
	}
}

// Operations that Mutates says no to change nothing that a crash could show; a crash test may pass over them.
func TestMutates(t *testing.T) {
	m := stage(t)
	must(t, m.SyncDir("/"))
	state := func() (s string) {
		for _, clone := range []*vfs.Mem{none(m), all(m)} {
			names, err := clone.List("/")
			must(t, err)
			for _, name := range names {
				s += name
				if info, err := clone.Stat(name); err == nil && !info.IsDir {
					s += fmt.Sprintf("=%q ", content(t, clone, name))
				}
			}
			s += "; "
		}
		return s
	}
	before, last, changes := state(), vfs.Op{}, 0
	everyOp(vfs.NewInject(m, vfs.OnOp(func(op vfs.Op) {
		after := state()
		if after != before {
			changes++
			if !last.Kind.Mutates() {
				t.Errorf("%v changed %q to %q", last, before, after)
			}
		}
		before, last = after, op
	})))
	if changes < 8 {
		t.Errorf("only %d operations changed anything", changes)
	}
}
