package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what should happen at once. A quiet machine needs a hundredth of it.
const patience = 30 * time.Second

// scribe is one process of scribe-node under test.
type scribe struct {
	t    testing.TB
	dir  string // data directory
	addr string // of the HTTP API, once it is ready
	cmd  *exec.Cmd
	log  *output
	done chan struct{} // closed when the process has ended

	member bool // of a cluster: see do
}

// options are what a node is started with besides its data directory and a port of its own.
type options struct {
	dir  string   // data directory; empty for a new one
	args []string // more flags, behind the others
	env  []string // SCRIBE_ variables, as NAME=value
	wrap []string // a command that runs the node: the node's own command line follows it

	quiet bool // leave it to the test to show what the node wrote
}

// small keeps log files and memtables small, so that little data makes many of them.
func small() []string {
	return []string{"SCRIBE_STORAGE_SEAL_BYTES=256KiB", "SCRIBE_STORAGE_WAL_FILE_BYTES=1MiB"}
}

// unmerged makes small segments too, and leaves them as they are: for tests that name segments, or count them.
func unmerged() []string {
	return append(small(), "SCRIBE_STORAGE_COMPACT_FAN_IN=0")
}

// start runs a node and waits until it says that it is ready.
func start(t testing.TB, o options) *scribe {
	t.Helper()
	s := launch(t, o)
	s.awaitReady()
	return s
}

// launch runs a node and does not wait. The node is killed when the test ends.
func launch(t testing.TB, o options) *scribe {
	t.Helper()
	if o.dir == "" {
		o.dir = filepath.Join(t.TempDir(), "data")
	}
	args := append(append([]string{}, o.wrap...), filepath.Join(programs, "scribe-node"),
		"--data-dir", o.dir, "--listen", "127.0.0.1:0", "--raft-listen", "127.0.0.1:0")
	args = append(args, o.args...)
	s := &scribe{t: t, dir: o.dir, log: &output{}, done: make(chan struct{})}
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Env = append(cleanEnv(), o.env...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // the state says what became of it
		close(s.done)
	}()
	t.Cleanup(func() {
		s.kill()
		for _, bad := range []string{"DATA RACE", "panic: ", "fatal error: "} {
			if line, grown := s.log.find(bad); grown == nil {
				t.Errorf("the node in %s wrote: %s", s.dir, line)
			}
		}
		if t.Failed() && !o.quiet {
			t.Logf("the node in %s wrote:\n%s", s.dir, s.log.tail(8<<10))
		}
	})
	return s
}

// cleanEnv is the environment without what would configure a node.
func cleanEnv() []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SCRIBE_") {
			out = append(out, v)
		}
	}
	return out
}

func (s *scribe) url(path string) string { return "http://" + s.addr + path }

func (s *scribe) pid() int { return s.cmd.Process.Pid }

// awaitReady waits for the banner, which a node prints when it is ready, and takes the address from it.
func (s *scribe) awaitReady() {
	s.t.Helper()
	banner := s.awaitLine("  API      http://")
	s.addr = strings.TrimSuffix(strings.TrimPrefix(banner, "  API      http://"), "/")
}

// awaitLine waits until the process writes a line that holds text, and returns that line.
func (s *scribe) awaitLine(text string) string {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		line, grown := s.log.find(text)
		if grown == nil {
			return line
		}
		select {
		case <-grown:
		case <-s.done:
			if line, grown := s.log.find(text); grown == nil {
				return line
			}
			s.t.Fatalf("the process ended (%v) without writing %q:\n%s", s.cmd.ProcessState, text, s.log.tail(8<<10))
		case <-deadline:
			s.t.Fatalf("the process did not write %q:\n%s", text, s.log.tail(8<<10))
		}
	}
}

// kill ends the process without a chance to tidy up, and waits until it is gone.
func (s *scribe) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

func (s *scribe) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// stop ends the process as an operator does, and expects exit status 0.
func (s *scribe) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != 0 {
		s.t.Fatalf("exit status %d after SIGTERM:\n%s", code, s.log.tail(8<<10))
	}
}

// wait waits for the end of the process and returns its exit status, -1 for a signal.
func (s *scribe) wait() int {
	s.t.Helper()
	select {
	case <-s.done:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		s.t.Fatalf("the process does not end:\n%s", s.log.tail(8<<10))
		return -1
	}
}

// rss is the resident memory of the process in bytes: now (VmRSS), and the most it ever had (VmHWM).
func (s *scribe) rss(field string) int64 {
	s.t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(s.pid()) + "/status")
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(line, field+":")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return kib << 10
	}
	s.t.Fatalf("/proc/%d/status has no %s", s.pid(), field)
	return 0
}

// eventually waits until check returns "".
func eventually(t testing.TB, check func() (missing string)) {
	t.Helper()
	eventuallyIn(t, patience, check)
}

// eventuallyIn is eventually with a patience of its own.
func eventuallyIn(t testing.TB, patience time.Duration, check func() (missing string)) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for {
		missing := check()
		if missing == "" {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited %v in vain: %s", patience, missing)
		}
	}
}

// output keeps what a process writes.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{} // closed with the next write; nil when nobody waits
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b)
	if o.grown != nil {
		close(o.grown)
		o.grown = nil
	}
	return len(b), nil
}

// find returns the first whole line that holds text, or a channel that is closed when there is more to look at.
func (o *output) find(text string) (line string, grown <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.text.String()
	if at := strings.Index(all, text); at >= 0 {
		from := strings.LastIndexByte(all[:at], '\n') + 1
		if end := strings.IndexByte(all[at:], '\n'); end >= 0 {
			return all[from : at+end], nil
		}
	}
	if o.grown == nil {
		o.grown = make(chan struct{})
	}
	return "", o.grown
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// tail is the end of the output.
func (o *output) tail(most int) string {
	all := o.String()
	return all[max(0, len(all)-most):]
}
