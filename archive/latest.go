package archive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
)

// maxManifestBytes bounds what is read as a manifest; a state with a full idempotency window and a million segments fits.
const maxManifestBytes = 512 << 20

// Latest names the newest published state: the object latest.
type Latest struct {
	Version        uint64 // counts what was published; each is one more than that before it
	LedgerID       string
	TreeSize       uint64
	Root           merkle.Hash // of the ledger's first TreeSize entries
	Manifest       string      // object, by tier.ManifestName
	ManifestBytes  uint64
	ManifestSHA256 merkle.Hash
	Owner          Owner
}

// Owner is the cluster that the archive belongs to: it alone publishes, uploads and sweeps. The zero one is nobody; the
// first cluster of the ledger to publish becomes it then.
type Owner struct {
	Cluster  string      // empty: nobody
	Since    uint64      // the version with which it took the archive
	Restored merkle.Hash // SHA-256 of the manifest that it took over with the archive; zero when it began without one
}

// Lets says whether a cluster may publish: it is the owner, or there is none.
func (o Owner) Lets(cluster string) bool { return o.Cluster == "" || o.Cluster == cluster }

// latestJSON is how Latest is written.
type latestJSON struct {
	Format         int    `json:"format"`
	LedgerID       string `json:"ledger_id"`
	Version        uint64 `json:"version"`
	TreeSize       uint64 `json:"tree_size"`
	Root           string `json:"root"`
	Manifest       string `json:"manifest"`
	ManifestBytes  uint64 `json:"manifest_bytes"`
	ManifestSHA256 string `json:"manifest_sha256"`
	Cluster        string `json:"cluster,omitempty"`
	ClusterSince   uint64 `json:"cluster_since,omitempty"`
	RestoredSHA256 string `json:"restored_sha256,omitempty"`
}

func (l *Latest) encode() ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	w := latestJSON{Format: format, LedgerID: l.LedgerID, Version: l.Version, TreeSize: l.TreeSize,
		Root: l.Root.String(), Manifest: l.Manifest, ManifestBytes: l.ManifestBytes,
		ManifestSHA256: l.ManifestSHA256.String(), Cluster: l.Owner.Cluster, ClusterSince: l.Owner.Since}
	if l.Owner.Restored != (merkle.Hash{}) {
		w.RestoredSHA256 = l.Owner.Restored.String()
	}
	return encodeNote(w)
}

func decodeLatest(b []byte) (Latest, error) {
	var w latestJSON
	if err := decodeNote(b, &w); err != nil {
		return Latest{}, err
	}
	l := Latest{Version: w.Version, LedgerID: w.LedgerID, TreeSize: w.TreeSize, Manifest: w.Manifest,
		ManifestBytes: w.ManifestBytes, Owner: Owner{Cluster: w.Cluster, Since: w.ClusterSince}}
	var err1, err2, err3 error
	l.Root, err1 = merkle.ParseHash(w.Root)
	l.ManifestSHA256, err2 = merkle.ParseHash(w.ManifestSHA256)
	if w.RestoredSHA256 != "" {
		l.Owner.Restored, err3 = merkle.ParseHash(w.RestoredSHA256)
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		return Latest{}, err
	}
	return l, l.check()
}

func (l *Latest) check() error {
	switch {
	case l.LedgerID == "" || len(l.LedgerID) > manifest.MaxNameBytes:
		return fmt.Errorf("archive: ledger id %.80q", l.LedgerID)
	case l.Version == 0 || l.TreeSize == 0 || l.ManifestBytes == 0 || l.ManifestBytes > maxManifestBytes:
		return fmt.Errorf("archive: version %d of %d entries in a manifest of %d bytes", l.Version, l.TreeSize, l.ManifestBytes)
	case l.Manifest != tier.ManifestName(l.TreeSize, l.ManifestSHA256):
		return fmt.Errorf("archive: manifest %.80q is not named after %d entries and SHA-256 %s", l.Manifest, l.TreeSize,
			hex.EncodeToString(l.ManifestSHA256[:8]))
	}
	return l.Owner.check(l.Version)
}

func (o *Owner) check(version uint64) error {
	switch {
	case len(o.Cluster) > manifest.MaxNameBytes:
		return fmt.Errorf("archive: cluster %.80q", o.Cluster)
	case o.Cluster == "" && *o != Owner{}:
		return errors.New("archive: the owner has no name")
	case o.Cluster != "" && (o.Since == 0 || o.Since > version):
		return fmt.Errorf("archive: cluster %.80q owns it since version %d, and this is version %d", o.Cluster, o.Since, version)
	}
	return nil
}

// ReadLatest returns what the newest published state is: one small request, for those who follow it. ErrNothingPublished
// when there is none, *vfs.CorruptError when it cannot be read, and the store's errors.
func ReadLatest(ctx context.Context, s tier.Store) (Latest, error) {
	l, _, err := readLatest(ctx, s)
	return l, err
}

// readLatest is ReadLatest, and the ETag by which it is replaced.
func readLatest(ctx context.Context, s tier.Store) (Latest, string, error) {
	const restore = "put back an earlier version of the object, or delete it to have the ledger publish anew"
	b, o, err := tier.ReadAll(ctx, s, tier.LatestName, maxNoteBytes)
	switch {
	case errors.Is(err, tier.ErrNotFound):
		return Latest{}, "", fmt.Errorf("%w: %s has no object %s", ErrNothingPublished, s.Name(), tier.LatestName)
	case isDamage(err):
		return Latest{}, "", damaged(s, tier.LatestName, "%v; %s", err, restore)
	case err != nil:
		return Latest{}, "", failed(s, "read what is published", err)
	}
	l, err := decodeLatest(b)
	if errors.Is(err, ErrFormat) {
		return Latest{}, "", failed(s, tier.LatestName, err)
	}
	if err != nil {
		return Latest{}, "", damaged(s, tier.LatestName, "%v; %s", err, restore)
	}
	return l, o.ETag, nil
}
