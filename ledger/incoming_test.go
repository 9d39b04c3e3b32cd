package ledger

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
)

// TestFinishFindsDamage flips a bit of each region of a segment's file on its way. It is found, and the file comes anew.
func TestFinishFindsDamage(t *testing.T) {
	_, leader, follower := newPair(t, 1, 0, nil)
	s := stage(t, leader.l, follower.l, StageOptions{})
	part := examine(t, s)[0]
	for at := uint64(0); at < part.Bytes; at += 41 {
		f, err := leader.l.OpenSegment(part)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, part.Bytes)
		if _, err := f.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		f.Close()
		b[at] ^= 0x20
		if err := s.Append(part, b); err != nil {
			t.Fatal(err)
		}
		var corrupt *vfs.CorruptError
		if err := s.Finish(part); !errors.As(err, &corrupt) {
			t.Fatalf("byte %d: %v", at, err)
		}
		if s.Offset(part) != 0 {
			t.Fatal("the damaged file is kept")
		}
	}
	copyPart(t, leader.l, s, part, 1000)
	if err := s.Finish(part); err != nil {
		t.Fatal(err)
	}
}

// TestAppendRefuses bytes that a part does not lack.
func TestAppendRefuses(t *testing.T) {
	_, leader, follower := newPair(t, 2, 0, nil)
	s := stage(t, leader.l, follower.l, StageOptions{})
	part := examine(t, s)[0]
	strange := part
	strange.Root[0] ^= 1
	for name, err := range map[string]error{
		"too many":          s.Append(part, make([]byte, part.Bytes+1)),
		"of another":        s.Append(strange, []byte{1}),
		"finished early":    s.Finish(part),
		"finished, unknown": s.Finish(strange),
		"prepared early":    s.Prepare(),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := leader.l.OpenSegment(strange); !errors.Is(err, ErrNoSegment) {
		t.Errorf("a segment with another root is opened: %v", err)
	}
	strange = part
	strange.Bytes++
	if _, err := leader.l.OpenSegment(strange); !errors.Is(err, ErrNoSegment) {
		t.Errorf("a segment of another length is opened: %v", err)
	}
}

// TestResume cuts the power at every change of the disk while a segment comes. What is left is the beginning of the
// file, lacks at most what came since the last sync, and the rest makes it whole.
func TestResume(t *testing.T) {
	const syncBytes = 256
	_, leader, follower := newPair(t, 1, 0, nil)
	var appended uint64
	crashes := 0
	inject := vfs.NewInject(follower.mem, func(op vfs.Op) vfs.Decision {
		if !op.Kind.Mutates() || op.Name == "data/segments" {
			return vfs.Decision{}
		}
		for i, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom, vfs.KeepRandom} {
			crashes++
			o := vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(uint64(op.N), uint64(i)))}
			resume(t, leader, follower, o, appended, syncBytes)
		}
		return vfs.Decision{}
	})
	opts := follower.l.opts
	opts.FS = inject
	l, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	s := stage(t, leader.l, l, StageOptions{SyncBytes: syncBytes})
	part := examine(t, s)[0]
	for appended < part.Bytes {
		copyPiece(t, leader.l, s, part, 100)
		appended = s.Offset(part)
	}
	if err := s.Finish(part); err != nil {
		t.Fatal(err)
	}
	if crashes < 100 {
		t.Fatalf("only %d crashes", crashes)
	}
}

func copyPiece(t *testing.T, giver *Ledger, s *Staging, part SegmentPart, n uint64) {
	t.Helper()
	f, err := giver.OpenSegment(part)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := s.Offset(part)
	b := make([]byte, min(n, part.Bytes-at))
	if _, err := f.ReadAt(b, int64(at)); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(part, b); err != nil {
		t.Fatal(err)
	}
}

func resume(t *testing.T, leader, follower *replica, o vfs.CrashOptions, appended, syncBytes uint64) {
	t.Helper()
	r := follower.reopen(t, o)
	s := stage(t, leader.l, r.l, StageOptions{SyncBytes: syncBytes})
	missing := examine(t, s)
	if len(missing) == 0 { // it was whole
		s.Close()
		return
	}
	at := s.Offset(missing[0])
	if at+2*syncBytes <= appended || at > missing[0].Bytes {
		t.Fatalf("%d bytes are left of %d, with a sync after every %d", at, appended, syncBytes)
	}
	copyPart(t, leader.l, s, missing[0], 333)
	if err := s.Finish(missing[0]); err != nil {
		t.Fatalf("from %d on: %v", at, err)
	}
	s.Close()
}

// TestFilesDifferBetweenMembers: members with other block sizes write other files for the same segments, which they take
// for the same.
func TestFilesDifferBetweenMembers(t *testing.T) {
	c := &cluster{t: t}
	leader := newReplica(t, nil)
	follower := newReplica(t, func(o *Options) { o.BlockBytes = 1000 })
	for range 3 {
		c.write(12, 150)
		c.seal(leader.l)
	}
	own := &cluster{t: t, log: c.log[:len(c.log)*2/3]}
	own.feed(follower.l)
	c.flush(follower.l)
	have := len(follower.l.Manifest().Segments)
	s := stage(t, leader.l, follower.l, StageOptions{})
	if missing := examine(t, s); have == 0 || len(missing) != 3-have {
		t.Fatalf("%d segments are missing, %d are here", len(missing), have)
	}
	copyAll(t, leader.l, s)
	if err := follower.l.Install(s); err != nil {
		t.Fatal(err)
	}
	r := follower.reopen(t, vfs.CrashOptions{})
	c.feed(r.l)
	size, root := leader.l.Root()
	if n, got := r.l.Root(); n != size || got != root {
		t.Fatalf("%d entries with root %v, want %d with %v", n, got, size, root)
	}
	if a, b := leader.l.Manifest().Segments[0].Bytes, r.l.Manifest().Segments[0].Bytes; a == b {
		t.Fatalf("the files have %d bytes on both", a)
	}
}
