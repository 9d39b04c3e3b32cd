package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startTime = 30 * time.Second
	stopTime  = 20 * time.Second
)

// cluster is the processes of one system.
type cluster struct {
	name  string
	addrs []string // for clients, host:port
	procs []*proc
}

// proc is one member's process; exited is closed once it has been waited for.
type proc struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

// startEtcd starts n members that each keep their data in a directory of their own under dir.
func startEtcd(program, dir string, n int) (*cluster, error) {
	ports, err := freePorts(2 * n)
	if err != nil {
		return nil, err
	}
	c := &cluster{name: "etcd"}
	var all []string
	for i := range n {
		c.addrs = append(c.addrs, ports[i])
		all = append(all, fmt.Sprintf("m%d=http://%s", i+1, ports[n+i]))
	}
	for i := range n {
		name := fmt.Sprintf("m%d", i+1)
		if err := c.start(filepath.Join(dir, "etcd-"+name), program, "-name", name,
			"-client", "http://"+ports[i], "-peer", "http://"+ports[n+i],
			"-initial-cluster", strings.Join(all, ",")); err != nil {
			return nil, err
		}
	}
	return c, c.awaitReady("/health")
}

// startScribe does the same for nodes.
func startScribe(program, dir string, n int) (*cluster, error) {
	ports, err := freePorts(2 * n)
	if err != nil {
		return nil, err
	}
	c := &cluster{name: "scribe"}
	var all []string
	for i := range n {
		c.addrs = append(c.addrs, ports[i])
		all = append(all, fmt.Sprintf("%d=%s", i+1, ports[n+i]))
	}
	for i := range n {
		args := []string{"--node-id", fmt.Sprint(i + 1), "--listen", ports[i], "--raft-listen", ports[n+i], "--log-level", "error"}
		if n > 1 {
			args = append(args, "--initial-cluster", strings.Join(all, ","))
		}
		if err := c.start(filepath.Join(dir, fmt.Sprintf("scribe-%d", i+1)), program, args...); err != nil {
			return nil, err
		}
	}
	return c, c.awaitReady("/readyz")
}

// start runs one member, with its output in a file beside its data. Both programs take --data-dir.
func (c *cluster) start(dir, program string, args ...string) error {
	p := &proc{cmd: exec.Command(program, append(args, "--data-dir", dir)...), log: dir + ".log", exited: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer out.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		c.stop()
		return err
	}
	c.procs = append(c.procs, p)
	go func() {
		p.cmd.Wait()
		close(p.exited)
	}()
	return nil
}

// awaitReady stops the members again if they do not all answer path with 200 in time.
func (c *cluster) awaitReady(path string) error {
	client := http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	deadline := time.Now().Add(startTime)
	for i, addr := range c.addrs {
		for !answers(&client, "http://"+addr+path) {
			err := c.alive()
			if err == nil && time.Now().After(deadline) {
				err = fmt.Errorf("%s: member %d is not ready after %v; it said: %s", c.name, i+1, startTime, c.procs[i].tail())
			}
			if err != nil {
				c.stop()
				return err
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

func answers(client *http.Client, url string) bool {
	resp, err := client.Get(url)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}

// alive returns an error once a member's process has ended.
func (c *cluster) alive() error {
	for i, p := range c.procs {
		select {
		case <-p.exited:
			return fmt.Errorf("%s: member %d has ended; it said: %s", c.name, i+1, p.tail())
		default:
		}
	}
	return nil
}

// cpu is what all members have taken so far.
func (c *cluster) cpu() (time.Duration, error) {
	var total time.Duration
	for _, p := range c.procs {
		t, err := processTime(p.cmd.Process.Pid)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", c.name, err)
		}
		total += t
	}
	return total, nil
}

func (c *cluster) pids() []int {
	var out []int
	for _, p := range c.procs {
		out = append(out, p.cmd.Process.Pid)
	}
	return out
}

// stop asks all members to end and kills those that do not in time.
func (c *cluster) stop() {
	for _, p := range c.procs {
		p.cmd.Process.Signal(syscall.SIGTERM)
	}
	late := time.After(stopTime)
	for _, p := range c.procs {
		select {
		case <-p.exited:
		case <-late:
			p.cmd.Process.Kill()
			<-p.exited
			late = time.After(0)
		}
	}
}

// tail is the end of what the process printed.
func (p *proc) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-1000):]))
}

// freePorts returns loopback addresses that nothing listens on now. They lie below the range that Linux takes the ports of
// outgoing connections from, of which the clients open hundreds before the last member listens.
func freePorts(n int) ([]string, error) {
	const lowest, highest = 20_000, 32_000
	var out []string
	for range 10 * n {
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(highest-lowest)))
		if err != nil {
			continue
		}
		defer l.Close()
		if out = append(out, l.Addr().String()); len(out) == n {
			return out, nil
		}
	}
	return nil, fmt.Errorf("no %d free ports between %d and %d", n, lowest, highest)
}
