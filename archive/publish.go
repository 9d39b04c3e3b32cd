package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// HashReader is the ledger's own tree, of at least the entries that are to be published. *ledger.Ledger is one. It is used
// from several goroutines at a time.
type HashReader interface {
	// RootAt returns the root of the first size entries; merkle.ErrRange when there are fewer.
	RootAt(size uint64) (merkle.Hash, error)
	// TileHashes returns the hashes of a tile.
	TileHashes(t merkle.Tile) ([]merkle.Hash, error)
}

// Publication is what is to be published.
type Publication struct {
	Identity   Identity        // as it was claimed
	Cluster    string          // that publishes; the owner of the archive from then on. Empty: nobody is
	State      *manifest.State // each of its segments cold; see ledger.Archive
	Checkpoint []byte          // of State.TreeSize: the text, and what signatures there are
	Tree       HashReader
	Retry      tier.Retry // of each request. Zero: 3 tries
	Parallel   int        // tiles put at a time. Default 4; with 1 no goroutine is started
}

// maxMoves bounds how often Publish begins anew because another publisher was faster.
const maxMoves = 4

// Publish makes a state the newest published one: tiles, checkpoint and manifest, then latest, then the pointer to the
// checkpoint. That it is published already is success, and finishes what an earlier call has left. It may be called again
// after any error; nothing is published twice.
//
// Errors: *OwnerError when the archive belongs to another cluster; ErrBehind when what is published is newer, or the own
// tree is shorter; *ConflictError when what is published is no beginning of the own tree; *ForeignError;
// *vfs.CorruptError of an object that is damaged; the store's and the tree's.
func Publish(ctx context.Context, s tier.Store, p Publication) error {
	w, err := newPublisher(s, p)
	if err != nil {
		return err
	}
	if err := w.retry(ctx, func(ctx context.Context) error { return checkIdentity(ctx, s, p.Identity) }); err != nil {
		return err
	}
	for range maxMoves {
		err := w.publish(ctx)
		if !errors.Is(err, errMoved) {
			return err
		}
	}
	return failed(s, "publish", fmt.Errorf("%w again and again: other publishers are at work", errMoved))
}

// errMoved: a pointer is not what was read a moment ago.
var errMoved = errors.New("what is published has changed meanwhile")

// publisher is one call of Publish.
type publisher struct {
	store   tier.Store
	p       Publication
	root    merkle.Hash // of the state's entries
	encoded []byte      // the state
	latest  Latest      // without its version
}

func newPublisher(s tier.Store, p Publication) (*publisher, error) {
	if p.Parallel <= 0 {
		p.Parallel = 4
	}
	w := &publisher{store: s, p: p}
	refuse := func(err error) (*publisher, error) {
		return nil, fmt.Errorf("archive: what was to be published does not fit together: %w", err)
	}
	c, _, err := tlog.ParseCheckpoint(string(p.Checkpoint))
	if err != nil {
		return refuse(err)
	}
	if c.Origin != p.Identity.Origin || c.Size != p.State.TreeSize {
		return refuse(fmt.Errorf("a checkpoint of %.200q at %d entries for a state of %.200q with %d", c.Origin, c.Size,
			p.Identity.Origin, p.State.TreeSize))
	}
	for _, err := range []error{p.State.Validate(), checkState(p.State, p.Identity.LedgerID), checkRoot(p.State, c.Root)} {
		if err != nil {
			return refuse(err)
		}
	}
	if w.root, err = p.Tree.RootAt(c.Size); err != nil {
		return refuse(err)
	}
	if w.root != c.Root {
		return refuse(fmt.Errorf("the checkpoint's root is %s, the tree's %s", c.Root, w.root))
	}
	w.encoded = p.State.Encode()
	sum := merkle.Hash(sha256.Sum256(w.encoded))
	w.latest = Latest{LedgerID: p.Identity.LedgerID, TreeSize: c.Size, Root: c.Root, Manifest: tier.ManifestName(c.Size, sum),
		ManifestBytes: uint64(len(w.encoded)), ManifestSHA256: sum}
	return w, nil
}

func (w *publisher) size() uint64 { return w.p.State.TreeSize }

func (w *publisher) retry(ctx context.Context, call func(context.Context) error) error {
	return w.p.Retry.Do(ctx, call)
}

// publish is one try, from what is published on. errMoved: it changed meanwhile.
func (w *publisher) publish(ctx context.Context) error {
	var now Latest
	var etag string
	err := w.retry(ctx, func(ctx context.Context) (err error) {
		now, etag, err = readLatest(ctx, w.store)
		return err
	})
	if errors.Is(err, ErrNothingPublished) {
		now, err = Latest{}, nil
	}
	if err == nil && now.Version > 0 {
		err = w.extends(ctx, &now)
	}
	if err != nil {
		return err
	}
	fresh := now.Manifest != w.latest.Manifest
	if fresh {
		if err := w.prepare(ctx, now.TreeSize); err != nil {
			return err
		}
	}
	if fresh || now.Owner.Cluster != w.p.Cluster {
		if err := w.moveLatest(ctx, &now, etag); err != nil {
			return err
		}
	}
	return w.moveCheckpoint(ctx)
}

