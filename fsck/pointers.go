package fsck

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// checkIdentity reads whose archive it is.
func (b *bucketChecker) checkIdentity() error {
	const lost = "whose archive this is"
	err := b.retry.Do(b.ctx, func(ctx context.Context) (err error) {
		b.identity, err = archive.ReadIdentity(ctx, b.store)
		return err
	})
	if errors.Is(err, tier.ErrNotFound) {
		b.damage(KindIdentity, tier.LedgerName, 0, lost, doIdentity, "it is missing")
		return nil
	}
	if !b.told(KindIdentity, tier.LedgerName, lost, doIdentity, err) {
		b.hasID = true
		b.report.ClusterID, b.report.Archive.Origin = b.identity.LedgerID, b.identity.Origin
	}
	return nil
}

// told adds an error of reading a small object, as damage of it or as that it could not be read; false for none.
func (b *bucketChecker) told(kind, name, lost, do string, err error) bool {
	var corrupt *vfs.CorruptError
	switch {
	case err == nil:
		return false
	case errors.As(err, &corrupt):
		reason, _, _ := strings.Cut(corrupt.Reason, ";") // what follows is what to do
		b.damage(kind, name, corrupt.Offset, lost, do, "%s", reason)
	case errors.Is(err, archive.ErrFormat):
		b.damage(kind, name, 0, lost, "use a program that knows the format, or see doc of an older one", "%v", err)
	default:
		b.unread(name, err)
	}
	return true
}

// checkPointers reads what names the newest publication.
func (b *bucketChecker) checkPointers() error {
	const lost = "which manifest is the newest"
	err := b.retry.Do(b.ctx, func(ctx context.Context) (err error) {
		b.latest, err = archive.ReadLatest(ctx, b.store)
		return err
	})
	switch {
	case errors.Is(err, archive.ErrNothingPublished) && len(b.seen.manifests) == 0:
		b.notice(KindNote, tier.LatestName, "", "nothing was published yet")
	case errors.Is(err, archive.ErrNothingPublished):
		b.damage(KindPointer, tier.LatestName, 0, lost, doPointer, "it is missing")
	case !b.told(KindPointer, tier.LatestName, lost, doPointer, err) && b.hasID &&
		b.latest.LedgerID != b.identity.LedgerID:
		b.damage(KindPointer, tier.LatestName, 0, lost, doAll, "it is of ledger %s, %s says %s", b.latest.LedgerID,
			tier.LedgerName, b.identity.LedgerID)
	}
	return nil
}

// checkManifests reads them all and finds the one to go by: the one that is named, or else the newest that is whole.
func (b *bucketChecker) checkManifests() error {
	named := b.latest.Manifest
	if named != "" {
		if b.state = b.readManifest(named); b.state != nil {
			b.places.manifest = named
			if root, ok := frontierRoot(b.state); !ok || b.state.TreeSize != b.latest.TreeSize || root != b.latest.Root {
				b.damage(KindPointer, tier.LatestName, 0, "", doPointer,
					"it says that %s has %d entries with root %s, which has %d with %s",
					named, b.latest.TreeSize, b.latest.Root, b.state.TreeSize, root)
			}
		}
	}
	// The names are in order of size. Of one size the one with fewer segments is the newer one.
	for _, name := range slices.Backward(b.seen.manifests) {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		if name == named {
			continue
		}
		s := b.readManifest(name)
		switch {
		case s == nil:
		case named == "" && (b.state == nil || b.state.TreeSize == s.TreeSize && len(s.Segments) < len(b.state.Segments)):
			b.state, b.places.manifest = s, name
		case named != "" && s.TreeSize > b.latest.TreeSize:
			b.stale(b.latest.TreeSize, "it names a manifest of %d entries, and %s has %d: "+interrupted,
				b.latest.TreeSize, name, s.TreeSize)
			if b.state == nil {
				b.state, b.places.manifest = s, name
			}
		case b.state == nil:
			b.state, b.places.manifest = s, name
		}
	}
	if b.state == nil {
		b.notice(KindNotChecked, tier.SegmentPrefix, "",
			"without a manifest it is not known which segments there should be")
		return nil
	}
	if b.places.manifest != named {
		b.notice(KindNotChecked, b.places.manifest, "",
			"the rest is held against this manifest, the newest one that is whole")
	}
	r := b.report
	r.Entries, r.Archive.Manifest = b.state.TreeSize, b.places.manifest
	if b.places.manifest == named {
		r.Archive.Version = b.latest.Version
	}
	b.checkState()
	b.measure()
	return nil
}

