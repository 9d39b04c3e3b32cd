package node

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// killed is the world in which one member is to fetch from two others.
func killed(t *testing.T) (c *copyNet, taker, leader, other *copyMember) {
	c = newCopyNet(t, 3)
	taker, leader, other = c.members[0], c.members[1], c.members[2]
	c.segment(6_000, taker, leader, other)
	for range 3 {
		c.segment(6_000, leader, other)
	}
	return c, taker, leader, other
}

// TestFetchSurvivesKills ends either side at many steps of a fetch, by the end of its process or a power cut. Both go on
// where they were: of the segments no more comes twice than was under way.
func TestFetchSurvivesKills(t *testing.T) {
	const window = fetchWindow * testChunk
	steps, _ := fetchWithKill(t, -1, "", vfs.KeepAll)
	missing := func() int { _, _, leader, _ := killed(t); return segmentBytes(leader.l, 1) }()
	const stride = 9
	for _, who := range []string{"taker", "giver"} {
		for _, keep := range []vfs.Keep{vfs.KeepAll, vfs.KeepNone, vfs.KeepRandom} {
			if who == "giver" && keep != vfs.KeepAll {
				continue
			}
			for at := int(keep); at < steps; at += stride {
				_, got := fetchWithKill(t, at, who, keep)
				// Each of the segments that come at once has a window under way from each of the two.
				if most := missing + 2*window*3; got > most {
					t.Fatalf("%s killed at step %d of %d, keep %d: %d bytes of segments came for %d missing", who, at, steps, keep,
						got, missing)
				}
			}
		}
	}
}

// fetchWithKill fetches with a kill after so many steps, and returns how many steps it took and what came of segments.
func fetchWithKill(t *testing.T, at int, who string, keep vfs.Keep) (steps, got int) {
	t.Helper()
	c, taker, leader, _ := killed(t)
	c.meddle = func(p bulkPacket) []bulkPacket {
		if f, err := parseBulk(p.payload); err == nil && f.kind == bulkChunk {
			got += len(f.data)
		}
		return []bulkPacket{p}
	}
	taker.aim(leader)
	c.run(func() bool {
		if taker.staging > 0 {
			return true
		}
		if steps == at {
			o := vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(uint64(at), 0))}
			switch who {
			case "taker":
				taker.restart(o)
				taker.aim(leader)
			case "giver":
				leader.restart(o)
			}
		}
		steps++
		return false
	})
	c.install(taker)
	c.same(taker, leader)
	return steps, got
}

// TestFetchGoesOnWithoutItsLeader: whoever offered the snapshot is gone; the other one has everything too.
func TestFetchGoesOnWithoutItsLeader(t *testing.T) {
	for _, at := range []int{0, 5, 20, 40} {
		c, taker, leader, other := killed(t)
		n := 0
		c.meddle = func(p bulkPacket) []bulkPacket {
			if n++; n > at && (p.from == leader.id || p.to == leader.id) {
				return nil
			}
			return []bulkPacket{p}
		}
		taker.aim(leader)
		c.fetch(taker)
		c.same(taker, other)
	}
}

// TestFetchTakesANewerGoal when the old one cannot be had.
func TestFetchTakesANewerGoal(t *testing.T) {
	c, taker, leader, other := killed(t)
	down := true
	c.meddle = func(p bulkPacket) []bulkPacket {
		if down {
			return nil
		}
		return []bulkPacket{p}
	}
	taker.aim(leader)
	for range 300 {
		c.step()
	}
	c.segment(5_000, leader, other)
	taker.aim(other)
	down = false
	c.fetch(taker)
	c.same(taker, leader)
	for range 100 {
		c.step()
	}
	if taker.s.busy() || taker.staging != 0 || taker.s.progress() != "" {
		t.Fatal("it goes on when all is done")
	}
}

