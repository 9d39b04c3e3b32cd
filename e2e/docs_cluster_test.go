package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestClusterPages runs, in one shell per page, what README.md and the pages in docs mark for a cluster of three.
func TestClusterPages(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	c := formCluster(t, clusterOptions{})
	c.awaitMembers(c.nodes, c.nodes...)
	var addrs []string // as the pages have them, and as they are here
	for i, p := range c.nodes {
		addrs = append(addrs, fmt.Sprintf("http://127.0.0.1:%d", 8001+i), "http://"+p.addr)
	}
	marked := 0
	for _, page := range append(pages, "../README.md") {
		lines := commands(t, strings.TrimPrefix(page, "../"), "cluster")
		if len(lines) == 0 {
			continue
		}
		marked++
		script := "set -e -x\ncurl() { command curl --silent --show-error --fail-with-body \"$@\"; }\n" +
			strings.NewReplacer(addrs...).Replace(strings.Join(lines, "\n"))
		cmd := exec.Command("bash", "-c", script)
		cmd.Dir, cmd.Env = filepath.Dir(programs), cleanEnv()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", page, err, out)
		}
		t.Logf("%s\n%s", page, out)
		if page == "../README.md" && !strings.Contains(string(out), "hello, cluster") {
			t.Errorf("what one node was given, another does not give:\n%s", out)
		}
	}
	if marked < 2 {
		t.Errorf("%d pages have commands for a cluster", marked)
	}
}