// interrupted is what a pointer that is behind may come of.
const interrupted = "a publication was interrupted, or an older object was put back"

// stale says that latest names a manifest of so many entries, and there are more.
func (b *bucketChecker) stale(size uint64, problem string, args ...any) {
	lost := fmt.Sprintf("for those who read the archive: the entries from %d on", size)
	b.damage(KindStale, tier.LatestName, 0, lost, doPointer, problem, args...)
}

// readManifest reads and checks one manifest; nil when it is not there or is damaged.
func (b *bucketChecker) readManifest(name string) *manifest.State {
	lost := "nothing: a newer one is named"
	if name == b.latest.Manifest || b.latest.Manifest == "" {
		lost = "which segments the ledger has"
	}
	data, err := b.read(name, ledger.MaxSnapshotBytes)
	if errors.Is(err, tier.ErrNotFound) {
		b.damage(KindManifest, name, 0, lost, doManifest, "it is named as the newest one, and it is missing")
		return nil
	}
	if b.told(KindManifest, name, lost, doManifest, err) {
		return nil
	}
	b.report.Archive.Manifests++
	if name == b.latest.Manifest && uint64(len(data)) != b.latest.ManifestBytes {
		b.damage(KindPointer, tier.LatestName, 0, "which segments the ledger has", doPointer,
			"it says that %s has %d bytes, which has %d", name, b.latest.ManifestBytes, len(data))
	}
	parsed, _ := tier.ParseManifestName(name) // it was found, or is named, by that
	sum := merkle.Hash(sha256.Sum256(data))
	s, err := manifest.Decode(data)
	if at := (*manifest.DecodeError)(nil); errors.As(err, &at) {
		b.damage(KindManifest, name, at.Offset, lost, doManifest, "%s", at.Reason)
		return nil
	} else if err != nil {
		b.damage(KindManifest, name, 0, lost, doManifest, "%v", err)
		return nil
	}
	switch {
	case [8]byte(sum[:8]) != parsed.SHA256 || name == b.latest.Manifest && sum != b.latest.ManifestSHA256:
		b.damage(KindManifest, name, 0, lost, doManifest,
			"its SHA-256 is %s, which is not what it is named after: another manifest "+
				"stands here", sum)
		return nil
	case parsed.TreeSize != s.TreeSize:
		b.damage(KindManifest, name, 0, lost, doManifest, "it has %d entries, and is named after %d", s.TreeSize,
			parsed.TreeSize)
		return nil
	case b.hasID && s.ClusterID != b.identity.LedgerID:
		b.damage(KindManifest, name, 0, lost, doAll, "it is of ledger %s, %s says %s", s.ClusterID, tier.LedgerName,
			b.identity.LedgerID)
	}
	return s
}

// checkState checks the parts of the manifest that its own decoder passes on.
func (b *bucketChecker) checkState() {
	const lost = "what a restored cluster begins with"
	name := b.places.manifest
	if _, err := ledger.WindowSize(b.state.Idempotency); err != nil {
		b.damage(KindManifest, name, 0, lost, doManifest, "the idempotency window in it: %v", err)
	}
	if _, ok := frontierRoot(b.state); !ok {
		b.damage(KindManifest, name, 0, lost, doManifest, "the ledger tree's frontier in it is not that of %d entries",
			b.state.TreeSize)
	}
	for i := range b.state.Segments {
		if s := &b.state.Segments[i]; !s.Object.Exists() {
			b.damage(KindManifest, name, 0, lostOf(s), doManifest, "it names no object of segment %s", idOf(s))
		}
	}
}

