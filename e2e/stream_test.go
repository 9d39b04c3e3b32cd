package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestLargeValuesInParallel gets values of 32 MiB from many connections at once: 2 GiB on their way, and hardly any of it
// in the node's memory.
func TestLargeValuesInParallel(t *testing.T) {
	readers, size := 64, 32<<20
	if testing.Short() || raceEnabled {
		readers, size = 16, 8<<20
	}
	s := start(t, options{})
	value := noise(size, "large")
	want := sha256.Sum256(value)
	s.put("large", string(value))
	s.seal()
	get := func(c *http.Client) error {
		resp, err := c.Get(s.url("/v1/kv/large"))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		sum := sha256.New()
		if n, err := io.Copy(sum, resp.Body); err != nil || n != int64(size) || !bytes.Equal(sum.Sum(nil), want[:]) {
			return fmt.Errorf("%d bytes, %v", n, err)
		}
		return nil
	}
	c := plain()
	defer c.CloseIdleConnections()
	if err := get(c); err != nil {
		t.Fatal(err)
	}
	before := s.rss("RssAnon")
	var most int64
	done := make(chan struct{})
	var watch, wait sync.WaitGroup
	watch.Go(func() {
		for {
			most = max(most, int64(s.rss("RssAnon")))
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for range readers {
		wait.Go(func() {
			if err := get(c); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	close(done)
	watch.Wait()
	t.Logf("%d readers of %d MiB: %d MiB of memory before, %d at most", readers, size>>20, before>>20, most>>20)
	// A piece and a block for each, what net/http takes, and what of it is garbage for a while.
	if grown := most - int64(before); grown > 128<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	for _, r := range []struct{ field, want string }{
		{"bytes=1000000-1000099", string(value[1_000_000:1_000_100])}, {"bytes=-7", string(value[size-7:])},
	} {
		if a := s.do("GET", "/v1/kv/large", nil, "Range", r.field); a.status != 206 || string(a.body) != r.want {
			t.Errorf("%s: status %d, %d bytes", r.field, a.status, len(a.body))
		}
	}
}

// TestDamagedLargeValue flips a byte in the last part of a large value: what is sent before it is found is never taken for
// the whole, and a part that does not touch it is served.
func TestDamagedLargeValue(t *testing.T) {
	s := start(t, options{dir: filepath.Join(t.TempDir(), "data")})
	value := noise(4<<20, "damaged")
	s.put("large", string(value))
	s.seal()
	s.stop()
	files, err := filepath.Glob(filepath.Join(s.dir, "segments", "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	hurt := 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(b, value[len(value)-1000:]); i >= 0 {
			b[i] ^= 1
			hurt++
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if hurt == 0 {
		t.Fatal("the value is in no segment as it is")
	}
	s = start(t, options{dir: s.dir})
	resp, err := http.Get(s.url("/v1/kv/large"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || err == nil || len(got) >= len(value) || !bytes.HasPrefix(value, got) {
		t.Errorf("status %d, %d of %d bytes, error %v", resp.StatusCode, len(got), len(value), err)
	}
	s.do("GET", "/v1/kv/large", nil, "Range", "bytes=-1").wantProblem(500, "corrupt")
	s.do("GET", "/v1/kv/large", nil, "Range", "bytes=0-99").want(206).wantBody(string(value[:100]))
}
