package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// cluster is some nodes of one ledger, each a process of its own. A node keeps its ports, its directory and its command
// line over its lives, so that clients and peers find it again.
type cluster struct {
	t     testing.TB
	opts  clusterOptions
	dir   string
	nodes []*peer
	links *links // the wire between the nodes; nil when they talk to each other directly
}

// clusterOptions are what all nodes of a cluster have in common.
type clusterOptions struct {
	nodes  int      // founders; 0 for three
	linked bool     // put a proxy in front of every raft port, so that links can fail
	env    []string // SCRIBE_ variables of every node
	args   []string
}

// peer is one node of a cluster: its place in it, and the process that fills the place at present.
type peer struct {
	*scribe // requests go to the address, whatever process answers there; pid, log and done are the current process's
	c       *cluster
	id      uint64
	raft    string // the address that the others know
	args    []string
	lives   []*output
	logFile string

	mu sync.Mutex // over the process, for those who look while another restarts it
}

// newCluster makes places for the founders of a cluster and starts nothing.
func newCluster(t testing.TB, o clusterOptions) *cluster {
	t.Helper()
	if o.nodes == 0 {
		o.nodes = 3
	}
	c := &cluster{t: t, opts: o, dir: t.TempDir()}
	if o.linked {
		c.links = newLinks(t)
	}
	for range o.nodes {
		c.place()
	}
	var list []string
	for _, p := range c.nodes {
		list = append(list, fmt.Sprintf("%d=%s", p.id, p.raft))
	}
	for _, p := range c.nodes {
		p.args = append(p.args, "--initial-cluster", strings.Join(list, ","))
	}
	return c
}

// formCluster starts a whole cluster and waits until every node is ready.
func formCluster(t testing.TB, o clusterOptions) *cluster {
	t.Helper()
	c := newCluster(t, o)
	c.startAll()
	c.awaitReady(c.nodes...)
	return c
}

// place makes a place for one more node, under the next number.
func (c *cluster) place() *peer {
	c.t.Helper()
	id := uint64(len(c.nodes) + 1)
	ports := freePorts(c.t, 2)
	p := &peer{c: c, id: id, raft: ports[1], logFile: fmt.Sprintf("node-%d.log", id)}
	p.scribe = &scribe{t: c.t, dir: filepath.Join(c.dir, fmt.Sprintf("node-%d", id)), addr: ports[0], log: &output{}, member: true}
	p.args = append([]string{"--node-id", fmt.Sprint(id), "--listen", ports[0], "--raft-listen", ports[1]}, c.opts.args...)
	if c.links != nil {
		p.raft = c.links.front(id, ports[1])
	}
	c.nodes = append(c.nodes, p)
	c.t.Cleanup(func() {
		if c.t.Failed() {
			p.saveLogs()
		}
	})
	return p
}

// joiner makes a place for a node that asks through for its membership. More variables may follow.
func (c *cluster) joiner(through *peer) *peer {
	c.t.Helper()
	p := c.place()
	p.args = append(p.args, "--join", through.addr)
	return p
}

func (c *cluster) startAll() {
	c.t.Helper()
	for _, p := range c.nodes {
		p.start()
	}
}

// start runs the node's process and does not wait.
func (p *peer) start(env ...string) {
	p.c.t.Helper()
	s := launch(p.c.t, options{dir: p.dir, args: p.args, env: append(append([]string{}, p.c.opts.env...), env...), quiet: true})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lives = append(p.lives, s.log)
	p.scribe.cmd, p.scribe.log, p.scribe.done = s.cmd, s.log, s.done
}

// running says whether the node's process is there.
func (p *peer) running() bool {
	p.mu.Lock()
	done := p.scribe.done
	p.mu.Unlock()
	if done == nil {
		return false
	}
	select {
	case <-done:
		return false
	default:
		return true
	}
}

// wipe removes the data of a node that is down, and with it what it promised.
func (p *peer) wipe() {
	p.c.t.Helper()
	if p.running() {
		p.c.t.Fatalf("node %d runs", p.id)
	}
	if err := os.RemoveAll(p.dir); err != nil {
		p.c.t.Fatal(err)
	}
}

// saveLogs keeps what all lives of the node wrote, and shows the end of the last one.
func (p *peer) saveLogs() {
	var all bytes.Buffer
	for i, o := range p.lives {
		fmt.Fprintf(&all, "=== life %d of node %d\n%s", i+1, p.id, o)
	}
	t, ok := p.c.t.(*testing.T)
	if !ok {
		return
	}
	name := filepath.Join(t.ArtifactDir(), p.logFile)
	if err := os.WriteFile(name, all.Bytes(), 0o600); err != nil {
		t.Log(err)
	}
	t.Logf("node %d at %s, raft %s, had %d lives (%s, kept with -artifacts) and wrote last:\n%s", p.id, p.addr, p.raft,
		len(p.lives), name, p.log.tail(4<<10))
}

