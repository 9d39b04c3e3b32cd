package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// wrkRequests is how many requests are made up beforehand; wrk sends them at random.
const wrkRequests = 16_384

// wrkScript cuts a file into requests of the same length, so that Lua has next to nothing to do for each.
const wrkScript = `
local requests, thread = {}, 0
function setup(t) t:set("id", thread); thread = thread + 1 end
function init(args)
  local f = assert(io.open(args[1], "rb"))
  local size = tonumber(args[2])
  while true do
    local r = f:read(size)
    if not r then break end
    requests[#requests + 1] = r
  end
  f:close()
  math.randomseed(tonumber(args[3]))
end
function request() return requests[math.random(#requests)] end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %.0f %.0f\n", summary.duration, summary.requests,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
`

// wrk drives HTTP/1.1 with one wrk for each member. It has no warm-up of its own, so all its time is measured; its
// percentiles are the mean and the worst of the members'.
type wrk struct {
	dir     string // for the script and the requests
	gateway bool   // etcd's JSON gateway instead of a node's own HTTP
}

func (d wrk) run(l load) (outcome, error) {
	script, file := filepath.Join(d.dir, "load.lua"), filepath.Join(d.dir, "requests")
	if err := os.WriteFile(script, []byte(wrkScript), 0o600); err != nil {
		return outcome{}, err
	}
	size, err := d.writeRequests(file, l)
	if err != nil {
		return outcome{}, err
	}
	results := make([]outcome, len(l.addrs))
	errs := make([]error, len(l.addrs))
	var running sync.WaitGroup
	l.edge()
	for i, addr := range l.addrs {
		running.Go(func() {
			conns := l.conns / len(l.addrs)
			if i < l.conns%len(l.addrs) {
				conns++
			}
			out, err := exec.Command("wrk", "-t", "1", "-c", strconv.Itoa(conns), "-d", fmt.Sprintf("%ds", int(l.measured.Seconds())),
				"-s", script, "http://"+addr, "--", file, strconv.Itoa(size), strconv.FormatUint(l.seed+uint64(i), 10)).CombinedOutput()
			if results[i], errs[i] = parseWrk(string(out)); err != nil {
				errs[i] = fmt.Errorf("wrk: %w: %s", err, out)
			}
		})
	}
	running.Wait()
	l.edge()
	if err := errors.Join(errs...); err != nil {
		return outcome{}, err
	}
	var total outcome
	for _, r := range results {
		total.ops += r.ops
		total.errors += r.errors
		total.elapsed = max(total.elapsed, r.elapsed)
		total.p50 += r.p50 / time.Duration(len(results))
		total.p99 = max(total.p99, r.p99)
	}
	if total.errors > 0 {
		total.firstError = "an answer of 400 or above, or a broken connection"
	}
	return total, nil
}

func parseWrk(out string) (outcome, error) {
	_, line, found := strings.Cut(out, "RESULT ")
	var micros, requests, failed, p50, p99 int
	if n, err := fmt.Sscanf(line, "%d %d %d %d %d", &micros, &requests, &failed, &p50, &p99); !found || n != 5 {
		return outcome{}, fmt.Errorf("wrk said: %s (%v)", out, err)
	}
	return outcome{ops: requests - failed, errors: failed, elapsed: time.Duration(micros) * time.Microsecond,
		p50: time.Duration(p50) * time.Microsecond, p99: time.Duration(p99) * time.Microsecond}, nil
}

// writeRequests returns the length of one request.
func (d wrk) writeRequests(file string, l load) (size int, err error) {
	w := newWork(l, 0)
	var all []byte
	for range wrkRequests {
		from := len(all)
		number, _ := w.next()
		all = d.appendRequest(all, l.kind, number, w)
		size = len(all) - from
	}
	if len(all) != size*wrkRequests {
		return 0, fmt.Errorf("%d requests have %d bytes in all, the last has %d", wrkRequests, len(all), size)
	}
	return size, os.WriteFile(file, all, 0o600)
}

func (d wrk) appendRequest(out []byte, k kind, number int, w *work) []byte {
	if !d.gateway {
		return (&http1{kind: k, addr: "localhost"}).request(out, 0, number, w)
	}
	path, body := "/v3/kv/range", `{"key":"`+base64.StdEncoding.EncodeToString(appendKey(nil, number))+`"`
	if k == put {
		path, body = "/v3/kv/put", body+`,"value":"`+base64.StdEncoding.EncodeToString(w.value())+`"`
	}
	return fmt.Appendf(out, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s}",
		path, len(body)+1, body)
}
