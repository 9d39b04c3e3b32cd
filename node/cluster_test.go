package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// cluster is a few nodes in manual mode, in one goroutine: their clock, their network and the order of their steps are
// the test's.
type cluster struct {
	t     *testing.T
	now   time.Time
	nodes []*member // by id
	wire  []packet  // sent and not delivered, in order
	// lost says whether a packet is lost; nil loses none. hold says whether it stays on the wire for now.
	lost, hold func(packet) bool
	edit       func(packet) packet // what becomes of a packet on its way; nil changes none
	before     func(m *member, step string)
	seed       uint64
}

// member is one node and what outlives it.
type member struct {
	id   uint64
	fsys *vfs.Mem
	opts Options
	node *Node // nil while it is down
	lazy map[string]bool
	hook vfs.Hook // of its disk; nil: none
	down bool     // its power was cut in the middle of a step: nothing that it does counts any more
}

// packet is a message, a request or a bulk payload on its way.
type packet struct {
	from, to uint64
	message  raft.Message
	request  []byte
	bulk     []byte
}

// wire is the network as one node sees it.
type wire struct {
	c    *cluster
	from uint64
	peer []uint64
}

func (w *wire) SetPeers(peers []raft.Member) {
	w.peer = w.peer[:0]
	for _, p := range peers {
		w.peer = append(w.peer, p.ID)
	}
}

func (w *wire) Send(m raft.Message) {
	encoded := raft.AppendMessage(nil, m)
	m, err := raft.ParseMessage(encoded)
	if err != nil {
		w.c.t.Fatalf("node %d sends what cannot be parsed: %v", w.from, err)
	}
	w.c.wire = append(w.c.wire, packet{from: w.from, to: m.To, message: m})
}

func (w *wire) SendRequest(to uint64, payload []byte) bool {
	w.c.wire = append(w.c.wire, packet{from: w.from, to: to, request: payload})
	return true
}

func (w *wire) SendBulk(to uint64, payload []byte) bool {
	w.c.wire = append(w.c.wire, packet{from: w.from, to: to, bulk: payload})
	return true
}

// newCluster founds a cluster of nodes 1 to size.
func newCluster(t *testing.T, size int, edit func(*Options)) *cluster {
	t.Helper()
	c := &cluster{t: t, now: time.Unix(1_800_000_000, 0)}
	var founders []Founder
	for id := uint64(1); id <= uint64(size); id++ {
		founders = append(founders, Founder{NodeID: id, RaftAddr: raftAddr(id)})
	}
	for _, f := range founders {
		m := c.add(f.NodeID)
		m.opts.Initial = founders
		if edit != nil {
			edit(&m.opts)
		}
		c.open(m)
	}
	return c
}

func raftAddr(id uint64) string { return fmt.Sprintf("node-%d:9001", id) }
func httpAddr(id uint64) string { return fmt.Sprintf("node-%d:8001", id) }

// add adds a machine without a node.
func (c *cluster) add(id uint64) *member {
	m := &member{id: id, fsys: vfs.NewMem(), lazy: make(map[string]bool), opts: Options{Dir: "data", NodeID: id, RaftAddr: raftAddr(id), HTTPAddr: httpAddr(id), Manual: true,
		WAL:    wal.Options{FileBytes: 64 << 10},
		Ledger: ledger.Options{SealBytes: 16 << 10, BlockCacheBytes: 1 << 20}}}
	m.opts.Now = func() time.Time { return c.now }
	c.nodes = append(c.nodes, m)
	return m
}

func (c *cluster) open(m *member) {
	c.t.Helper()
	if err := c.tryOpen(m); err != nil {
		c.t.Fatalf("open node %d: %v", m.id, err)
	}
}

func (c *cluster) tryOpen(m *member) (err error) {
	c.seed++
	m.opts.FS, m.opts.Network, m.opts.Seed = m.fsys, &wire{c: c, from: m.id}, c.seed
	if m.hook != nil {
		m.opts.FS = vfs.NewInject(m.fsys, m.hook)
	}
	m.node, err = Open(m.opts)
	return err
}

