package vfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// outcome is what a call said, for comparing two file systems.
func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, io.EOF):
		return "EOF"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	case errors.Is(err, fs.ErrExist):
		return "there"
	}
	return "failed" // of two things that are wrong with one call, either may be named
}

// pair is one state on two file systems.
type pair struct {
	fsys [2]vfs.FS
	dir  [2]string
	open [2]vfs.File
}

// both does a call on each and fails when they answer differently.
func (p *pair) both(t *rapid.T, what string, call func(i int) string) string {
	var said [2]string
	for i := range said {
		said[i] = call(i)
	}
	if said[0] != said[1] {
		t.Fatalf("%s: the real file system says %q, the one in memory %q", what, said[0], said[1])
	}
	return said[0]
}

// Property: without crashes, Mem behaves as the real file system does.
func TestMemIsLikeOS(t *testing.T) {
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		p := &pair{fsys: [2]vfs.FS{vfs.NewOS(), vfs.NewMem()}, dir: [2]string{dir, "/"}}
		defer func() {
			for _, f := range p.open {
				if f != nil {
					f.Close()
				}
			}
		}()
		name := rapid.SampledFrom([]string{"a", "b", "d", "d/a", "d/e/a", "./a", "d/../b"})
		size := rapid.Int64Range(-1, 20_000)
		opening := func(open func(vfs.FS, string) (vfs.File, error)) func(*rapid.T) {
			return func(t *rapid.T) {
				base := name.Draw(t, "name")
				p.both(t, "open "+base, func(i int) string {
					f, err := open(p.fsys[i], path.Join(p.dir[i], base))
					if err == nil {
						if p.open[i] != nil {
							p.open[i].Close()
						}
						p.open[i] = f
					}
					return outcome(err)
				})
			}
		}
		naming := func(call func(fsys vfs.FS, name string) string) func(*rapid.T) {
			return func(t *rapid.T) {
				base := name.Draw(t, "name")
				p.both(t, base, func(i int) string { return call(p.fsys[i], path.Join(p.dir[i], base)) })
			}
		}
		filing := func(call func(t *rapid.T, n int64) func(f vfs.File) string) func(*rapid.T) {
			return func(t *rapid.T) {
				if p.open[0] == nil {
					t.Skip()
				}
				one := call(t, size.Draw(t, "n"))
				p.both(t, "file call", func(i int) string { return one(p.open[i]) })
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"create":  opening(vfs.FS.Create),
			"open":    opening(vfs.FS.Open),
			"open rw": opening(vfs.FS.OpenRW),
			"remove":  naming(func(fsys vfs.FS, name string) string { return outcome(fsys.Remove(name)) }),
			"mkdir":   naming(func(fsys vfs.FS, name string) string { return outcome(fsys.MkdirAll(path.Dir(name))) }),
			"list": naming(func(fsys vfs.FS, name string) string {
				names, err := fsys.List(path.Dir(name))
				return fmt.Sprint(names, outcome(err))
			}),
			"stat": naming(func(fsys vfs.FS, name string) string {
				info, err := fsys.Stat(name)
				return fmt.Sprint(info, outcome(err))
			}),
			"rename": func(t *rapid.T) {
				from, to := name.Draw(t, "old"), name.Draw(t, "new")
				p.both(t, "rename "+from+" "+to, func(i int) string {
					old := path.Join(p.dir[i], from)
					if info, err := p.fsys[i].Stat(old); err == nil && info.IsDir {
						return "a directory" // Mem renames files only
					}
					return outcome(p.fsys[i].Rename(old, path.Join(p.dir[i], to)))
				})
			},
			"write": filing(func(t *rapid.T, n int64) func(vfs.File) string {
				data := rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "data")
				data = bytes.Repeat(data, rapid.IntRange(1, 200).Draw(t, "times"))
				return func(f vfs.File) string {
					n, err := f.WriteAt(data, n)
					return fmt.Sprint(n, outcome(err))
				}
			}),
			"read": filing(func(t *rapid.T, n int64) func(vfs.File) string {
				buf := make([]byte, rapid.IntRange(1, 10_000).Draw(t, "len"))
				return func(f vfs.File) string {
					n, err := f.ReadAt(buf, n)
					return fmt.Sprint(n, outcome(err), buf[:n])
				}
			}),
			"truncate": filing(func(_ *rapid.T, n int64) func(vfs.File) string {
				return func(f vfs.File) string { return outcome(f.Truncate(n)) }
			}),
			"preallocate": filing(func(t *rapid.T, n int64) func(vfs.File) string {
				if n == 0 { // asks nothing of the real file system, not even whether the file is open
					t.Skip()
				}
				return func(f vfs.File) string { return outcome(f.Preallocate(n)) }
			}),
			"close": filing(func(*rapid.T, int64) func(vfs.File) string {
				return func(f vfs.File) string { return outcome(f.Close()) }
			}),
			"map": filing(func(_ *rapid.T, n int64) func(vfs.File) string {
				return func(f vfs.File) string {
					m, err := f.Map(n, false)
					if err != nil {
						return outcome(err)
					}
					defer m.Close()
					return fmt.Sprint(m.Bytes())
				}
			}),
		})
	})
}

