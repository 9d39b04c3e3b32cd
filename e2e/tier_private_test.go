package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestTierOfItsOwn: the folder in its data directory is a node's cold tier while it is alone. A member that joins has none,
// and gets what is in that folder from the first one, which leaves the folder as it is from then on and says why; also after
// another start. What is written then stays on the disks.
func TestTierOfItsOwn(t *testing.T) {
	c := newCluster(t, clusterOptions{nodes: 1, env: append(unmerged(), "SCRIBE_STORAGE_KEEP_LOG_BYTES=0")})
	first := c.nodes[0]
	first.args = first.args[:len(first.args)-2] // a list of one
	first.start()
	c.awaitReady(first)
	values := first.fill("one")
	if out := first.evict(); len(out.Evicted) == 0 {
		t.Fatalf("%+v", out)
	}
	objects := files(t, filepath.Join(first.dir, "cold"), "segments/*.seg")

	second := c.joiner(first)
	second.start()
	c.awaitReady(first, second)
	c.awaitAgreement(first, second)
	if line := second.awaitLine("no cold tier"); !strings.Contains(line, "INFO") || !strings.Contains(line, "tier.dir") {
		t.Error(line)
	}
	second.readsBack(values)
	if got := second.segmentFiles(); len(got) < len(objects) {
		t.Errorf("the second member has %d files, %d objects are recorded", len(got), len(objects))
	}
	second.do("POST", "/v1/admin/tier", nil).wantProblem(409, "no_cold_tier")

	withheld := func() {
		t.Helper()
		eventually(t, func() string {
			status, h := first.tierHealth()
			if status != "ok" || h.Usable || !strings.Contains(h.Problem, "tier.backend, tier.dir or tier.s3") {
				return fmt.Sprintf("%s, %+v", status, h)
			}
			return ""
		})
		first.do("POST", "/v1/admin/tier?evict=1", nil).wantProblem(502, "cold_unavailable")
	}
	withheld()
	for key, value := range first.fill("two") {
		values[key] = value
	}
	withheld()
	first.stop()
	first.start()
	c.awaitReady(first, second)
	c.awaitAgreement(first, second)
	withheld()
	for _, p := range c.nodes {
		p.readsBack(values)
	}
	if now := files(t, filepath.Join(first.dir, "cold"), "segments/*.seg"); len(now) != len(objects) {
		t.Errorf("the folder has %d objects now, %d before", len(now), len(objects))
	}
	for _, p := range c.nodes {
		p.stop()
	}
}
