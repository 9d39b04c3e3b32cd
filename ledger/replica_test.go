package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// replica is one of several ledgers that are fed one log.
type replica struct {
	mem *vfs.Mem
	l   *Ledger
}

func newReplica(t testing.TB, opts func(*Options)) *replica {
	mem := vfs.NewMem()
	o := testOptions(mem)
	if opts != nil {
		opts(&o)
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return &replica{mem: mem, l: l}
}

func mustEncode(t testing.TB, cmd *Command) []byte {
	data, err := EncodeWrite(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func putCommand(t testing.TB, key string, value []byte) []byte {
	return mustEncode(t, &Command{Ops: []WriteOp{{Op: tlog.OpPut, Key: []byte(key), Value: value}}})
}

func mustApply(t testing.TB, l *Ledger, index uint64, data []byte) Result {
	t.Helper()
	r, err := l.Apply(index, 1, data)
	if err != nil {
		t.Fatalf("apply entry %d: %v", index, err)
	}
	return r
}

// flushAll flushes until nothing is left to do.
func flushAll(l *Ledger) error {
	for {
		if worked, err := l.FlushStep(); !worked || err != nil {
			return err
		}
	}
}

// segmentFiles returns the bytes of all segment files.
func (r *replica) segmentFiles(t testing.TB) map[string][]byte {
	names, err := r.mem.List("data/segments")
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string][]byte)
	for _, name := range names {
		if !strings.HasSuffix(name, segmentSuffix) {
			t.Errorf("%s stands among the segments", name)
		}
		if out[name], err = vfs.ReadFile(r.mem, path.Join("data/segments", name), 1<<30); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Property: two replicas that apply one log have the same root and the same segment files, byte for byte, whenever and
// however often each of them flushes, and wherever one was restarted.
func TestReplicasAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		leader, follower := newReplica(t, nil), newReplica(t, nil)
		var log [][]byte
		both := func(data []byte) {
			log = append(log, data)
			StampTime(data, int64(len(log)))
			a := mustApply(t, leader.l, uint64(len(log)), data)
			b := mustApply(t, follower.l, uint64(len(log)), bytes.Clone(data))
			if a != b {
				rt.Fatalf("command %d gives %+v on one replica and %+v on the other", len(log), a, b)
			}
		}
		for i := range rapid.IntRange(1, 60).Draw(rt, "commands") {
			key := fmt.Sprintf("k/%d", rapid.IntRange(0, 9).Draw(rt, "key"))
			both(putCommand(t, key, valueOf(uint64(i), rapid.IntRange(0, 300).Draw(rt, "size"))))
			if rapid.IntRange(0, 7).Draw(rt, "seal") == 0 {
				both(SealNow())
			}
			for range rapid.IntRange(0, 2).Draw(rt, "leader flushes") {
				if _, err := leader.l.FlushStep(); err != nil {
					rt.Fatal(err)
				}
				for _, w := range leader.l.Wanted(time.UnixMicro(0)) {
					both(w.Data)
				}
			}
			if rapid.IntRange(0, 3).Draw(rt, "follower flushes") == 0 {
				if _, err := follower.l.FlushStep(); err != nil {
					rt.Fatal(err)
				}
			}
			if rapid.IntRange(0, 19).Draw(rt, "restart") == 0 {
				follower.restart(t, log)
			}
		}
		both(SealNow())
		for range 12 {
			if err := flushAll(leader.l); err != nil {
				rt.Fatal(err)
			}
			for _, w := range leader.l.Wanted(time.UnixMicro(0)) {
				both(w.Data)
			}
			if err := flushAll(follower.l); err != nil {
				rt.Fatal(err)
			}
		}
		size, root := leader.l.Root()
		if s, r := follower.l.Root(); s != size || r != root {
			rt.Fatalf("one replica has %d entries with root %v, the other %d with %v", size, root, s, r)
		}
		a, b := leader.segmentFiles(t), follower.segmentFiles(t)
		if len(a) == 0 || len(a) != len(b) {
			rt.Fatalf("one replica has %d segment files, the other %d", len(a), len(b))
		}
		for name := range a {
			if !bytes.Equal(a[name], b[name]) {
				rt.Fatalf("segment file %s differs", name)
			}
		}
		am, bm := leader.l.peek().state.Encode(), follower.l.peek().state.Encode()
		if !bytes.Equal(am, bm) {
			rt.Fatal("manifests differ")
		}
	})
}

// restart loses what was not synced and replays the log.
func (r *replica) restart(t testing.TB, log [][]byte) {
	opts := r.l.opts
	if err := r.l.Close(); err != nil {
		t.Fatal(err)
	}
	r.mem = r.mem.CrashClone(vfs.CrashOptions{})
	opts.FS = r.mem
	var err error
	if r.l, err = Open(opts); err != nil {
		t.Fatal(err)
	}
	for i := r.l.AppliedIndex(); i < uint64(len(log)); i++ {
		mustApply(t, r.l, i+1, log[i])
	}
}

