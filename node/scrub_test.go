package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// newScrubCluster returns a cluster with some segments, all of which have objects.
func newScrubCluster(t *testing.T, size, segments int, tune func(*TierOptions), edit func(*Options)) *tierCluster {
	t.Helper()
	c := newTierCluster(t, size, tune, edit)
	c.leader()
	c.fill(segments)
	if _, err := c.round(c.leader(), false); err != nil {
		t.Fatal(err)
	}
	c.until("all segments have objects", c.tiered)
	return c
}

func (c *tierCluster) scrub(n *Node) ScrubResult {
	c.t.Helper()
	r, err := n.Scrub(context.Background())
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// found is the only finding of a pass over a node.
func (c *tierCluster) found(n *Node) ScrubFinding {
	c.t.Helper()
	r := c.scrub(n)
	if len(r.Findings) != 1 {
		c.t.Fatalf("node %d: findings are %+v", n.opts.NodeID, r.Findings)
	}
	return r.Findings[0]
}

// clean says that a pass over every node finds nothing.
func (c *tierCluster) clean() {
	c.t.Helper()
	for _, m := range c.nodes {
		if r := c.scrub(m.node); len(r.Findings) > 0 {
			c.t.Fatalf("node %d: %+v", m.id, r.Findings)
		}
	}
}

func (c *tierCluster) fileOf(n *Node, i int) string { return n.ledger.Copies()[i].File }

func (c *tierCluster) fsys(n *Node) *vfs.Mem { return c.member(n.opts.NodeID).fsys }

// flip flips one bit of a file.
func flip(t *testing.T, fsys vfs.FS, name string, at int64) {
	t.Helper()
	f, err := fsys.OpenRW(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func repairs(n *Node, what, source string) int {
	return int(testutil.ToFloat64(n.scrub.metrics.repairs.WithLabelValues(what, source)))
}

// evictAll gives up all files of a node.
func (c *tierCluster) evictAll(n *Node) {
	c.t.Helper()
	for _, cp := range n.ledger.Copies() {
		if err := n.ledger.Evict(context.Background(), cp.ID); err != nil {
			c.t.Fatal(err)
		}
	}
	c.settle()
}

// TestScrubOfHealthyNodes finds nothing, and reads every file of each node, every meta tail, and on the leader every object.
func TestScrubOfHealthyNodes(t *testing.T) {
	c := newScrubCluster(t, 3, 3, nil, nil)
	c.evictAll(c.follower())
	for _, m := range c.nodes {
		n := m.node
		var local, objects uint64
		copies := n.ledger.Copies()
		for _, cp := range copies {
			local += cp.Bytes
		}
		recorded := n.ledger.Objects()
		for _, r := range recorded {
			objects += r.Object.Bytes
		}
		if n != c.leader() {
			recorded, objects = nil, 0
		}
		gets := c.store.Count(tier.OpGet)
		r := c.scrub(n)
		if r.Segments != len(copies) || r.Objects != len(recorded) || len(r.Findings) != 0 {
			t.Fatalf("node %d: %+v of %d copies and %d objects", m.id, r, len(copies), len(recorded))
		}
		if r.Bytes < local+objects || r.Bytes > 4*local+objects { // what a table keeps is read twice
			t.Fatalf("node %d: %d bytes were read of %d and %d", m.id, r.Bytes, local, objects)
		}
		counted := testutil.ToFloat64(n.scrub.metrics.bytes.WithLabelValues(whatFile)) +
			testutil.ToFloat64(n.scrub.metrics.bytes.WithLabelValues(whatMeta)) +
			testutil.ToFloat64(n.scrub.metrics.bytes.WithLabelValues(whatObject))
		if uint64(counted) != r.Bytes {
			t.Fatalf("node %d: %v bytes are counted, %d were read", m.id, counted, r.Bytes)
		}
		if got := c.store.Count(tier.OpGet) - gets; got != int64(len(recorded)) {
			t.Fatalf("node %d: %d requests for %d objects", m.id, got, len(recorded))
		}
	}
}

// TestScrubRepairsFiles: whatever bit of a segment's file flips, the scrubber finds it, and the file comes from a member.
func TestScrubRepairsFiles(t *testing.T) {
	c := newScrubCluster(t, 3, 3, nil, nil)
	n := c.follower()
	size := int64(n.ledger.Copies()[1].Bytes)
	rounds := 0
	for at := int64(3); at < size; at += size/7 + 1 {
		flip(t, c.fsys(n), c.fileOf(n, 1), at)
		f := c.found(n)
		if f.File != c.fileOf(n, 1) || f.Segment != n.ledger.Copies()[1].ID || f.Repaired || f.Reason == "" {
			t.Fatalf("a flip at %d is found as %+v", at, f)
		}
		c.until("the repair", func() bool { return !n.snapshots.doubts(f.Segment) })
		rounds++
		if got := repairs(n, whatFile, "member"); got != rounds {
			t.Fatalf("%d repairs are counted after %d", got, rounds)
		}
	}
	c.clean()
	c.checkAll()
}

// TestScrubFindsMissingFiles, though the node has them open.
func TestScrubFindsMissingFiles(t *testing.T) {
	c := newScrubCluster(t, 3, 2, nil, nil)
	n := c.follower()
	if err := c.fsys(n).Remove(c.fileOf(n, 0)); err != nil {
		t.Fatal(err)
	}
	if f := c.found(n); !strings.Contains(f.Reason, "gone from its directory") {
		t.Fatalf("%+v", f)
	}
	c.until("the repair", func() bool { return repairs(n, whatFile, "member") == 1 })
	c.clean()
}

// TestScrubAlone: a node without others has its files repaired from the store. When the object is damaged, too, the node
// says so and goes on, and is repaired once the object is good again.
func TestScrubAlone(t *testing.T) {
	c := newScrubCluster(t, 1, 3, nil, nil)
	n := c.node(1)
	flip(t, c.fsys(n), c.fileOf(n, 1), 100)
	id := c.found(n).Segment
	c.until("the repair", func() bool { return repairs(n, whatFile, "object_store") == 1 })
	c.clean()
	c.checkAll()

	object := n.ledger.Objects()[2].Object.Name
	good, _, err := tier.ReadAll(context.Background(), c.store, object, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	c.store.Tamper(object, func(b []byte) []byte { b[200] ^= 1; return b })
	flip(t, c.fsys(n), c.fileOf(n, 2), 100)
	r := c.scrub(n)
	if len(r.Findings) != 2 || r.Findings[0].Repaired || r.Findings[1].Repaired ||
		!strings.Contains(r.Findings[1].Reason, "not repaired") {
		t.Fatalf("%+v", r.Findings)
	}
	gets := 0
	c.asked = func(_ *member, r tier.Request, answered bool) {
		if r.Op == tier.OpGet && r.Key == object && !answered {
			gets++
		}
	}
	c.tick(100)
	if n.Err() != nil || repairs(n, whatFile, "object_store") != 1 || !n.scrub.distrusts(r.Findings[1].Segment) {
		t.Fatalf("after a while: %v, %d repairs", n.Err(), repairs(n, whatFile, "object_store"))
	}
	if gets == 0 || gets > 10 {
		t.Fatalf("a damaged object was asked for %d times in ten seconds", gets)
	}
	c.store.Tamper(object, func([]byte) []byte { return good })
	c.tick(int(damagedObjectPause / (100 * time.Millisecond)))
	c.until("the repair", func() bool { return repairs(n, whatFile, "object_store") == 2 })
	c.clean()
	c.checkAll()
	if n.scrub.distrusts(r.Findings[1].Segment) || id == "" {
		t.Fatal("the object is distrusted yet")
	}
}

// TestScrubWithoutOthersOrStore: nothing can be repaired, and nothing else happens.
func TestScrubWithoutOthersOrStore(t *testing.T) {
	c := newCluster(t, 1, unmerged)
	c.leader()
	c.fillSegments(3)
	n := c.node(1)
	flip(t, c.member(1).fsys, n.ledger.Copies()[0].File, 100)
	r, err := n.Scrub(context.Background())
	if err != nil || len(r.Findings) != 1 || r.Findings[0].Repaired || r.Objects != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	c.tick(30)
	if n.Err() != nil || n.snapshots.phase != idle {
		t.Fatal("it does something:", n.Err())
	}
}

// TestScrubRenewsMetaTails from their objects; when one is damaged there, too, that is said.
func TestScrubRenewsMetaTails(t *testing.T) {
	c := newScrubCluster(t, 1, 3, nil, nil)
	n := c.node(1)
	c.evictAll(n)
	size := int64(n.ledger.Copies()[1].Bytes)
	for at := int64(0); at < size; at += size/9 + 1 {
		flip(t, c.fsys(n), c.fileOf(n, 1), at)
		f := c.found(n)
		if !strings.HasSuffix(f.File, ".meta") || f.File != c.fileOf(n, 1) || !f.Repaired || f.From != fromStore ||
			f.Offset > size {
			t.Fatalf("a flip at %d of %d is found as %+v", at, size, f)
		}
	}
	c.clean()
	c.checkAll()
	if err := c.fsys(n).Remove(c.fileOf(n, 0)); err != nil {
		t.Fatal(err)
	}
	if f := c.found(n); !f.Repaired {
		t.Fatalf("%+v", f)
	}
	flip(t, c.fsys(n), c.fileOf(n, 1), size/2)
	c.faults = func(r tier.Request) tier.Fault {
		if r.Op == tier.OpGet {
			return tier.Fault{Kind: tier.Overloaded}
		}
		return tier.Fault{}
	}
	r, err := n.Scrub(context.Background())
	if err == nil || len(r.Findings) != 1 || r.Findings[0].Repaired || !strings.Contains(r.Findings[0].Reason, "not repaired") {
		t.Fatalf("while the store is away: %+v, %v", r, err)
	}
	c.faults = nil
	if f := c.found(n); !f.Repaired {
		t.Fatalf("%+v", f)
	}
	c.clean()
}

// TestScrubMendsObjects: whatever is wrong with an object, the leader finds it and puts its own file there.
func TestScrubMendsObjects(t *testing.T) {
	c := newScrubCluster(t, 3, 3, nil, nil)
	lead := c.leader()
	o := lead.ledger.Objects()[1].Object
	bodies := map[string]func(b []byte) []byte{
		"truncated": func(b []byte) []byte { return b[:len(b)-1] },
		"longer":    func(b []byte) []byte { return append(b, 0) },
		"empty":     func([]byte) []byte { return nil },
	}
	for at := uint64(0); at < o.Bytes; at += o.Bytes/5 + 1 {
		bodies[fmt.Sprintf("flipped at %d", at)] = func(b []byte) []byte { b[at] ^= 0x80; return b }
	}
	fixed := 0
	check := func(name string) {
		t.Helper()
		f := c.found(lead)
		if !f.Repaired || f.From != fromLocal || !strings.HasSuffix(f.File, o.Name) {
			t.Fatalf("%s: %+v", name, f)
		}
		if fixed++; repairs(lead, whatObject, "local_file") != fixed {
			t.Fatalf("%s: %d repairs are counted after %d", name, repairs(lead, whatObject, "local_file"), fixed)
		}
		data, head, err := tier.ReadAll(context.Background(), c.store, o.Name, 1<<30)
		if err != nil || sha256.Sum256(data) != o.SHA256 || !bytes.Equal(head.SHA256, o.SHA256[:]) {
			t.Fatalf("%s: the object is not what is recorded: %v", name, err)
		}
		if m, err := tier.ParseSegmentMetadata(head.Metadata); err != nil || m.Root != lead.ledger.Objects()[1].Root ||
			uint64(m.MetaOffset) != o.MetaOffset {
			t.Fatalf("%s: it says of itself %+v, %v", name, m, err)
		}
	}
	for name, change := range bodies {
		c.store.Tamper(o.Name, change)
		check(name)
	}
	if err := c.store.Delete(context.Background(), o.Name); err != nil {
		t.Fatal(err)
	}
	check("missing")
	foreign := tier.BytesBody(make([]byte, o.Bytes))
	if err := c.store.Delete(context.Background(), o.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := c.store.Put(context.Background(), o.Name, foreign, tier.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	check("another object")
	c.clean()
	c.checkOneEach()
}

// TestScrubMendsOnlyWhatIsWrongTwice: what an answer spoils on its way is no damage.
func TestScrubMendsOnlyWhatIsWrongTwice(t *testing.T) {
	c := newScrubCluster(t, 1, 2, nil, nil)
	n := c.node(1)
	gets := 0
	c.faults = func(r tier.Request) tier.Fault {
		if r.Op == tier.OpGet {
			if gets++; gets%2 == 1 {
				return tier.Fault{Kind: tier.Flipped, At: 1000}
			}
		}
		return tier.Fault{}
	}
	if r := c.scrub(n); len(r.Findings) != 0 || r.Objects != 2 || gets != 4 {
		t.Fatalf("%+v by %d requests", r, gets)
	}
	for _, kind := range []tier.FaultKind{tier.Overloaded, tier.Stalled, tier.Cut, tier.Refused} {
		c.faults = func(r tier.Request) tier.Fault {
			if r.Op == tier.OpGet {
				return tier.Fault{Kind: kind, At: 100}
			}
			return tier.Fault{}
		}
		r, err := n.Scrub(context.Background())
		if !errors.Is(err, tier.ErrUnavailable) || len(r.Findings) != 0 || r.Segments != 2 {
			t.Fatalf("%v: %+v, %v", kind, r, err)
		}
	}
	if deletes := c.store.Count(tier.OpDelete); n.scrub.metrics == nil || len(c.objects()) != 2 {
		t.Fatalf("%d objects are left after %d deletes", len(c.objects()), deletes)
	}
}

// TestScrubDeletesNothingOnABadWay: an object that is read wrong in another way each time is good, and one that is damaged stays
// as long as the store does not take what would come in its place.
func TestScrubDeletesNothingOnABadWay(t *testing.T) {
	c := newScrubCluster(t, 1, 2, nil, nil)
	n := c.node(1)
	o := n.ledger.Objects()[0].Object
	deletes, gets := 0, int64(0)
	with := func(faults func(r tier.Request) tier.Fault) {
		gets = 0
		c.faults = func(r tier.Request) tier.Fault {
			if r.Op == tier.OpDelete && strings.HasPrefix(r.Key, tier.SegmentPrefix) {
				deletes++
			}
			return faults(r)
		}
	}
	deleted := func() bool { return deletes > 0 }
	with(func(r tier.Request) tier.Fault {
		if r.Op == tier.OpGet {
			gets++
			return tier.Fault{Kind: tier.Flipped, At: 100 + gets}
		}
		return tier.Fault{}
	})
	if r, err := n.Scrub(context.Background()); err == nil || len(r.Findings) != 0 || deleted() {
		t.Fatalf("%+v, %v", r, err)
	}
	c.store.Tamper(o.Name, func(b []byte) []byte { b[77] ^= 1; return b })
	with(func(r tier.Request) tier.Fault {
		if r.Op == tier.OpPut {
			return tier.Fault{Kind: tier.Refused}
		}
		return tier.Fault{}
	})
	if f := c.found(n); f.Repaired || deleted() {
		t.Fatalf("%+v", f)
	}
	with(func(r tier.Request) tier.Fault {
		if r.Op == tier.OpGet && r.Key == o.Name {
			if gets++; gets > 2 {
				return tier.Fault{Kind: tier.Flipped, At: 100 + gets}
			}
		}
		return tier.Fault{}
	})
	if f := c.found(n); f.Repaired || deleted() || !strings.Contains(f.Reason, "on the way") {
		t.Fatalf("%+v", f)
	}
	rehearsals := 0
	with(func(r tier.Request) tier.Fault {
		switch {
		case r.Op == tier.OpPut && strings.HasPrefix(r.Key, tier.ScratchPrefix+"mend-"):
			rehearsals++
		case r.Op == tier.OpDelete && r.Key == o.Name:
			return tier.Fault{Kind: tier.Overloaded}
		}
		return tier.Fault{}
	})
	for range 3 {
		if f := c.found(n); f.Repaired || rehearsals > 1 {
			t.Fatalf("%+v, %d rehearsals", f, rehearsals)
		}
	}
	with(func(tier.Request) tier.Fault { return tier.Fault{} })
	if f := c.found(n); !f.Repaired || !deleted() {
		t.Fatalf("%+v", f)
	}
	c.clean()
	if err := c.store.Delete(t.Context(), o.Name); err != nil {
		t.Fatal(err)
	}
	deletes = 0
	if f := c.found(n); !f.Repaired || deleted() { // somebody else may have put it by then
		t.Fatalf("%+v", f)
	}
	c.clean()
}

// TestRepairKeepsItsFile: a file whose object is being repaired does not go for an eviction that was planned before.
func TestRepairKeepsItsFile(t *testing.T) {
	c := newScrubCluster(t, 1, 2, nil, nil)
	n := c.node(1)
	r := n.ledger.Objects()[0]
	id := objectID(r)
	c.store.Tamper(r.Object.Name, func(b []byte) []byte { b[77] ^= 1; return b })
	evict := func() {
		n.tiering.evict(context.Background(), placement{id: id}, nil)
		if n.ledger.Placed()[0].Cold {
			t.Fatal("the last file of the segment is gone")
		}
	}
	c.faults = func(q tier.Request) tier.Fault {
		if q.Op == tier.OpPut {
			return tier.Fault{Kind: tier.Overloaded}
		}
		return tier.Fault{}
	}
	if f := c.found(n); f.Repaired {
		t.Fatalf("%+v", f)
	}
	evict() // between two tries
	deleted, tried := false, 0
	c.faults = func(q tier.Request) tier.Fault {
		if q.Op == tier.OpDelete && q.Key == r.Object.Name {
			deleted = true
		}
		if deleted && q.Op == tier.OpPut {
			return tier.Fault{Kind: tier.Overloaded}
		}
		return tier.Fault{}
	}
	f, err := n.scrub.checkObject(context.Background(), r, func(context.Context, int) error {
		if n.scrub.distrusts(id) { // the repair reads
			tried++
			evict()
		}
		return nil
	})
	if err != nil || f == nil || f.Repaired || !deleted || tried == 0 {
		t.Fatalf("%+v, %v, deleted %v, %d evictions", f, err, deleted, tried)
	}
	evict()
	n.scrub.unwatch(whatObject, f)
	c.faults = nil
	c.until("the object is there again", func() bool {
		c.tick(20)
		n.ScrubStep()
		return !n.scrub.distrusts(id)
	})
	c.checkAll()
	c.clean()
}

// TestMendAfterItWasForgotten: a pass has read the object, good, between its repair and what the repair reads last, which
// fails. What is tried again then must not rely on what was found before.
func TestMendAfterItWasForgotten(t *testing.T) {
	c := newScrubCluster(t, 1, 2, nil, nil)
	n := c.node(1)
	r := n.ledger.Objects()[0]
	c.store.Tamper(r.Object.Name, func(b []byte) []byte { b[77] ^= 1; return b })
	put := false
	c.faults = func(q tier.Request) tier.Fault {
		switch {
		case q.Key != r.Object.Name:
		case q.Op == tier.OpPut:
			put = true
		case put && q.Op == tier.OpGet:
			n.scrub.forget(objectID(r))
			return tier.Fault{Kind: tier.Overloaded}
		}
		return tier.Fault{}
	}
	if f := c.found(n); f.Repaired || !put {
		t.Fatalf("%+v", f)
	}
	gets := int64(0)
	c.faults = func(q tier.Request) tier.Fault {
		if q.Op == tier.OpGet && q.Key == r.Object.Name {
			gets++
			return tier.Fault{Kind: tier.Flipped, At: 100 + gets%50}
		}
		return tier.Fault{}
	}
	for range 200 {
		c.tick(10)
		n.ScrubStep()
	}
	c.faults = nil
	c.clean()
	if !slices.Contains(c.objects(), r.Object.Name) {
		t.Fatal("the good object is gone")
	}
}

// TestScrubMendsObjectsOfEvicted: the leader has no file of the segment, and gets one from a member. When nobody has one,
// that is said, and every node goes on.
func TestScrubMendsObjectsOfEvicted(t *testing.T) {
	c := newScrubCluster(t, 3, 2, nil, nil)
	lead := c.leader()
	c.evictAll(lead)
	r := lead.ledger.Objects()[0]
	c.store.Tamper(r.Object.Name, func(b []byte) []byte { b[50] ^= 4; return b })
	f := c.found(lead)
	if f.Repaired || !strings.Contains(f.Reason, "from a member") || !lead.scrub.distrusts(f.Segment) {
		t.Fatalf("%+v", f)
	}
	c.until("a file of the segment", func() bool { return !lead.ledger.Copies()[0].Meta })
	for range 10 {
		if _, err := lead.ScrubStep(); err != nil {
			t.Fatal(err)
		}
		c.tick(1)
	}
	if repairs(lead, whatObject, "local_file") != 1 || lead.scrub.distrusts(f.Segment) {
		t.Fatal("the object is not repaired")
	}
	c.clean()
	c.checkAll()

	for _, m := range c.nodes {
		c.evictAll(m.node)
	}
	c.store.Tamper(r.Object.Name, func(b []byte) []byte { b[50] ^= 4; return b })
	if f := c.found(lead); f.Repaired {
		t.Fatalf("%+v", f)
	}
	c.until("nobody has it", func() bool { return !lead.snapshots.doubts(f.Segment) })
	c.tick(50)
	for _, m := range c.nodes {
		if m.node.Err() != nil {
			t.Fatal(m.node.Err())
		}
	}
	if !lead.scrub.distrusts(f.Segment) || repairs(lead, whatObject, "local_file") != 1 {
		t.Fatal("the object is said to be good")
	}
}

// lockingStore keeps sealed objects for good.
type lockingStore struct{ tier.Store }

func (s *lockingStore) Delete(ctx context.Context, key string) error {
	if strings.HasPrefix(key, tier.SegmentPrefix) {
		return &tier.Error{Op: "delete", Key: key, Err: tier.ErrLocked}
	}
	return s.Store.Delete(ctx, key)
}

// TestScrubSaysWhatIsLocked: the store keeps a damaged object under lock. The files of its segment stay.
func TestScrubSaysWhatIsLocked(t *testing.T) {
	c := newScrubCluster(t, 1, 2, func(o *TierOptions) { o.Store = &lockingStore{o.Store} }, nil)
	n := c.node(1)
	name := n.ledger.Objects()[0].Object.Name
	c.store.Tamper(name, func(b []byte) []byte { b[50] ^= 4; return b })
	rehearsals := 0
	c.faults = func(r tier.Request) tier.Fault {
		if r.Op == tier.OpPut && strings.HasPrefix(r.Key, tier.ScratchPrefix+"mend-") {
			rehearsals++
		}
		return tier.Fault{}
	}
	var f ScrubFinding
	for range 3 { // what is put to try it may be locked as well
		f = c.found(n)
		if f.Repaired || !strings.Contains(f.Reason, tier.ErrLocked.Error()) || !strings.Contains(f.Reason, "retention") ||
			rehearsals != 1 {
			t.Fatalf("%+v after %d rehearsals", f, rehearsals)
		}
	}
	if got := c.objects(); !slices.Contains(got, name) || !n.scrub.distrusts(f.Segment) {
		t.Fatalf("the store has %q", got)
	}
	r, err := c.round(n, true)
	if err != nil || len(r.Evicted) != 1 || r.Evicted[0] == f.Segment || n.ledger.Copies()[0].Meta {
		t.Fatalf("evicted: %+v, %v", r, err)
	}
}

// TestScrubPassesOverWhatIsGone: an object that no segment has any more is no finding, and nothing is put in its place.
func TestScrubPassesOverWhatIsGone(t *testing.T) {
	c := newScrubCluster(t, 1, 2, nil, nil)
	n := c.node(1)
	merged := n.ledger.Objects()[0]
	merged.Object.Name = "segments/gone.seg"
	puts := c.store.Count(tier.OpPut)
	f, err := n.scrub.checkObject(context.Background(), merged, n.scrub.pace)
	if f != nil || err != nil || c.store.Count(tier.OpPut) != puts {
		t.Fatalf("%+v, %v", f, err)
	}
	before := n.ledger.Copies()[0]
	c.evictAll(n)
	if f, err := n.scrub.checkFile(context.Background(), before, n.scrub.pace); f != nil || err != nil {
		t.Fatalf("%+v, %v", f, err)
	}
}

// TestScrubLooksAtWhatReadsMeet: a read that meets damage in an object, or in the meta tail kept of it, has it repaired,
// also on a node that does not lead, and that scrubs nothing by itself.
func TestScrubLooksAtWhatReadsMeet(t *testing.T) {
	c := newScrubCluster(t, 3, 2, nil, func(o *Options) { o.ScrubBytesPerSecond, o.Ledger.BlockCacheBytes = -1, -1 })
	n := c.follower()
	c.evictAll(n)
	read := func() error {
		it, err := n.ledger.Entries(0, false)
		if err != nil {
			return err
		}
		for it.Next() {
		}
		_, err = n.ledger.Prove([]byte("key-00001"), ledger.Selector{})
		return errors.Join(it.Close(), err)
	}
	step := func() {
		t.Helper()
		for range 5 {
			if _, err := n.ScrubStep(); err != nil {
				t.Fatal(err)
			}
			c.tick(1)
		}
	}
	if step(); read() != nil || len(n.scrub.suspects) != 0 {
		t.Fatal("something is wrong from the beginning")
	}
	name := n.ledger.Objects()[0].Object.Name
	c.store.Tamper(name, func(b []byte) []byte { b[50] ^= 4; return b })
	if err := read(); !isCorrupt(err) {
		t.Fatalf("the damage is not seen: %v", err)
	}
	step()
	if err := read(); err != nil || repairs(n, whatObject, "local_file") != 1 {
		t.Fatalf("after the repair: %v", err)
	}
	meta := n.ledger.Copies()[1]
	size := int64(meta.Bytes)
	for at := int64(0); at < size && read() == nil; at += 16 {
		flip(t, c.fsys(n), meta.File, at)
	}
	if err := read(); !isCorrupt(err) {
		t.Fatalf("the damage is not seen: %v", err)
	}
	step()
	if err := read(); err != nil || repairs(n, whatMeta, "object_store") != 1 {
		t.Fatalf("after the repair: %v", err)
	}
	c.store.Tamper(name, func(b []byte) []byte { b[50] ^= 4; return b })
	gets := c.store.Count(tier.OpGet)
	for range 20 {
		_ = read()
		step()
	}
	if got := c.store.Count(tier.OpGet) - gets; got > 200 {
		t.Fatalf("%d requests for a damaged object", got)
	}
}

// TestScrubKeepsItsRate: step reads no more than the rate allows, spreads a pass over its interval, comes by every copy and
// every object in it, and goes on where it was.
func TestScrubKeepsItsRate(t *testing.T) {
	const rate = 64 << 10
	c := newScrubCluster(t, 1, 4, nil, func(o *Options) {
		o.ScrubBytesPerSecond, o.ScrubInterval, o.ScrubObjectsInterval = rate, 20*time.Second, 60*time.Second
	})
	n := c.node(1)
	largest := uint64(0)
	for _, cp := range n.ledger.Copies() {
		largest = max(largest, cp.Bytes)
	}
	read := func() (sum float64) {
		for _, what := range []string{whatFile, whatMeta, whatObject} {
			sum += testutil.ToFloat64(n.scrub.metrics.bytes.WithLabelValues(what))
		}
		return sum
	}
	count := func(what string) float64 { return testutil.ToFloat64(n.scrub.metrics.copies.WithLabelValues(what)) }
	begun := c.now
	for c.now.Sub(begun) < 120*time.Second {
		for worked := true; worked; {
			var err error
			if worked, err = n.ScrubStep(); err != nil {
				t.Fatal(err)
			}
		}
		if most := rate*c.now.Sub(begun).Seconds() + float64(2*largest); read() > most {
			t.Fatalf("%v bytes are read after %v", read(), c.now.Sub(begun))
		}
		c.now = c.now.Add(50 * time.Millisecond)
	}
	copies := float64(len(n.ledger.Copies()))
	if got := count(whatFile); got < 5*copies || got > 7*copies {
		t.Errorf("%v files were read in six intervals, there are %v", got, copies)
	}
	if got := count(whatObject); got < 1.5*copies || got > 2*copies+1 {
		t.Errorf("%v objects were read in two intervals, there are %v", got, copies)
	}
	if n.scrub.rate = -1; n.scrub.step() {
		t.Error("it reads though it is told not to")
	}
}

// TestScrubStepFinds what is damaged by itself, with the same steps every time.
func TestScrubStepFinds(t *testing.T) {
	var last string
	for range 2 {
		c := newScrubCluster(t, 1, 3, nil, func(o *Options) { o.ScrubInterval, o.ScrubObjectsInterval = time.Second, time.Second })
		n := c.node(1)
		flip(t, c.fsys(n), c.fileOf(n, 2), 77)
		name := n.ledger.Objects()[0].Object.Name
		c.store.Tamper(name, func(b []byte) []byte { b[50] ^= 4; return b })
		var log strings.Builder
		for range 40 {
			worked, err := n.ScrubStep()
			fmt.Fprintln(&log, worked, err, n.scrub.files, n.scrub.objects)
			c.tick(1)
		}
		if repairs(n, whatFile, "object_store") != 1 || repairs(n, whatObject, "local_file") != 1 {
			t.Fatal("it does not repair:\n" + log.String())
		}
		c.clean()
		if last != "" && last != log.String() {
			t.Fatalf("other steps:\n%s\nand before\n%s", &log, last)
		}
		last = log.String()
	}
}

// TestScrubRounds: a round begins where it is told, comes by everything, and does not lose its way when copies come and go.
func TestScrubRounds(t *testing.T) {
	now := time.Unix(1000, 0)
	r := round{every: time.Minute}
	if _, ok := r.next(now, 5, nil); ok {
		t.Fatal("there is nothing")
	}
	var seen []uint64
	firsts := []uint64{0, 10, 20, 30}
	for range 6 {
		i, ok := r.next(now, 6, firsts)
		if !ok {
			t.Fatalf("nothing is due after %v", seen)
		}
		seen = append(seen, firsts[i])
		r.passed(now, firsts[i], 1, 4)
		if _, ok := r.next(now.Add(14*time.Second), 6, firsts); ok {
			t.Fatal("the next one is due too early")
		}
		now = now.Add(15 * time.Second)
		if len(seen) == 3 {
			firsts = []uint64{0, 20, 30} // 10 was merged into 0
		}
	}
	if want := []uint64{20, 30, 0, 20, 30, 0}; !slices.Equal(seen, want) {
		t.Fatalf("it goes %v, not %v", seen, want)
	}
}