func TestFullDisk(t *testing.T) {
	const limit = 10 * memPage
	m := vfs.NewMem()
	m.SetLimit(limit)
	f := create(t, m, "f", nil)
	must(t, f.Preallocate(4*memPage))
	if s, err := m.Space("/"); err != nil || s.Free != 6*memPage || s.Total != limit {
		t.Errorf("Space = %+v, %v", s, err)
	}
	err := f.Preallocate(limit + 1)
	if !vfs.IsNoSpace(err) {
		t.Errorf("Preallocate beyond the disk: %v", err)
	}
	g := create(t, m, "g", nil)
	n, err := g.WriteAt(make([]byte, 8*memPage), 100)
	if want := 6*memPage - 100; n != want || !vfs.IsNoSpace(err) {
		t.Errorf("WriteAt over the disk's end = %d, %v, want %d bytes", n, err, want)
	}
	if _, err = m.Create("h"); !vfs.IsNoSpace(err) {
		t.Errorf("Create on a full disk: %v", err)
	}
	if _, err = m.Lock("LOCK"); !vfs.IsNoSpace(err) {
		t.Errorf("Lock of a new file on a full disk: %v", err)
	}
	if _, err = g.WriteAt([]byte("x"), 6*memPage); !vfs.IsNoSpace(err) {
		t.Errorf("WriteAt on a full disk: %v", err)
	}
	// What was reserved can be written, through either way.
	_, err = f.WriteAt(make([]byte, memPage), 3*memPage)
	must(t, err)
	w, err := f.Map(4*memPage, true)
	must(t, err)
	must(t, w.Close())

	must(t, m.Remove("g")) // open still: its blocks stay
	if s, _ := m.Space("/"); s.Free != 0 {
		t.Errorf("Space = %+v while the removed file is open", s)
	}
	must(t, g.Close())
	if s, _ := m.Space("/"); s.Free != 6*memPage {
		t.Errorf("Space = %+v after the removed file was closed", s)
	}
	must(t, f.Truncate(1))
	if used := m.Used(); used != memPage {
		t.Errorf("Used = %d after Truncate", used)
	}
	h := create(t, m, "h", make([]byte, memPage))
	must(t, m.Rename("h", "f"))
	must(t, f.Close())
	if used := m.Used(); used != memPage {
		t.Errorf("Used = %d after a file was replaced", used)
	}
	must(t, h.Sync())
	must(t, m.SyncDir("/"))
	if used := none(m).Used(); used != memPage {
		t.Errorf("Used = %d after a crash", used)
	}
	m.SetLimit(0)
	must(t, h.Preallocate(100*memPage))
}

// A sparse file that is mapped for stores is a SIGBUS in waiting, so Mem refuses it at once.
func TestMemRefusesSparseStores(t *testing.T) {
	m := vfs.NewMem()
	f := create(t, m, "f", nil)
	must(t, f.Truncate(2*memPage))
	if _, err := f.Map(2*memPage, true); err == nil || !strings.Contains(err.Error(), "sparse") {
		t.Errorf("writable Map of a sparse file: %v", err)
	}
	r, err := f.Map(2*memPage, false)
	must(t, err)
	must(t, r.Close())
	must(t, f.Preallocate(2*memPage))
	w, err := f.Map(2*memPage, true)
	must(t, err)
	// The memory of a live mapping cannot move, so none may reach further.
	must(t, f.Preallocate(4*memPage))
	if _, err := f.Map(4*memPage, true); err == nil {
		t.Error("a longer Map beside a live one succeeded")
	}
	must(t, w.Close())
	w, err = f.Map(4*memPage, true)
	must(t, err)
	must(t, w.Close())
}

func TestMemBounds(t *testing.T) {
	m := vfs.NewMem()
	f := create(t, m, "f", nil)
	for _, off := range []int64{4 << 30, 1 << 62, 1<<63 - 1} {
		if _, err := f.WriteAt([]byte("x"), off); !vfs.IsNoSpace(err) {
			t.Errorf("WriteAt at %d: %v", off, err)
		}
		if err := f.Preallocate(off + off%2 - 1 + 2); err == nil {
			t.Errorf("Preallocate of about %d succeeded", off)
		}
	}
	if err := f.Truncate(1 << 62); !vfs.IsNoSpace(err) {
		t.Errorf("Truncate to 1<<62: %v", err)
	}
	if size, err := f.Size(); err != nil || size != 0 {
		t.Errorf("Size = %d, %v", size, err)
	}
}

func TestMemCountsOps(t *testing.T) {
	m := vfs.NewMem()
	f := create(t, m, "f", []byte("x")) // 2
	must(t, f.Sync())                   // 3
	must(t, m.SyncDir("/"))             // 4
	_, err := m.Open("none")            // 5
	wantError(t, "Open", err, fs.ErrNotExist)
	w, err := f.Map(1, true) // 6
	must(t, err)
	must(t, w.Sync(0, 1)) // 7
	if n := m.Ops(); n != 7 {
		t.Errorf("Ops = %d, want 7", n)
	}
	if n := none(m).Ops(); n != 0 {
		t.Errorf("Ops of a clone = %d", n)
	}
}

func TestIsNoSpace(t *testing.T) {
	for _, err := range []error{unix.ENOSPC, unix.EDQUOT, unix.EFBIG} {
		if !vfs.IsNoSpace(fmt.Errorf("write: %w", err)) {
			t.Errorf("IsNoSpace(%v) is false", err)
		}
	}
	for _, err := range []error{nil, unix.EIO, vfs.ErrInjected} {
		if vfs.IsNoSpace(err) {
			t.Errorf("IsNoSpace(%v) is true", err)
		}
	}
}
