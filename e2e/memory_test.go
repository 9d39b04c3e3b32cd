package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
)

// maxRSS is the memory that a node may take under any load here, with every setting at its default. What is held for
// requests (256 MiB), memtables and the block cache come to about that.
const maxRSS = 600 << 20

// TestMemory puts many times the memtable's size in from many connections, reads it back in every way, and watches the
// node's memory.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector takes memory of its own; this runs for races alone, with little data")
	}
	const clients, size = 16, 1 << 20
	values := 256
	if testing.Short() {
		values = 64
	}
	if raceEnabled {
		values = 32
	}
	s := start(t, options{})
	// One body of noise, told apart by its first bytes, so that the test has little to compute.
	body := noise(size, "memory")
	value := func(i int) []byte { return append([]byte(fmt.Sprintf("%08d", i)), body[8:]...) }
	each := func(do func(c *http.Client, i int)) {
		t.Helper()
		c := plain()
		defer c.CloseIdleConnections()
		var running sync.WaitGroup
		for id := range clients {
			running.Go(func() {
				for i := id; i < values && !t.Failed(); i += clients {
					do(c, i)
				}
			})
		}
		running.Wait()
		if t.Failed() {
			t.FailNow()
		}
	}
	flat := func(doing string) {
		t.Helper()
		peak := s.rss("VmHWM")
		// The log is mapped: its pages count as resident and can go at any moment.
		file := s.rss("RssFile")
		t.Logf("after %s: %d MiB resident at most, %d MiB now, of them %d MiB of files", doing, peak>>20, s.rss("VmRSS")>>20, file>>20)
		if anonymous := s.rss("RssAnon"); anonymous > maxRSS && !raceEnabled {
			t.Errorf("after %s: %d MiB of memory", doing, anonymous>>20)
		}
		if peak > maxRSS+256<<20 && !raceEnabled {
			t.Errorf("after %s: %d MiB resident at most", doing, peak>>20)
		}
	}
	each(func(c *http.Client, i int) {
		eventually(t, func() string {
			a, err := s.try(c, "PUT", fmt.Sprintf("/v1/kv/m/%05d", i), value(i))
			if err != nil {
				t.Error(err)
			} else if a.status == 503 {
				return string(a.body) // too fast for the flusher; it was not applied
			} else if a.status != 201 {
				t.Errorf("%s: status %d: %s", a.what, a.status, a.body)
			}
			return ""
		})
	})
	flat("writing")
	each(func(c *http.Client, i int) {
		a, err := s.try(c, "GET", fmt.Sprintf("/v1/kv/m/%05d", i), nil)
		if err != nil || a.status != 200 || !bytes.Equal(a.body, value(i)) {
			t.Errorf("value %d: %v, %+v", i, err, a)
		}
	})
	flat("reading")
	// Streams of the whole ledger, side by side; one of them by a client that takes its time.
	var streams sync.WaitGroup
	for _, path := range []string{"/v1/range", "/v1/range?reverse=1", "/v1/entries"} {
		streams.Go(func() {
			if n := countLines(t, s, path); n < values {
				t.Errorf("%s: %d lines of %d values", path, n, values)
			}
		})
	}
	streams.Wait()
	flat("streaming")
	pages := 0
	for path := "/v1/range?limit=10000"; ; pages++ {
		l := s.list(path)
		if l.Next == "" {
			break
		}
		path = "/v1/range?limit=10000&cursor=" + l.Next
	}
	if pages < 2 {
		t.Errorf("%d MiB in %d pages", values, pages)
	}
	flat("paging")
}

// countLines reads an NDJSON answer line by line and keeps none.
func countLines(t *testing.T, s *scribe, path string) (n int) {
	req, err := http.NewRequest("GET", s.url(path), nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	lines := bufio.NewReaderSize(resp.Body, 4<<20)
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF {
			return n
		}
		if err != nil || len(line) < 100 || line[0] != '{' {
			t.Errorf("%s, line %d: %v", path, n, err)
			return n
		}
		if n == 0 && !json.Valid(line) {
			t.Errorf("%s: the first line is no JSON", path)
		}
		n++
	}
}