// TestFetchAsksAnewForWhatWasMerged: all peers that answer have merged what is missing, and one is gone for good. The
// snapshot is asked for anew, and names the merged segment.
func TestFetchAsksAnewForWhatWasMerged(t *testing.T) {
	c := newCopyNet(t, 4)
	taker, leader, other, gone := c.members[0], c.members[1], c.members[2], c.members[3]
	for range 4 {
		c.segment(6_000, leader, other)
	}
	merged := false
	c.meddle = func(p bulkPacket) []bulkPacket {
		if f, err := parseBulk(p.payload); err != nil || p.to == gone.id || f.kind == bulkChunkRequest && !merged {
			return nil
		}
		return []bulkPacket{p}
	}
	taker.aim(leader)
	c.run(func() bool { return taker.s.phase == copying })
	c.now = c.now.Add(2 * keepManifestFor) // or the giver was restarted: it keeps no segments for this copy any more
	c.step()
	merged = true
	for _, w := range leader.l.WantedMerges() {
		c.apply(w.Data, leader, other)
	}
	c.compact(leader, other)
	for _, d := range leader.l.MergedRoots() {
		c.apply(ledger.RecordWant(d).Data, leader, other)
	}
	c.compact(leader, other)
	if n := len(leader.l.Manifest().Segments); n != 1 {
		t.Fatalf("%d segments are left", n)
	}
	taker.aim(leader) // as it does again and again
	c.fetch(taker)
	c.same(taker, leader)
}

// TestFetchOnAFullDisk waits for space, and goes on when there is some.
func TestFetchOnAFullDisk(t *testing.T) {
	c, taker, leader, _ := killed(t)
	taker.mem.SetLimit(taker.mem.Used() + 3_000)
	taker.aim(leader)
	for range 400 {
		c.step()
	}
	if taker.staging != 0 {
		t.Fatal("it fits")
	}
	taker.mem.SetLimit(0)
	c.fetch(taker)
	c.same(taker, leader)
}

// TestServeKeepsToItsRate, over seconds of the given clock, also with two who ask.
func TestServeKeepsToItsRate(t *testing.T) {
	c := newCopyNet(t, 3)
	taker, giver, second := c.members[0], c.members[1], c.members[2]
	for range 6 {
		c.segment(6_000, giver)
	}
	giver.rate = 4_000
	giver.restart(vfs.CrashOptions{Keep: vfs.KeepAll})
	index, _, _ := giver.l.SealPoint()
	began := c.now
	for _, m := range []*copyMember{taker, second} {
		m.s.aim(goal{from: giver.id, index: index, peers: []uint64{giver.id}})
	}
	c.run(func() bool {
		passed := c.now.Sub(began)
		if most := float64(giver.rate)*(passed.Seconds()+0.25) + 2*testChunk + 4_000; float64(c.bytes) > most {
			t.Fatalf("%d bytes in %v", c.bytes, passed)
		}
		return taker.staging > 0 && second.staging > 0
	})
	if passed, want := c.now.Sub(began), time.Duration(c.bytes/int(giver.rate))*time.Second; passed > 2*want {
		t.Fatalf("%d bytes took %v", c.bytes, passed)
	}
}

// TestBucket holds the rate over clocks that jump.
func TestBucket(t *testing.T) {
	now := time.Unix(0, 0)
	b := bucket{rate: 1000}
	sent := int64(0)
	for i, step := range []time.Duration{0, time.Nanosecond, time.Millisecond, time.Second, time.Hour, -time.Hour, time.Second} {
		now = now.Add(step)
		for b.has(now) {
			b.take(100)
			sent += 100
		}
		if most := int64(i+1) * 400; sent > most {
			t.Fatalf("%d bytes after %d steps", sent, i+1)
		}
	}
	if unbounded := (&bucket{}); !unbounded.has(now) {
		t.Fatal("no rate is a rate")
	}
}

