package ledger

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// With Options.RemoteMeta a ledger has no files but its manifest: a reader of an archive. What a table keeps in memory
// (footer, properties, index, filters, the upper part of its tree) lies in one piece at the object's end, whose
// beginning follows from the manifest. So a segment is opened with one request for that piece and one for its last tile
// of leaves, many segments at a time. Tiles of leaves and of the seq index are read when they are needed, as blocks
// are.

const (
	remoteOpens = 16        // segments being opened at one time
	remoteBytes = 128 << 20 // of pieces held for that at one time
	remotePiece = 4 << 20   // bytes of one request
	// A larger piece is not held: the table reads of it what it needs, and keeps no partitions either.
	maxRemotePiece = 96 << 20
)

// openRemotes opens all segments of a state. On an error none stays open.
func (l *Ledger) openRemotes(state *manifest.State) ([]*table, error) {
	tables := make([]*table, len(state.Segments))
	room := semaphore.NewWeighted(remoteBytes)
	group, ctx := errgroup.WithContext(l.closing)
	group.SetLimit(remoteOpens)
	for i, g := range state.Segments {
		group.Go(func() error {
			n := min(int64(g.Object.Bytes-remoteFrom(g)), remoteBytes)
			if err := room.Acquire(ctx, n); err != nil {
				return err
			}
			defer room.Release(n)
			var err error
			tables[i], err = l.openRemote(g)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		for _, t := range tables {
			if t != nil {
				t.release()
			}
		}
		return nil, err
	}
	return tables, nil
}

// remoteFrom is where the piece of a segment's object begins that its table keeps; the object's end when that is too
// much.
func remoteFrom(g manifest.Segment) uint64 {
	from := sstable.ResidentFrom(g.Object.MetaOffset, g.Entries)
	if from > g.Object.Bytes || g.Object.Bytes-from > maxRemotePiece {
		return g.Object.Bytes
	}
	return from
}

// openRemote opens a segment over its object alone, or takes it over from Options.Earlier.
func (l *Ledger) openRemote(g manifest.Segment) (*table, error) {
	if l.opts.Cold == nil {
		return nil, fmt.Errorf("segment %s: %w", infoOf(g).ID, ErrNoCold)
	}
	if !g.Object.Exists() {
		return nil, fmt.Errorf("segment %s: %w", infoOf(g).ID, ErrNoObject)
	}
	t := &table{first: g.FirstSeq, last: g.LastSeq, owner: l, object: g.Object}
	t.refs.Store(1)
	if l.takeOver(t) {
		return t, nil
	}
	err := t.openRemote(g, false)
	if corrupt := (*vfs.CorruptError)(nil); errors.As(err, &corrupt) { // in a copy, it may be, or on the way
		err = t.openRemote(g, true)
	}
	return t, t.failed(err)
}

func (t *table) openRemote(g manifest.Segment, fresh bool) error {
	src, err := t.owner.opts.Cold.Open(g.Object, nil)
	if err != nil {
		return err
	}
	held := &heldTail{passing: passing{src}, from: int64(remoteFrom(g))}
	if err := held.load(fresh); err != nil {
		return err
	}
	defer held.drop()
	expect := infoOf(g)
	expect.Bytes = g.Object.Bytes
	if t.Table, err = sstable.Open(held, sstable.Options{Cache: t.owner.cache, Expect: &expect}); err != nil {
		return err
	}
	if t.MetaOffset() != g.Object.MetaOffset {
		return &vfs.CorruptError{File: src.Name(), Reason: fmt.Sprintf("its meta tail begins at %d, the manifest says %d",
			t.MetaOffset(), g.Object.MetaOffset)}
	}
	t.nodes, err = t.LedgerNodes()
	return err
}

// takeOver makes t the table that the earlier ledger has of the same object. They share what is immutable, and the
// cache.
func (l *Ledger) takeOver(t *table) bool {
	if l.opts.Earlier == nil {
		return false
	}
	v, err := l.opts.Earlier.acquire()
	if err != nil {
		return false
	}
	defer v.release()
	from := v.tableOf(t.first)
	if from == nil || from.first != t.first || from.last != t.last || from.object != t.object || from.file != nil {
		return false
	}
	t.Table = from.Table
	t.nodes = l.opts.Earlier.tree.Load().Level8(t.first, t.last+1)
	return true
}

// cacheFor returns the block cache of a ledger: the earlier one's, whose tables use it, or one of its own.
func cacheFor(o Options) *sstable.BlockCache {
	if o.Earlier != nil {
		return o.Earlier.cache
	}
	return sstable.NewBlockCache(o.BlockCacheBytes)
}

// ledgerNodes are the nodes of the ledger tree that the segment stores. It may be asked once where they were read with
// the rest: the tree keeps them from then on.
func (t *table) ledgerNodes() ([]merkle.Hash, error) {
	if nodes := t.nodes; nodes != nil {
		t.nodes = nil
		return nodes, nil
	}
	return t.LedgerNodes()
}

// treeLeaves fills dst with the leaves of a tile from Options.Leaves, if that has them. They are checked against the
// tree's own node when the tile is complete; else whoever asks compares the root. False: read them from the segments.
func (l *Ledger) treeLeaves(tree *tlog.Tree, first uint64, dst []merkle.Hash) bool {
	if l.opts.Leaves == nil || first%merkle.TileWidth != 0 {
		return false
	}
	if tree == nil || len(dst) == 0 {
		return l.opts.Leaves(first, dst) == nil
	}
	node := tree.Level8(first, first+merkle.TileWidth)
	if len(node) == 0 {
		return false // the tree holds the last tile itself
	}
	tile := make([]merkle.Hash, merkle.TileWidth)
	if err := l.opts.Leaves(first, tile); err != nil || merkle.RootOf(tile) != node[0] {
		l.opts.Logger.Debug("a tile of the ledger tree is read from segments", "first", first, "error", err)
		return false
	}
	copy(dst, tile)
	return true
}

// heldTail is a source whose end is in memory while a table is opened.
type heldTail struct {
	passing
	from int64
	held atomic.Pointer[[]byte]
}

// load reads the end, with fresh past every copy of it.
func (h *heldTail) load(fresh bool) error {
	size := h.Size()
	if h.from >= size {
		return nil
	}
	read := h.Source.ReadAt
	if fresh {
		read = h.ReadFresh
	}
	b := make([]byte, size-h.from)
	for at := int64(0); at < int64(len(b)); at += remotePiece {
		piece := b[at:min(at+remotePiece, int64(len(b)))]
		if n, err := read(piece, h.from+at); n < len(piece) {
			if err == nil || errors.Is(err, io.EOF) {
				err = &vfs.CorruptError{File: h.Name(), Offset: h.from + at + int64(n), Reason: "the object ends early"}
			}
			return err
		}
	}
	h.held.Store(&b)
	return nil
}

// drop gives the memory back. Reads go to the store from then on.
func (h *heldTail) drop() { h.held.Store(nil) }

// ReadAt implements segfile.Source.
func (h *heldTail) ReadAt(p []byte, off int64) (int, error) {
	b := h.held.Load()
	if b == nil || off < h.from || off >= h.Size() {
		return h.Source.ReadAt(p, off)
	}
	n := copy(p, (*b)[off-h.from:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// openListed opens the segments of the manifest on disk.
func (l *Ledger) openListed(state *manifest.State) ([]*table, error) {
	if l.opts.RemoteMeta {
		return l.openRemotes(state)
	}
	return l.openAll(state)
}
