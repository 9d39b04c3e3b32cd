package node

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/vfs"
)

// loggedLines is a log.
type loggedLines struct{ lines []string }

func (l *loggedLines) Write(b []byte) (int, error) {
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

func (l *loggedLines) count(text string) (n int) {
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func isDiskFull(err error) bool {
	var refused *Unavailable
	return errors.As(err, &refused) && refused.Reason == DiskFull
}

// TestReserveIsKept lets clients write until they are refused: the reserve is free then, and what is in memory besides;
// all that the node does for itself goes on within it, down to a term of its own; and with space the writes go on.
func TestReserveIsKept(t *testing.T) {
	var log loggedLines
	const reserve = 20 << 20
	c := newCluster(t, 1, func(o *Options) {
		o.DiskReserveBytes = reserve
		o.WAL.FileBytes, o.Ledger.SealBytes, o.Ledger.SealAge = 1<<20, 12<<20, -1
		o.Ledger.Compression = segfile.NoCompression
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	m := c.member(1)
	const disk = 80 << 20
	m.fsys.SetLimit(disk)
	n := c.leader()
	value := strings.Repeat("x", 64<<10)
	var err error
	written := 0
	for err == nil {
		if written++; written == 2000 {
			t.Fatal("the disk is never full")
		}
		_, err = c.write(n, fmt.Sprintf("key-%04d", written), value)
		c.now = c.now.Add(time.Millisecond)
	}
	if !isDiskFull(err) || !strings.Contains(err.Error(), "node 1") {
		t.Fatalf("on a full disk: %v", err)
	}
	space, _ := m.fsys.Space("data")
	if unflushed := n.Ledger().UnflushedBytes(); unflushed < 4<<20 || int64(space.Free) < reserve+unflushed-2<<20 {
		t.Errorf("%d bytes are free, of a reserve of %d, with %d to flush", space.Free, reserve, unflushed)
	}
	if st := n.Status(); !strings.Contains(st.WritesFault, "free") || !st.Ready || st.Members[0].Healthy ||
		st.Members[0].Detail == "" {
		t.Errorf("the status of a node that is short of space: %+v", st)
	}
	if log.count("short of disk space") != 1 || log.count("space again") != 0 {
		t.Errorf("logged: %q", log.lines)
	}
	if n.metrics == nil || n.space.reserve.Load() < reserve || n.space.free.Load() <= 0 {
		t.Errorf("figures: free %d, reserve %d", n.space.free.Load(), n.space.reserve.Load())
	}
	if got, err := c.read(n, "key-0001"); err != nil || got != value {
		t.Errorf("a read: %v", err)
	}

	// A seal, which the reserve is for. What it flushes makes space by the log files that go.
	through, _ := n.Ledger().Root()
	p := &Pending{n: n, p: newProposal(ledger.SealNow())}
	if err := n.begin(p.p); err != nil {
		t.Fatal(err)
	}
	if _, err := c.outcome(p); err != nil {
		t.Fatalf("a seal: %v", err)
	}
	c.until("a flush", func() bool {
		installed, err := n.Ledger().Installed()
		if err != nil {
			t.Fatalf("flush inside the reserve: %v", err)
		}
		return installed >= through
	})

	// The rest is taken by others, and the power goes: the node starts, leads, and answers.
	m.fsys.SetLimit(m.fsys.Used())
	c.tick(11)
	if _, err := c.write(n, "more", "x"); !isDiskFull(err) {
		t.Fatalf("with no space at all: %v", err)
	}
	c.kill(1)
	m.fsys.SetLimit(m.fsys.Used())
	c.restart(1)
	n = c.leader()
	if got, err := c.read(n, "key-0001"); err != nil || got != value {
		t.Errorf("a read after a restart with no space: %v", err)
	}
	if _, err := c.write(n, "more", "x"); !isDiskFull(err) {
		t.Errorf("after a restart with no space: %v", err)
	}
	log.lines = nil
	m.fsys.SetLimit(4 * disk)
	c.tick(11)
	c.mustWrite(n, "more", value)
	if st := n.Status(); st.WritesFault+st.Warning != "" || !st.Members[0].Healthy {
		t.Errorf("with space again: %+v", st)
	}
	if log.count("disk space again") != 1 {
		t.Errorf("logged: %q", log.lines)
	}
}

// TestReserveHasAMargin: a disk that is about as full as it may be does not turn writes off and on.
func TestReserveHasAMargin(t *testing.T) {
	const reserve = 8 << 20
	c := newCluster(t, 1, func(o *Options) { o.DiskReserveBytes = reserve })
	n, m := c.leader(), c.member(1)
	short := func(free int64) bool {
		m.fsys.SetLimit(m.fsys.Used() + free + n.Ledger().UnflushedBytes())
		c.tick(11)
		return n.space.short.Load()
	}
	if short(reserve) {
		t.Error("short with all of the reserve free")
	}
	if !short(reserve - 64<<10) {
		t.Error("not short with less than the reserve free")
	}
	if !short(reserve + reserve/16) {
		t.Error("not short any more as soon as a little more is free")
	}
	if short(reserve + reserve/8) {
		t.Error("short with an eighth more than the reserve free")
	}
}

func TestChosenReserve(t *testing.T) {
	c := newCluster(t, 1, nil)
	n := c.leader()
	for total, want := range map[uint64]int64{
		0: minFreeBytes + 64<<10, 100 << 20: minFreeBytes + 64<<10, 10 << 30: (10 << 30) / 100, 1 << 50: 1 << 30,
	} {
		if got := n.reserveOf(total); got != want {
			t.Errorf("of a disk of %d bytes %d are kept, want %d", total, got, want)
		}
	}
}

// fillDisk leaves a node without space; freeDisk gives it back.
func (c *cluster) fillDisk(id uint64) {
	m := c.member(id)
	m.fsys.SetLimit(m.fsys.Used())
}

func (c *cluster) freeDisk(id uint64) { c.member(id).fsys.SetLimit(0) }

// healthyMembers lists whom a node thinks healthy.
func healthyMembers(n *Node) (ids []uint64) {
	for _, m := range n.Status().Members {
		if m.Healthy {
			ids = append(ids, m.NodeID)
		}
	}
	return ids
}

// TestShortFollower: one full disk of three stops nobody, is shown by all, and its node catches up; a second one stops
// the writes with an answer that names both, and so does one together with a node that is down.
func TestShortFollower(t *testing.T) {
	c := newCluster(t, 3, nil)
	lead := c.leader()
	var others []uint64
	for id := uint64(1); id <= 3; id++ {
		if id != lead.opts.NodeID {
			others = append(others, id)
		}
	}
	a, b := others[0], others[1]
	c.tick(20)
	c.fillDisk(a)
	c.tick(20)
	for i := range 40 { // more than a log file
		c.mustWrite(lead, fmt.Sprintf("key-%02d", i), strings.Repeat("x", 8<<10))
	}
	if lead = c.leader(); len(healthyMembers(lead)) != 2 {
		t.Errorf("the leader takes %v for healthy; the disk of node %d is full", healthyMembers(lead), a)
	}
	for _, id := range []uint64{a, b} {
		for _, m := range c.node(id).Status().Members {
			if m.Healthy == (m.NodeID == a) || (m.Detail != "") != (m.NodeID == a) {
				t.Errorf("node %d says of node %d: healthy %v, %q; the disk of node %d is full", id, m.NodeID, m.Healthy,
					m.Detail, a)
			}
		}
	}
	if st := c.node(a).Status(); !strings.Contains(st.Warning, "disk is full") || st.WritesFault != "" {
		t.Errorf("node %d, whose disk is full: warning %q, writes %q", a, st.Warning, st.WritesFault)
	}
	if st := lead.Status(); st.WritesFault != "" {
		t.Errorf("the leader refuses writes: %s", st.WritesFault)
	}

	refused := func(what string, names ...uint64) {
		t.Helper()
		_, err := c.write(lead, "key", "value")
		if !isDiskFull(err) {
			t.Fatalf("%s: %v", what, err)
		}
		for _, id := range names {
			if !strings.Contains(err.Error(), fmt.Sprintf("node %d", id)) {
				t.Errorf("%s: %v does not name node %d", what, err, id)
			}
		}
	}
	c.fillDisk(b)
	c.tick(20)
	refused("two full disks", a, b)
	c.freeDisk(b)
	c.tick(20)
	c.mustWrite(lead, "key", "value")
	c.pause(b)
	c.tick(8) // the leader does not hear of it any more, and leads yet
	if lead.status.Load().Leader == lead.opts.NodeID {
		refused("one full disk, and one node down", a)
	}
	c.resume(b)
	c.freeDisk(a)
	lead = c.leader()
	c.tick(30)
	c.mustWrite(c.leader(), "last", "value")
	c.agree()
	if got := healthyMembers(c.leader()); len(got) != 3 {
		t.Errorf("healthy at the end: %v", got)
	}
}

// TestShortLeader: a leader without space hands over to a node that has some, and not to another one.
func TestShortLeader(t *testing.T) {
	c := newCluster(t, 3, nil)
	lead := c.leader()
	c.tick(20)
	id := lead.opts.NodeID
	full := id%3 + 1
	c.fillDisk(full)
	c.tick(20)
	c.fillDisk(id)
	c.until("a leader with space", func() bool {
		n := c.leader()
		return n.opts.NodeID != id && n.opts.NodeID != full
	})
	c.tick(20) // it hears how the others are
	if _, err := c.write(c.leader(), "key", "value"); !isDiskFull(err) {
		t.Errorf("two of three disks are full, and a write gets %v", err)
	}
	c.freeDisk(full)
	c.tick(20)
	c.mustWrite(c.leader(), "key", "value")
}

// TestFollowerLeavesSpaceForSegments: what a leader sends does not make a follower use up the space in which it can
// write what it holds in memory into segments.
func TestFollowerLeavesSpaceForSegments(t *testing.T) {
	c := newCluster(t, 3, func(o *Options) {
		o.WAL.FileBytes, o.Ledger.SealBytes, o.DiskReserveBytes = 1<<20, 1<<30, 1
	})
	lead, n := c.leader(), c.follower()
	m := c.member(n.opts.NodeID)
	c.tick(20)
	m.fsys.SetLimit(m.fsys.Used() + minFreeBytes + 8<<20)
	for i := range 12 << 20 / (64 << 10) {
		c.mustWrite(lead, fmt.Sprintf("key-%03d", i), strings.Repeat("x", 64<<10))
	}
	space, _ := m.fsys.Space("data")
	// It has made up its mind before the present log file and the next one were filled.
	if least := minFreeBytes + n.Ledger().UnflushedBytes() - 2*n.log.FileBytes(); int64(space.Free) < least || space.Free > minFreeBytes+8<<20 {
		t.Errorf("%d bytes are free, at least %d should be", space.Free, least)
	}
	if !n.writer.blocked {
		t.Error("the follower takes all that is sent")
	}
	m.fsys.SetLimit(0)
	c.tick(20)
	c.agree()
}

// TestSpaceUnknown: a file system that does not tell its free space is used until it is full.
func TestSpaceUnknown(t *testing.T) {
	fsys := vfs.NewInject(vfs.NewMem(), func(op vfs.Op) vfs.Decision {
		if op.Kind == vfs.OpSpace {
			return vfs.Decision{Err: vfs.ErrInjected}
		}
		return vfs.Decision{}
	})
	n := openNode(t, testOptions(fsys))
	if _, err := n.Write(t.Context(), put("key", "value")); err != nil {
		t.Fatal(err)
	}
}
