package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// offline runs the command-line client on files.
func offline(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return run(t, nil, "scribe", args...)
}

// finding is one line of fsck's report, as it is documented.
type finding struct {
	Severity, Kind, File, Section, Problem, Lost, Do string
	Offset                                           int64
}

func fsck(t *testing.T, dir string) (code int, damages []finding) {
	t.Helper()
	code, out, stderr := offline(t, "fsck", dir, "--json")
	return code, damagesIn(t, code, out, stderr)
}

// damagesIn reads the report of fsck --json.
func damagesIn(t *testing.T, code int, out, stderr string) (damages []finding) {
	t.Helper()
	var report struct {
		Clean    bool
		Findings []finding
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Clean != (code == 0) {
		t.Fatalf("exit %d, %v, %s, %s", code, err, out, stderr)
	}
	for _, f := range report.Findings {
		if f.Severity == "damage" {
			damages = append(damages, f)
		}
	}
	return damages
}

// TestFsck checks what a real node has left: clean after a kill, and after it, each damage is named that the node would
// refuse or serve as corrupt.
func TestFsck(t *testing.T) {
	s := start(t, options{dir: filepath.Join(t.TempDir(), "data"), env: small()})
	s.put("a", "1")
	if code, _, stderr := offline(t, "fsck", s.dir); code != 1 || !strings.Contains(stderr, "a node uses this directory") {
		t.Errorf("beside a running node: exit %d, %s", code, stderr)
	}
	if code, out, stderr := offline(t, "inspect", s.dir); code != 0 || !strings.Contains(out, "in use") {
		t.Errorf("inspect beside a running node: exit %d, %s, %s", code, out, stderr)
	}
	s.kill()

	dir, _ := makeLedger(t)
	before := listing(t, dir)
	if code, damages := fsck(t, dir); code != 0 {
		t.Fatalf("a killed node's directory: exit %d, %+v", code, damages)
	}
	code, out, stderr := offline(t, "inspect", dir, "--records", "--entries", "--blocks", "--json")
	if code != 0 || stderr != "" {
		t.Errorf("inspect: exit %d, %s", code, stderr)
	}
	kinds := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var doc struct{ Kind string }
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kinds[doc.Kind]++
	}
	for _, kind := range []string{"directory", "identity", "manifest", "log", "record", "segment", "block", "entry"} {
		if kinds[kind] == 0 {
			t.Errorf("inspect shows no %s: %v", kind, kinds)
		}
	}
	if after := listing(t, dir); after != before {
		t.Errorf("fsck or inspect changed the directory:\n%s\nwas\n%s", after, before)
	}

	segments, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	if err != nil || len(segments) < 2 {
		t.Fatal(segments, err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "wal", "0*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	for _, name := range []string{segments[0], segments[len(segments)-1], filepath.Join(dir, "MANIFEST"), logs[0]} {
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int64{20, 300, fileSize(name) - 30} {
			if strings.HasSuffix(name, ".log") && at > 300 {
				continue // nothing that counts
			}
			damaged := copyDir(t, dir)
			flip(t, filepath.Join(damaged, rel), at)
			code, damages := fsck(t, damaged)
			if code != 5 || len(damages) == 0 || damages[0].File != rel || damages[0].Do == "" {
				t.Errorf("%s at %d: exit %d, %+v", rel, at, code, damages)
			}
		}
		damaged := copyDir(t, dir)
		if err := os.Remove(filepath.Join(damaged, rel)); err != nil {
			t.Fatal(err)
		}
		if code, damages := fsck(t, damaged); code != 5 || len(damages) == 0 {
			t.Errorf("%s is missing: exit %d, %+v", rel, code, damages)
		}
	}
}

// listing is what stands in a directory: names, sizes and times.
func listing(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("find", dir, "-type", "f", "-printf", "%P %s %T@ %C@\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
