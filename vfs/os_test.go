//go:build linux

package vfs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func blocks(t *testing.T, f *os.File) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// newSparse makes a file of data with holes around it.
func newSparse(t *testing.T, size, at int64, data []byte) *osFile {
	t.Helper()
	f, err := NewOS().Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(data, at); err != nil {
		t.Fatal(err)
	}
	return f.(*osFile)
}

// Preallocate and what stands in for it must leave no hole and change no byte, in a file that had holes too.
func TestPreallocateLeavesNoHole(t *testing.T) {
	const size, at, had = 5<<20 + 17, 2<<20 + 11, 3 << 20
	data := bytes.Repeat([]byte("ledger"), 1000)
	want := make([]byte, size)
	copy(want[at:], data)
	for name, reserve := range map[string]func(fd int, size int64) error{
		"fallocate":   fallocate,
		"unsupported": func(int, int64) error { return unix.EOPNOTSUPP },
		"missing":     func(int, int64) error { return unix.ENOSYS },
		"a lie":       func(int, int64) error { return nil },
		"too short":   func(fd int, size int64) error { return fallocate(fd, size/2) },
		"sparse":      unix.Ftruncate,
		"interrupted": interruptedOnce(),
	} {
		t.Run(name, func(t *testing.T) {
			f := newSparse(t, had, at, data)
			if err := f.preallocate(size, reserve); err != nil {
				t.Fatal(err)
			}
			if got := blocks(t, f.f); got < size {
				t.Errorf("%d bytes of blocks for a file of %d", got, size)
			}
			got, err := ReadFile(NewOS(), f.Name(), size)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("content changed: %v, %d bytes", err, len(got))
			}
		})
	}
}

// interruptedOnce is fallocate behind one EINTR.
func interruptedOnce() func(fd int, size int64) error {
	calls := 0
	return func(fd int, size int64) error {
		if calls++; calls == 1 {
			return unix.EINTR
		}
		return fallocate(fd, size)
	}
}

func TestPreallocateFails(t *testing.T) {
	f := newSparse(t, 10, 0, []byte("0123456789"))
	if err := f.preallocate(100, func(int, int64) error { return unix.EIO }); !errors.Is(err, unix.EIO) {
		t.Errorf("Preallocate on a failing disk: %v", err)
	}
	if size, err := f.Size(); err != nil || size != 10 {
		t.Errorf("Size = %d, %v", size, err)
	}
}

func TestPreallocateBeyondTheDisk(t *testing.T) {
	space, err := NewOS().Space(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := newSparse(t, 10, 0, []byte("0123456789"))
	if err := f.Preallocate(int64(space.Free) + 1<<40); !IsNoSpace(err) {
		t.Errorf("Preallocate of more than the disk: %v", err)
	}
	if err := f.Truncate(10); err != nil {
		t.Errorf("the file is unusable after it: %v", err)
	}
}

const (
	lockHelperEnv     = "SCRIBE_VFS_TEST_LOCK"
	lockHelperFullEnv = "SCRIBE_VFS_TEST_LOCK_FULL"
)

// TestLockHelper is no test: it is what the other process of TestLockAcrossProcesses runs.
func TestLockHelper(t *testing.T) {
	name := os.Getenv(lockHelperEnv)
	if name == "" {
		return // this is not that process
	}
	if os.Getenv(lockHelperFullEnv) != "" { // the system answers EFBIG where a full disk answers ENOSPC
		signal.Ignore(unix.SIGXFSZ)
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Max: math.MaxUint64}); err != nil {
			t.Fatal(err)
		}
	}
	l, err := NewOS().Lock(name)
	if err != nil {
		fmt.Println("error:", errors.Is(err, ErrLocked), err)
		return
	}
	fmt.Println("locked")
	if _, err := os.Stdin.Read(make([]byte, 1)); err == nil { // until the parent lets go or kills us
		l.Close()
	}
}