// TestDivergence records another root than the replica's own: before, after and long after it has built the segment.
func TestDivergence(t *testing.T) {
	sealed := func() *replica {
		r := newReplica(t, nil)
		mustApply(t, r.l, 1, putCommand(t, "k", []byte("v")))
		mustApply(t, r.l, 2, SealNow())
		return r
	}
	wrong := tlog.Descriptor{FirstSeq: 0, LastSeq: 0, Entries: 1}
	check := func(t *testing.T, err error) {
		t.Helper()
		var diverged *DivergedError
		if !errors.As(err, &diverged) || !strings.Contains(diverged.What, wrong.ID()) {
			t.Fatalf("error %v does not say that segment %s has diverged", err, wrong.ID())
		}
	}
	t.Run("not built", func(t *testing.T) {
		r := sealed()
		mustApply(t, r.l, 3, encodeRecord(wrong)) // it is not known yet
		for range 2 {
			_, err := r.l.FlushStep()
			check(t, err)
		}
		if through, _ := r.l.Installed(); through != 0 {
			t.Fatalf("%d entries are installed", through)
		}
	})
	t.Run("built", func(t *testing.T) {
		r := sealed()
		if _, err := r.l.FlushStep(); err != nil {
			t.Fatal(err)
		}
		size, root := r.l.Root()
		_, err := r.l.Apply(3, 1, encodeRecord(wrong))
		check(t, err)
		if s, now := r.l.Root(); s != size || now != root || r.l.AppliedIndex() != 2 {
			t.Fatal("a command that failed has changed the state")
		}
	})
	t.Run("installed", func(t *testing.T) {
		r := sealed()
		if _, err := r.l.FlushStep(); err != nil {
			t.Fatal(err)
		}
		mustApply(t, r.l, 3, r.l.Wanted(time.UnixMicro(0))[0].Data)
		if err := flushAll(r.l); err != nil {
			t.Fatal(err)
		}
		// After a restart the log is replayed behind the seal, and the record in it is another one now.
		r.restart(t, nil)
		_, err := r.l.Apply(3, 1, encodeRecord(wrong))
		check(t, err)
	})
}

// TestDivergenceStopsFlusher: the flusher of a replica that has diverged says so, tries no more, and lets go on Close.
func TestDivergenceStopsFlusher(t *testing.T) {
	defer goleak.VerifyNone(t)
	told, recorded := make(chan struct{}, 8), make(chan struct{})
	r := newReplica(t, func(o *Options) {
		o.FS = vfs.NewInject(o.FS, vfs.OnOp(func(op vfs.Op) {
			if op.Kind == vfs.OpCreate && strings.Contains(op.Name, tlog.SegmentID(1, 1)) {
				<-recorded // before it is built
			}
		}))
		o.Manual = false
		o.Notify = func() { told <- struct{}{} }
	})
	mustApply(t, r.l, 1, putCommand(t, "k", nil))
	mustApply(t, r.l, 2, SealNow())
	<-told // it is built
	var diverged *DivergedError
	if _, err := r.l.Apply(3, 1, encodeRecord(tlog.Descriptor{Entries: 1})); !errors.As(err, &diverged) {
		t.Fatalf("record of another root: %v", err)
	}
	mustApply(t, r.l, 3, r.l.Wanted(time.UnixMicro(0))[0].Data)
	<-told // it is installed
	mustApply(t, r.l, 4, SealNow())
	mustApply(t, r.l, 5, encodeRecord(tlog.Descriptor{FirstSeq: 1, LastSeq: 1, Entries: 1}))
	close(recorded)
	if err := r.l.WaitInstalled(t.Context(), 2); !errors.As(err, &diverged) {
		t.Fatalf("wait for a segment that has diverged: %v", err)
	}
	if err := r.l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSealByAge: a memtable is old by its oldest put or delete; one that holds the ledger's own entries never is.
func TestSealByAge(t *testing.T) {
	r := newReplica(t, func(o *Options) { o.SealBytes, o.SealAge = 1<<20, time.Second })
	at := func(micros int64) []Want { return r.l.Wanted(time.UnixMicro(micros)) }
	index := uint64(0)
	apply := func(data []byte, micros int64) {
		index++
		StampTime(data, micros)
		mustApply(t, r.l, index, data)
	}
	if len(at(1<<50)) != 0 {
		t.Fatal("an empty ledger wants something")
	}
	apply(putCommand(t, "k", nil), 100)
	apply(putCommand(t, "k", nil), 900_000)
	if len(at(1_000_099)) != 0 {
		t.Fatal("a seal is wanted before its time")
	}
	wants := at(1_000_100)
	if len(wants) != 1 || wants[0].Key.Kind != kindSeal {
		t.Fatalf("wanted: %+v", wants)
	}
	apply(wants[0].Data, 1_000_100)
	apply(wants[0].Data, 1_000_101) // twice
	if err := flushAll(r.l); err != nil {
		t.Fatal(err)
	}
	apply(at(1_000_200)[0].Data, 1_000_200)
	if err := flushAll(r.l); err != nil {
		t.Fatal(err)
	}
	if r.l.NextSeq() != 3 || r.l.Manifest().TreeSize != 2 {
		t.Fatalf("%d entries, %d in segments", r.l.NextSeq(), r.l.Manifest().TreeSize)
	}
	if w := at(1 << 50); len(w) != 0 {
		t.Fatalf("an idle ledger wants %+v", w)
	}
}