// extends refuses to publish anything that does not extend what is published.
func (w *publisher) extends(ctx context.Context, now *Latest) error {
	if now.LedgerID != w.p.Identity.LedgerID {
		has := Identity{Format: format, LedgerID: now.LedgerID, Origin: w.p.Identity.Origin}
		return &ForeignError{Store: w.store.Name(), Has: has, Want: w.p.Identity}
	}
	if !now.Owner.Lets(w.p.Cluster) {
		return &OwnerError{Store: w.store.Name(), Owner: now.Owner, Own: w.p.Cluster}
	}
	own, err := w.p.Tree.RootAt(now.TreeSize)
	if errors.Is(err, merkle.ErrRange) {
		return fmt.Errorf("%w: it has %d entries, and this ledger fewer", ErrBehind, now.TreeSize)
	}
	if err != nil {
		return failed(w.store, fmt.Sprintf("compute the root of %d entries", now.TreeSize), err)
	}
	if own != now.Root {
		return &ConflictError{Store: w.store.Name(), Object: tier.LatestName, Size: now.TreeSize, Published: now.Root, Own: own}
	}
	if now.TreeSize > w.size() {
		return fmt.Errorf("%w: it has %d entries, and what was to be published %d", ErrBehind, now.TreeSize, w.size())
	}
	if now.Manifest == w.latest.Manifest {
		return nil
	}
	return w.merges(ctx, now)
}

// merges refuses a state that has segments which the published one has merged: their objects may be gone.
func (w *publisher) merges(ctx context.Context, now *Latest) error {
	var published *manifest.State
	err := w.retry(ctx, func(ctx context.Context) (err error) {
		published, err = readState(ctx, w.store, now)
		return err
	})
	if corrupt := (*vfs.CorruptError)(nil); errors.As(err, &corrupt) {
		return nil // nobody can use it: whatever is published now is better
	}
	if err != nil {
		return err
	}
	segments := published.Segments
	for i := range w.p.State.Segments {
		g := &w.p.State.Segments[i]
		if g.FirstSeq >= now.TreeSize {
			break
		}
		for segments[0].LastSeq < g.FirstSeq {
			segments = segments[1:]
		}
		if segments[0].FirstSeq != g.FirstSeq {
			return fmt.Errorf("%w: segment %s has been merged into %s", ErrBehind, tlog.SegmentID(g.FirstSeq, g.LastSeq),
				tlog.SegmentID(segments[0].FirstSeq, segments[0].LastSeq))
		}
	}
	return nil
}

// prepare puts all that latest will name, beside the segments, which are there: from is how many entries are published.
func (w *publisher) prepare(ctx context.Context, from uint64) error {
	if err := w.putTiles(ctx, from); err != nil {
		return err
	}
	if err := w.putCheckpoint(ctx); err != nil {
		return err
	}
	err := w.putOnce(ctx, w.latest.Manifest, w.encoded)
	if errors.Is(err, tier.ErrChanged) {
		return damaged(w.store, w.latest.Manifest, "the object that stands there does not have the SHA-256 in its name; delete it")
	}
	return err
}

// putOnce puts an object, unless it is there. tier.ErrChanged when another is.
func (w *publisher) putOnce(ctx context.Context, name string, data []byte) error {
	err := w.retry(ctx, func(ctx context.Context) error {
		_, _, err := tier.PutSame(ctx, w.store, name, tier.BytesBody(data), tier.PutOptions{})
		return err
	})
	if err != nil {
		return failed(w.store, "put "+name, err)
	}
	return nil
}

// putCheckpoint puts the checkpoint under its size. One that stands there may have other signatures.
func (w *publisher) putCheckpoint(ctx context.Context) error {
	name := tier.CheckpointNameAt(w.size())
	err := w.putOnce(ctx, name, w.p.Checkpoint)
	if !errors.Is(err, tier.ErrChanged) {
		return err
	}
	var b []byte
	err = w.retry(ctx, func(ctx context.Context) (err error) {
		b, err = readObject(ctx, w.store, name, tlog.MaxCheckpointBytes)
		return err
	})
	if err != nil {
		return err
	}
	c, _, err := tlog.ParseCheckpoint(string(b))
	if err != nil {
		return damaged(w.store, name, "%v; delete it", err)
	}
	if c != (tlog.Checkpoint{Origin: w.p.Identity.Origin, Size: w.size(), Root: w.root}) {
		return &ConflictError{Store: w.store.Name(), Object: name, Size: w.size(), Published: c.Root, Own: w.root}
	}
	return nil
}
