package vfs

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBackground: the thread that asked for it yields, and only that one.
func TestBackground(t *testing.T) {
	nice := func() int {
		n, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
		if err != nil {
			t.Error(err)
		}
		return 20 - n // as the system call has it: 20 for nice 0, so that it is never negative
	}
	before := nice()
	asked := make(chan int)
	go func() {
		Background()
		asked <- nice()
	}()
	if got := <-asked; got != min(before+backgroundNice, 19) && got != backgroundNice {
		t.Errorf("nice is %d in the background and %d elsewhere", got, before)
	}
	if after := nice(); after != before {
		t.Errorf("nice was %d here and is %d", before, after)
	}
}

// TestMapSyncWaits: when Sync is back, no page of the range is dirty any more. An asynchronous msync does nothing on
// Linux (msync(2)), and only a power cut would tell.
func TestMapSyncWaits(t *testing.T) {
	const size = 1 << 20
	name := filepath.Join(t.TempDir(), "file")
	f, err := NewOS().Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Preallocate(size); err != nil {
		t.Fatal(err)
	}
	m, err := f.Map(size, true)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i := range m.Bytes() {
		m.Bytes()[i] = 1
	}
	if n := dirtyKiB(t, name); n < size>>10 {
		t.Fatalf("%d KiB of %d stored bytes are dirty", n, size)
	}
	if err := m.Sync(0, size); err != nil {
		t.Fatal(err)
	}
	if n := dirtyKiB(t, name); n > 0 && !inMemory(t, name) {
		t.Fatalf("%d KiB are dirty after a sync", n)
	}
}

// inMemory says whether a file is on a file system that has no disk to write to.
func inMemory(t *testing.T, name string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(name, &st); err != nil {
		t.Fatal(err)
	}
	return st.Type == unix.TMPFS_MAGIC
}

// dirtyKiB is how much of a mapped file is dirty, as /proc/self/smaps says (proc(5)).
func dirtyKiB(t *testing.T, name string) (sum int) {
	b, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if !strings.HasSuffix(fields[0], ":") { // a mapping begins
			inside = fields[len(fields)-1] == name
		}
		if inside && (fields[0] == "Shared_Dirty:" || fields[0] == "Private_Dirty:") {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
