package vfs_test

import (
	"path"
	"slices"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

func TestWriteFileAtomic(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		name := path.Join(dir, "MANIFEST")
		create(t, fsys, name+".tmp", []byte("left by a crash")).Close()
		for _, want := range []string{"one", "", "a longer one"} {
			must(t, vfs.WriteFileAtomic(fsys, dir, "MANIFEST", []byte(want)))
			if got := content(t, fsys, name); string(got) != want {
				t.Errorf("the file holds %q, want %q", got, want)
			}
		}
		if names, err := fsys.List(dir); err != nil || !slices.Equal(names, []string{"MANIFEST"}) {
			t.Errorf("List = %v, %v", names, err)
		}
	})
}

// atomicStage is a Mem whose file MANIFEST durably holds "old".
func atomicStage(t *testing.T) *vfs.Mem {
	m := vfs.NewMem()
	must(t, vfs.WriteFileAtomic(m, "/", "MANIFEST", []byte("old")))
	return m
}

// At every operation a crash leaves the old content or the new, and after success the new.
func TestWriteFileAtomicCrash(t *testing.T) {
	m := atomicStage(t)
	states := map[string]bool{}
	check := func(op vfs.Op) {
		clones := []*vfs.Mem{none(m), all(m)}
		for seed := range uint64(20) {
			clones = append(clones, some(m, seed))
		}
		for _, clone := range clones {
			got := string(content(t, clone, "MANIFEST"))
			if got != "old" && got != "new" {
				t.Errorf("crash before %v leaves %q", op, got)
			}
			states[got] = true
			must(t, vfs.WriteFileAtomic(clone, "/", "MANIFEST", []byte("next")))
		}
	}
	must(t, vfs.WriteFileAtomic(vfs.NewInject(m, vfs.OnOp(check)), "/", "MANIFEST", []byte("new")))
	if !states["old"] || !states["new"] {
		t.Errorf("of the crash states only %v came up", states)
	}
	if got := content(t, none(m), "MANIFEST"); string(got) != "new" {
		t.Errorf("after success a crash leaves %q", got)
	}
}

// Every operation failing once, forever, or after being done: an error, the old content or the new, and, unless
// removing is what fails, no temporary file.
func TestWriteFileAtomicFailure(t *testing.T) {
	for mode, fail := range map[string]func(n int64) *vfs.Fault{
		"once":                func(n int64) *vfs.Fault { return vfs.FailOnce(n, nil) },
		"forever":             func(n int64) *vfs.Fault { return vfs.FailFrom(n, nil) },
		"once, persisted":     func(n int64) *vfs.Fault { return vfs.FailOnce(n, nil).Persisted() },
		"once, after 1 byte":  func(n int64) *vfs.Fault { return vfs.FailOnce(n, nil).ShortWrite(1) },
		"forever, persisted ": func(n int64) *vfs.Fault { return vfs.FailFrom(n, nil).Persisted() },
	} {
		for n := int64(0); ; n++ {
			m := atomicStage(t)
			fault := fail(n)
			err := vfs.WriteFileAtomic(vfs.NewInject(m, fault.Hook), "/", "MANIFEST", []byte("new"))
			if fault.Fired() == 0 {
				must(t, err)
				if n < 7 {
					t.Errorf("%s: only %d operations", mode, n)
				}
				break
			}
			wantError(t, mode, err, vfs.ErrInjected)
			if got := string(content(t, m, "MANIFEST")); got != "old" && got != "new" {
				t.Errorf("%s at %d: the file holds %q", mode, n, got)
			}
			names, err := m.List("/")
			must(t, err)
			if len(names) != 1 && mode != "forever" {
				t.Errorf("%s at %d: files %v", mode, n, names)
			}
		}
	}
}

func TestReadFile(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		name := path.Join(dir, "f")
		create(t, fsys, name, []byte("12345"))
		if got, err := vfs.ReadFile(fsys, name, 5); err != nil || string(got) != "12345" {
			t.Errorf("ReadFile = %q, %v", got, err)
		}
		_, err := vfs.ReadFile(fsys, name, 4)
		wantError(t, "ReadFile over the limit", err, vfs.ErrTooLarge)
	})
	m := vfs.NewMem()
	create(t, m, "f", []byte("12345"))
	for n := int64(0); n < 4; n++ {
		fault := vfs.FailOnce(n, nil)
		_, err := vfs.ReadFile(vfs.NewInject(m, fault.Hook), "f", 5)
		wantError(t, "ReadFile", err, vfs.ErrInjected)
	}
}
