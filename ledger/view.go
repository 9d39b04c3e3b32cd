package ledger

import (
	"sync/atomic"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// view is what a read looks at: a consistent set of memtables and segments that together hold every entry once. It never
// changes; a seal or a flush swaps in a new one. A reader holds a reference, so that no segment is closed under it.
type view struct {
	active *memtable
	sealed []*sealed // newest first
	tables []*table  // ascending by seq, contiguous from 0
	state  *manifest.State
	refs   atomic.Int64 // one for being current, one per reader
}

// table is an open segment, shared by the views that list it.
type table struct {
	*sstable.Table
	first, last uint64
	file        vfs.File        // its own, or that of its meta tail when it is cold; nil when that is in the store too
	object      manifest.Object // that holds its entries; none when its file does
	nodes       []merkle.Hash   // of the ledger tree, until the tree has them; only of one without a file
	refs        atomic.Int64
	reads       atomic.Uint64 // lookups that found something in it (placed.go)
	owner       *Ledger
	doomed      atomic.Bool // its segment was merged, or stands on another file now: its own goes with the last reference
}

// sealed is a memtable on its way into a segment, with the state at its seal point. All but the fields guarded by the
// ledger's flushMu are set when it is made and never change.
type sealed struct {
	mem         *memtable
	last        uint64 // seq of its last entry
	index, term uint64 // of the raft entry that sealed it
	frontier    *tlog.Frontier
	time        int64
	partition   *partition
	memory      []*remembered
	members     []byte

	built    *table           // its segment, once durable. Guarded by flushMu.
	info     sstable.Info     // of built. Guarded by flushMu.
	recorded *tlog.Descriptor // as the log has it, once applied. Guarded by flushMu.
}

// acquire returns the current view with a reference that release gives back; ErrClosed once the ledger is closed, and
// ErrRebuilding while there is no state.
func (l *Ledger) acquire() (*view, error) {
	if l.absent.Load() {
		return nil, ErrRebuilding
	}
	for !l.closed.Load() {
		v := l.current.Load()
		for n := v.refs.Load(); n > 0; n = v.refs.Load() {
			if v.refs.CompareAndSwap(n, n+1) {
				return v, nil
			}
		}
		// The view was replaced and let go between the two loads, so the next one is there, or it was the last one.
	}
	return nil, ErrClosed
}

// peek returns the current view without a reference: its memtables and its state may be read, its tables may be
// closed and may not.
func (l *Ledger) peek() *view { return l.current.Load() }

func (v *view) release() {
	if v.refs.Add(-1) > 0 {
		return
	}
	for _, t := range v.tables {
		t.release()
	}
}

// get is Get or, with peek, Peek, for a key whose hash is known; nil for not found.
func (t *table) get(key []byte, hash, maxSeq uint64, peek bool) (*Entry, error) {
	found, ok, err := t.PeekHashed(key, hash, maxSeq)
	if err == nil && ok && !peek && found.Value == nil && found.ValueSize > 0 {
		found, err = t.GetBySeq(found.Seq)
	}
	if err != nil || !ok {
		return nil, err
	}
	t.read()
	e := new(Entry) // only now: most tables that are asked have nothing
	*e = found
	return e, nil
}

// newest returns the newest version of a key with seq <= maxSeq. Where that is older than from it may return none.
func (t *table) newest(key []byte, hash, from, maxSeq uint64) (Finding, error) {
	found, ok, err := t.PeekSince(key, hash, from, maxSeq)
	if err != nil || !ok {
		return Finding{}, err
	}
	t.read()
	return Finding{Exists: true, Live: found.Op == tlog.OpPut, Seq: found.Seq}, nil
}

// leafOf fills in the leaf hash of one of the segment's entries.
func (t *table) leafOf(e *Entry) error {
	var leaf [1]merkle.Hash
	if err := t.Leaves(e.Seq, leaf[:]); err != nil {
		return err
	}
	e.Leaf = leaf[0]
	return nil
}

func (t *table) release() {
	if t.refs.Add(-1) == 0 && t.file != nil {
		t.file.Close()
		if t.doomed.Load() {
			t.owner.bury(tlog.SegmentID(t.first, t.last))
		}
	}
}

// swap replaces the current view by a copy that edit has changed, unless the ledger was closed meanwhile. edit must not
// change slices in place.
func (l *Ledger) swap(edit func(*view)) {
	l.swapMu.Lock()
	defer l.swapMu.Unlock()
	if l.closed.Load() {
		return
	}
	old := l.current.Load()
	next := &view{active: old.active, sealed: old.sealed, tables: old.tables, state: old.state}
	edit(next)
	for _, t := range next.tables {
		t.refs.Add(1)
	}
	next.refs.Store(1)
	l.current.Store(next)
	old.release()
}

// get returns the newest version of key with seq <= maxSeq, tombstones included; nil when there is none. With peek a
// large value in a segment is left out. Memtables and segments split the ledger by seq, so the first hit from the new end
// is the answer.
func (v *view) get(key []byte, maxSeq uint64, peek bool) (*Entry, error) {
	if v.active.first <= maxSeq {
		if e := v.active.get(key, maxSeq); e != nil {
			return e, nil
		}
	}
	for _, s := range v.sealed {
		if s.mem.first <= maxSeq {
			if e := s.mem.get(key, maxSeq); e != nil {
				return e, nil
			}
		}
	}
	return v.inTables(key, maxSeq, peek)
}

// newest returns the newest version of key with from <= seq <= maxSeq, and looks into nothing that ends before from. With
// the greatest maxSeq, for the apply loop, it finds what readers do not see yet.
func (v *view) newest(key []byte, from, maxSeq uint64) (Finding, error) {
	if v.active.first <= maxSeq {
		if x := v.active.newest(key, maxSeq); x.Exists {
			return x.since(from), nil
		}
	}
	for _, s := range v.sealed {
		if s.last < from {
			return Finding{}, nil
		}
		if s.mem.first <= maxSeq {
			if x := s.mem.newest(key, maxSeq); x.Exists {
				return x.since(from), nil
			}
		}
	}
	if n := len(v.tables); n == 0 || v.tables[n-1].last < from {
		return Finding{}, nil
	}
	hash := sstable.HashKey(key)
	for i := len(v.tables) - 1; i >= 0 && v.tables[i].last >= from; i-- {
		if t := v.tables[i]; t.first <= maxSeq {
			if x, err := t.newest(key, hash, from, maxSeq); err != nil || x.Exists {
				return x.since(from), t.failed(err)
			}
		}
	}
	return Finding{}, nil
}

// since is x if it is of the entries from seq from on. A key's newest version that is older says that there is none of these.
func (x Finding) since(from uint64) Finding {
	if x.Seq < from {
		return Finding{}
	}
	return x
}

func (v *view) inTables(key []byte, maxSeq uint64, peek bool) (*Entry, error) {
	if len(v.tables) == 0 {
		return nil, nil
	}
	hash := sstable.HashKey(key)
	for i := len(v.tables) - 1; i >= 0; i-- {
		if t := v.tables[i]; t.first <= maxSeq {
			if e, err := t.get(key, hash, maxSeq, peek); err != nil || e != nil {
				return e, t.failed(err)
			}
		}
	}
	return nil, nil
}

// at returns the entry with a seq, with peek as get; nil when the view does not hold it.
func (v *view) at(seq uint64, peek bool) (*Entry, error) {
	if t := v.tableOf(seq); t != nil {
		look := t.GetBySeq
		if peek {
			look = t.PeekBySeq
		}
		t.read()
		e, err := look(seq)
		return &e, err
	}
	if m := v.memtableOf(seq); m != nil {
		return m.at(seq), nil
	}
	return nil, nil
}

// tableOf returns the segment that holds seq, or nil.
func (v *view) tableOf(seq uint64) *table {
	lo, hi := 0, len(v.tables)
	for lo < hi {
		mid := (lo + hi) / 2
		if v.tables[mid].last < seq {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(v.tables) {
		return v.tables[lo]
	}
	return nil
}

// memtableOf returns the memtable whose range holds seq, or nil.
func (v *view) memtableOf(seq uint64) *memtable {
	if seq >= v.active.first {
		return v.active
	}
	for _, s := range v.sealed {
		if seq >= s.mem.first && seq <= s.last {
			return s.mem
		}
	}
	return nil
}

// ReadLeaves fills dst with the leaf hashes of the entries from first on. It is the ledger tree's source of leaves below
// the nodes it keeps.
func (l *Ledger) ReadLeaves(first uint64, dst []merkle.Hash) error {
	if l.treeLeaves(l.tree.Load(), first, dst) {
		return nil
	}
	v, err := l.acquire()
	if err != nil {
		return err
	}
	defer v.release()
	return v.readLeaves(first, dst)
}

func (v *view) readLeaves(first uint64, dst []merkle.Hash) error {
	for len(dst) > 0 {
		n := 0
		if t := v.tableOf(first); t != nil {
			n = int(min(uint64(len(dst)), t.last-first+1))
			if err := t.Leaves(first, dst[:n]); err != nil {
				return t.failed(err)
			}
		} else if m := v.memtableOf(first); m != nil {
			n = m.leaves(first, dst)
		}
		if n == 0 {
			return ErrVersionNotFound
		}
		first, dst = first+uint64(n), dst[n:]
	}
	return nil
}
