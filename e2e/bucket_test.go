package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/open"
	"github.com/scribe-ledger/scribe/tier/s3test"
)

// shelf is a bucket as processes are told of it.
type shelf struct {
	url   string
	env   []string   // of the node that publishes there
	reads []string   // of those who read there
	store tier.Store // the test's own way to it
}

// shelves are a folder and a bucket of an S3 server.
func shelves(t *testing.T) map[string]shelf {
	t.Helper()
	s3 := s3test.Start(t)
	dir := filepath.Join(t.TempDir(), "shelf")
	out := map[string]shelf{
		"dir": {url: "dir:" + dir, env: append(unmerged(), "SCRIBE_TIER_DIR="+dir)},
		"s3": {url: "s3://" + s3.Bucket + "/some/ledger", env: onStore(s3, "SCRIBE_TIER_S3_PREFIX=some/ledger"),
			reads: s3.Environ()},
	}
	for name, s := range out {
		c, err := config.Load([]string{"--read-only", "--bucket", s.url}, s.reads, os.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		if s.store, err = open.Store(c.Tier, open.Options{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = open.Close(s.store) })
		out[name] = s
	}
	return out
}

// scribe runs the command line on the bucket, with no server.
func (s *shelf) scribe(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return run(t, s.reads, "scribe", append(args, "--bucket", s.url)...)
}

// reader starts a reader of the bucket.
func (s *shelf) reader(t *testing.T) *scribe {
	t.Helper()
	return start(t, options{args: []string{"--read-only", "--bucket", s.url},
		env: append([]string{"SCRIBE_ARCHIVE_REFRESH=30ms"}, s.reads...)})
}

// publish uploads and publishes all that is sealed.
func (s *scribe) publish() (size uint64) {
	s.t.Helper()
	var out tierAnswer
	s.do("POST", "/v1/admin/tier", nil).want(200).decode(&out)
	segments := s.segments()
	if through := segments[len(segments)-1].LastSeq + 1; out.Waiting != 0 || out.Published != through {
		s.t.Fatalf("tier: %+v; %d entries are in segments", out, through)
	}
	return out.Published
}

// TestReadsFromABucket: what a node publishes, a reader serves and the command line reads, each from the bucket alone,
// with the same answers and proofs; a reader follows, takes no writes, and goes on when the cluster is gone.
func TestReadsFromABucket(t *testing.T) {
	for name, shelf := range shelves(t) {
		t.Run(name, func(t *testing.T) {
			n := start(t, options{env: shelf.env})
			n.awaitLine("the object store is ready") // a folder is made by whoever puts something there first
			if code, _, stderr := shelf.scribe(t, "get", "large"); code != 1 || !strings.Contains(stderr,
				"nothing is published") {
				t.Errorf("before anything is published: exit %d, %s", code, stderr)
			}
			early := launch(t, options{args: []string{"--read-only", "--bucket", shelf.url}, env: shelf.reads})
			early.awaitLine("nothing is published")
			first := n.fill("one")
			n.publish()
			r := shelf.reader(t)
			r.readsBack(first)
			var health struct{ Status, Role string }
			if err := json.Unmarshal(r.get("/health").want(200).body, &health); err != nil {
				t.Fatal(err)
			}
			if health.Status != "ok" || health.Role != "reader" {
				t.Errorf("%+v", health)
			}
			r.do("PUT", "/v1/kv/x", []byte("y")).wantProblem(405, "read_only")
			r.do("DELETE", "/v1/kv/large", nil).wantProblem(405, "read_only")
			r.do("POST", "/v1/admin/seal", nil).wantProblem(405, "read_only")
			early.stop()

			state := filepath.Join(t.TempDir(), "state")
			if code, out, stderr := shelf.scribe(t, "verify", "large", "--state", state); code != 0 {
				t.Fatalf("verify: exit %d, %s%s", code, out, stderr)
			}
			second := n.fill("two")
			size := n.publish()
			eventually(t, func() string {
				if st := r.status(); st.TreeSize != size {
					return fmt.Sprintf("the reader has %d entries of %d", st.TreeSize, size)
				}
				return ""
			})
			n.kill()
			r.readsBack(second)
			shelf.commandLine(t, second, state)
			r.stop()
		})
	}
}

// commandLine reads with scribe what values says.
func (s *shelf) commandLine(t *testing.T, values map[string]string, state string) {
	t.Helper()
	for _, key := range []string{"k000", "k079", "large"} {
		if code, out, stderr := s.scribe(t, "get", key); code != 0 || out != values[key] {
			t.Errorf("get %s: exit %d, %d bytes, %s", key, code, len(out), stderr)
		}
	}
	if code, _, stderr := s.scribe(t, "get", "k007"); code != 1 || !strings.Contains(stderr, "key_not_found") {
		t.Errorf("get of a deleted key: exit %d, %s", code, stderr)
	}
	if code, out, stderr := s.scribe(t, "history", "k007"); code != 0 || strings.Count(out, "\n") < 4 {
		t.Errorf("history: exit %d, %s%s", code, out, stderr)
	}
	if code, out, stderr := s.scribe(t, "range", "--prefix", "k00", "--json"); code != 0 || strings.Count(out,
		"\n") != 9 {
		t.Errorf("range: exit %d, %s%s", code, out, stderr)
	}
	if code, out, stderr := s.scribe(t, "verify", "large", "--state", state); code != 0 || !strings.Contains(out,
		"verified: entry") {
		t.Errorf("verify against the earlier checkpoint: exit %d, %s%s", code, out, stderr)
	}
	if code, out, stderr := s.scribe(t, "fsck"); code != 0 || !strings.Contains(out, "clean: 0 damaged") {
		t.Errorf("fsck: exit %d, %s%s", code, out, stderr)
	}
	if code, out, stderr := s.scribe(t, "inspect", "--entries"); code != 0 || !strings.Contains(out, "\ncheckpoint ") ||
		!strings.Contains(out, "  k079\n") {
		t.Errorf("inspect: exit %d, %s%s", code, out, stderr)
	}
	if code, _, stderr := run(t, s.reads, "scribe", "get", "x", "--bucket", s.url+"/nowhere"); code != 1 || stderr == "" {
		t.Errorf("another prefix: exit %d, %s", code, stderr)
	}
	if code, _, _ := run(t, nil, "scribe", "get", "x", "--bucket", "gs://x"); code != 2 {
		t.Errorf("a bucket of a kind that is not known: exit %d", code)
	}
	if code, _, _ := s.scribe(t, "get", "x", "--endpoint", "http://127.0.0.1:1"); code != 2 {
		t.Errorf("a bucket and an endpoint: exit %d", code)
	}
}

// TestFsckOfABucket plants damage in buckets that a real node has made, and wants it named, with exit status 5.
func TestFsckOfABucket(t *testing.T) {
	for name, shelf := range shelves(t) {
		t.Run(name, func(t *testing.T) {
			n := start(t, options{env: shelf.env})
			n.fill("one")
			n.publish()
			stale := shelf.object(t, tier.LatestName)
			for _, more := range []string{"two", "three", "four"} { // more than 256 entries in all: a whole tile
				n.fill(more)
			}
			n.publish()
			segments := n.segments()
			n.stop()
			if code, damages := shelf.fsck(t); code != 0 {
				t.Fatalf("exit %d, %+v", code, damages)
			}
			object := segments[0].Object
			whole, other := shelf.object(t, object), shelf.object(t, segments[1].Object)
			flip := func(data []byte, at int) []byte {
				out := append([]byte(nil), data...)
				out[at] ^= 0x10
				return out
			}
			for _, c := range []struct {
				what, object, kind, section string
				data                        []byte // nil: it is deleted
			}{
				{"data", object, "segment_damaged", "data", flip(whole, 40)},
				{"footer", object, "segment_damaged", "footer", flip(whole, len(whole)-30)},
				{"truncated", object, "segment_size", "", whole[:len(whole)/2]},
				{"swapped", object, "segment_wrong", "", other},
				{"missing", object, "segment_missing", "", nil},
				{"foreign", "segments/mine.seg", "foreign", "", []byte("mine")},
				{"stale", tier.LatestName, "stale", "", stale},
				{"pointer", tier.LatestName, "pointer", "", flip(shelf.object(t, tier.LatestName), 9)},
				{"tile", "tiles/tile/0/000", "tile", "", flip(shelf.object(t, "tiles/tile/0/000"), 500)},
				{"no tile", "tiles/tile/0/000", "tile", "", nil},
				{"checkpoint", tier.CheckpointName, "checkpoint", "", []byte("no checkpoint")},
				{"identity", tier.LedgerName, "identity", "", []byte("{}")},
			} {
				was := shelf.find(t, c.object)
				shelf.replace(t, c.object, c.data)
				code, damages := shelf.fsck(t)
				found := false
				for _, f := range damages {
					found = found || f.File == c.object && f.Kind == c.kind && f.Section == c.section &&
						f.Problem != "" && f.Do != ""
				}
				if code != 5 || !found {
					t.Errorf("%s: exit %d, %+v", c.what, code, damages)
				}
				shelf.replace(t, c.object, was)
			}
			if code, damages := shelf.fsck(t); code != 0 {
				t.Fatalf("put right again: exit %d, %+v", code, damages)
			}
		})
	}
}

func (s *shelf) fsck(t *testing.T) (code int, damages []finding) {
	t.Helper()
	code, out, stderr := s.scribe(t, "fsck", "--json")
	return code, damagesIn(t, code, out, stderr)
}

func (s *shelf) object(t *testing.T, key string) []byte {
	t.Helper()
	data := s.find(t, key)
	if data == nil {
		t.Fatalf("there is no %s", key)
	}
	return data
}

// find is an object's bytes; nil when there is none.
func (s *shelf) find(t *testing.T, key string) []byte {
	t.Helper()
	if _, err := s.store.Head(context.Background(), key); err != nil {
		return nil
	}
	data, _, err := tier.ReadAll(context.Background(), s.store, key, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// replace makes data the object, or deletes it.
func (s *shelf) replace(t *testing.T, key string, data []byte) {
	t.Helper()
	err := s.store.Delete(context.Background(), key)
	if err == nil && data != nil {
		_, err = s.store.Put(context.Background(), key, tier.BytesBody(data), tier.PutOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}
