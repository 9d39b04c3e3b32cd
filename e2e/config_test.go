package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// run runs a program to its end.
func run(t testing.TB, env []string, name string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs, name), args...)
	cmd.Env = append(cleanEnv(), env...)
	cmd.Dir = t.TempDir()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// TestWrongConfiguration: exit status 2, and one line that names the source, the key, and what would be right.
func TestWrongConfiguration(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		args []string
		env  []string
		says []string
	}{
		{args: []string{"--data-dri", "x"}, says: []string{"--data-dri", "--data-dir"}},
		{args: []string{"--node-id", "zero"}, says: []string{"--node-id", "zero", "whole number"}},
		{args: []string{"--node-id"}, says: []string{"--node-id", "needs a value"}},
		{args: []string{"--node-id", "0"}, says: []string{"--node-id"}},
		{args: []string{"--listen", "nowhere"}, says: []string{"--listen", "nowhere", "host:port"}},
		{args: []string{"--log-level", "loud"}, says: []string{"--log-level", "loud", "debug"}},
		{args: []string{"stray"}, says: []string{"stray"}},
		{args: []string{"--initial-cluster", "1=a:1,1=b:2"}, says: []string{"--initial-cluster"}},
		{env: []string{"SCRIBE_FOO=1"}, says: []string{"environment", "SCRIBE_FOO"}},
		{env: []string{"SCRIBE_LISTEN_ADR=x"}, says: []string{"SCRIBE_LISTEN_ADR", "SCRIBE_LISTEN_ADDR"}},
		{env: []string{"SCRIBE_STORAGE_SEAL_BYTES=big"}, says: []string{"SCRIBE_STORAGE_SEAL_BYTES", "big", "64MiB"}},
		{env: []string{"SCRIBE_DATA_DIR=a", "SCRIBE_NODE_DATA_DIR=b"}, says: []string{"SCRIBE_DATA_DIR", "SCRIBE_NODE_DATA_DIR"}},
		{args: []string{"--config", filepath.Join(dir, "absent.toml")}, says: []string{"absent.toml", "--config"}},
		{env: []string{"SCRIBE_CONFIG=" + filepath.Join(dir, "absent.toml")}, says: []string{"absent.toml"}},
		{args: []string{"--config", dir}, says: []string{dir}},
		{args: []string{"--config", file("no.toml", "this is no TOML\n")}, says: []string{"no.toml:1"}},
		{args: []string{"--config", file("key.toml", "[limits]\nmax_key_bytes = 5\nmax_keybytes = 5\n")},
			says: []string{"key.toml:3", "limits.max_keybytes", "limits.max_key_bytes"}},
		{args: []string{"--config", file("section.toml", "[storge]\nseal_bytes = 5\n")}, says: []string{"section.toml:", "storge"}},
		{args: []string{"--config", file("value.toml", "[log]\n\nlevel = \"loud\"\n")}, says: []string{"value.toml:3", "log.level", "debug"}},
		{args: []string{"--config", file("type.toml", "[node]\nid = \"one\"\n")}, says: []string{"type.toml:2", "node.id"}},
		{args: []string{"--config", file("high.toml", "[limits]\nmax_value_bytes = \"65MiB\"\n")},
			says: []string{"high.toml:2", "limits.max_value_bytes", "64MiB"}},
	} {
		for _, check := range []bool{true, false} {
			args := c.args
			if check {
				args = append([]string{"--check-config"}, args...)
			}
			code, stdout, stderr := run(t, c.env, "scribe-node", args...)
			if code != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "scribe-node: ") {
				t.Errorf("%v %v: exit status %d, output %q, errors %q", c.env, args, code, stdout, stderr)
			}
			for _, text := range c.says {
				if !strings.Contains(stderr, text) {
					t.Errorf("%v %v: the line does not say %q: %s", c.env, args, text, stderr)
				}
			}
		}
	}
}

// TestLogFile: logs go where they are told to, and a file that cannot be written is told before the start.
func TestLogFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "logs", "scribe.log")
	s := start(t, options{env: []string{"SCRIBE_LOG_FILE=" + file, "SCRIBE_LOG_FORMAT=json"}})
	s.stop()
	b, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(b), `"msg":"stopped"`) {
		t.Errorf("the log file holds %q, %v", b, err)
	}
	dir := t.TempDir()
	code, _, stderr := run(t, []string{"SCRIBE_LOG_FILE=" + dir}, "scribe-node")
	if code != 2 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "log.file") || !strings.Contains(stderr, dir) {
		t.Errorf("a log file that is a directory: exit status %d, %q", code, stderr)
	}
}

// TestPrecedence: flags beat the environment, the environment beats the file.
func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "scribe.toml")
	if err := os.WriteFile(file, []byte("[node]\nid = 5\n[limits]\nmax_key_bytes = 5\nmax_value_bytes = 50\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, options{env: []string{"SCRIBE_CONFIG=" + file, "SCRIBE_NODE_ID=6", "SCRIBE_LIMITS_MAX_KEY_BYTES=6"},
		args: []string{"--node-id=7"}})
	if id := s.status().NodeID; id != 7 {
		t.Errorf("node id %d", id)
	}
	s.put("123456", "x")
	s.do("PUT", "/v1/kv/1234567", nil).wantProblem(400, "key_too_long")
	s.do("PUT", "/v1/kv/k", make([]byte, 51)).wantProblem(413, "value_too_large")
}

// TestModes: what only prints.
func TestModes(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"--help"}, {"--check-config"}, {"--help", "--node-id", "3"}} {
		code, stdout, stderr := run(t, nil, "scribe-node", args...)
		if code != 0 || stdout == "" || stderr != "" {
			t.Errorf("%v: exit status %d, output %q, errors %q", args, code, stdout, stderr)
		}
	}
}
