package open

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/s3store"
	"github.com/scribe-ledger/scribe/vfs"
)

// Options are the settings that no configuration has. Zero values mean the defaults given.
type Options struct {
	FS      vfs.FS // of backend dir. nil: the system's
	DataDir string // that has the folder "cold", which backend dir uses unless it is told another
	// Existing refuses a folder that is not there with tier.ErrNoBucket, at once: for those who only read. Otherwise it
	// is made when something is put there.
	Existing bool
	// Found makes no folder, either, and refuses none: all uses of one that is not there fail with tier.ErrNoBucket, until
	// it is. For those who can wait for it.
	Found bool
	// Now is the clock for retention and for the objects of a folder. nil: the system's.
	Now func() time.Time
}

// coldDir is the store of a node that was told nothing.
const coldDir = "cold"

// ColdDir is the folder of backend dir where none is named.
func ColdDir(dataDir string) string { return filepath.Join(dataDir, coldDir) }

// Store returns the store of a configuration; nil for backend none. An error that is tier.ErrInvalid is a mistake in the
// configuration.
func Store(t config.Tier, opts Options) (tier.Store, error) {
	switch t.Backend {
	case "none":
		return nil, nil
	case "s3":
		s, err := s3store.New(s3Options(t.S3, opts))
		if err != nil {
			return nil, err
		}
		return s, nil
	case "dir":
		return newFolder(t.Dir, opts)
	}
	return nil, fmt.Errorf("%w: there is no tier.backend %q", tier.ErrInvalid, t.Backend)
}

// URL returns the store that a bucket URL names (see config.Tier.At). What the URL does not say, the endpoint and the
// credentials among it, is as in the configuration.
func URL(url string, t config.Tier, opts Options) (tier.Store, error) {
	t, err := t.At(url)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", tier.ErrInvalid, err)
	}
	return Store(t, opts)
}

// Close ends a store that this package has opened, or nil.
func Close(s tier.Store) error {
	if c, ok := s.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func s3Options(s config.S3, opts Options) s3store.Options {
	o := s3store.Options{Bucket: s.Bucket, Prefix: s.Prefix, Region: s.Region, Endpoint: s.Endpoint,
		PathStyle: s.PathStyle, AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey.Reveal(),
		StorageClass: s.StorageClass, Encryption: s.SSE, KMSKeyID: s.SSEKMSKeyID, PartBytes: s.PartBytes, Now: opts.Now}
	if s.ObjectLock {
		o.LockMode, o.Retention = s.ObjectLockMode, s.ObjectLockRetention
	}
	return o
}

func newFolder(root string, opts Options) (tier.Store, error) {
	if opts.FS == nil {
		opts.FS = vfs.NewOS()
	}
	if root == "" {
		root = ColdDir(opts.DataDir)
	}
	o := tier.DirOptions{Existing: opts.Existing, Now: opts.Now}
	if opts.Existing {
		d, err := tier.NewDir(opts.FS, root, o)
		if err != nil {
			return nil, fmt.Errorf("folder %s: %w", root, err)
		}
		return d, nil
	}
	o.Existing = opts.Found
	return &folder{fs: opts.FS, root: root, opts: o}, nil
}
