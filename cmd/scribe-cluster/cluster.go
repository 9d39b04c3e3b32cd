package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/client"
)

const (
	// readyTimeout bounds the wait for all nodes to be ready.
	readyTimeout = 30 * time.Second
	readyPoll    = 50 * time.Millisecond
	// stopTimeout is what a node takes to stop at most, and some more.
	stopTimeout = 15 * time.Second
)

// cluster is the nodes of one run.
type cluster struct {
	opts  options
	out   io.Writer
	nodes []*process
	ended chan *process // each node whose process has ended
}

func newCluster(o options, out io.Writer) *cluster {
	c := &cluster{opts: o, out: out, ended: make(chan *process, o.nodes)}
	var list []string
	for id := 1; id <= o.nodes; id++ {
		list = append(list, fmt.Sprintf("%d=127.0.0.1:%d", id, o.raftPort+id-1))
	}
	for id := 1; id <= o.nodes; id++ {
		c.nodes = append(c.nodes, newProcess(o, id, strings.Join(list, ",")))
	}
	return c
}

// run starts the nodes and stops them when ctx ends. A node that ends by itself, or is killed to see what happens, is
// reported and left alone.
func (c *cluster) run(ctx context.Context) (err error) {
	if err := os.MkdirAll(c.opts.data, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	for _, p := range c.nodes {
		if err := p.start(c.ended); err != nil {
			return err
		}
	}
	leader, err := c.awaitReady(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	c.explain(leader)
	for running := len(c.nodes); running > 0; {
		select {
		case <-ctx.Done():
			return nil
		case p := <-c.ended:
			running--
			fmt.Fprintf(c.out, "node %d has ended (%v); its log is %s. To start it again, in another terminal:\n  %s\n",
				p.id, p.result, p.logFile, strings.Join(p.args, " "))
		}
	}
	return errors.New("no node is left")
}

// awaitReady returns the leader once every node is ready.
func (c *cluster) awaitReady(ctx context.Context) (leader uint64, err error) {
	deadline := time.After(readyTimeout)
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	waiting := ""
	for {
		if leader, waiting = c.ready(ctx); waiting == "" {
			return leader, nil
		}
		select {
		case <-ctx.Done():
			return 0, nil
		case p := <-c.ended:
			return 0, fmt.Errorf("node %d ended before it was ready (%v):\n%s", p.id, p.result, p.lastLines())
		case <-deadline:
			return 0, fmt.Errorf("not ready within %v: %s; the logs are in %s", readyTimeout, waiting, c.opts.data)
		case <-ticker.C:
		}
	}
}

// ready returns the leader when all nodes are ready and name the same one, else why not.
func (c *cluster) ready(ctx context.Context) (leader uint64, waiting string) {
	for _, p := range c.nodes {
		conn, err := client.New([]string{p.url}, client.Options{Rounds: 1, AttemptTimeout: time.Second})
		if err != nil {
			return 0, err.Error()
		}
		s, err := conn.Status(ctx)
		conn.CloseIdleConnections()
		switch {
		case err != nil:
			return 0, fmt.Sprintf("node %d: %v", p.id, err)
		case s.Status != "ok" && s.Status != "degraded":
			return 0, fmt.Sprintf("node %d is %s: %s", p.id, s.Status, s.Detail)
		case leader != 0 && s.Leader != leader:
			return 0, fmt.Sprintf("node %d follows node %d, and another one node %d", p.id, s.Leader, leader)
		}
		leader = s.Leader
	}
	return leader, ""
}

// explain tells a person at a terminal what there is now.
func (c *cluster) explain(leader uint64) {
	fmt.Fprintf(c.out, "\n  Scribe Ledger: %d local nodes, node %d leads\n\n", len(c.nodes), leader)
	var urls []string
	for _, p := range c.nodes {
		urls = append(urls, p.url)
		fmt.Fprintf(c.out, "  node %d   %s   raft %s   pid %d   %s\n", p.id, p.url, p.raftAddr, p.cmd.Process.Pid, p.dir)
	}
	last := len(c.nodes) - 1
	fmt.Fprintf(c.out, `
  Write to one node, read from another:
    curl -X PUT --data 'hello, cluster' %[1]s/v1/kv/greeting
    curl %[2]s/v1/kv/greeting

  With the command-line client:
    export SCRIBE_ENDPOINT=%[3]s
    .bin/scribe status
    .bin/scribe put greeting 'hello again'

  See a leader fail: kill -9 %[4]d, then .bin/scribe status

  Logs are in %[5]s/node-*.log. Stop all nodes with Ctrl-C; the data stays.

`, urls[0], urls[last], strings.Join(urls, ","), c.nodes[max(int(leader)-1, 0)].cmd.Process.Pid, c.opts.data)
}

// stop ends the nodes that run, all at once, and waits for them.
func (c *cluster) stop() error {
	var errs []error
	for _, p := range c.nodes {
		p.terminate()
	}
	for _, p := range c.nodes {
		errs = append(errs, p.wait(stopTimeout))
	}
	fmt.Fprintln(c.out, "all nodes are stopped")
	return errors.Join(errs...)
}
