package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"sync"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// eachFS runs a test on every implementation, in an empty directory.
func eachFS(t *testing.T, test func(t *testing.T, fsys vfs.FS, dir string)) {
	t.Run("OS", func(t *testing.T) { test(t, vfs.NewOS(), t.TempDir()) })
	t.Run("Mem", func(t *testing.T) { test(t, vfs.NewMem(), "/") })
	t.Run("Inject", func(t *testing.T) { test(t, vfs.NewInject(vfs.NewMem(), nil), "/") })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// create makes a file that holds data and is open until the test ends.
func create(t testing.TB, fsys vfs.FS, name string, data []byte) vfs.File {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	t.Cleanup(func() { _ = f.Close() }) // closed by the test, perhaps
	if len(data) > 0 {
		_, err = f.WriteAt(data, 0)
		must(t, err)
	}
	return f
}

func content(t testing.TB, fsys vfs.FS, name string) []byte {
	t.Helper()
	data, err := vfs.ReadFile(fsys, name, 1<<30)
	must(t, err)
	return data
}

func TestNames(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		a, b, none := path.Join(dir, "a"), path.Join(dir, "b"), path.Join(dir, "none")
		_, err := fsys.Open(a)
		wantError(t, "Open of nothing", err, fs.ErrNotExist)
		_, err = fsys.OpenRW(a)
		wantError(t, "OpenRW of nothing", err, fs.ErrNotExist)
		_, err = fsys.Stat(a)
		wantError(t, "Stat of nothing", err, fs.ErrNotExist)
		wantError(t, "Remove of nothing", fsys.Remove(a), fs.ErrNotExist)
		wantError(t, "Rename of nothing", fsys.Rename(none, a), fs.ErrNotExist)
		_, err = fsys.Create(path.Join(none, "a"))
		wantError(t, "Create in no directory", err, fs.ErrNotExist)
		_, err = fsys.List(none)
		wantError(t, "List of no directory", err, fs.ErrNotExist)
		wantError(t, "SyncDir of no directory", fsys.SyncDir(none), fs.ErrNotExist)

		must(t, create(t, fsys, a, []byte("one")).Close())
		_, err = fsys.Create(a)
		wantError(t, "Create of a taken name", err, fs.ErrExist)
		create(t, fsys, b, []byte("two!"))
		if names, err := fsys.List(dir); err != nil || !slices.Equal(names, []string{"a", "b"}) {
			t.Errorf("List = %v, %v", names, err)
		}
		must(t, fsys.Rename(b, a)) // b is open meanwhile
		if got := content(t, fsys, a); string(got) != "two!" {
			t.Errorf("after Rename the file holds %q", got)
		}
		if info, err := fsys.Stat(a); err != nil || info != (vfs.Info{Size: 4}) {
			t.Errorf("Stat = %+v, %v", info, err)
		}
		must(t, create(t, fsys, b, []byte("three")).Close())
		wantError(t, "Link of nothing", fsys.Link(none, path.Join(dir, "c")), fs.ErrNotExist)
		wantError(t, "Link into no directory", fsys.Link(a, path.Join(none, "a")), fs.ErrNotExist)
		wantError(t, "Link to a taken name", fsys.Link(a, b), fs.ErrExist)
		must(t, fsys.Remove(b))
		must(t, fsys.Link(a, b))
		must(t, fsys.Remove(a))
		if got := content(t, fsys, b); string(got) != "two!" {
			t.Errorf("the second name has %q", got)
		}
		must(t, fsys.SyncDir(dir))
		must(t, fsys.Remove(b))
		if names, err := fsys.List(dir); err != nil || len(names) != 0 {
			t.Errorf("List after Remove = %v, %v", names, err)
		}
	})
}

func TestDirectories(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		deep := path.Join(dir, "x/y/z")
		must(t, fsys.MkdirAll(deep))
		must(t, fsys.MkdirAll(deep))
		if info, err := fsys.Stat(deep); err != nil || !info.IsDir {
			t.Errorf("Stat = %+v, %v", info, err)
		}
		if _, err := fsys.Open(deep); err == nil {
			t.Error("Open of a directory succeeded")
		}
		if _, err := fsys.OpenRW(deep); err == nil {
			t.Error("OpenRW of a directory succeeded")
		}
		if err := fsys.Remove(deep); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Remove of a directory: %v", err)
		}
		file := path.Join(dir, "file")
		create(t, fsys, file, nil)
		if err := fsys.MkdirAll(path.Join(file, "sub")); err == nil {
			t.Error("MkdirAll below a file succeeded")
		}
		if err := fsys.MkdirAll(file); err == nil {
			t.Error("MkdirAll over a file succeeded")
		}
		must(t, fsys.Rename(file, path.Join(deep, "moved")))
		if names, err := fsys.List(deep); err != nil || !slices.Equal(names, []string{"moved"}) {
			t.Errorf("List = %v, %v", names, err)
		}
		if s, err := fsys.Space(dir); err != nil || s.Free == 0 || s.Total < s.Free {
			t.Errorf("Space = %+v, %v", s, err)
		}
	})
}

