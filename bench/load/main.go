// Command load measures durable PUTs and linearizable GETs over HTTP against a bare net/http + httprouter handler, under
// the same load, one after the other, in the same run. It needs wrk (Debian package wrk).
package main

import (
	"bytes"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed kv.lua
var script string

// result is what wrk reports of one run.
type result struct {
	rate          float64 // requests a second
	requests      int
	errors        int
	p50, p99, max time.Duration
}

var (
	nodeBin  = flag.String("node", ".bin/scribe-node", "the scribe-node `program`")
	bareBin  = flag.String("bare", "", "the bare `program` (default: built from ./bench/bare)")
	seconds  = flag.Int("seconds", 10, "of each run")
	conns    = flag.Int("connections", 256, "open connections")
	threads  = flag.Int("threads", 1, "threads of wrk")
	keys     = flag.Int("keys", 100_000, "different keys")
	rounds   = flag.Int("rounds", 3, "rounds; the medians are compared")
	dataRoot = flag.String("data", "", "`directory` for the node's data (default a temporary one)")
)

func main() {
	flag.Parse()
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal("load: ", err)
	}
}

func run() error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return fmt.Errorf("wrk is missing: install the Debian package wrk")
	}
	dir, err := os.MkdirTemp(*dataRoot, "scribe-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lua := filepath.Join(dir, "kv.lua")
	if err := os.WriteFile(lua, []byte(script), 0o600); err != nil {
		return err
	}
	if *bareBin == "" {
		*bareBin = filepath.Join(dir, "bare")
		if out, err := exec.Command("go", "build", "-o", *bareBin, "./bench/bare").CombinedOutput(); err != nil {
			return fmt.Errorf("build bare: %v: %s", err, out)
		}
	}
	const bareAddr, nodeAddr = "127.0.0.1:18099", "127.0.0.1:18001"
	stopBare, err := start(*bareBin, "http://"+bareAddr+"/v1/kv/x", "--listen", bareAddr)
	if err != nil {
		return err
	}
	defer stopBare()
	stopNode, err := start(*nodeBin, "http://"+nodeAddr+"/readyz", "--listen", nodeAddr, "--data-dir",
		filepath.Join(dir, "data"), "--log-level", "warn")
	if err != nil {
		return err
	}
	defer stopNode()
	fmt.Printf("%d connections, %d wrk thread(s), %d s a run, %d rounds, 16-byte keys of %d, 256-byte values\n",
		*conns, *threads, *seconds, *rounds, *keys)
	// Every key exists before it is read.
	if err := fill(nodeAddr); err != nil {
		return err
	}
	m := measurement{lua: lua, bareAddr: bareAddr, nodeAddr: nodeAddr, results: make(map[string][]result)}
	// First what was written once, then writes at random and reads among all that they leave behind.
	if err := m.run(phase{"GET", "GET", false}); err != nil {
		return err
	}
	if err := m.run(phase{"PUT", "PUT", false}, phase{"GET after PUTs", "GET", false},
		phase{"GET, all in segments", "GET", true}); err != nil {
		return err
	}
	m.print()
	return nil
}

// measurement is what the runs gave, by phase and server.
type measurement struct {
	lua, bareAddr, nodeAddr string
	names                   []string
	results                 map[string][]result
}

// run does the phases in turn, on both servers, rounds times over.
func (m *measurement) run(phases ...phase) error {
	for _, p := range phases {
		m.names = append(m.names, p.name)
	}
	for range *rounds {
		for _, p := range phases {
			if p.sealed {
				if err := post("http://"+m.nodeAddr+"/v1/admin/seal", "", nil, http.StatusOK); err != nil {
					return err
				}
			}
			for _, at := range []struct{ name, addr string }{{"bare", m.bareAddr}, {"scribe", m.nodeAddr}} {
				r, err := wrk(m.lua, at.addr, p.method)
				if err != nil {
					return err
				}
				fmt.Printf("%-20s %-7s %8.0f/s  p50 %8v  p99 %8v  max %8v  errors %d\n", p.name, at.name, r.rate, r.p50, r.p99,
					r.max, r.errors)
				m.results[p.name+at.name] = append(m.results[p.name+at.name], r)
			}
		}
	}
	return nil
}

func (m *measurement) print() {
	for _, name := range m.names {
		bare, scribe := median(m.results[name+"bare"]), median(m.results[name+"scribe"])
		fmt.Printf("%s: scribe %.0f/s, bare %.0f/s, ratio %.2f (medians)\n", name, scribe, bare, scribe/bare)
	}
}

// phase is one kind of load.
type phase struct {
	name, method string
	sealed       bool // seal before it, so that reads come from segments and no flush runs beside them
}

// start runs a server until it answers at url.
func start(program, url string, args ...string) (stop func(), err error) {
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return stop, nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	return nil, fmt.Errorf("%s did not answer at %s", program, url)
}

// fill puts every key once, in batches.
func fill(addr string) error {
	value := strings.Repeat("v", 256)
	for from := 0; from < *keys; from += 1000 {
		var b bytes.Buffer
		b.WriteString(`{"ops":[`)
		for i := from; i < min(from+1000, *keys); i++ {
			if i > from {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"op":"put","key":"key-%012d","value":%q}`, i, value)
		}
		b.WriteString(`]}`)
		if err := post("http://"+addr+"/v1/batch", "application/json", &b, http.StatusCreated); err != nil {
			return err
		}
	}
	return nil
}

func post(url, contentType string, body io.Reader, want int) error {
	resp, err := http.Post(url, contentType, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

func wrk(lua, addr, method string) (result, error) {
	out, err := exec.Command("wrk", "-t", strconv.Itoa(*threads), "-c", strconv.Itoa(*conns), "-d",
		strconv.Itoa(*seconds)+"s", "-s", lua, "http://"+addr, "--", method, strconv.Itoa(*keys)).CombinedOutput()
	if err != nil {
		return result{}, fmt.Errorf("wrk: %v: %s", err, out)
	}
	_, line, found := strings.Cut(string(out), "RESULT ")
	var r result
	var p50, p99, most float64
	if n, err := fmt.Sscanf(line, "%f %d %d %f %f %f", &r.rate, &r.requests, &r.errors, &p50, &p99, &most); !found || n != 6 {
		return result{}, fmt.Errorf("wrk said: %s (%v)", out, err)
	}
	r.p50, r.p99, r.max = micros(p50), micros(p99), micros(most)
	return r, nil
}

func micros(v float64) time.Duration { return time.Duration(v) * time.Microsecond }

func median(rs []result) float64 {
	var rates []float64
	for _, r := range rs {
		rates = append(rates, r.rate)
	}
	slices.Sort(rates)
	return rates[len(rates)/2]
}
