package e2e

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFullDisk fills a real file system, a small tmpfs, that the node shares with other files.
func TestFullDisk(t *testing.T) {
	disk := mountSmallDisk(t, "96m")
	fillAndFree(t, options{dir: disk.inside("data"), env: small(), wrap: disk.enter}, func(*scribe) {
		// Somebody else takes what is left.
		disk.fill(t)
	}, func(*scribe) {
		disk.free(t)
	})
}

// TestDiskReserve lets clients alone fill a disk: they are refused while the reserve is free, with which the node can seal
// and start anew; it says so; and with other files gone the writes go on.
func TestDiskReserve(t *testing.T) {
	disk := mountSmallDisk(t, "64m")
	o := options{dir: disk.inside("data"), wrap: disk.enter, env: append(small(), "SCRIBE_STORAGE_DISK_RESERVE_BYTES=24MiB")}
	s := start(t, o)
	others := disk.take(t, 16<<20)
	n := 0
	put := func() *answer {
		n++
		return s.do("PUT", fmt.Sprintf("/v1/kv/k%05d", n), noise(100<<10, fmt.Sprint(n)))
	}
	fill := func() *answer {
		a := put()
		for ; a.status == 201 && n < 1000; a = put() {
		}
		a.wantProblem(507, "disk_full")
		return a
	}
	a := fill()
	if !strings.Contains(string(a.body), "bytes are free") {
		t.Errorf("507 does not tell how much is free: %s", a.body)
	}
	// A merge may take from the reserve what clients may not, and gives it back when it is done.
	if free := disk.space(t); free < 16<<20 {
		t.Errorf("%d bytes are left of a reserve of 24 MiB, and merges leave 16", free)
	}
	eventually(t, func() string {
		if free := disk.space(t); free < 20<<20 {
			return fmt.Sprintf("%d bytes are left of a reserve of 24 MiB", free)
		}
		return ""
	})
	h := s.get("/health").want(200)
	if !strings.Contains(string(h.body), "degraded") || !strings.Contains(string(h.body), "disk is full") {
		t.Errorf("/health on a full disk: %s", h.body)
	}
	m := string(s.get("/metrics/prometheus").want(200).body)
	for _, want := range []string{"scribe_node_disk_full 1\n", "scribe_node_disk_refused_writes_total ",
		"scribe_node_disk_free_bytes ", "scribe_node_disk_reserve_bytes "} {
		if !strings.Contains(m, want) {
			t.Errorf("metrics without %q", want)
		}
	}
	if st := s.status(); len(st.Members) != 1 || st.Members[0].Healthy || st.Members[0].Detail == "" {
		t.Errorf("members on a full disk: %+v", st.Members)
	}
	s.seal()
	s.kill()
	s = start(t, o)
	s.get("/v1/kv/k00001").want(200)
	fill() // merges and trimmed log files may have made some room
	if err := os.Remove(others); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if a := put(); a.status != 201 {
			return string(a.body)
		}
		return ""
	})
	eventually(t, func() string {
		if h := s.get("/health"); !strings.Contains(string(h.body), `"ok"`) {
			return string(h.body)
		}
		return ""
	})
}

// TestFileSizeLimit lets no file grow beyond a log file's size (RLIMIT_FSIZE), so that segments, which are longer here,
// cannot be made: the system answers EFBIG where a full disk answers ENOSPC. It runs everywhere.
func TestFileSizeLimit(t *testing.T) {
	limit := func(s *scribe, bytes uint64) {
		s.t.Helper()
		if err := unix.Prlimit(s.pid(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: math.MaxUint64}, nil); err != nil {
			s.t.Fatal(err)
		}
	}
	env := []string{"SCRIBE_STORAGE_SEAL_BYTES=2MiB", "SCRIBE_STORAGE_WAL_FILE_BYTES=1MiB"}
	fillAndFree(t, options{dir: filepath.Join(t.TempDir(), "data"), env: env}, func(s *scribe) {
		limit(s, 1<<20)
	}, func(s *scribe) {
		limit(s, math.MaxUint64)
	})
}

// fillAndFree takes a node into a full disk and out of it again: writes are refused with 507 and nothing else, reads go
// on, nothing acknowledged is lost, not even by a kill, and writes go on once there is space, without a restart.
func fillAndFree(t *testing.T, o options, fill, free func(*scribe)) {
	t.Helper()
	s := start(t, o)
	acked := make(map[string]string)
	n := 0
	// put writes one more value and says whether it was taken.
	put := func() *answer {
		n++
		key := fmt.Sprintf("k%05d", n)
		value := fmt.Sprint(n, " ") + string(noise(100<<10, key))
		a := s.do("PUT", "/v1/kv/"+key, []byte(value))
		if a.status == 201 {
			acked[key] = value
		}
		return a
	}
	for range 40 {
		put().want(201)
	}
	fill(s)
	refused := func() {
		t.Helper()
		for range 500 {
			a := put()
			if a.status == 201 {
				continue
			}
			if a.status == 503 { // busy, before it is full
				continue
			}
			a.wantProblem(507, "disk_full")
			if a.header.Get("Retry-After") == "" {
				t.Errorf("507 without Retry-After")
			}
			return
		}
		t.Fatal("500 writes of 100 KiB were taken by a full disk")
	}
	refused()
	// Every kind of write is refused, and every kind of read goes on.
	s.batch(`{"ops":[{"op":"put","key":"b","value":"`+strings.Repeat("x", 1<<20)+`"}]}`).wantProblem(507, "disk_full")
	check := func() {
		t.Helper()
		for key, value := range acked {
			s.get("/v1/kv/" + key).want(200).wantBody(value)
		}
		s.replay()
	}
	check()
	s.get("/health").want(200)
	s.get("/v1/range?keys_only=1").want(200)
	s.get("/verify/k00001").want(200)
	s.get("/v1/history/k00001").want(200)

	// A kill with the disk full loses nothing, and the node serves reads again: clients have left it the room in its log
	// that a new term takes.
	s.kill()
	s = start(t, o)
	for key, value := range acked {
		s.get("/v1/kv/" + key).want(200).wantBody(value)
	}
	if a := put(); a.status != 503 && a.status != 507 && a.status != 201 {
		t.Errorf("%s: status %d on a full disk: %s", a.what, a.status, a.body)
	}
	free(s)
	s.awaitReady()
	check()
	for range 60 {
		eventually(t, func() string {
			a := put()
			if a.status == 503 || a.status == 507 { // the flusher has some catching up to do
				return string(a.body)
			}
			a.want(201)
			return ""
		})
	}
	s.seal()
	check()
	s.stop()
	s = start(t, o)
	check()
}
