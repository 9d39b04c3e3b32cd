package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// makeLedger makes a data directory with segments, a log whose beginning was dropped, and entries that are in the log
// alone; the node was killed. It returns the entries.
func makeLedger(t *testing.T) (dir string, entries []entry) {
	t.Helper()
	// Without merges: one that is cut short leaves a file that nobody misses.
	o := options{dir: filepath.Join(t.TempDir(), "data"), env: unmerged()}
	s := start(t, o)
	for i := range 60 {
		value := fmt.Sprintf("value %d ", i)
		if i%3 > 0 {
			value += string(noise(40<<10, fmt.Sprint(i)))
		}
		s.do("PUT", fmt.Sprintf("/v1/kv/k%02d", i%25), []byte(value)).want(201)
	}
	s.seal()
	for i := range 12 {
		s.put(fmt.Sprintf("late%02d", i), fmt.Sprintf("late %d", i))
	}
	s.del("late03")
	entries = s.replay()
	if s.status().FirstIndex == 1 {
		t.Fatal("no log file was dropped")
	}
	s.kill()
	return o.dir, entries
}

// flip changes one bit.
func flip(t *testing.T, name string, offset int64) {
	t.Helper()
	change(t, name, func(b []byte) []byte {
		b[offset] ^= 1 << (offset % 8)
		return b
	})
}

// outcome says how a node took a damage: by a refusal to start, or by the reads that failed.
type outcome struct {
	refusal string
	corrupt int
}

// survey starts a node on a damaged directory and reads everything in every way. An answer is right, or it is 500
// corrupt; it is never wrong, never 404, and never another error.
func survey(t *testing.T, dir string, entries []entry) (out outcome) {
	t.Helper()
	s := launch(t, options{dir: dir, env: small()})
	up := make(chan struct{})
	go func() {
		defer close(up)
		for {
			_, grown := s.log.find("  Try:")
			if grown == nil {
				return
			}
			select {
			case <-grown:
			case <-s.done:
				return
			}
		}
	}()
	<-up
	if _, grown := s.log.find("  Try:"); grown != nil {
		if code := s.wait(); code != 1 {
			t.Fatalf("exit status %d:\n%s", code, s.log)
		}
		lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
		out.refusal = lines[len(lines)-1]
		return out
	}
	s.awaitReady()
	defer s.kill()
	// ok says that the answer is to be looked at; a corrupt one is counted.
	ok := func(a *answer) bool {
		t.Helper()
		if a.status == 500 {
			p := a.wantProblem(500, "corrupt")
			if !strings.Contains(p.Detail, "offset") {
				t.Errorf("%s: no offset in %q", a.what, p.Detail)
			}
			out.corrupt++
			return false
		}
		a.want(200)
		return true
	}
	newest := make(map[string]*entry)
	for i := range entries {
		e := &entries[i]
		if e.Op == "segment" {
			continue
		}
		key := e.key(t)
		newest[key] = e
		if e.Op == "put" {
			if a := s.get(fmt.Sprintf("/v1/kv/%s?seq=%d", key, e.Seq)); ok(a) {
				a.wantBody(e.value(t))
			}
		}
		if a := s.get(fmt.Sprintf("/verify/%s?seq=%d", key, e.Seq)); ok(a) {
			var p proof
			a.decode(&p)
			p.check(t, e)
		}
	}
	live := 0
	for key, e := range newest {
		if e.Op == "put" {
			live++
			if a := s.get("/v1/kv/" + key); ok(a) {
				a.wantBody(e.value(t))
			}
		}
		if a := s.get("/v1/history/" + key); ok(a) {
			var l list
			a.decode(&l)
			want := count(entries, func(e *entry) bool { return e.key(t) == key })
			if len(l.Entries) != want {
				t.Fatalf("%d versions of %s, not %d", len(l.Entries), key, want)
			}
		}
	}
	for _, query := range []string{"", "?reverse=1"} {
		if a := s.get("/v1/range" + query); ok(a) {
			var l list
			a.decode(&l)
			if len(l.Entries) != live {
				t.Fatalf("%d keys in a range, not %d", len(l.Entries), live)
			}
			for i := range l.Entries {
				e := &l.Entries[i]
				if e.value(t) != newest[e.key(t)].value(t) {
					t.Fatalf("key %s has another value", e.key(t))
				}
			}
		}
	}
	for from := range entries {
		if a := s.get(fmt.Sprintf("/v1/entries?limit=1&from=%d", from)); ok(a) {
			var l list
			a.decode(&l)
			if !bytes.Equal(l.Entries[0].record(t), entries[from].record(t)) {
				t.Fatalf("entry %d is another", from)
			}
		}
	}
	// A stream that has begun is cut off at the damage, with nothing wrong before it.
	resp, err := s.try(plain(), "GET", "/v1/entries", nil, "Accept", "application/x-ndjson")
	switch {
	case err != nil:
		out.corrupt++
	case ok(resp):
		d := json.NewDecoder(bytes.NewReader(resp.body))
		for i := range entries {
			var e entry
			if err := d.Decode(&e); err != nil || !bytes.Equal(e.record(t), entries[i].record(t)) {
				t.Fatalf("line %d: %v", i, err)
			}
		}
	}
	return out
}

