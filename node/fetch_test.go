package node

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	copyCluster = "000000000000000000000000000000c1"
	testChunk   = 256
)

// copyNet is a network of members that copy from each other, without nodes around them: ledgers, their fetchers and
// servers, and a clock that moves when nobody has anything to do.
type copyNet struct {
	t       *testing.T
	now     time.Time
	members []*copyMember
	queue   []bulkPacket
	// meddle, when set, says what becomes of a frame: what is delivered in its place.
	meddle func(p bulkPacket) []bulkPacket
	bytes  int // of data delivered to members
}

type bulkPacket struct {
	from, to uint64
	payload  []byte
}

type copyMember struct {
	net *copyNet
	id  uint64
	mem *vfs.Mem
	l   *ledger.Ledger
	s   *snapshots
	log [][]byte

	rebuild bool
	rate    int64
	staging int // snapshots that were complete
	failed  error
}

func newCopyNet(t *testing.T, members int) *copyNet {
	c := &copyNet{t: t, now: time.Unix(1000, 0)}
	for id := range uint64(members) {
		m := &copyMember{net: c, id: id + 1, mem: vfs.NewMem()}
		m.open()
		c.members = append(c.members, m)
	}
	return c
}

func (m *copyMember) open() {
	t := m.net.t
	t.Helper()
	now := func() time.Time { return m.net.now }
	var err error
	m.l, err = ledger.Open(ledger.Options{FS: m.mem, Dir: "data", ClusterID: copyCluster, SealAge: -1, Manual: true,
		BlockBytes: 300, BlockCacheBytes: 1, Now: now, Rebuild: m.rebuild, Damaged: func(err error) {
			if m.s != nil {
				(&Node{snapshots: m.s, opts: Options{Logger: slog.New(slog.DiscardHandler)}}).segmentDamaged(err)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	m.s = newSnapshots(fetchOptions{
		ledger: m.l,
		send: func(to uint64, payload []byte) bool {
			m.net.queue = append(m.net.queue, bulkPacket{m.id, to, payload})
			return true
		},
		clock:       now,
		log:         slog.New(slog.DiscardHandler),
		minIndex:    func() uint64 { return m.l.AppliedIndex() + 1 },
		peers:       func() []uint64 { return m.others() },
		irreparable: func(err error) { m.failed = err },
		staged:      func() { m.staging++ },
		chunkBytes:  testChunk,
		idsFrom:     m.id * 1000,
	}, m.rate, nil)
}

func (m *copyMember) others() (ids []uint64) {
	for _, o := range m.net.members {
		if o != m {
			ids = append(ids, o.id)
		}
	}
	return ids
}

// restart ends a member's process, by a power cut, and starts it again.
func (m *copyMember) restart(o vfs.CrashOptions) {
	m.mem = m.mem.CrashClone(o)
	m.open()
}

// apply puts a command into the log and applies it at some members.
func (c *copyNet) apply(data []byte, at ...*copyMember) {
	c.t.Helper()
	for _, m := range at {
		data := bytes.Clone(data)
		ledger.StampTime(data, int64(len(m.log)+1))
		m.log = append(m.log, data)
		if _, err := m.l.Apply(uint64(len(m.log)), 1, data); err != nil {
			c.t.Fatal(err)
		}
	}
}

// segment makes a segment of about so many bytes at some members.
func (c *copyNet) segment(size int, at ...*copyMember) {
	c.t.Helper()
	r := rand.New(rand.NewPCG(uint64(len(at[0].log)), 0))
	for i := range 10 {
		value := make([]byte, size/10)
		for j := range value {
			value[j] = byte(r.Uint32())
		}
		data, err := ledger.EncodeWrite(&ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut,
			Key: fmt.Appendf(nil, "k/%d", i), Value: value}}})
		if err != nil {
			c.t.Fatal(err)
		}
		c.apply(data, at...)
	}
	members, err := raft.NewMembership(raft.Member{ID: 1, Role: raft.Voter})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, m := range at {
		m.l.SetMembers(raft.AppendMembership(nil, members))
	}
	c.apply(ledger.SealNow(), at...)
	c.flush(at...)
	for _, d := range at[0].l.BuiltRoots() {
		c.apply(ledger.RecordWant(d).Data, at...)
	}
	c.flush(at...)
}

// flush and compact do what is to be done at some members, as far as the log has come.
func (c *copyNet) flush(at ...*copyMember) {
	c.t.Helper()
	c.exhaust((*ledger.Ledger).FlushStep, at)
}

func (c *copyNet) compact(at ...*copyMember) {
	c.t.Helper()
	c.exhaust((*ledger.Ledger).CompactStep, at)
}

func (c *copyNet) exhaust(step func(*ledger.Ledger) (bool, error), at []*copyMember) {
	c.t.Helper()
	for _, m := range at {
		for worked := true; worked; {
			var err error
			if worked, err = step(m.l); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

// aim has a member fetch what another has.
func (m *copyMember) aim(from *copyMember) {
	index, _, _ := from.l.SealPoint()
	m.s.aim(goal{from: from.id, index: index, peers: m.others()})
}

// step does one thing, in turn, and says whether there was any; else time goes on.
func (c *copyNet) step() bool {
	worked := false
	if len(c.queue) > 0 {
		p := c.queue[0]
		c.queue = c.queue[1:]
		out := []bulkPacket{p}
		if c.meddle != nil {
			out = c.meddle(p)
		}
		for _, p := range out {
			if f, err := parseBulk(p.payload); err == nil {
				c.bytes += len(f.data)
			}
			c.members[p.to-1].s.receive(p.from, bytes.Clone(p.payload))
		}
		worked = true
	}
	for _, m := range c.members {
		worked = m.s.step() || worked
		worked = m.s.server.step() || worked
	}
	if !worked {
		c.now = c.now.Add(100 * time.Millisecond)
	}
	return worked
}

// run goes on until done.
func (c *copyNet) run(done func() bool) {
	c.t.Helper()
	for range 200_000 {
		if done() {
			return
		}
		c.step()
	}
	c.t.Fatal("it does not end: " + c.members[0].s.progress())
}

// fetched waits until a member has a snapshot complete, and installs it.
func (c *copyNet) fetch(m *copyMember) {
	c.t.Helper()
	c.run(func() bool { return m.staging > 0 })
	c.install(m)
}

func (c *copyNet) install(m *copyMember) {
	c.t.Helper()
	snap, ok := m.s.staged()
	if !ok {
		c.t.Fatal("no snapshot is staged")
	}
	if _, again := m.s.staged(); again {
		c.t.Fatal("a snapshot is staged twice")
	}
	m.s.claim()
	n := &Node{snapshots: m.s, ledger: m.l}
	if err := n.installSnapshot(snap); err != nil {
		c.t.Fatal(err)
	}
	if m.l.AppliedIndex() != snap.Index {
		c.t.Fatalf("applied %d after a snapshot at %d", m.l.AppliedIndex(), snap.Index)
	}
	m.staging = 0
	c.step()
}

// same holds what a member has in segments against another's.
func (c *copyNet) same(a, b *copyMember) {
	c.t.Helper()
	x, _, err := a.l.Snapshot()
	if err != nil {
		c.t.Fatal(err)
	}
	y, _, err := b.l.Snapshot()
	if err != nil || !bytes.Equal(x, y) {
		c.t.Fatalf("the manifests differ, %v", err)
	}
	if n, root := a.l.Root(); n > 0 {
		if r, err := b.l.RootAt(n); err != nil || r != root {
			c.t.Fatalf("root of %d entries is %v, not %v: %v", n, r, root, err)
		}
	}
	it, err := a.l.Entries(0, false)
	if err != nil {
		c.t.Fatal(err)
	}
	for it.Next() {
	}
	if err := it.Close(); err != nil {
		c.t.Fatal(err)
	}
}

func segmentBytes(l *ledger.Ledger, from int) (sum int) {
	for _, s := range l.Manifest().Segments[from:] {
		sum += int(s.Bytes)
	}
	return sum
}

// TestFetch: what comes over the network is what is missing, and little more; both peers give some of it.
func TestFetch(t *testing.T) {
	c := newCopyNet(t, 3)
	taker, leader, other := c.members[0], c.members[1], c.members[2]
	for range 3 {
		c.segment(20_000, taker, leader, other)
	}
	for range 6 {
		c.segment(20_000, leader, other)
	}
	given := map[uint64]int{}
	c.meddle = func(p bulkPacket) []bulkPacket {
		if f, err := parseBulk(p.payload); err == nil && f.kind == bulkChunk {
			given[p.from] += len(f.data)
		}
		return []bulkPacket{p}
	}
	taker.aim(leader)
	c.fetch(taker)
	c.same(taker, leader)
	want := segmentBytes(leader.l, 3)
	if c.bytes < want || c.bytes > want+want/25 {
		t.Errorf("%d bytes came for %d that were missing", c.bytes, want)
	}
	if given[leader.id] < want/4 || given[other.id] < want/4 {
		t.Errorf("the peers gave %v", given)
	}
	if got := testutil.ToFloat64(taker.s.metrics.fetchedBytes); int(got) != c.bytes {
		t.Errorf("%v bytes are counted, %d came", got, c.bytes)
	}
	// It goes on from there, and the next snapshot costs what is new.
	c.bytes = 0
	c.segment(5_000, leader, other)
	taker.aim(leader)
	c.fetch(taker)
	c.same(taker, leader)
	if c.bytes > 10_000 {
		t.Errorf("%d bytes came for one small segment", c.bytes)
	}
}

// TestFetchEndsWhenTheLogCame: a goal that is reached by other means is dropped.
func TestFetchEndsWhenTheLogCame(t *testing.T) {
	c := newCopyNet(t, 2)
	taker, leader := c.members[0], c.members[1]
	c.segment(5_000, leader)
	taker.aim(leader)
	c.meddle = func(bulkPacket) []bulkPacket { return nil }
	for range 100 {
		c.step()
	}
	if taker.s.progress() == "" {
		t.Fatal("nothing is being fetched")
	}
	for _, data := range leader.log {
		c.apply(data, taker)
	}
	c.run(func() bool { return taker.s.progress() == "" })
	if taker.s.busy() || taker.staging != 0 {
		t.Fatal("it goes on")
	}
}

// TestFetchUnderLoss: whatever the network loses, repeats, holds back and reorders, the snapshot comes.
func TestFetchUnderLoss(t *testing.T) {
	for seed := range uint64(12) {
		c := newCopyNet(t, 3)
		taker, leader, other := c.members[0], c.members[1], c.members[2]
		for range 4 {
			c.segment(8_000, leader, other)
		}
		r := rand.New(rand.NewPCG(seed, 0))
		var held []bulkPacket
		c.meddle = func(p bulkPacket) (out []bulkPacket) {
			switch r.IntN(8) {
			case 0:
			case 1:
				out = []bulkPacket{p, p}
			case 2:
				held = append(held, p)
			case 3:
				out = append(slices.Clone(held), p)
				held = nil
			default:
				out = []bulkPacket{p}
			}
			return out
		}
		taker.aim(leader)
		c.fetch(taker)
		c.same(taker, leader)
	}
}

// spoil flips a bit in the middle of a piece of a segment; false when it is none.
func (p *bulkPacket) spoil() bool {
	f, err := parseBulk(p.payload)
	if err != nil || f.kind != bulkChunk {
		return false
	}
	f.data = bytes.Clone(f.data)
	f.data[len(f.data)/2] ^= 4
	p.payload = f.encode()
	return true
}

// TestFetchRefetchesWhatCameDamaged: one peer gives a flipped bit in every chunk. What it spoils comes from the other.
func TestFetchRefetchesWhatCameDamaged(t *testing.T) {
	c := newCopyNet(t, 3)
	taker, leader, liar := c.members[0], c.members[1], c.members[2]
	for range 4 {
		c.segment(8_000, leader, liar)
	}
	c.meddle = func(p bulkPacket) []bulkPacket {
		if p.from == liar.id {
			p.spoil()
		}
		return []bulkPacket{p}
	}
	taker.aim(leader)
	c.fetch(taker)
	c.same(taker, leader)
	if n := testutil.ToFloat64(taker.s.metrics.refetches); n == 0 {
		t.Error("nothing was refetched")
	}
	if total := segmentBytes(leader.l, 0); c.bytes > 3*total {
		t.Errorf("%d bytes came for %d", c.bytes, total)
	}
}

// TestFetchAsksAnotherForWhatCameDamaged, not the one that gave it, though nothing else is to choose by.
func TestFetchAsksAnotherForWhatCameDamaged(t *testing.T) {
	c := newCopyNet(t, 3)
	taker, liar, leader := c.members[0], c.members[1], c.members[2]
	c.segment(8_000, leader, liar)
	c.meddle = func(p bulkPacket) []bulkPacket {
		if p.from == liar.id {
			p.spoil()
		}
		return []bulkPacket{p}
	}
	taker.aim(leader)
	c.fetch(taker)
	c.same(taker, leader)
	if n := testutil.ToFloat64(taker.s.metrics.refetches); n > 1 {
		t.Errorf("it came damaged %v times", n)
	}
}

// TestFetchAsksTheSameOnceMore: what came damaged, once, came from the only peer that answers. The other is gone for good.
func TestFetchAsksTheSameOnceMore(t *testing.T) {
	c := newCopyNet(t, 3)
	taker, leader, gone := c.members[0], c.members[1], c.members[2]
	c.segment(8_000, leader)
	damaged := false
	c.meddle = func(p bulkPacket) []bulkPacket {
		if p.to == gone.id {
			return nil
		}
		damaged = damaged || p.spoil()
		return []bulkPacket{p}
	}
	taker.aim(leader)
	c.fetch(taker)
	c.same(taker, leader)
	if n := testutil.ToFloat64(taker.s.metrics.refetches); n != 1 {
		t.Errorf("it came damaged %v times", n)
	}
}

// TestFetchDropsHostileAnswers: of every answer a stranger's twin comes before it. None has any effect but to be counted.
func TestFetchDropsHostileAnswers(t *testing.T) {
	c := newCopyNet(t, 3)
	taker, leader, other := c.members[0], c.members[1], c.members[2]
	for range 3 {
		c.segment(8_000, leader, other)
	}
	sent := 0
	c.meddle = func(p bulkPacket) []bulkPacket {
		f, err := parseBulk(p.payload)
		if err != nil || p.to != taker.id {
			return []bulkPacket{p}
		}
		hostile := func(from uint64, change func(*bulkFrame)) bulkPacket {
			g := f
			g.data = bytes.Clone(f.data)
			change(&g)
			sent++
			return bulkPacket{from, taker.id, g.encode()}
		}
		return []bulkPacket{
			hostile(leader.id^other.id^p.from, func(g *bulkFrame) { // not the one who was asked
				if len(g.data) > 0 {
					g.data[0] ^= 1
				}
			}),
			hostile(p.from, func(g *bulkFrame) { g.id += 1 << 40 }), // never asked for
			hostile(p.from, func(g *bulkFrame) { g.id -= 500 }),     // of an earlier life
			{p.from, taker.id, []byte("nonsense")},
			{p.from, taker.id, p.payload[:len(p.payload)-1-len(f.data)]},
			p,
			p, // come twice
		}
	}
	taker.aim(leader)
	c.fetch(taker)
	c.same(taker, leader)
	if n := int(testutil.ToFloat64(taker.s.metrics.dropped.WithLabelValues("not asked for"))); n < sent {
		t.Errorf("%d answers were dropped, at least %d were sent", n, sent)
	}
	if n := int(testutil.ToFloat64(taker.s.metrics.dropped.WithLabelValues("malformed"))); n < sent/3 {
		t.Errorf("%d malformed frames were counted", n)
	}
	if n := testutil.ToFloat64(taker.s.metrics.refetches); n != 0 {
		t.Errorf("%v segments were spoiled", n)
	}
}

// TestFetchDropsWrongAnswers: a peer that answers its own requests with other offsets, lengths and kinds, or another
// segment's bytes, is left for the other one.
func TestFetchDropsWrongAnswers(t *testing.T) {
	for name, change := range map[string]func(f *bulkFrame){
		"offset":   func(f *bulkFrame) { f.offset += testChunk },
		"short":    func(f *bulkFrame) { f.data = f.data[:len(f.data)-1] },
		"long":     func(f *bulkFrame) { f.data = append(bytes.Clone(f.data), 1) },
		"empty":    func(f *bulkFrame) { f.data = nil },
		"kind":     func(f *bulkFrame) { f.kind, f.total = bulkManifest, 1<<20 },
		"refusal":  func(f *bulkFrame) { f.kind = bulkRefusal },
		"constant": func(f *bulkFrame) { f.data = make([]byte, len(f.data)) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCopyNet(t, 3)
			taker, leader, liar := c.members[0], c.members[1], c.members[2]
			for range 3 {
				c.segment(4_000, leader, liar)
			}
			c.meddle = func(p bulkPacket) []bulkPacket {
				if f, err := parseBulk(p.payload); err == nil && f.kind == bulkChunk && p.from == liar.id {
					change(&f)
					p.payload = f.encode()
				}
				return []bulkPacket{p}
			}
			taker.aim(leader)
			c.fetch(taker)
			c.same(taker, leader)
		})
	}
}

// TestFetchPassesOverUselessManifests: cut or changed on the way, or of too old an index.
func TestFetchPassesOverUselessManifests(t *testing.T) {
	for name, change := range map[string]func(f *bulkFrame){
		"checksum": func(f *bulkFrame) { f.sum++ },
		"length":   func(f *bulkFrame) { f.total = f.offset + uint64(len(f.data)) },
		"bytes":    func(f *bulkFrame) { f.data = bytes.Clone(f.data); f.data[0] ^= 1 },
		"offset":   func(f *bulkFrame) { f.offset++; f.total++ },
		"refusal":  func(f *bulkFrame) { f.kind = bulkRefusal },
		"nothing":  func(f *bulkFrame) { f.data = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCopyNet(t, 3)
			taker, liar, leader := c.members[0], c.members[1], c.members[2]
			for range 3 {
				c.segment(4_000, leader, liar)
			}
			n := 0
			c.meddle = func(p bulkPacket) []bulkPacket {
				if f, err := parseBulk(p.payload); err == nil && f.kind == bulkManifest && p.from == liar.id {
					if n++; n%2 == 0 || name != "bytes" {
						change(&f)
					}
					p.payload = f.encode()
				}
				return []bulkPacket{p}
			}
			taker.aim(liar)
			c.fetch(taker)
			c.same(taker, leader)
		})
	}
	t.Run("old", func(t *testing.T) {
		c := newCopyNet(t, 3)
		taker, lagging, leader := c.members[0], c.members[1], c.members[2]
		c.segment(4_000, leader, lagging)
		c.segment(4_000, leader)
		index, _, _ := leader.l.SealPoint()
		taker.s.aim(goal{from: lagging.id, index: index, peers: taker.others()})
		c.fetch(taker)
		c.same(taker, leader)
	})
}