// checkCheckpoints reads all checkpoints. Those of sizes up to the manifest's are compared with the tree later.
func (b *bucketChecker) checkCheckpoints() error {
	var own []byte // the manifest's
	for _, size := range b.checkpointSizes() {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		note, c, ok := b.readCheckpoint(tier.CheckpointNameAt(size))
		if !ok {
			continue
		}
		name := tier.CheckpointNameAt(size)
		switch {
		case c.Size != size:
			b.damage(KindCheckpoint, name, 0, "", doAll, "it is of %d entries", c.Size)
		case b.state == nil:
		case size > b.state.TreeSize:
			b.notice(KindLeftOver, name, "nothing: the next publication uses it, if it is the same",
				"it is of more entries than the newest manifest, which has %d: a publication was interrupted",
				b.state.TreeSize)
		default:
			if size == b.state.TreeSize {
				own = note
			}
			b.commands.checks = append(b.commands.checks, ledgerRoot{size: size, root: c.Root, by: name})
		}
	}
	if b.state == nil {
		return nil
	}
	name := tier.CheckpointNameAt(b.state.TreeSize)
	if !slices.Contains(b.seen.checkpoints, b.state.TreeSize) {
		b.damage(KindCheckpoint, name, 0, "the root that the newest manifest is to be held against", doPointer,
			"it is missing")
	}
	b.checkNewest(own)
	return nil
}

// checkpointSizes are those of the checkpoints that are listed and, as they are put before the manifest of their size and stay,
// of those that there must be for that; ascending. The one of the manifest to go by has a finding of its own.
func (b *bucketChecker) checkpointSizes() []uint64 {
	sizes := slices.Clone(b.seen.checkpoints)
	for _, name := range b.seen.manifests {
		if p, err := tier.ParseManifestName(name); err == nil && (b.state == nil || p.TreeSize != b.state.TreeSize) {
			sizes = append(sizes, p.TreeSize)
		}
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// checkNewest reads the checkpoint that is replaced with every publication. It is written last.
func (b *bucketChecker) checkNewest(own []byte) {
	const name = tier.CheckpointName
	note, c, ok := b.readCheckpoint(name)
	if !ok {
		return
	}
	b.report.Archive.CheckpointSize, b.report.Archive.CheckpointRoot = c.Size, c.Root.String()
	size := b.state.TreeSize
	switch {
	case c.Size > size:
		b.stale(size, "the newest checkpoint is of %d entries, and the manifest to go by has %d: it is an older one", c.Size,
			size)
	case c.Size < size:
		b.damage(KindStale, name, 0, "nothing: the newest manifest has its own", doPointer,
			"it is of %d entries, and the newest manifest has %d: "+interrupted, c.Size, size)
	case own != nil && !bytes.Equal(own, note):
		b.damage(KindCheckpoint, name, int64(differAt(own, note)), "", doPointer, "it is not what stands in %s",
			tier.CheckpointNameAt(size))
	default:
		b.commands.checks = append(b.commands.checks, ledgerRoot{size: c.Size, root: c.Root, by: name})
	}
}

func (b *bucketChecker) readCheckpoint(name string) (note []byte, c tlog.Checkpoint, ok bool) {
	const lost = "what a reader holds the ledger's root against"
	note, err := b.read(name, tlog.MaxCheckpointBytes)
	switch {
	case errors.Is(err, tier.ErrNotFound):
		b.damage(KindCheckpoint, name, 0, lost, doPointer, "it is missing")
		return nil, c, false
	case err != nil:
		b.unread(name, err)
		return nil, c, false
	}
	if c, _, err = tlog.ParseCheckpoint(string(note)); err != nil {
		b.damage(KindCheckpoint, name, 0, lost, doPointer, "%v", err)
		return nil, c, false
	}
	b.report.Archive.Checkpoints++
	if b.hasID && c.Origin != b.identity.Origin {
		b.damage(KindCheckpoint, name, 0, lost, doAll, "it is of %q, %s says %q", c.Origin, tier.LedgerName,
			b.identity.Origin)
	}
	return note, c, true
}