// TestBulkQueuesAreBounded against peers that ask and answer without end.
func TestBulkQueuesAreBounded(t *testing.T) {
	_, taker, leader, _ := killed(t)
	part := ledger.SegmentPart{Bytes: 1 << 20}
	for i := range uint64(10_000) {
		leader.s.receive(taker.id, (&bulkFrame{kind: bulkChunkRequest, id: i, part: part, length: 100}).encode())
		leader.s.receive(taker.id, (&bulkFrame{kind: bulkChunk, id: i, data: make([]byte, 100)}).encode())
		leader.s.receive(100+i, (&bulkFrame{kind: bulkManifestRequest, id: i}).encode())
	}
	if n := len(leader.s.server.queue); n > maxServeQueue {
		t.Errorf("%d requests wait", n)
	}
	if n := len(leader.s.inbox); n > maxFetchInbox {
		t.Errorf("%d answers wait", n)
	}
	of := 0
	for _, r := range leader.s.server.queue {
		if r.from == taker.id {
			of++
		}
	}
	if of > maxServeOfPeer {
		t.Errorf("%d requests of one peer wait", of)
	}
}

// TestFetchRepairs: a damaged segment file comes whole from a peer while the ledger goes on; when no peer has that file,
// the node is told that it must be rebuilt.
func TestFetchRepairs(t *testing.T) {
	c := newCopyNet(t, 3)
	for range 3 {
		c.segment(6_000, c.members...)
	}
	victim := c.members[0]
	read := func() error { _, err := victim.l.Get([]byte("k/3"), ledger.Selector{}); return err }
	spoil := func() {
		segments := victim.l.Manifest().Segments
		name := "data/segments/" + segments[2].ID + ".seg"
		f, err := victim.mem.OpenRW(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for at := int64(10); at < 5_000; at += 100 {
			if _, err := f.WriteAt([]byte{0xee, 0xee}, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	spoil()
	var corrupt *vfs.CorruptError
	if err := read(); !errors.As(err, &corrupt) {
		t.Fatalf("the damage is not seen: %v", err)
	}
	c.run(func() bool { return read() == nil })
	for range 100 {
		c.step()
	}
	if victim.failed != nil || victim.s.busy() {
		t.Fatalf("it goes on: %v", victim.failed)
	}
	if want := int(victim.l.Manifest().Segments[2].Bytes); c.bytes > want+want/10 {
		t.Errorf("%d bytes came for a file of %d", c.bytes, want)
	}
	c.same(victim, c.members[1])

	spoil()
	c.meddle = func(p bulkPacket) []bulkPacket {
		if f, err := parseBulk(p.payload); err == nil && f.kind == bulkChunk {
			p.payload = (&bulkFrame{kind: bulkRefusal, id: f.id}).encode()
		}
		return []bulkPacket{p}
	}
	if err := read(); !errors.As(err, &corrupt) {
		t.Fatalf("the damage is not seen: %v", err)
	}
	c.run(func() bool { return victim.failed != nil })
	if !errors.As(victim.failed, &corrupt) {
		t.Fatalf("the node is told %v", victim.failed)
	}
}

// TestDamageIsFoundEarly: what a merge meets while the node is being opened is repaired as well.
func TestDamageIsFoundEarly(t *testing.T) {
	c := newCopyNet(t, 2)
	n := &Node{opts: Options{Logger: slog.New(slog.DiscardHandler)}}
	n.segmentDamaged(&vfs.CorruptError{File: "data/segments/early.seg"})
	n.takeSnapshots(c.members[0].s)
	n.segmentDamaged(&vfs.CorruptError{File: "data/segments/late.seg"})
	if d := c.members[0].s.doubt; len(d) != 2 || !d["early"] || !d["late"] {
		t.Fatalf("in doubt are %v", d)
	}
}

// TestRepairMakesWayForASnapshot: no peer that answers has what is damaged here, and one is gone for good. The snapshot that
// the leader offers meanwhile is fetched.
func TestRepairMakesWayForASnapshot(t *testing.T) {
	c := newCopyNet(t, 4)
	victim, leader, other, gone := c.members[0], c.members[1], c.members[2], c.members[3]
	c.segment(6_000, victim, leader, other)
	offered := false
	c.meddle = func(p bulkPacket) []bulkPacket {
		if p.to == gone.id {
			return nil
		}
		if f, err := parseBulk(p.payload); err == nil && f.kind == bulkChunk && !offered {
			p.payload = (&bulkFrame{kind: bulkRefusal, id: f.id}).encode()
		}
		return []bulkPacket{p}
	}
	victim.s.doubtSegment(victim.l.Manifest().Segments[0].ID)
	f, err := victim.mem.OpenRW("data/segments/" + victim.l.Manifest().Segments[0].ID + ".seg")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xee, 0xee, 0xee}, 100); err != nil {
		t.Fatal(err)
	}
	c.run(func() bool { return len(victim.s.segments) == 1 && victim.s.segments[0].refusals == 2 })
	c.segment(6_000, leader, other)
	victim.aim(leader)
	offered = true
	c.fetch(victim)
	c.run(func() bool { return !victim.s.busy() }) // the file is in the snapshot, too, and then repaired
	c.same(victim, leader)
}

// behind is a log that was compacted up to an index and has nothing behind it.
type behind uint64

func (b behind) FirstIndex() uint64                           { return uint64(b) + 1 }
func (b behind) LastIndex() uint64                            { return uint64(b) }
func (b behind) Term(uint64) (uint64, error)                  { return 1, nil }
func (b behind) Entries(_, _, _ uint64) ([]raft.Entry, error) { return nil, raft.ErrUnavailable }
func (b behind) MembersEntries() ([]raft.Entry, error)        { return nil, nil }

// TestUnwantedSnapshotIsLetGo: the log came by itself while a snapshot was fetched, so the core has no use for it. Repairs
// begin behind it all the same.
func TestUnwantedSnapshotIsLetGo(t *testing.T) {
	c := newCopyNet(t, 3)
	taker, leader := c.members[0], c.members[1]
	c.segment(6_000, c.members...)
	c.segment(6_000, leader)
	taker.aim(leader)
	c.run(func() bool { return taker.staging > 0 })
	for _, data := range leader.log[len(taker.log):] {
		c.apply(data, taker)
	}
	c.flush(taker)
	index, term, members := leader.l.SealPoint()
	is, err := raft.ParseMembership(members)
	if err != nil {
		t.Fatal(err)
	}
	core, err := raft.New(raft.Config{ID: taker.id, ClusterID: raft.ClusterID{1}, Instance: 1, ElectionTicks: 10, ElectionMaxTicks: 20}, raft.HardState{Term: term, Commit: index},
		raft.Snapshot{Index: index, Term: term, Members: is}, behind(index))
	if err != nil {
		t.Fatal(err)
	}
	if err := (&Node{snapshots: taker.s, core: core, ledger: taker.l}).restoreStaged(); err != nil {
		t.Fatal(err)
	}
	id := taker.l.Manifest().Segments[0].ID
	f, err := taker.mem.OpenRW("data/segments/" + id + ".seg")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xee, 0xee, 0xee}, 100); err != nil {
		t.Fatal(err)
	}
	taker.s.doubtSegment(id)
	c.run(func() bool { return !taker.s.doubts(id) })
	c.same(taker, leader)
}

// TestRebuildingFetches: a member whose ledger is opened without its state fetches what does not verify, though its
// peers' manifest is no newer than its own was.
func TestRebuildingFetches(t *testing.T) {
	c := newCopyNet(t, 2)
	victim, other := c.members[0], c.members[1]
	for range 4 {
		c.segment(6_000, victim, other)
	}
	segments := victim.l.Manifest().Segments
	for i, spoil := range []func(name string) error{
		func(name string) error { return victim.mem.Remove(name) },
		func(name string) error {
			f, err := victim.mem.OpenRW(name)
			if err == nil {
				_, err = f.WriteAt([]byte("damage"), 2_000)
			}
			return err
		},
	} {
		if err := spoil("data/segments/" + segments[i+1].ID + ".seg"); err != nil {
			t.Fatal(err)
		}
	}
	victim.rebuild = true
	victim.restart(vfs.CrashOptions{Keep: vfs.KeepAll})
	victim.s.aim(goal{from: other.id, index: 1, peers: victim.others()})
	c.fetch(victim)
	c.same(victim, other)
	if want := int(segments[1].Bytes + segments[2].Bytes); c.bytes < want || c.bytes > want+want/5 {
		t.Errorf("%d bytes came for %d", c.bytes, want)
	}
}
