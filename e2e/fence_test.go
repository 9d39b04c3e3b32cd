package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/tier"
)

// TestRestoreBesideTheOldOne: a ledger is restored from its archive while the old one lives on, and both write, seal, merge and
// are asked to evict. The archive is the restored one's, which loses nothing. The old one says so to whoever asks, evicts
// nothing from then on, and has all that it had.
func TestRestoreBesideTheOldOne(t *testing.T) {
	for name, shelf := range shelves(t) {
		t.Run(name, func(t *testing.T) { restoreBeside(t, shelf) })
	}
}

func restoreBeside(t *testing.T, shelf shelf) {
	env := slices.Concat(shelf.env, small(), []string{"SCRIBE_STORAGE_COMPACT_FAN_IN=4", "SCRIBE_TIER_POLICY_INTERVAL=50ms",
		"SCRIBE_TIER_POLICY_DELETE_AFTER=1s", "SCRIBE_TIER_POLICY_FETCH_READS=0", "SCRIBE_TIER_CACHE_BYTES=0",
		"SCRIBE_STORAGE_BLOCK_CACHE_BYTES=0"})
	old := start(t, options{dir: filepath.Join(t.TempDir(), "old"), env: env})
	olds := old.fill("one")
	old.do("POST", "/v1/admin/tier", nil).want(200)
	restoring := options{dir: filepath.Join(t.TempDir(), "restored"), env: env, args: []string{"--restore-from", shelf.url}}
	restored := start(t, restoring)
	news := make(map[string]string)
	for key, value := range olds {
		news[key] = value
	}
	owner := restored.cluster()
	belongs := "belongs to cluster " + owner
	for round := range 3 {
		for key, value := range old.fill(fmt.Sprintf("old %d", round)) {
			olds[key] = value
		}
		for key, value := range restored.fill(fmt.Sprintf("restored %d", round)) {
			news[key] = value
		}
		for _, s := range []*scribe{old, restored} {
			s.do("POST", "/v1/admin/compact?full=1", nil).want(200)
		}
		a := old.do("POST", "/v1/admin/tier?evict=1", nil)
		a.wantProblem(502, "cold_unavailable")
		if !strings.Contains(string(a.body), belongs) {
			t.Fatalf("the old one is told %s", a.body)
		}
		restored.evict()
	}
	restored.do("POST", "/v1/admin/tier", nil).want(200)
	eventually(t, func() string { // what was merged, and what the old one had put, goes
		page, err := shelf.store.List(t.Context(), tier.SegmentPrefix, "", 1000)
		if want := len(restored.segments()); err != nil || len(page.Objects) != want {
			return fmt.Sprintf("%d objects of %d segments: %v", len(page.Objects), want, err)
		}
		return ""
	})
	for _, g := range old.segments() {
		if g.Tier == "cold" {
			t.Errorf("the old one has evicted segment %s", g.ID)
		}
	}
	old.readsBack(olds)
	restored.readsBack(news)

	status, h := old.tierHealth()
	if status != "ok" || h.Usable || !strings.Contains(h.Problem, belongs) {
		t.Errorf("the old one's health is %s, %+v", status, h)
	}
	if status, h := restored.tierHealth(); status != "ok" || !h.Usable || h.Problem != "" {
		t.Errorf("the restored one's health is %s, %+v", status, h)
	}
	if lines := strings.Count(old.log.String(), "the archive is not this cluster's"); lines != 1 {
		t.Errorf("%d lines of the old one's log tell of it", lines)
	}
	if old.metric("scribe_tier_usable") != 0 || restored.metric("scribe_tier_usable") != 1 {
		t.Error("the metrics do not tell of it")
	}
	for _, command := range []string{"tier", "tier evict"} {
		if out, err := old.shell(".bin/scribe " + command); err == nil || !strings.Contains(out, belongs) {
			t.Errorf("scribe %s: %v\n%s", command, err, out)
		}
	}
	if out, err := old.shell(".bin/scribe tier status"); err != nil || !strings.Contains(out, belongs) {
		t.Errorf("scribe tier status: %v\n%s", err, out)
	}
	for command, says := range map[string]string{
		"inspect": "cluster " + owner + ", since version", "fsck": "", "get k001": news["k001"], "verify k001": "",
	} {
		if code, out, stderr := shelf.scribe(t, strings.Fields(command)...); code != 0 || !strings.Contains(out, says) {
			t.Errorf("scribe %s: exit %d, %s%s", command, code, out, stderr)
		}
	}

	// Both are killed and start again, the restored one still with its flag.
	for _, s := range []*scribe{old, restored} {
		s.kill()
	}
	old = start(t, options{dir: old.dir, env: env})
	restored = start(t, restoring)
	old.do("POST", "/v1/admin/tier?evict=1", nil).wantProblem(502, "cold_unavailable")
	restored.evict()
	old.readsBack(olds)
	restored.readsBack(news)
	restored.stop()

	cold, isFolder := strings.CutPrefix(shelf.url, "dir:")
	if !isFolder {
		old.stop()
		return
	}
	// The restored one is given up: an operator gives the old one a copy of its own, of all but what the restored one published.
	own := t.TempDir()
	for _, name := range []string{"ledger.json", "segments"} {
		if out, err := old.shell(fmt.Sprintf("cp -a %s %s", filepath.Join(cold, name), own)); err != nil {
			t.Fatal(out, err)
		}
	}
	old.stop()
	old = start(t, options{dir: old.dir, env: append(env, "SCRIBE_TIER_DIR="+own)})
	old.evict()
	old.readsBack(olds)
	if _, err := os.Stat(filepath.Join(own, "latest")); err != nil {
		t.Error(err)
	}
	old.stop()
}

// cluster is the id of the node's cluster.
func (s *scribe) cluster() string {
	s.t.Helper()
	var out struct {
		ClusterID string `json:"cluster_id"`
	}
	if err := json.Unmarshal(s.get("/cluster/status").want(200).body, &out); err != nil || out.ClusterID == "" {
		s.t.Fatalf("%+v, %v", out, err)
	}
	return out.ClusterID
}
