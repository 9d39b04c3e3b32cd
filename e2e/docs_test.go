package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// commands are the lines of the fenced blocks that a page marks with <!-- test:NAME -->.
func commands(t *testing.T, page, name string) (out []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(b), "<!-- test:"+name+" -->\n")[1:] {
		_, block, ok := strings.Cut(part, "\n") // the fence and its language
		block, _, closed := strings.Cut(block, "\n```")
		if !ok || !closed || !strings.HasPrefix(part, "```") {
			t.Fatalf("%s: no fenced block behind a mark test:%s", page, name)
		}
		for line := range strings.Lines(block) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				out = append(out, line)
			}
		}
	}
	return out
}

// shell runs a line of a page as a reader would, but against the node under test.
func (s *scribe) shell(line string) (out string, err error) {
	s.t.Helper()
	line = strings.ReplaceAll(line, "http://127.0.0.1:8001", "http://"+s.addr)
	line = strings.ReplaceAll(line, "http://localhost:8001", "http://"+s.addr)
	cmd := exec.Command("bash", "-c", line)
	cmd.Dir = filepath.Dir(programs) // where .bin is
	cmd.Env = append(cleanEnv(), "SCRIBE_ENDPOINT=http://"+s.addr)
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// TestReadme runs the README's lines as they are printed.
func TestReadme(t *testing.T) {
	s := start(t, options{})
	curl := commands(t, "README.md", "curl")
	if len(curl) < 5 {
		t.Fatalf("the README has %d curl lines", len(curl))
	}
	for _, line := range curl {
		// The line as it is must not be an error, and --fail makes curl say so when the node answers one.
		out, err := s.shell("curl() { command curl --silent --show-error --fail-with-body \"$@\"; }\n" + line)
		if err != nil || out == "" {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		t.Logf("%s\n%s", line, out)
	}
	if out, err := s.shell(curl[1]); err != nil || !strings.Contains(out, "hello again") {
		t.Errorf("%s: %v\n%s", curl[1], err, out)
	}
	lines := commands(t, "README.md", "scribe")
	if len(lines) < 4 {
		t.Fatalf("the README has %d scribe lines", len(lines))
	}
	for _, line := range lines {
		out, err := s.shell(line)
		if err != nil || out == "" {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		t.Logf("%s\n%s", line, out)
	}
	if out, err := s.shell(".bin/scribe get greeting"); err != nil || out != "hello, scribe" && out != "hello, scribe\n" {
		t.Errorf("scribe get: %v, %q", err, out)
	}
	if out, err := s.shell(".bin/scribe verify nothing"); err == nil {
		t.Errorf("scribe verify of a key that is not there succeeds: %s", out)
	}
	if out, err := s.shell(".bin/scribe del greeting && .bin/scribe range && ! .bin/scribe get greeting"); err != nil {
		t.Errorf("scribe del, range, get: %v\n%s", err, out)
	}
}

// TestOtherPages runs what the other pages mark in the same way.
func TestOtherPages(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, page := range pages {
		page = strings.TrimPrefix(page, "../")
		lines := append(commands(t, page, "curl"), commands(t, page, "scribe")...)
		if len(lines) == 0 {
			continue
		}
		s := start(t, options{})
		for _, line := range lines {
			if out, err := s.shell(line); err != nil {
				t.Errorf("%s: %s: %v\n%s", page, line, err, out)
			}
		}
	}
}

// TestLinks: what a page links to within the repository is there.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	formats, err := filepath.Glob("../docs/format/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(append(pages, formats...), "../README.md", "../CONTRIBUTING.md", "../CHANGELOG.md")
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
	}
}

// TestExampleConfiguration: the example is a configuration that a node takes, and says what the page says.
func TestExampleConfiguration(t *testing.T) {
	example, err := filepath.Abs("../docs/scribe.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run(t, nil, "scribe-node", "--config", example, "--check-config")
	if code != 0 || stderr != "" {
		t.Fatalf("exit status %d: %s%s", code, stdout, stderr)
	}
	start(t, options{args: []string{"--config", example}}).put("k", "v")
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9_]+) = `).FindAllStringSubmatch(string(b), -1) {
		if !strings.Contains(string(page), "| `"+m[1]+"` |") {
			t.Errorf("docs/configuration.md has no row for %s", m[1])
		}
	}
}

// TestHelp: --help names every flag that the configuration page has, and every command of scribe explains itself.
func TestHelp(t *testing.T) {
	_, help, _ := run(t, nil, "scribe-node", "--help")
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile("--[a-z][a-z-]+").FindAllString(string(page), -1)
	flags = append(flags, "--config", "--node-id", "--data-dir", "--listen", "--raft-listen", "--initial-cluster", "--bootstrap",
		"--join", "--log-level", "--version", "--help", "--check-config", "SCRIBE_DATA_DIR", "SCRIBE_LISTEN_ADDR")
	for _, flag := range flags {
		if !strings.Contains(help, flag) {
			t.Errorf("scribe-node --help does not mention %s", flag)
		}
	}
	code, out, _ := run(t, nil, "scribe", "--help")
	if code != 0 || !strings.Contains(out, "--endpoint") || !strings.Contains(out, "SCRIBE_ENDPOINT") {
		t.Errorf("scribe --help: exit status %d\n%s", code, out)
	}
	for _, command := range []string{"put", "get", "del", "history", "range", "verify"} {
		if !strings.Contains(out, "\n  "+command+" ") {
			t.Errorf("scribe --help does not mention %s", command)
		}
		code, text, _ := run(t, nil, "scribe", command, "--help")
		if code != 0 || !strings.Contains(text, "Usage:") || !strings.Contains(text, "--json") {
			t.Errorf("scribe %s --help: exit status %d\n%s", command, code, text)
		}
	}
	if code, _, stderr := run(t, nil, "scribe", "putt", "k", "v"); code != 2 || !strings.Contains(stderr, "put") {
		t.Errorf("an unknown command: exit status %d, %s", code, stderr)
	}
	if code, _, stderr := run(t, nil, "scribe", "get", "k", "--endpoint", "http://127.0.0.1:1"); code != 1 || strings.Count(stderr, "\n") != 1 {
		t.Errorf("nobody there: exit status %d, %s", code, stderr)
	}
}
