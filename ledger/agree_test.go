package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

func every(n uint64) func(*Options) { return func(o *Options) { o.CheckEvery = n } }

// TestChecks: at each multiple of the interval a ledger has the root of just so many entries to compare, also when it
// lies inside a command; once agreed on it is not offered any more, and whoever has another one has diverged.
func TestChecks(t *testing.T) {
	a, b := newReplica(t, every(10)), newReplica(t, every(10))
	c := &cluster{t: t}
	c.write(4, 10)
	batch := &Command{}
	for range 30 { // from 4 to 34
		batch.Ops = append(batch.Ops, WriteOp{Op: tlog.OpPut, Key: []byte("k"), Value: []byte("v")})
	}
	c.add(mustEncode(t, batch))
	c.feed(a.l)
	pending := a.l.PendingChecks()
	if len(pending) != 3 || pending[0].Size != 10 || pending[2].Size != 30 {
		t.Fatalf("pending are %+v", pending)
	}
	frontier := &tlog.Frontier{}
	it, err := a.l.Entries(0, false)
	if err != nil {
		t.Fatal(err)
	}
	for it.Next() {
		frontier.Append(it.Entry().Leaf)
		for _, p := range pending {
			if p.Size == frontier.Size() && p.Root != frontier.Root() {
				t.Fatalf("the root of %d entries is %v, want %v", p.Size, p.Root, frontier.Root())
			}
		}
	}
	it.Close()
	wants := a.l.Wanted(time.UnixMicro(0))
	if len(wants) == 0 || wants[len(wants)-1].Key != (WantKey{Kind: kindCheck, First: 30}) {
		t.Fatalf("wanted are %+v", wants)
	}
	c.feed(b.l)
	diverge(b.l, 12)
	b.l.tree.Store(rehash(t, b.l))
	size, _ := a.l.Root()
	c.add(CheckWant(pending[1]).Data)
	c.feed(a.l)
	if left := a.l.PendingChecks(); len(left) != 1 || left[0].Size != 30 {
		t.Fatalf("pending are %+v", left)
	}
	if n, _ := a.l.Root(); n != size {
		t.Fatalf("a check takes a place in the ledger: %d entries, then %d", size, n)
	}
	var diverged *DivergedError
	if _, err := b.l.Apply(uint64(len(c.log)), 1, c.log[len(c.log)-1]); !errors.As(err, &diverged) {
		t.Fatalf("a replica with another root: %v", err)
	}
	// A check of a size that is not reached, and of one long past.
	if _, err := a.l.Apply(a.l.AppliedIndex()+1, 1, CheckWant(RootCheck{Size: 35}).Data); !errors.As(err, &diverged) {
		t.Fatalf("a size beyond the end: %v", err)
	}
	if _, err := a.l.Apply(a.l.AppliedIndex()+1, 1, CheckWant(pending[0]).Data); err != nil {
		t.Fatal(err)
	}
	if _, err := a.l.Apply(a.l.AppliedIndex()+1, 1, CheckWant(RootCheck{Size: 7, Root: merkle.Hash{1}}).Data); !errors.As(err, &diverged) {
		t.Fatalf("a wrong root of a size that is no multiple: %v", err)
	}
}

// rehash builds the tree that the entries in memory give.
func rehash(t *testing.T, l *Ledger) *tlog.Tree {
	tree, err := tlog.NewTree(&tlog.Frontier{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for seq := range l.NextSeq() {
		tree.Append(l.peek().memtableOf(seq).at(seq).Leaf)
	}
	return tree
}

// TestChecksAreBounded and begin behind the seal point after a restart.
func TestChecksAreBounded(t *testing.T) {
	r := newReplica(t, every(2))
	c := &cluster{t: t}
	c.write(2*maxPendingChecks+20, 1)
	c.feed(r.l)
	pending := r.l.PendingChecks()
	if len(pending) != maxPendingChecks || pending[len(pending)-1].Size != 2*maxPendingChecks+20 {
		t.Fatalf("%d are pending up to %d", len(pending), pending[len(pending)-1].Size)
	}
	c.seal(r.l)
	again := r.reopen(t, vfs.CrashOptions{})
	if p := again.l.PendingChecks(); len(p) != 0 {
		t.Fatalf("pending after a restart: %+v", p)
	}
	c.write(2, 1)
	c.feed(again.l)
	c.feed(r.l)
	p, q := again.l.PendingChecks(), r.l.PendingChecks()
	if len(p) == 0 || p[len(p)-1] != q[len(q)-1] {
		t.Fatalf("after a restart %+v is pending, without one %+v", p, q)
	}
}

// TestRootsAreNotAgreedOnAlone: with other voters, only seals are wanted outright.
func TestRootsAreNotAgreedOnAlone(t *testing.T) {
	r := newReplica(t, every(2))
	c := &cluster{t: t}
	c.write(30, 100)
	c.add(SealNow())
	c.feed(r.l)
	c.flush(r.l)
	if wants := r.l.WantedSeals(time.UnixMicro(0)); len(wants) != 0 {
		t.Fatalf("wanted are %+v", wants)
	}
	built := r.l.BuiltRoots()
	if len(built) != 1 || built[0].LastSeq != 29 {
		t.Fatalf("built are %+v", built)
	}
	c.add(RecordWant(built[0]).Data)
	c.feed(r.l)
	if built := r.l.BuiltRoots(); len(built) != 0 {
		t.Fatalf("built and not recorded are %+v", built)
	}
}
