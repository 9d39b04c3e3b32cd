package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestDamagedFollower damages the files of one node in every way that its peers can make good. What is read through it is
// right or an error throughout, never wrong and never absent, and it repairs itself without a word from an operator.
func TestDamagedFollower(t *testing.T) {
	// Without a cache of blocks every read reads the file.
	c := formCluster(t, clusterOptions{env: append(small(), "SCRIBE_STORAGE_BLOCK_CACHE_BYTES=0")})
	values := make(map[string]string)
	for i := range 20 {
		key := fmt.Sprintf("k%02d", i)
		values[key] = fmt.Sprintf("value %d %s", i, hex.EncodeToString(noise(32<<10, key)))
		c.nodes[0].put(key, values[key])
	}
	c.nodes[0].seal()
	c.awaitAgreement(c.nodes...)
	victim := c.except(c.leader())[0]
	rnd := rand.New(rand.NewPCG(5, 5))
	for _, v := range []struct {
		name   string
		damage func()
	}{
		{"bits flipped in a segment", func() {
			victim.stop()
			name := files(t, victim.dir, "segments/*")[0]
			for range 20 {
				flip(t, name, rnd.Int64N(fileSize(name)))
			}
			victim.start()
		}},
		{"a segment cut short", func() {
			victim.stop()
			if err := os.Truncate(files(t, victim.dir, "segments/*")[0], 1000); err != nil {
				t.Fatal(err)
			}
			victim.start()
		}},
		{"all segments gone", func() {
			victim.kill()
			for _, name := range files(t, victim.dir, "segments/*") {
				if err := os.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
			victim.start()
		}},
		{"the manifest damaged", func() {
			victim.kill()
			name := files(t, victim.dir, "MANIFEST")[0]
			flip(t, name, fileSize(name)/2)
			victim.start()
		}},
		{"every segment damaged while the node runs", func() {
			for _, name := range files(t, victim.dir, "segments/*") {
				poke(t, name, rnd)
			}
		}},
	} {
		t.Logf("%s, at node %d", v.name, victim.id)
		v.damage()
		c.readThrough(victim, values)
		c.awaitReady(victim)
		c.awaitAgreement(c.nodes...)
		c.sameSegments(victim, c.except(victim)[0])
	}
	c.replayAll(c.nodes...)
}

// poke changes bits of a file that a process has open, within the file as it is.
func poke(t *testing.T, name string, rnd *rand.Rand) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := fileSize(name)
	for range 16 {
		var b [1]byte
		at := rnd.Int64N(size)
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 0x10
		if _, err := f.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
	}
}

// readThrough reads every key through a node, in every way, until all of it is read rightly. A read may fail on the way,
// with 500 corrupt or 503, or because nobody listens; it is never wrong and never 404.
func (c *cluster) readThrough(p *peer, values map[string]string) {
	c.t.Helper()
	client := clientOf(c.t)
	var mu sync.Mutex
	failed := make(map[string]int)
	var reading sync.WaitGroup
	for key, value := range values {
		for _, path := range []string{"/v1/kv/" + key, "/v1/kv/" + key + "?consistency=stale", "/v1/history/" + key + "?values=1",
			"/verify/" + key, "/v1/entries"} {
			reading.Go(func() {
				eventually(c.t, func() string {
					a, _, err := p.attempt(client, patience, "GET", path, nil)
					switch {
					case err != nil:
					case a.status == 200 && (!strings.HasPrefix(path, "/v1/kv/") || string(a.body) == value):
						return ""
					case a.status == 200 || a.status == 404:
						c.t.Errorf("%s: status %d, %d bytes: %.100q", a.what, a.status, len(a.body), a.body)
						return ""
					}
					what := "no answer"
					if err == nil {
						what = fmt.Sprintf("status %d", a.status)
					}
					mu.Lock()
					defer mu.Unlock()
					failed[what]++
					return what
				})
			})
		}
	}
	reading.Wait()
	if len(failed) > 0 {
		c.t.Logf("reads that failed until they succeeded: %v", failed)
	}
}

// sameSegments waits until a node has the same segment files as another, byte for byte.
func (c *cluster) sameSegments(p, other *peer) {
	c.t.Helper()
	want := digests(c.t, other.dir)
	eventually(c.t, func() string {
		got := digests(c.t, p.dir)
		for name, sum := range want {
			if got[name] != sum {
				return fmt.Sprintf("node %d has %s as %.8s, node %d as %.8s", p.id, name, got[name], other.id, sum)
			}
		}
		return ""
	})
}

func digests(t testing.TB, dir string) map[string]string {
	out := make(map[string]string)
	names, err := filepath.Glob(filepath.Join(dir, "segments/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it is being replaced
		}
		sum := sha256.Sum256(b)
		out[filepath.Base(name)] = hex.EncodeToString(sum[:])
	}
	return out
}
