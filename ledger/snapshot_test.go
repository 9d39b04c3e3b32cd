package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// cluster is a log and the ledgers that it is fed to.
type cluster struct {
	t   testing.TB
	log [][]byte
}

// add puts a command into the log.
func (c *cluster) add(data []byte) {
	data = bytes.Clone(data)
	StampTime(data, int64(len(c.log)+1))
	c.log = append(c.log, data)
}

// feed applies what a ledger lacks of the log.
func (c *cluster) feed(l *Ledger) {
	c.t.Helper()
	for i := l.AppliedIndex(); i < uint64(len(c.log)); i++ {
		mustApply(c.t, l, i+1, bytes.Clone(c.log[i]))
	}
}

// write adds puts of new values to a few keys, some of them idempotent.
func (c *cluster) write(count, size int) {
	for range count {
		n := uint64(len(c.log))
		cmd := &Command{Ops: []WriteOp{{Op: 1, Key: fmt.Appendf(nil, "k/%d", n%7), Value: valueOf(n, size)}}}
		if n%3 == 0 {
			cmd.IdempotencyKey = fmt.Sprintf("id-%d", n)
		}
		c.add(mustEncode(c.t, cmd))
	}
}

// seal adds a segment to the log: what was written, sealed, and recorded as the leader has built it.
func (c *cluster) seal(leader *Ledger) {
	c.t.Helper()
	c.add(SealNow())
	c.feed(leader)
	c.flush(leader)
	for _, d := range leader.BuiltRoots() {
		c.add(RecordWant(d).Data)
	}
	c.feed(leader)
	c.flush(leader)
}

func (c *cluster) flush(l *Ledger) {
	c.t.Helper()
	if err := flushAll(l); err != nil {
		c.t.Fatal(err)
	}
}

// newPair returns a leader with segments and a little behind them in memory, and a follower that saw the first ones only.
func newPair(t testing.TB, segments, seen int, opts func(*Options)) (c *cluster, leader, follower *replica) {
	c = &cluster{t: t}
	leader, follower = newReplica(t, opts), newReplica(t, opts)
	for i := range segments {
		c.write(12, 150)
		c.seal(leader.l)
		if i < seen {
			c.feed(follower.l)
			c.flush(follower.l)
		}
	}
	c.write(3, 150)
	c.feed(leader.l)
	return c, leader, follower
}

