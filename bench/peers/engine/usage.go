package engine

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what this process has used of the machine since it began.
type usage struct {
	at           time.Time
	cpu          time.Duration
	written      int64 // by write calls
	fromDevice   int64
	peakResident int64 // the most memory that was resident, mapped files included
}

func used() (usage, error) {
	u := usage{at: time.Now()}
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return u, err
	}
	u.cpu = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	io, err := fields("/proc/self/io")
	if err != nil {
		return u, err
	}
	u.written, u.fromDevice = io["wchar"], io["read_bytes"]
	status, err := fields("/proc/self/status")
	u.peakResident = status["VmHWM"] << 10
	return u, err
}

// fields reads a file of lines like "name: 123 kB".
func fields(name string) (map[string]int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := make(map[string]int64)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		if words := strings.Fields(rest); len(words) > 0 {
			if v, err := strconv.ParseInt(words[0], 10, 64); err == nil {
				out[name] = v
			}
		}
	}
	return out, nil
}

// anonymous is the memory of this process that is no mapped file.
func anonymous() int64 {
	status, err := fields("/proc/self/status")
	if err != nil {
		return 0
	}
	return status["RssAnon"] << 10
}

// watchMemory samples the memory that is no mapped file until the function it returns is called, which gives the peak.
func watchMemory() func() int64 {
	stop, peak := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		most := anonymous()
		for {
			select {
			case <-tick.C:
				most = max(most, anonymous())
			case <-stop:
				peak <- max(most, anonymous())
				return
			}
		}
	}()
	return func() int64 { close(stop); return <-peak }
}

// diskBytes is what the files under dir take; of log files, apart.
func diskBytes(dir string) (tables, logs int64, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		size := info.Sys().(*syscall.Stat_t).Blocks * 512
		if strings.HasSuffix(name, ".log") {
			logs += size
		} else {
			tables += size
		}
		return nil
	})
	return tables, logs, err
}

// dropCached takes the files under dir out of the page cache, so that what reads them asks the device.
func dropCached(dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Sync(); err != nil {
			return fmt.Errorf("sync %s: %w", name, err)
		}
		return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	})
}
