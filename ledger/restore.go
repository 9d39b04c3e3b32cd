package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sync/errgroup"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

func (l *Ledger) readManifest() (*manifest.State, error) {
	name := path.Join(l.opts.Dir, manifestName)
	b, err := vfs.ReadFile(l.opts.FS, name, MaxSnapshotBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return &manifest.State{ClusterID: l.opts.ClusterID}, nil
	}
	if err != nil {
		return nil, err
	}
	state, err := manifest.Decode(b)
	if err != nil {
		corrupt := &vfs.CorruptError{File: name, Reason: err.Error() +
			"; the manifest lists all segments, so nothing can be served without it: restore it from a backup"}
		var at *manifest.DecodeError
		if errors.As(err, &at) {
			corrupt.Offset = at.Offset
		}
		return nil, corrupt
	}
	if state.ClusterID != l.opts.ClusterID {
		return nil, fmt.Errorf("%s belongs to cluster %s, this node to %s", name, state.ClusterID, l.opts.ClusterID)
	}
	return state, nil
}

// ManifestMembers returns the members that the manifest on disk lists, nil when it lists none or cannot be read. They are
// what a ledger that is rebuilt knows of whom to ask: the state is not to be trusted, but this is checked by their answers.
func (l *Ledger) ManifestMembers() []byte {
	state, err := l.readManifest()
	if err != nil {
		return nil
	}
	return state.Members
}

// restore makes the state that the manifest on disk holds this ledger's.
func (l *Ledger) restore() error {
	state := &manifest.State{ClusterID: l.opts.ClusterID}
	if l.opts.Rebuild {
		l.absent.Store(true)
	} else {
		var err error
		if state, err = l.readManifest(); err != nil {
			return err
		}
	}
	tables, err := l.openListed(state)
	if err != nil {
		return err
	}
	l.opts.Earlier = nil // it may go
	if !l.opts.Rebuild {
		err := l.removeMerged(state)
		if err == nil {
			err = l.removeMetas(tables)
		}
		if err != nil {
			releaseAll(tables)
			return err
		}
		state = placed(state, tables)
	}
	a, err := l.assemble(state, tables)
	if err != nil {
		return err
	}
	return l.adopt(a)
}

// maxOpens bounds how many segments are opened at a time. It is of use where their meta tails have to come first, as in a
// ledger that is restored from its archive.
const maxOpens = 8

// openAll opens the segments of a state from where they are, several at a time; with Options.Manual one after the other.
func (l *Ledger) openAll(state *manifest.State) ([]*table, error) {
	tables := make([]*table, len(state.Segments))
	open := func(i int) error {
		t, err := l.openPresent(state.Segments[i], state.TreeSize-state.TreeSize%merkle.TileWidth)
		if err == nil {
			tables[i] = t
		}
		return err
	}
	var err error
	if l.opts.Manual {
		for i := 0; i < len(tables) && err == nil; i++ {
			err = open(i)
		}
	} else {
		group, ctx := errgroup.WithContext(l.closing)
		group.SetLimit(maxOpens)
		for i := range tables {
			group.Go(func() error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return open(i)
			})
		}
		err = group.Wait()
	}
	if err != nil {
		for _, t := range tables {
			if t != nil {
				t.release()
			}
		}
		return nil, err
	}
	return tables, nil
}

// assembled is all that a ledger derives from a manifest and its open segments, before it is anybody's state.
type assembled struct {
	view   *view
	tree   *tlog.Tree
	memory *memory
}

// assemble derives the state of a manifest. It takes over one reference of each table, also when it fails.
func (l *Ledger) assemble(state *manifest.State, tables []*table) (*assembled, error) {
	v := &view{state: state, tables: tables}
	v.refs.Store(1)
	fail := func(err error) (*assembled, error) {
		v.release()
		return nil, err
	}
	var level8 []merkle.Hash
	for _, t := range tables {
		nodes, err := t.ledgerNodes()
		if err != nil {
			return fail(err)
		}
		level8 = append(level8, nodes...)
	}
	frontier := new(tlog.Frontier)
	if state.TreeSize > 0 {
		var err error
		if frontier, err = tlog.UnmarshalFrontier(state.Frontier); err != nil {
			return fail(err)
		}
	}
	if frontier.Size() != state.TreeSize {
		return fail(fmt.Errorf("the manifest's frontier has %d leaves, its segments %d", frontier.Size(), state.TreeSize))
	}
	v.active = newMemtable(state.TreeSize, 0)
	tail := make([]merkle.Hash, state.TreeSize%merkle.TileWidth)
	first := state.TreeSize - uint64(len(tail))
	var tree *tlog.Tree
	err := tlog.ErrTreeMismatch
	if l.treeLeaves(nil, first, tail) { // what is not right of them shows in the root
		tree, err = tlog.NewTree(frontier, level8, tail)
	}
	if err != nil {
		if err := v.readLeaves(first, tail); err != nil {
			return fail(err)
		}
		tree, err = tlog.NewTree(frontier, level8, tail)
	}
	if err != nil {
		return fail(&vfs.CorruptError{File: l.segmentDir(), Reason: err.Error() +
			"; a segment's stored tree nodes are wrong: restore the segments from a peer or a backup"})
	}
	m, err := decodeMemory(state.Idempotency, l.opts.idempotencyWindow)
	if err != nil {
		return fail(err)
	}
	return &assembled{view: v, tree: tree, memory: m}, nil
}