func TestReadWrite(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		name := path.Join(dir, "f")
		f := create(t, fsys, name, []byte("0123456789"))
		if f.Name() != name {
			t.Errorf("Name = %q, want %q", f.Name(), name)
		}
		buf := make([]byte, 8)
		if n, err := f.ReadAt(buf, 4); n != 6 || err != io.EOF || string(buf[:n]) != "456789" {
			t.Errorf("ReadAt over the end = %d, %v, %q", n, err, buf[:n])
		}
		if n, err := f.ReadAt(buf, 10); n != 0 || err != io.EOF {
			t.Errorf("ReadAt at the end = %d, %v", n, err)
		}
		if n, err := f.ReadAt(buf, 2); n != 8 || err != nil || string(buf) != "23456789" {
			t.Errorf("ReadAt up to the end = %d, %v", n, err)
		}
		if _, err := f.ReadAt(buf, -1); err == nil || err == io.EOF {
			t.Errorf("ReadAt before the start: %v", err)
		}
		if _, err := f.WriteAt(buf, -1); err == nil {
			t.Error("WriteAt before the start succeeded")
		}
		_, err := f.WriteAt([]byte("end"), 10_000) // across a hole, and pages
		must(t, err)
		want := append(make([]byte, 0, 10_003), "0123456789"...)
		want = append(want[:10_000], "end"...)
		if got := content(t, fsys, name); !bytes.Equal(got, want) {
			t.Error("a write past the end does not leave zeros before it")
		}
		must(t, f.Truncate(5))
		must(t, f.Truncate(9))
		if got := content(t, fsys, name); string(got) != "01234\x00\x00\x00\x00" {
			t.Errorf("after Truncate down and up: %q", got)
		}
		if err := f.Truncate(-1); err == nil {
			t.Error("Truncate to less than nothing succeeded")
		}
		must(t, f.Preallocate(6)) // shorter than the file: nothing changes
		if size, err := f.Size(); err != nil || size != 9 {
			t.Errorf("Size = %d, %v", size, err)
		}
		must(t, f.Preallocate(100_000))
		want = append(make([]byte, 0, 100_000), "01234"...)[:100_000]
		if got := content(t, fsys, name); !bytes.Equal(got, want) {
			t.Error("Preallocate changes content")
		}
		must(t, f.Preallocate(0))
		if err := f.Preallocate(-1); err == nil {
			t.Error("Preallocate of less than nothing succeeded")
		}
		must(t, f.Sync())
		must(t, f.StartSync(0, 8))
		must(t, f.StartSync(1<<20, 8))
		must(t, f.DropCache())
	})
}

func TestHandles(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		name := path.Join(dir, "f")
		f := create(t, fsys, name, []byte("data"))
		r, err := fsys.Open(name)
		must(t, err)
		if _, err := r.WriteAt([]byte("x"), 0); err == nil {
			t.Error("WriteAt on a file opened for reading succeeded")
		}
		if err := r.Truncate(0); err == nil {
			t.Error("Truncate of a file opened for reading succeeded")
		}
		if err := r.Preallocate(100); err == nil {
			t.Error("Preallocate of a file opened for reading succeeded")
		}
		if _, err := r.Map(4, true); err == nil {
			t.Error("writable Map of a file opened for reading succeeded")
		}
		must(t, fsys.Remove(name))
		buf := make([]byte, 4)
		if _, err := r.ReadAt(buf, 0); err != nil || string(buf) != "data" {
			t.Errorf("reading a removed file: %v, %q", err, buf)
		}
		must(t, r.Close())
		must(t, f.Close())
		wantError(t, "second Close", f.Close(), fs.ErrClosed)
		_, err = f.ReadAt(buf, 0)
		wantError(t, "ReadAt after Close", err, fs.ErrClosed)
		_, err = f.WriteAt(buf, 0)
		wantError(t, "WriteAt after Close", err, fs.ErrClosed)
		_, err = f.Size()
		wantError(t, "Size after Close", err, fs.ErrClosed)
		_, err = f.Map(4, false)
		wantError(t, "Map after Close", err, fs.ErrClosed)
		wantError(t, "Sync after Close", f.Sync(), fs.ErrClosed)
		wantError(t, "Truncate after Close", f.Truncate(1), fs.ErrClosed)
		wantError(t, "Preallocate after Close", f.Preallocate(10), fs.ErrClosed)
		wantError(t, "StartSync after Close", f.StartSync(0, 4), fs.ErrClosed)
		wantError(t, "DropCache after Close", f.DropCache(), fs.ErrClosed)
	})
}

