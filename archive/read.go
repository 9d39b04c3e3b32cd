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
)

// Published is the newest published state of a ledger. Its parts have been held against each other, and its segments have
// not been looked at.
type Published struct {
	Identity   Identity
	State      *manifest.State // every segment is cold, and names its object
	Checkpoint tlog.Checkpoint // of State.TreeSize
	Note       []byte          // the checkpoint as it stands in the store, with the signatures it has
	Name       string          // of the manifest's object
	SHA256     merkle.Hash     // of the manifest
	Version    uint64          // counts what was published
	Owner      Owner           // which cluster publishes; readers need not care
}

// Read returns the newest published state. Errors: ErrNothingPublished; *vfs.CorruptError, which names the object that is
// missing or damaged and says what to do; ErrFormat; and the store's own errors, which say nothing about the archive.
func Read(ctx context.Context, s tier.Store) (*Published, error) {
	latest, _, err := readLatest(ctx, s)
	if err != nil {
		return nil, err
	}
	return ReadVersion(ctx, s, latest)
}

// ReadVersion is Read of the state that latest names.
func ReadVersion(ctx context.Context, s tier.Store, latest Latest) (*Published, error) {
	id, err := ReadIdentity(ctx, s)
	if errors.Is(err, tier.ErrNotFound) {
		return nil, damaged(s, tier.LedgerName, "the object is missing, and others are there; %s", restoreLedger)
	}
	if err != nil {
		return nil, err
	}
	if latest.LedgerID != id.LedgerID {
		return nil, damaged(s, tier.LatestName, "it is of ledger %.64s, and %s says %.64s; put back the object that belongs there",
			latest.LedgerID, tier.LedgerName, id.LedgerID)
	}
	p := &Published{Identity: id, Name: latest.Manifest, SHA256: latest.ManifestSHA256, Version: latest.Version,
		Owner: latest.Owner}
	if p.State, err = readState(ctx, s, &latest); err != nil {
		return nil, err
	}
	if err := p.readCheckpoint(ctx, s, &latest); err != nil {
		return nil, err
	}
	return p, nil
}

// restoreObject is what to do about an object that was made once: there is no other copy of it in the store.
const restoreObject = "put back the object from a copy of the bucket, or have a running cluster publish anew"

// readState reads the manifest that latest names, by its SHA-256, and holds it against what latest says.
func readState(ctx context.Context, s tier.Store, latest *Latest) (*manifest.State, error) {
	name := latest.Manifest
	b, err := readObject(ctx, s, name, int64(latest.ManifestBytes))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); sum != latest.ManifestSHA256 || uint64(len(b)) != latest.ManifestBytes {
		return nil, damaged(s, name, "its %d bytes have SHA-256 %x, and %s names %d bytes with %s; %s", len(b), sum, tier.LatestName,
			latest.ManifestBytes, latest.ManifestSHA256, restoreObject)
	}
	state, err := manifest.Decode(b)
	if err == nil {
		err = checkState(state, latest.LedgerID)
	}
	if err == nil && state.TreeSize != latest.TreeSize {
		err = fmt.Errorf("it has %d entries, and %s says %d", state.TreeSize, tier.LatestName, latest.TreeSize)
	}
	if err == nil {
		err = checkRoot(state, latest.Root)
	}
	if err != nil { // its bytes are those that were published
		return nil, damaged(s, name, "%v; it was published so: have a running cluster publish anew", err)
	}
	return state, nil
}

// checkState says what keeps a state from being an archive's: each of its segments has an object.
func checkState(state *manifest.State, ledgerID string) error {
	if state.ClusterID != ledgerID {
		return fmt.Errorf("it is of ledger %.64s, not %.64s", state.ClusterID, ledgerID)
	}
	if state.TreeSize == 0 {
		return errors.New("it has no entries")
	}
	for i := range state.Segments {
		if g := &state.Segments[i]; g.Tier != manifest.Cold || g.Bytes != g.Object.Bytes {
			return fmt.Errorf("segment %s is not in the store alone", tlog.SegmentID(g.FirstSeq, g.LastSeq))
		}
	}
	return nil
}

// checkRoot holds the frontier of a state against the root of its entries.
func checkRoot(state *manifest.State, root merkle.Hash) error {
	f, err := tlog.UnmarshalFrontier(state.Frontier)
	if err != nil {
		return err
	}
	if f.Size() != state.TreeSize || f.Root() != root {
		return fmt.Errorf("its frontier gives root %s of %d entries, not %s of %d", f.Root(), f.Size(), root, state.TreeSize)
	}
	return nil
}

// readCheckpoint reads the checkpoint of the state's size. The pointer to the newest one may lag: it is moved last.
func (p *Published) readCheckpoint(ctx context.Context, s tier.Store, latest *Latest) error {
	name := tier.CheckpointNameAt(latest.TreeSize)
	b, err := readObject(ctx, s, name, tlog.MaxCheckpointBytes)
	if err != nil {
		return err
	}
	c, _, err := tlog.ParseCheckpoint(string(b))
	if err != nil {
		return damaged(s, name, "%v; %s", err, restoreObject)
	}
	if want := (tlog.Checkpoint{Origin: p.Identity.Origin, Size: latest.TreeSize, Root: latest.Root}); c != want {
		return damaged(s, name, "it says that %.200q has root %s at %d entries, and the manifest's is %s of %.200q at %d; %s",
			c.Origin, c.Root, c.Size, want.Root, want.Origin, want.Size, restoreObject)
	}
	p.Checkpoint, p.Note = c, b
	return nil
}

// readObject reads an object that must be there.
func readObject(ctx context.Context, s tier.Store, name string, limit int64) ([]byte, error) {
	b, _, err := tier.ReadAll(ctx, s, name, limit)
	switch {
	case errors.Is(err, tier.ErrNotFound):
		return nil, damaged(s, name, "the object is missing; %s", restoreObject)
	case isDamage(err):
		return nil, damaged(s, name, "%v; %s", err, restoreObject)
	case err != nil:
		return nil, failed(s, "read "+name, err)
	}
	return b, nil
}
