package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// restore founds another cluster with what is published, on an empty disk, and holds what it answers against the history up
// to there. Then it must take a write.
func (b *bucket) restore(versions [][]version) {
	w := b.w
	b.quiet = true
	defer func() { b.quiet = false }()
	p, err := archive.Read(context.Background(), b.mem)
	if err != nil {
		w.violated("the archive does not verify: %w", err)
		return
	}
	ranges := b.ranges(b.mem, b.clock, rand.New(rand.NewPCG(w.cfg.Seed, 0x0b1ec77)))
	defer ranges.Close()
	o := node.Options{FS: vfs.NewMem(), Dir: "data", NodeID: 1, RaftAddr: address(1, "raft"), HTTPAddr: address(1, "http"),
		Initial: []node.Founder{{NodeID: 1, RaftAddr: address(1, "raft")}}, Restore: p, Manual: true, Seed: w.cfg.Seed | 1,
		WAL: wal.Options{FileBytes: w.plan.LogBytes, SpareFiles: 1}, Now: b.clock, Tier: &node.TierOptions{Store: b.mem, Ranges: ranges, LockWanted: w.plan.Store.Retention > 0}}
	o.Ledger.ColdTimeout = 24 * time.Hour // of the wall clock
	n, err := node.Open(o)
	if err != nil {
		w.violated("no cluster can be founded with the archive: %w", err)
		return
	}
	b.compare(n.Ledger(), p, versions)
	b.takesWrite(n)
	if err := n.Close(); err != nil {
		w.violated("the restored node closes: %w", err)
	}
}

// compare holds a ledger that was opened from the archive against the history.
func (b *bucket) compare(l *ledger.Ledger, p *archive.Published, versions [][]version) {
	w := b.w
	size, root := l.Root()
	if size != p.State.TreeSize || root != p.Checkpoint.Root {
		w.violated("the archive has %d entries with root %v, and restored are %d with %v", p.State.TreeSize, p.Checkpoint.Root,
			size, root)
		return
	}
	it, err := l.Entries(0, false)
	if err != nil {
		w.violated("the restored ledger cannot be read: %w", err)
		return
	}
	defer it.Close()
	var tree tlog.Frontier
	for it.Next() {
		record := it.Entry().Record
		record.ValueHash = sha256.Sum256(it.Entry().Value)
		tree.Append(record.LeafHash())
	}
	if it.Err() != nil {
		w.violated("entry %d of the restored ledger cannot be read: %w", tree.Size(), it.Err())
		return
	}
	if tree.Size() != size || tree.Root() != root {
		w.violated("the %d entries of the restored ledger have root %v, not %v", tree.Size(), tree.Root(), root)
		return
	}
	w.stats.Restored += size
	for i := range w.history.keys {
		at, _ := slices.BinarySearchFunc(versions[i], size, version.compare)
		key := w.history.keys[i].name
		e, err := l.Get(key, ledger.Selector{})
		if !agrees(versions[i][:at], e, err) {
			w.violated("the restored ledger gives %+v, %v for %s", e, err, key)
			return
		}
	}
}

// agrees says whether the answer for a key is what a ledger with these versions of it must give.
func agrees(versions []version, e *ledger.Entry, err error) bool {
	var missing *ledger.NotFoundError
	switch last := len(versions) - 1; {
	case err == nil:
		return last >= 0 && e.Seq == versions[last].seq && !versions[last].gone
	case errors.As(err, &missing):
		return last < 0 && !missing.Tombstone || last >= 0 && versions[last].gone && missing.Seq == versions[last].seq
	}
	return false
}

// takesWrite lets the restored node go on until it has taken a write.
func (b *bucket) takesWrite(n *node.Node) {
	var write *node.Pending
	for range 1000 {
		for worked := true; worked; {
			worked = false
			for _, step := range []func() (bool, error){n.Turn, n.PersistStep, n.ApplyStep} {
				did, err := step()
				if err != nil {
					b.w.violated("the restored node fails: %w", err)
					return
				}
				worked = worked || did
			}
		}
		if write == nil {
			write = n.Begin(&ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut, Key: []byte("restored"),
				Value: []byte("yes")}}}, time.Time{})
		}
		if receipt, err, done := write.Outcome(); done && err == nil {
			if receipt.FirstSeq < b.watch.newest.State.TreeSize {
				b.w.violated("the restored ledger gives a write seq %d", receipt.FirstSeq)
			}
			return
		} else if done {
			write = nil
		}
		if err := n.Tick(); err != nil {
			b.w.violated("the restored node fails: %w", err)
			return
		}
	}
	b.w.violated("the restored node takes no write")
}
