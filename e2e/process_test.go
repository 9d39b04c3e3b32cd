package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReadySoon: a node on an empty directory, with every setting at its default, is ready within a second. A busy
// machine gets a few tries.
func TestReadySoon(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector makes the programs slow; only that they become ready is checked")
	}
	best := time.Hour
	for range 5 {
		began := time.Now()
		s := start(t, options{})
		s.get("/readyz").want(200)
		best = min(best, time.Since(began))
		s.stop()
		if best < time.Second {
			break
		}
	}
	if best >= time.Second && !raceEnabled {
		t.Errorf("ready after %v", best)
	}
}

// TestBanner: the lines that a person sees can be pasted.
func TestBanner(t *testing.T) {
	s := start(t, options{})
	for _, line := range []string{
		"curl -X PUT --data 'hello, ledger' http://" + s.addr + "/v1/kv/greeting",
		"curl http://" + s.addr + "/v1/kv/greeting",
	} {
		s.awaitLine("    " + line)
	}
	if got := strings.TrimSpace(s.awaitLine("  data ")); !strings.HasSuffix(got, s.dir) {
		t.Errorf("the banner says %q of %s", got, s.dir)
	}
}

// TestStop: SIGTERM and SIGINT end a node with status 0, after the request that is under way.
func TestStop(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		o := options{dir: t.TempDir()}
		s := start(t, o)
		s.put("before", "x")
		conn := s.dial()
		// The continuation says that the handler has the request.
		fmt.Fprintf(conn, "PUT /v1/kv/late HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
		r := bufio.NewReader(conn)
		if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
			t.Fatalf("%q, %v", line, err)
		}
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		s.signal(sig)
		eventually(t, func() string {
			c, err := net.Dial("tcp", s.addr)
			if err == nil {
				c.Close()
				return "the port is still open"
			}
			return ""
		})
		if _, err := io.WriteString(conn, "0123456789"); err != nil {
			t.Fatal(err)
		}
		s.readAnswer(r, "PUT", "the request under way").want(201)
		conn.Close()
		if code := s.wait(); code != 0 {
			t.Fatalf("exit status %d after %v:\n%s", code, sig, s.log.tail(8<<10))
		}
		s = start(t, o)
		s.get("/v1/kv/late").want(200).wantBody("0123456789")
		s.get("/v1/kv/before").want(200)
		s.stop()
	}
}

// TestStopCutsOff: a request that never ends holds the stop up for as long as it is configured to, and no longer.
func TestStopCutsOff(t *testing.T) {
	s := start(t, options{env: []string{"SCRIBE_HTTP_SHUTDOWN_TIMEOUT=100ms"}})
	conn := s.dial()
	defer conn.Close()
	fmt.Fprintf(conn, "PUT /v1/kv/never HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	s.stop()
}

// TestReload: SIGHUP takes the log level from the file again; a file that is wrong by then changes nothing.
func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "scribe.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[log]\nlevel = \"warn\"\n")
	s := start(t, options{args: []string{"--config", file}})
	s.get("/v1/kv/x", "X-Request-ID", "quiet-request").want(404)
	write("[log]\nlevel = \"debug\"\n")
	s.signal(syscall.SIGHUP)
	s.awaitLine("msg=reloaded")
	s.get("/v1/kv/x", "X-Request-ID", "loud-request").want(404)
	s.awaitLine("loud-request")
	write("[log]\nlevel = \"noisy\"\n")
	s.signal(syscall.SIGHUP)
	if line := s.awaitLine("reload:"); !strings.Contains(line, "noisy") {
		t.Errorf("the line of the reload does not say what is wrong: %s", line)
	}
	s.get("/v1/kv/x", "X-Request-ID", "still-loud").want(404)
	s.awaitLine("still-loud")
	if strings.Contains(s.log.String(), "quiet-request") {
		t.Error("a request was logged below the level")
	}
	s.stop()
}

// TestSignalsWhileStarting: neither a reload nor a stop that comes early is lost or kills the node.
func TestSignalsWhileStarting(t *testing.T) {
	o := options{dir: t.TempDir()}
	s := launch(t, o)
	eventually(t, func() string {
		if fileSize(filepath.Join(o.dir, "LOCK")) == 0 {
			return "the lock names no owner"
		}
		return ""
	})
	s.signal(syscall.SIGHUP)
	s.awaitLine("msg=reloaded")
	s.stop()
}

// TestRefusedStarts: exit status 1 and a last line that says what to do.
func TestRefusedStarts(t *testing.T) {
	o := options{dir: t.TempDir()}
	s := start(t, o)
	refused := func(o options, says ...string) {
		t.Helper()
		other := launch(t, o)
		if code := other.wait(); code != 1 {
			t.Fatalf("exit status %d, not 1:\n%s", code, other.log)
		}
		lines := strings.Split(strings.TrimSpace(other.log.String()), "\n")
		last := lines[len(lines)-1]
		for _, text := range append(says, "scribe-node: ") {
			if !strings.Contains(last, text) {
				t.Errorf("the line does not say %q: %s", text, last)
			}
		}
	}
	refused(o, o.dir, "in use", fmt.Sprint(s.pid()))
	refused(options{args: []string{"--listen", s.addr}}, s.addr, "in use")
	s.put("k", "v")
	s.stop()
	refused(options{dir: o.dir, args: []string{"--node-id", "2"}}, o.dir, "node 1", "node 2")
	refused(options{dir: o.dir, env: []string{"SCRIBE_NODE_ID=3"}}, "node 3")
	refused(options{dir: filepath.Join(o.dir, "IDENTITY")}, "IDENTITY")
	start(t, o).get("/v1/kv/k").want(200).wantBody("v")
	sealed, _ := makeLedger(t)
	for _, missing := range []string{"wal", "IDENTITY", "MANIFEST", "segments", "wal/origin"} {
		dir := copyDir(t, sealed)
		if err := os.RemoveAll(filepath.Join(dir, missing)); err != nil {
			t.Fatal(err)
		}
		refused(options{dir: dir, env: small()}, dir)
	}
	for _, pattern := range []string{"wal/0*.log", "segments/*"} {
		for i := range files(t, sealed, pattern) {
			dir := copyDir(t, sealed)
			name := files(t, dir, pattern)[i]
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			refused(options{dir: dir, env: small()}, dir)
		}
	}
}

// TestLockOutlivesNobody: a node that was killed leaves no lock behind.
func TestLockOutlivesNobody(t *testing.T) {
	o := options{dir: t.TempDir()}
	for range 3 {
		s := start(t, o)
		s.kill()
		if _, err := http.Get(s.url("/livez")); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("after a kill: %v", err)
		}
	}
}