func TestLockAcrossProcesses(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	helper := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLockHelper$")
		cmd.Env = append(os.Environ(), lockHelperEnv+"="+name)
		return cmd
	}
	l, err := NewOS().Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := helper().Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "error: true"; !strings.Contains(string(out), want) {
		t.Errorf("the other process says %q, want %q", out, want)
	}
	if want := "process " + strconv.Itoa(os.Getpid()); !strings.Contains(string(out), want) {
		t.Errorf("the other process says %q, not who the holder is", out)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	holder := helper()
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "locked\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if _, err := NewOS().Lock(name); !errors.Is(err, ErrLocked) ||
		!strings.Contains(err.Error(), strconv.Itoa(holder.Process.Pid)) {
		t.Errorf("Lock while process %d holds it: %v", holder.Process.Pid, err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // it was killed
	if l, err = NewOS().Lock(name); err != nil {
		t.Fatalf("Lock after its holder was killed: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLockOnFullDisk: a lock is had although who has it cannot be noted, and no note of an earlier holder stays.
func TestLockOnFullDisk(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	if err := os.WriteFile(name, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockHelper$")
	cmd.Env = append(os.Environ(), lockHelperEnv+"="+name, lockHelperFullEnv+"=1")
	out, err := cmd.Output() // its input is empty, so it lets go at once
	if err != nil || !strings.HasPrefix(string(out), "locked\n") {
		t.Errorf("the other process says %q, %v", out, err)
	}
	if b, err := os.ReadFile(name); err != nil || len(b) > 0 {
		t.Errorf("the file says %q, %v", b, err)
	}
}

// TestMkdirAllSyncs: every directory that is made is synced into its parent, and so is the last one when it stands
// there already; where that cannot be done it is let pass.
func TestMkdirAllSyncs(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b")
	var synced []string
	var fail error
	sync := func(dir string) error {
		synced = append(synced, dir)
		return fail
	}
	for _, c := range []struct {
		sync error
		want []string
		ok   bool
	}{
		{nil, []string{filepath.Dir(dir), dir, filepath.Dir(deep)}, true},
		{nil, []string{filepath.Dir(deep)}, true},
		{unix.EACCES, []string{filepath.Dir(deep)}, true},
		{unix.EINVAL, []string{filepath.Dir(deep)}, true},
		{unix.EIO, []string{filepath.Dir(deep)}, false},
	} {
		synced, fail = nil, c.sync
		if err := makeAll(deep, sync); (err == nil) != c.ok || !slices.Equal(synced, c.want) {
			t.Errorf("syncs that return %v: %v, of %v", c.sync, err, synced)
		}
	}
	fail = unix.EACCES
	if err := makeAll(filepath.Join(deep, "c"), sync); !errors.Is(err, fail) {
		t.Errorf("a directory was made and not synced: %v", err)
	}
}

// BenchmarkSync measures pwrite + fdatasync into a preallocated file, whose extents are unwritten (fallocate) or
// written (zeros): the first touch of an unwritten extent costs a journal commit.
func BenchmarkSync(b *testing.B) {
	const size = 32 << 20
	for name, reserve := range map[string]func(*osFile) error{
		"fallocate": func(f *osFile) error { return f.Preallocate(size) },
		"zeros":     func(f *osFile) error { return f.fill(size) },
	} {
		for _, piece := range []int{4 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, piece>>10), func(b *testing.B) {
				buf := bytes.Repeat([]byte{0xa5}, piece)
				var f *osFile
				off := int64(size)
				for b.Loop() {
					if off+int64(piece) > size {
						b.StopTimer()
						f, off = newBenchFile(b, f, reserve), 0
						b.StartTimer()
					}
					if _, err := f.WriteAt(buf, off); err != nil {
						b.Fatal(err)
					}
					if err := f.Sync(); err != nil {
						b.Fatal(err)
					}
					off += int64(piece)
				}
				b.SetBytes(int64(piece))
			})
		}
	}
}

func newBenchFile(b *testing.B, old *osFile, reserve func(*osFile) error) *osFile {
	if old != nil {
		old.Close()
		os.Remove(old.Name())
	}
	f, err := NewOS().Create(filepath.Join(b.TempDir(), "f"))
	if err != nil {
		b.Fatal(err)
	}
	if err := reserve(f.(*osFile)); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	return f.(*osFile)
}