// adopt makes an assembled state this ledger's, for the apply loop and for readers; those that hold an older view finish
// with it. ErrClosed when the ledger was closed meanwhile.
func (l *Ledger) adopt(a *assembled) error {
	state := a.view.state
	l.swapMu.Lock()
	if l.closed.Load() {
		l.swapMu.Unlock()
		a.view.release()
		return ErrClosed
	}
	old := l.current.Load()
	// In this order: whoever has read a size finds a view, and a tree, that reach it.
	l.tree.Store(a.tree)
	l.current.Store(a.view)
	l.published.Store(state.TreeSize)
	l.swapMu.Unlock()
	l.active, l.memory = a.view.active, a.memory
	l.next, l.sealedThrough = state.TreeSize, state.TreeSize
	l.lastTime, l.members = state.LastTime, state.Members
	l.partition.Store(partitionOf(&state.SealPoint))
	l.checks.restart(state.TreeSize, l.opts.CheckEvery)
	l.applied.Store(state.AppliedIndex)
	if old != nil {
		l.dropBuilt(old)
		l.dropMerged()
		old.release()
	}
	l.setInstalled(state.TreeSize)
	l.compactor.poke()
	return nil
}

// dropBuilt gives up the segments of a view's memtables that were built and will not be installed.
func (l *Ledger) dropBuilt(v *view) {
	for _, s := range v.sealed {
		l.flushMu.Lock()
		built := s.built
		l.flushMu.Unlock()
		if built != nil {
			built.release() // no view lists it
		}
	}
}

// openTable opens the file of a segment; the errors of a file that has its place among the segments say what is lost.
// The table starts with one reference, the caller's.
func (l *Ledger) openTable(name string, expect sstable.Info) (*table, error) {
	return l.openAs(name, expect, &expect)
}

// openAs is openTable of a segment of which info says the id and the seqs; expect says more, or is nil.
func (l *Ledger) openAs(name string, info sstable.Info, expect *sstable.Info) (*table, error) {
	f, err := l.opts.FS.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &vfs.CorruptError{File: name, Reason: fmt.Sprintf(
			"the file is missing, and with it the entries %d to %d; restore it from a peer or a backup",
			info.FirstSeq, info.LastSeq)}
	}
	if err != nil {
		return nil, err
	}
	t := &table{first: info.FirstSeq, last: info.LastSeq, file: f, owner: l}
	t.refs.Store(1)
	if err := t.open(name, info, expect); err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

// open reads what a table keeps in memory, out of its file called name.
func (t *table) open(name string, info sstable.Info, expect *sstable.Info) error {
	// Once it is part of a state, the file stands among the segments, whatever it was opened as. It is read by calls, not
	// through a mapping: what was read stays in the page cache and is none of this process's memory.
	src, err := segfile.NewFileSource(t.owner.segmentFile(info.ID), t.file)
	if err != nil {
		return err
	}
	if size := src.Size(); info.Bytes != 0 && uint64(size) != info.Bytes {
		return &vfs.CorruptError{File: name, Offset: size, Reason: fmt.Sprintf(
			"the file has %d bytes, the manifest says %d; restore it from a peer or a backup", size, info.Bytes)}
	}
	t.Table, err = sstable.Open(src, sstable.Options{Cache: t.owner.cache, Expect: expect})
	if err == nil && t.Info().ID != info.ID {
		err = &vfs.CorruptError{File: name, Reason: fmt.Sprintf("this is segment %s, not %s", t.Info().ID, info.ID)}
	}
	return err
}

func releaseAll(tables []*table) {
	for _, t := range tables {
		t.release()
	}
}

func infoOf(s manifest.Segment) sstable.Info {
	return sstable.Info{ID: tlog.SegmentID(s.FirstSeq, s.LastSeq), FirstSeq: s.FirstSeq, LastSeq: s.LastSeq,
		Entries: s.Entries, Bytes: s.Bytes, Root: s.Root, MinKey: s.MinKey, MaxKey: s.MaxKey, FirstTime: s.FirstTime,
		LastTime: s.LastTime}
}
