package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// process is one node.
type process struct {
	id       int
	url      string
	raftAddr string
	dir      string
	logFile  string
	args     []string // the command line
	env      []string
	cmd      *exec.Cmd
	done     chan struct{} // closed when the process has ended; nil before the start
	result   error         // how it ended; valid when done is closed
}

func newProcess(o options, id int, initial string) *process {
	p := &process{id: id, dir: filepath.Join(o.data, fmt.Sprintf("node-%d", id)),
		logFile: filepath.Join(o.data, fmt.Sprintf("node-%d.log", id)), raftAddr: fmt.Sprintf("127.0.0.1:%d", o.raftPort+id-1)}
	listen := fmt.Sprintf("127.0.0.1:%d", o.httpPort+id-1)
	p.url = "http://" + listen
	p.args = []string{o.node, "--node-id", fmt.Sprint(id), "--data-dir", p.dir, "--listen", listen,
		"--raft-listen", p.raftAddr, "--initial-cluster", initial}
	p.env = os.Environ()
	if !slices.ContainsFunc(p.env, choosesTier) {
		p.env = append(p.env, "SCRIBE_TIER_DIR="+filepath.Join(o.data, storeDir))
	}
	return p
}

// storeDir is the object store that the nodes share. It is not cold: that may be the one of a single node on the same directory.
const storeDir = "store"

// choosesTier says whether a variable may name an object store.
func choosesTier(variable string) bool {
	name, value, _ := strings.Cut(variable, "=")
	switch name {
	case "SCRIBE_CONFIG", "SCRIBE_TIER_BACKEND", "SCRIBE_TIER_DIR":
		return value != ""
	}
	return false
}

// start runs the node with its log in a file, and tells when it has ended. It is in a process group of its own: a Ctrl-C
// at the terminal is for this program, which then stops the nodes in an orderly way.
func (p *process) start(ended chan<- *process) error {
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = log, log, p.env
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start node %d: %w", p.id, err)
	}
	p.done = make(chan struct{})
	go func() {
		p.result = p.cmd.Wait()
		close(p.done)
		ended <- p
	}()
	return nil
}

// terminate asks the node to stop. One that has ended is past asking.
func (p *process) terminate() {
	if p.done != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
}

// wait returns when the node has ended, which is made to happen after a while.
func (p *process) wait(limit time.Duration) error {
	if p.done == nil {
		return nil
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(limit):
	}
	err := p.cmd.Process.Kill()
	<-p.done
	if err != nil {
		return fmt.Errorf("node %d: %w", p.id, err)
	}
	return fmt.Errorf("node %d did not stop within %v and was killed", p.id, limit)
}

const (
	lastLines     = 5
	lastLineBytes = 64 << 10
)

// lastLines are what the node wrote last.
func (p *process) lastLines() string {
	b, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b[max(0, len(b)-lastLineBytes):])), "\n")
	return strings.Join(lines[max(0, len(lines)-lastLines):], "\n")
}