// quick is the client of the harness itself: it asks and gives up soon.
var quick = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}

// ask gets path from the node and decodes what it answers, if it answers 200.
func (p *peer) ask(path string, v any) error {
	resp, err := quick.Get("http://" + p.addr + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("GET %s at node %d: status %d: %s", path, p.id, resp.StatusCode, b)
	case v == nil:
		return nil
	}
	return json.Unmarshal(b, v)
}

// awaitReady waits until /readyz of each of these nodes says so.
func (c *cluster) awaitReady(nodes ...*peer) {
	c.t.Helper()
	for _, p := range nodes {
		eventually(c.t, func() string {
			if !p.running() {
				c.t.Fatalf("node %d ended:\n%s", p.id, p.log.tail(8<<10))
			}
			if err := p.ask("/readyz", nil); err != nil {
				return err.Error()
			}
			return ""
		})
	}
}

// up are the nodes whose process runs.
func (c *cluster) up() (out []*peer) {
	for _, p := range c.nodes {
		if p.running() {
			out = append(out, p)
		}
	}
	return out
}

// except are the running nodes without some.
func (c *cluster) except(not ...*peer) (out []*peer) {
next:
	for _, p := range c.up() {
		for _, n := range not {
			if p == n {
				continue next
			}
		}
		out = append(out, p)
	}
	return out
}

// leader waits until one of these nodes leads by its own word and all of them agree on it.
func (c *cluster) leader(among ...*peer) (leader *peer) {
	c.t.Helper()
	if len(among) == 0 {
		among = c.up()
	}
	eventually(c.t, func() string {
		leader = nil
		for _, p := range among {
			var st clusterStatus
			if err := p.ask("/cluster/status", &st); err != nil {
				return err.Error()
			}
			if st.Leader == 0 {
				return fmt.Sprintf("node %d knows no leader", p.id)
			}
			if st.Role == "leader" {
				if leader != nil {
					return fmt.Sprintf("both %d and %d say they lead", leader.id, p.id)
				}
				leader = p
			}
			if at := c.nodes[st.Leader-1]; leader != nil && at != leader {
				return fmt.Sprintf("node %d takes %d for the leader", p.id, st.Leader)
			}
		}
		if leader == nil {
			return "nobody leads"
		}
		return ""
	})
	return leader
}

// awaitAgreement waits until all of these nodes have applied the same and have the same root, and returns it.
func (c *cluster) awaitAgreement(nodes ...*peer) (st clusterStatus) {
	c.t.Helper()
	eventually(c.t, func() string {
		for i, p := range nodes {
			var got clusterStatus
			if err := p.ask("/cluster/status", &got); err != nil {
				return err.Error()
			}
			if i > 0 && (got.AppliedIndex != st.AppliedIndex || got.TreeSize != st.TreeSize) {
				return fmt.Sprintf("node %d is at %d entries, node %d at %d", nodes[0].id, st.TreeSize, p.id, got.TreeSize)
			}
			if i > 0 && got.Root != st.Root {
				c.t.Fatalf("at %d entries node %d has root %s, node %d has %s", st.TreeSize, nodes[0].id, st.Root, p.id, got.Root)
			}
			st = got
		}
		return ""
	})
	return st
}

// replayAll reads the whole ledger from every one of these nodes, checks each as replay does, and that all are the same.
func (c *cluster) replayAll(nodes ...*peer) (entries []entry) {
	c.t.Helper()
	for i, p := range nodes {
		got := p.replay()
		if i == 0 {
			entries = got
			continue
		}
		// A leaf hash covers the entry, and replay checked it.
		for n := range min(len(got), len(entries)) {
			if got[n].LeafHash != entries[n].LeafHash {
				c.t.Fatalf("entry %d is another at node %d than at node %d", n, p.id, nodes[0].id)
			}
		}
		if len(got) != len(entries) {
			c.t.Fatalf("node %d has %d entries, node %d has %d", p.id, len(got), nodes[0].id, len(entries))
		}
	}
	c.awaitAgreement(nodes...)
	return entries
}

// freePorts picks addresses that nobody listens on, below the range from which the system takes ports of its own.
func freePorts(t testing.TB, n int) (addrs []string) {
	t.Helper()
	for len(addrs) < n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err != nil {
			continue
		}
		defer l.Close() // all at once, so that none is picked twice
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}