func (c *cluster) member(id uint64) *member {
	for _, m := range c.nodes {
		if m.id == id {
			return m
		}
	}
	c.t.Fatalf("no node %d", id)
	return nil
}

func (c *cluster) node(id uint64) *Node { return c.member(id).node }

// kill ends a node as a power cut does: what was not synced is gone, and so is what it had sent and nobody has yet.
func (c *cluster) kill(id uint64) {
	m := c.member(id)
	m.node = nil
	clear(m.lazy)
	if !m.down { // else the disk is what it was at that moment
		m.fsys = m.fsys.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone})
	}
	m.down = false
	c.wire = slices.DeleteFunc(c.wire, func(p packet) bool { return p.to == id || p.from == id })
}

// pause keeps a node from doing anything, and resume lets it go on, with all that came for it meanwhile.
func (c *cluster) pause(id uint64) {
	for _, step := range []string{"tick", "turn", "persist", "apply", "flush", "compact", "keep", "fetch", "serve", "tier"} {
		c.member(id).lazy[step] = true
	}
}

func (c *cluster) resume(id uint64) { clear(c.member(id).lazy) }

func (c *cluster) restart(id uint64) {
	c.t.Helper()
	c.open(c.member(id))
}

// deliver hands over what is on the wire.
func (c *cluster) deliver() (some bool) {
	wire := c.wire
	c.wire = nil
	for _, p := range wire {
		if c.hold != nil && c.hold(p) {
			c.wire = append(c.wire, p)
			continue
		}
		some = true
		if c.edit != nil {
			p = c.edit(p)
		}
		if c.lost == nil || !c.lost(p) {
			c.hand(p)
		}
	}
	return some
}

// hand delivers one packet. Its payload is copied, so that it can be delivered again.
func (c *cluster) hand(p packet) {
	i := slices.IndexFunc(c.nodes, func(m *member) bool { return m.id == p.to })
	if i < 0 || c.nodes[i].node == nil {
		return
	}
	n := c.nodes[i].node
	switch {
	case p.request != nil:
		n.ReceiveRequest(p.from, slices.Clone(p.request))
	case p.bulk != nil:
		n.ReceiveBulk(p.from, slices.Clone(p.bulk))
	default:
		n.Receive(p.message)
	}
}

// step lets a node do one of each of its steps but those it is lazy in.
func (c *cluster) step(m *member) (worked bool) {
	n := m.node
	for _, s := range []struct {
		name string
		do   func() (bool, error)
	}{{"turn", n.Turn}, {"persist", n.PersistStep}, {"apply", n.ApplyStep}, {"flush", n.FlushStep},
		{"compact", n.CompactStep}, {"keep", n.KeepStep}, {"fetch", n.FetchStep}, {"serve", n.ServeStep},
		{"tier", n.TierStep}} {
		if m.lazy[s.name] || m.node != n {
			continue
		}
		if c.before != nil {
			c.before(m, s.name)
		}
		did, err := s.do()
		if m.down {
			c.kill(m.id)
			return true
		}
		if err != nil && !errors.Is(err, ErrBlocked) && m.node.Err() == nil {
			c.t.Fatalf("node %d: %s: %v", m.id, s.name, err)
		}
		worked = worked || did
	}
	return worked
}

// settle lets all nodes work and talk until nothing is left to do without time passing.
func (c *cluster) settle() {
	c.t.Helper()
	for round := 0; ; round++ {
		worked := false
		for _, m := range c.nodes {
			if m.node != nil && c.step(m) {
				worked = true
			}
		}
		if !c.deliver() && !worked {
			return
		}
		if round == 10_000 {
			c.t.Fatal("the cluster does not come to rest")
		}
	}
}

