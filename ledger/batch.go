package ledger

import (
	"fmt"
	"slices"

	"github.com/scribe-ledger/scribe/merkle"
)

// Committed is a committed command: Data is that of the raft entry (Index, Term).
type Committed struct {
	Index, Term uint64
	Data        []byte
}

// pending is what the apply loop has added to the active memtable and not shown to readers yet. Seqs and times are given,
// conditions judged and versions found by the state with it. Hashes, the ledger tree and the order of keys may wait for
// show: they are cheaper for many entries at once, and much of them another core's work.
type pending struct {
	hashes   hasher
	links    linker
	leaves   []merkle.Hash // room for a tile of them
	receipts []unsigned
}

// unsigned is a place that is waiting for the leaf hash of a pending entry.
type unsigned struct {
	seq  uint64
	leaf *merkle.Hash
}

// ApplyBatch applies committed commands as Apply does one after another, and appends their results. Readers see what the
// batch appends once it returns, some of it perhaps before. With an error come the results of the commands before the
// one that failed, which are applied.
func (l *Ledger) ApplyBatch(commands []Committed, results []Result) ([]Result, error) {
	results = slices.Grow(results, len(commands)) // they do not move while their leaf hashes are missing
	applied := l.applied.Load()
	for i := range commands {
		c := &commands[i]
		results = append(results, Result{})
		err := l.applyCommand(c, &results[len(results)-1])
		l.command.forget()
		if err != nil {
			results = results[:len(results)-1]
			if shown := l.show(); shown == nil {
				l.applied.Store(applied)
			} else {
				results, err = nil, shown
			}
			l.noteDamage(err)
			return results, fmt.Errorf("apply entry %d of term %d: %w", c.Index, c.Term, err)
		}
		applied = c.Index
	}
	if err := l.show(); err != nil {
		l.noteDamage(err)
		return nil, fmt.Errorf("apply entries up to %d: %w", applied, err)
	}
	l.applied.Store(applied)
	return results, nil
}

// add makes an entry part of the pending ones; its seq is next.
func (l *Ledger) add(e *Entry, retain bool) {
	l.active.add(e, retain)
	l.next++
	l.lastTime = e.Time
	l.pending.hashes.offer(l.active)
	l.pending.links.offer(l.active)
}

// show makes the pending entries part of the ledger, all at once for readers.
func (l *Ledger) show() error {
	m, from := l.active, l.published.Load()
	if from == l.next {
		return nil
	}
	l.pending.links.handOut(m)
	l.pending.hashes.finish(m)
	l.growTree(from)
	l.pending.links.wait()
	m.publish()
	for _, r := range l.pending.receipts {
		*r.leaf = m.leaf(r.seq)
	}
	l.pending.receipts = l.pending.receipts[:0]
	l.published.Store(l.next)
	return l.crossChecks()
}

// growTree appends the leaves of the entries from a seq on to the ledger tree.
func (l *Ledger) growTree(from uint64) {
	tree := l.tree.Load()
	if l.pending.leaves == nil {
		l.pending.leaves = make([]merkle.Hash, merkle.TileWidth)
	}
	for from < l.next {
		n := 0
		for ; n < len(l.pending.leaves) && from < l.next; n++ {
			l.pending.leaves[n] = l.active.leaf(from)
			from++
		}
		tree.Append(l.pending.leaves[:n]...)
	}
}
