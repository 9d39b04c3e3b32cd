package readonly

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// edition is one publication, open.
type edition struct {
	*archive.Published
	ledger *ledger.Ledger
}

// Where the ledger finds its manifest: in a file system of its own, in memory.
const (
	ledgerDir    = "/archive"
	manifestName = "MANIFEST"
)

// open reads a publication and opens it, with what an earlier edition has open; nil is none.
func (a *Archive) open(ctx context.Context, latest archive.Latest, before *edition) (*edition, error) {
	p, err := archive.ReadVersion(ctx, a.store, latest)
	if err != nil {
		return nil, err
	}
	state := *p.State
	state.Idempotency = nil // which is for those who write, and may be large
	p.State = &state
	e := &edition{Published: p}
	if e.ledger, err = a.openLedger(p, before); err != nil {
		return nil, fmt.Errorf("open %s: %w", p.Name, err)
	}
	if err = e.verify(); err == nil && before != nil {
		err = e.continues(before)
	}
	if err != nil {
		e.ledger.Close()
		return nil, err
	}
	return e, nil
}

func (a *Archive) openLedger(p *archive.Published, before *edition) (*ledger.Ledger, error) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll(ledgerDir); err != nil {
		return nil, err
	}
	if err := vfs.WriteFileAtomic(fs, ledgerDir, manifestName, p.State.Encode()); err != nil {
		return nil, err
	}
	opts := ledger.Options{FS: fs, Dir: ledgerDir, ClusterID: p.State.ClusterID, Origin: p.Identity.Origin,
		BlockCacheBytes: a.opts.BlockCacheBytes, Cold: &objects{store: a.store, ranges: a.ranges}, RemoteMeta: true,
		Leaves: a.readTile, Manual: true, Logger: a.opts.Logger}
	if before != nil {
		opts.Earlier = before.ledger
	}
	l, err := ledger.Open(opts)
	if err == nil {
		err = fs.Remove(path.Join(ledgerDir, manifestName)) // it is decoded, and may be large
	}
	return l, err
}

// verify compares what follows from the segments with what was published.
func (e *edition) verify() error {
	size, root := e.ledger.Root()
	if size != e.Checkpoint.Size || root != e.Checkpoint.Root {
		return &vfs.CorruptError{File: e.Name, Reason: fmt.Sprintf(
			"its segments hold %d entries with root %s, the checkpoint published with it says %d entries with root %s",
			size, root, e.Checkpoint.Size, e.Checkpoint.Root)}
	}
	return nil
}

// readTile reads leaves of the ledger tree from the archive's own tiles: one request, where they are spread over as
// many tiles of their segment as there are leaves.
func (a *Archive) readTile(first uint64, dst []merkle.Hash) error {
	tile := merkle.Tile{Index: first / merkle.TileWidth, Width: len(dst)}
	ctx, cancel := context.WithTimeout(a.ctx, a.opts.ReadTimeout)
	defer cancel()
	b := make([]byte, len(dst)*merkle.HashSize)
	if err := tier.ReadAt(ctx, a.store, tier.TileName(tile), b, 0); err != nil {
		return err
	}
	for i := range dst {
		dst[i] = merkle.Hash(b[i*merkle.HashSize:])
	}
	return nil
}

// objects is the store as a ledger reads it.
type objects struct {
	store  tier.Store
	ranges *tier.Ranges
}

var _ ledger.Cold = (*objects)(nil)

// Open implements ledger.Cold.
func (o *objects) Open(object manifest.Object, meta io.ReaderAt) (segfile.Source, error) {
	return o.ranges.Open(tier.SealedObject{Name: object.Name, Bytes: int64(object.Bytes),
		SHA256: [sha256.Size]byte(object.SHA256), MetaOffset: int64(object.MetaOffset)}, meta)
}

// Fetch implements ledger.Cold.
func (o *objects) Fetch(ctx context.Context, object manifest.Object, off, n uint64) (io.ReadCloser, error) {
	return o.store.Get(ctx, object.Name, int64(off), int64(n))
}