func TestMapping(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		const length = 3*4096 + 100
		f := create(t, fsys, path.Join(dir, "f"), []byte("written"))
		must(t, f.Preallocate(length))
		for _, bad := range []int64{0, -1, length + 1} {
			if _, err := f.Map(bad, false); err == nil {
				t.Errorf("Map of %d bytes of %d succeeded", bad, length)
			}
		}
		w, err := f.Map(length, true)
		must(t, err)
		r, err := f.Map(length-200, false)
		must(t, err)
		if len(w.Bytes()) != length || string(r.Bytes()[:7]) != "written" {
			t.Fatalf("mapping shows %d bytes, %q", len(w.Bytes()), r.Bytes()[:7])
		}
		// Stores, writes and reads see each other, in one page and in another.
		copy(w.Bytes()[5000:], "stored")
		_, err = f.WriteAt([]byte("again"), 5002)
		must(t, err)
		if got := string(r.Bytes()[5000:5007]); got != "stagain" {
			t.Errorf("second mapping shows %q", got)
		}
		buf := make([]byte, 7)
		if _, err := f.ReadAt(buf, 5000); err != nil || string(buf) != "stagain" {
			t.Errorf("ReadAt shows %q, %v", buf, err)
		}
		must(t, w.Sync(5001, 3))
		must(t, w.Sync(0, length))
		must(t, w.Sync(length, 0))
		must(t, r.Sync(0, 1))
		for _, bad := range [][2]int64{{-1, 2}, {0, length + 1}, {length + 1, 0}, {1, -1}, {1, 1<<63 - 1}} {
			if err := w.Sync(bad[0], bad[1]); err == nil {
				t.Errorf("Sync(%d, %d) succeeded", bad[0], bad[1])
			}
		}
		must(t, f.Close()) // the mappings live on
		copy(w.Bytes()[length-3:], "end")
		must(t, w.Close())
		wantError(t, "second Close of a mapping", w.Close(), fs.ErrClosed)
		wantError(t, "Sync of a closed mapping", w.Sync(0, 1), fs.ErrClosed)
		must(t, r.Close())
		if got := content(t, fsys, path.Join(dir, "f")); string(got[length-3:]) != "end" {
			t.Errorf("after the last Close the file ends in %q", got[length-3:])
		}
	})
}

// A file may grow while it is mapped; the mapping goes on to show its part.
func TestGrowMapped(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		f := create(t, fsys, path.Join(dir, "f"), bytes.Repeat([]byte("a"), 6000))
		m, err := f.Map(6000, false)
		must(t, err)
		defer m.Close()
		_, err = f.WriteAt(bytes.Repeat([]byte("b"), 50_000), 5000)
		must(t, err)
		want := append(bytes.Repeat([]byte("a"), 5000), bytes.Repeat([]byte("b"), 1000)...)
		if !bytes.Equal(m.Bytes(), want) {
			t.Error("the mapping does not show a write that grew the file")
		}
		if got := content(t, fsys, path.Join(dir, "f")); len(got) != 55_000 || got[54_999] != 'b' {
			t.Errorf("the file has %d bytes", len(got))
		}
	})
}

func TestLock(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		name := path.Join(dir, "LOCK")
		l, err := fsys.Lock(name)
		must(t, err)
		for range 2 {
			_, err = fsys.Lock(name)
			wantError(t, "second Lock", err, vfs.ErrLocked)
		}
		other, err := fsys.Lock(path.Join(dir, "OTHER"))
		must(t, err)
		must(t, other.Close())
		must(t, l.Close())
		wantError(t, "second Close of a lock", l.Close(), fs.ErrClosed)
		l, err = fsys.Lock(name)
		must(t, err)
		must(t, l.Close())
		if _, err := fsys.Lock(path.Join(dir, "none/LOCK")); err == nil {
			t.Error("Lock in no directory succeeded")
		}
	})
}

// Many goroutines write their own parts of one file; the race detector watches.
func TestConcurrentUse(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		const part, parts = 3000, 8
		f := create(t, fsys, path.Join(dir, "f"), nil)
		must(t, f.Preallocate(part*parts))
		var wg sync.WaitGroup
		for i := range parts {
			wg.Go(func() {
				want := bytes.Repeat([]byte{byte('a' + i)}, part)
				got := make([]byte, part)
				for range 10 {
					if _, err := f.WriteAt(want, int64(i*part)); err != nil {
						t.Error(err)
					}
					if err := f.Sync(); err != nil {
						t.Error(err)
					}
					if _, err := f.ReadAt(got, int64(i*part)); err != nil || !bytes.Equal(got, want) {
						t.Errorf("part %d reads back wrong: %v", i, err)
					}
				}
			})
		}
		wg.Wait()
	})
}