// tick lets time pass.
func (c *cluster) tick(ticks int) {
	c.t.Helper()
	for range ticks {
		c.now = c.now.Add(100 * time.Millisecond)
		for _, m := range c.nodes {
			if m.node != nil && m.node.Err() == nil && !m.lazy["tick"] {
				if err := m.node.Tick(); err != nil && m.node.Err() == nil {
					c.t.Fatalf("node %d: tick: %v", m.id, err)
				}
			}
		}
		c.settle()
	}
}

// until lets time pass until a condition holds.
func (c *cluster) until(what string, holds func() bool) {
	c.t.Helper()
	c.settle()
	for range 300 {
		if holds() {
			return
		}
		c.tick(1)
	}
	c.t.Fatalf("it never happens: %s\n%s", what, c)
}

// String says how the nodes are.
func (c *cluster) String() string {
	var b strings.Builder
	for _, m := range c.nodes {
		if m.node == nil {
			fmt.Fprintf(&b, "node %d: down\n", m.id)
			continue
		}
		fmt.Fprintf(&b, "node %d: %+v\n", m.id, m.node.Status())
	}
	return b.String()
}

// leader waits until the nodes that are up and awake follow one leader, who is one of them, and returns it.
func (c *cluster) leader() *Node {
	c.t.Helper()
	var leader *Node
	c.until("a leader", func() bool {
		var id, term uint64
		for _, m := range c.nodes {
			if m.node == nil || m.node.removed.Load() || m.lazy["tick"] {
				continue
			}
			st := m.node.core.SoftState()
			if st.Leader == 0 || (term != 0 && (st.Leader != id || st.Term != term)) {
				return false
			}
			id, term = st.Leader, st.Term
		}
		i := slices.IndexFunc(c.nodes, func(m *member) bool { return m.id == id })
		if i < 0 || c.nodes[i].node == nil || c.nodes[i].lazy["tick"] || c.nodes[i].node.removed.Load() {
			return false
		}
		leader = c.nodes[i].node
		return true
	})
	return leader
}

// follower returns a node that does not lead.
func (c *cluster) follower() *Node {
	c.t.Helper()
	lead := c.leader()
	for _, m := range c.nodes {
		if m.node != nil && m.node != lead && !m.node.removed.Load() {
			return m.node
		}
	}
	return nil
}

// write writes through a node and waits for the outcome.
func (c *cluster) write(n *Node, key, value string) (ledger.Receipt, error) {
	c.t.Helper()
	return c.outcome(n.Begin(put(key, value), c.now.Add(10*time.Second)))
}

func (c *cluster) outcome(p *Pending) (ledger.Receipt, error) {
	c.t.Helper()
	c.until("an outcome", func() bool { _, _, done := p.Outcome(); return done })
	r, err, _ := p.Outcome()
	return r, err
}

func (c *cluster) mustWrite(n *Node, key, value string) ledger.Receipt {
	c.t.Helper()
	r, err := c.write(n, key, value)
	if err != nil {
		c.t.Fatalf("write %s through node %d: %v\n%s", key, n.opts.NodeID, err, c)
	}
	return r
}

// read reads through a node, linearizably.
func (c *cluster) read(n *Node, key string) (string, error) {
	c.t.Helper()
	if _, err := c.outcome(n.BeginBarrier(c.now.Add(10 * time.Second))); err != nil {
		return "", err
	}
	e, err := n.Ledger().Get([]byte(key), ledger.Selector{})
	if err != nil {
		return "", err
	}
	return string(e.Value), nil
}

// changed waits for the outcome of a change.
func (c *cluster) changed(p *PendingChange) error {
	c.t.Helper()
	c.until("an outcome of the change", func() bool { _, done := p.Outcome(); return done })
	err, _ := p.Outcome()
	return err
}

// agree waits until all nodes that are up hold the same ledger.
func (c *cluster) agree() {
	c.t.Helper()
	c.until("equal ledgers", func() bool {
		var size uint64
		var root any
		for _, m := range c.nodes {
			if m.node == nil || m.node.removed.Load() {
				continue
			}
			s, r := m.node.ledger.Root()
			if root == nil {
				size, root = s, r
			}
			if s != size || r != root {
				return false
			}
		}
		return true
	})
}