// stage begins with what a giver has.
func stage(t testing.TB, giver, taker *Ledger, opts StageOptions) *Staging {
	t.Helper()
	encoded, _, err := giver.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	s, err := taker.Stage(encoded, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func examine(t testing.TB, s *Staging) []SegmentPart {
	t.Helper()
	for done := false; !done; {
		var err error
		if done, err = s.Examine(); err != nil {
			t.Fatal(err)
		}
	}
	return s.Missing()
}

// copyPart copies what is missing of a part, in pieces, and returns how many bytes that took.
func copyPart(t testing.TB, giver *Ledger, s *Staging, part SegmentPart, piece int) (copied int) {
	t.Helper()
	f, err := giver.OpenSegment(part)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at := s.Offset(part); at < part.Bytes; at = s.Offset(part) {
		b := make([]byte, min(uint64(piece), part.Bytes-at))
		if _, err := f.ReadAt(b, int64(at)); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if err := s.Append(part, b); err != nil {
			t.Fatal(err)
		}
		copied += len(b)
	}
	return copied
}

func copyAll(t testing.TB, giver *Ledger, s *Staging) {
	t.Helper()
	for _, part := range examine(t, s) {
		copyPart(t, giver, s, part, 64)
		if err := s.Finish(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Prepare(); err != nil {
		t.Fatal(err)
	}
}

// sameState holds two ledgers that applied the same log against each other.
func sameState(t testing.TB, a, b *Ledger) {
	t.Helper()
	size, root := a.Root()
	if s, r := b.Root(); s != size || r != root {
		t.Fatalf("one ledger has %d entries with root %v, the other %d with %v", size, root, s, r)
	}
	if x, y := a.peek().state.Encode(), b.peek().state.Encode(); !bytes.Equal(x, y) {
		t.Fatal("manifests differ")
	}
	if x, y := a.memory.snapshot(), b.memory.snapshot(); !slices.EqualFunc(x, y, func(p, q *remembered) bool { return *p == *q }) {
		t.Fatal("idempotency windows differ")
	}
	if !maps.Equal(content(t, a), content(t, b)) {
		t.Fatal("entries differ")
	}
}

// content is every entry, and the newest value of every key.
func content(t testing.TB, l *Ledger) map[string]string {
	t.Helper()
	out := make(map[string]string)
	it, err := l.Entries(0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for it.Next() {
		e := it.Entry()
		out[fmt.Sprint("entry ", e.Seq)] = fmt.Sprint(e.Op, e.Time, e.Leaf) + string(e.Key) + string(e.Value)
		if got, err := l.Get(e.Key, Selector{}); err == nil {
			out["key "+string(e.Key)] = string(got.Value)
		}
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	return out
}

// reopen opens what a crash left of a replica's disk.
func (r *replica) reopen(t testing.TB, o vfs.CrashOptions) *replica {
	t.Helper()
	out := &replica{mem: r.mem.CrashClone(o)}
	opts := r.l.opts
	opts.FS, opts.Rebuild = out.mem, false
	var err error
	if out.l, err = Open(opts); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestInstall takes a follower from its second segment to the leader's sixth. Only what it lacks is copied, what it had
// stays as it is, and it goes on as if it had applied all of the log; so it does after a power cut.
func TestInstall(t *testing.T) {
	for name, seen := range map[string]int{"new": 0, "lagging": 2, "nearly there": 5} {
		t.Run(name, func(t *testing.T) {
			c, leader, follower := newPair(t, 6, seen, nil)
			s := stage(t, leader.l, follower.l, StageOptions{SyncBytes: 128})
			missing := examine(t, s)
			if len(missing) != 6-seen {
				t.Fatalf("%d segments are missing, want %d", len(missing), 6-seen)
			}
			copyAll(t, leader.l, s)
			if err := follower.l.Install(s); err != nil {
				t.Fatal(err)
			}
			if index, _, _ := leader.l.SealPoint(); follower.l.AppliedIndex() != index {
				t.Fatalf("applied %d, the snapshot is as of %d", follower.l.AppliedIndex(), index)
			}
			cut := follower.reopen(t, vfs.CrashOptions{})
			for _, f := range []*replica{follower, cut} {
				c.feed(f.l)
				sameState(t, leader.l, f.l)
			}
			c.write(5, 100)
			c.seal(leader.l)
			for _, f := range []*replica{follower, cut} {
				c.feed(f.l)
				c.flush(f.l)
				sameState(t, leader.l, f.l)
			}
			if through, err := follower.l.Installed(); err != nil || through != leader.l.peek().state.TreeSize {
				t.Fatalf("installed %d, %v", through, err)
			}
			if names, err := follower.mem.List("data/incoming"); err != nil || len(names) != 0 {
				t.Fatalf("left behind: %v, %v", names, err)
			}
		})
	}
}

// TestInstallKeepsReaders: iterators and sizes that were taken before go on as if nothing had happened.
func TestInstallKeepsReaders(t *testing.T) {
	c, leader, follower := newPair(t, 4, 1, nil)
	c.log = append([][]byte(nil), c.log...)
	own := &cluster{t: t, log: c.log[:20]} // some of it in memtables here, sealed and built, and sealed and not
	own.feed(follower.l)
	before := content(t, follower.l)
	size, root := follower.l.Root()
	it, err := follower.l.Entries(0, false)
	if err != nil {
		t.Fatal(err)
	}
	scan, err := follower.l.Scan(ScanOptions{AsOf: size - 1})
	if err != nil {
		t.Fatal(err)
	}
	s := stage(t, leader.l, follower.l, StageOptions{})
	copyAll(t, leader.l, s)
	it.Next()
	scan.Next()
	if err := follower.l.Install(s); err != nil {
		t.Fatal(err)
	}
	for n := uint64(0); n < size; n++ {
		e := it.Entry()
		want := fmt.Sprint(e.Op, e.Time, e.Leaf) + string(e.Key) + string(e.Value)
		if e.Seq != n || before[fmt.Sprint("entry ", n)] != want {
			t.Fatalf("entry %d is %+v", n, e.Record)
		}
		if more := it.Next(); more != (n+1 < size) {
			t.Fatalf("after entry %d: %v, %v", n, more, it.Err())
		}
	}
	for more := true; more; more = scan.Next() {
		if e := scan.Entry(); before["key "+string(e.Key)] != string(e.Value) {
			t.Fatalf("key %s has another value", e.Key)
		}
	}
	if err := errors.Join(it.Close(), scan.Close()); err != nil {
		t.Fatal(err)
	}
	if r, err := follower.l.RootAt(size); err != nil || r != root {
		t.Fatalf("the root of the first %d entries is %v, it was %v: %v", size, r, root, err)
	}
}

// TestStageRefuses what is no state of this cluster.
func TestStageRefuses(t *testing.T) {
	_, leader, follower := newPair(t, 1, 0, nil)
	good, _, err := leader.l.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	state := *leader.l.peek().state
	state.ClusterID = "another"
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, encoded := range map[string][]byte{"nothing": nil, "half": good[:len(good)/2], "flipped": flipped,
		"another cluster's": state.Encode()} {
		if _, err := follower.l.Stage(encoded, StageOptions{}); err == nil {
			t.Errorf("%s is staged", name)
		}
	}
	// A state whose parts do not fit together is refused before anything is changed.
	state = *leader.l.peek().state
	state.Frontier = bytes.Clone(state.Frontier)
	state.Frontier[len(state.Frontier)-1] ^= 1
	s, err := follower.l.Stage(state.Encode(), StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range examine(t, s) {
		copyPart(t, leader.l, s, part, 100)
		if err := s.Finish(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Prepare(); err == nil {
		t.Fatal("a wrong frontier is taken")
	}
	if err := follower.l.Install(s); err == nil {
		t.Fatal("what is not prepared is installed")
	}
	s.Close()
	if _, ok, err := ReadInstallation(follower.mem, "data"); ok || err != nil {
		t.Fatalf("there is a note: %v", err)
	}
}
