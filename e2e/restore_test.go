package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/tier/s3test"
)

// TestRestore: an empty directory and the bucket make the ledger that was published, with its segments left in the bucket or
// fetched before anything is served. The ledger goes on from there, and never contradicts what was published.
func TestRestore(t *testing.T) {
	store := s3test.Start(t)
	s := start(t, options{env: onStore(store, "SCRIBE_TIER_S3_PREFIX=p")})
	values := s.fill("one")
	var round tierAnswer
	s.do("POST", "/v1/admin/tier", nil).want(200).decode(&round)
	eventually(t, func() string { // the archive is published behind the uploads
		s.do("POST", "/v1/admin/tier", nil).want(200).decode(&round)
		if round.Published < 121 {
			return fmt.Sprintf("%d entries are published", round.Published)
		}
		return ""
	})
	before := s.replay()[:round.Published]
	s.put("k000", "written behind what is published, and lost with the disk")
	s.kill()

	for _, fetch := range []bool{false, true} {
		url := "s3://" + store.Bucket + "/p"
		o := options{dir: filepath.Join(t.TempDir(), "data"), env: onStore(store, "SCRIBE_TIER_S3_BUCKET="), args: []string{"--restore-from", url}}
		if fetch {
			o.args = append(o.args, "--restore-fetch")
		}
		r := start(t, o)
		if local := len(r.segmentFiles()) > 0; local != fetch {
			t.Errorf("fetch %v: segment files %v", fetch, r.segmentFiles())
		}
		r.readsBack(values)
		after := r.replay()
		if len(after) < len(before) {
			t.Fatalf("%d entries, of %d that were published", len(after), len(before))
		}
		for i := range before {
			if before[i].LeafHash != after[i].LeafHash {
				t.Fatalf("entry %d is another one than published", i)
			}
		}
		if line := r.awaitLine("the ledger is restored from its archive"); !strings.Contains(line, fmt.Sprint(len(before))) {
			t.Errorf("it does not say how far: %s", line)
		}
		r.kill() // and the flag does nothing to a ledger that is there
		r = start(t, o)
		r.readsBack(values)
		r.put("late", fmt.Sprint(fetch))
		r.get("/v1/kv/late").want(200).wantBody(fmt.Sprint(fetch))
		r.stop()
	}
}

// TestRestoreRefused: what cannot be restored is said in one line, and nothing is left behind that a second try would trip on.
func TestRestoreRefused(t *testing.T) {
	store := s3test.Start(t)
	dir := filepath.Join(t.TempDir(), "data")
	refused := func(env []string, url string, says ...string) {
		t.Helper()
		s := launch(t, options{dir: dir, env: env, args: []string{"--restore-from", url}})
		if code := s.wait(); code != 1 {
			t.Fatalf("%s: exit status %d:\n%s", url, code, s.log)
		}
		lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
		for _, text := range append(says, "scribe-node: cannot restore from "+url) {
			if last := lines[len(lines)-1]; !strings.Contains(last, text) {
				t.Errorf("the line does not say %q: %s", text, last)
			}
		}
	}
	empty := "s3://" + store.Bucket + "/nothing/here"
	refused(onStore(store, "SCRIBE_TIER_S3_BUCKET="), empty, "nothing is published there")
	refused(onStore(store, "SCRIBE_TIER_S3_BUCKET="), "s3://nowhere/p", "no such bucket", "tier.s3.bucket")
	refused(onStore(store, "SCRIBE_TIER_S3_BUCKET=", "SCRIBE_TIER_S3_SECRET_ACCESS_KEY=hunter2"), empty, "credentials")
	s := start(t, options{dir: dir, env: small()}) // as if nothing had happened
	s.put("k", "v")
	s.stop()
}