// TestFlippedBitInSegment flips bits all over a segment file.
func TestFlippedBitInSegment(t *testing.T) {
	dir, entries := makeLedger(t)
	rnd := rand.New(rand.NewPCG(7, 7))
	segments := files(t, dir, "segments/*")
	size := fileSize(segments[0])
	// The data blocks, evenly; the meta tail at the end of the file more closely.
	var offsets []int64
	for i := range int64(8) {
		offsets = append(offsets, size*i/8+rnd.Int64N(size/8))
	}
	for back := int64(1); back < 4<<10 && back < size; back = back*3/2 + rnd.Int64N(9) + 1 {
		offsets = append(offsets, size-back)
	}
	refusals := 0
	for i, offset := range offsets {
		if raceEnabled && i%4 > 0 {
			continue
		}
		damaged := copyDir(t, dir)
		name := files(t, damaged, "segments/*")[0]
		flip(t, name, offset)
		got := survey(t, damaged, entries)
		if got.refusal != "" {
			refusals++
			if !strings.Contains(got.refusal, filepath.Base(name)) || !strings.Contains(got.refusal, "offset") {
				t.Errorf("offset %d: the refusal does not say where: %s", offset, got.refusal)
			}
		} else if got.corrupt == 0 {
			t.Errorf("offset %d of %d: nobody noticed", offset, size)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d flips in %d bytes: %d refusals to start", len(offsets), size, refusals)
}

// lastUsed is the end of what was written to a preallocated log file, rounded up to a record's alignment.
func lastUsed(b []byte) int {
	return (len(bytes.TrimRight(b, "\x00")) + 7) &^ 7
}

// TestFlippedBitInLog flips bits all over the log files, the last batch left out: a node refuses to start, and says where.
func TestFlippedBitInLog(t *testing.T) {
	dir, _ := makeLedger(t)
	rnd := rand.New(rand.NewPCG(8, 8))
	for i, name := range files(t, dir, "wal/0*.log") {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		used := lastUsed(b) - 1024
		if used < 1024 {
			continue
		}
		for _, offset := range []int{rnd.IntN(128), 128 + rnd.IntN(200), used / 3, used / 2, used * 2 / 3, rnd.IntN(used), used} {
			damaged := copyDir(t, dir)
			file := files(t, damaged, "wal/0*.log")[i]
			flip(t, file, int64(offset))
			got := survey(t, damaged, nil)
			if !strings.Contains(got.refusal, filepath.Base(file)) || !strings.Contains(got.refusal, "offset") {
				t.Fatalf("%s, offset %d of %d: %q", filepath.Base(file), offset, used, got.refusal)
			}
		}
	}
}

// TestTornTail: what a write that never finished leaves behind is cut off, and everything acknowledged is there.
func TestTornTail(t *testing.T) {
	dir, entries := makeLedger(t)
	names := files(t, dir, "wal/0*.log")
	name := filepath.Base(names[len(names)-1])
	for what, tail := range map[string]func(used []byte) []byte{
		"noise":                func([]byte) []byte { return noise(300, "tail") },
		"a length of 4 GiB":    func([]byte) []byte { return bytes.Repeat([]byte{0xff}, 16) },
		"a record from before": func(used []byte) []byte { return bytes.Clone(used[128:][:4096]) },
		"half a record":        func(used []byte) []byte { return bytes.Clone(used[len(used)-200:][:100]) },
		"a page far behind":    func([]byte) []byte { return append(make([]byte, 8192), noise(100, "page")...) },
	} {
		torn := copyDir(t, dir)
		change(t, filepath.Join(torn, "wal", name), func(b []byte) []byte {
			end := lastUsed(b)
			copy(b[end:], tail(b[:end]))
			return b
		})
		got := survey(t, torn, entries)
		if got.refusal != "" || got.corrupt != 0 {
			t.Fatalf("%s: refusal %q, %d answers corrupt", what, got.refusal, got.corrupt)
		}
		// It goes on from there.
		s := start(t, options{dir: torn, env: small()})
		r := s.put("after", what)
		s.kill()
		s = start(t, options{dir: torn, env: small()})
		s.get("/v1/kv/after").want(200).wantHeader("X-Scribe-Seq", fmt.Sprint(r.Seq))
		s.replay()
		s.kill()
	}
}
