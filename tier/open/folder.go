package open

import (
	"context"
	"sync"

	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// folder is a tier.Dir that is made, or found, with its first use, and tried again with each until it could be made: neither a
// start nor anything that is stored locally waits for a disk that is not mounted.
type folder struct {
	fs   vfs.FS
	root string
	opts tier.DirOptions

	mu  sync.Mutex
	dir *tier.Dir // guarded by mu; nil until it could be made
}

var _ tier.Store = (*folder)(nil)

func (f *folder) made() (*tier.Dir, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dir == nil {
		d, err := tier.NewDir(f.fs, f.root, f.opts)
		if err != nil {
			return nil, err
		}
		f.dir = d
	}
	return f.dir, nil
}

// Name implements tier.Store.
func (f *folder) Name() string { return "dir:" + f.root }

// Put implements tier.Store.
func (f *folder) Put(ctx context.Context, key string, body tier.Body, opts tier.PutOptions) (tier.Object, error) {
	d, err := f.made()
	if err != nil {
		return tier.Object{}, err
	}
	return d.Put(ctx, key, body, opts)
}

// Replace implements tier.Store.
func (f *folder) Replace(ctx context.Context, key string, body tier.Body, ifMatch string, opts tier.PutOptions,
) (tier.Object, error) {
	d, err := f.made()
	if err != nil {
		return tier.Object{}, err
	}
	return d.Replace(ctx, key, body, ifMatch, opts)
}

// Get implements tier.Store.
func (f *folder) Get(ctx context.Context, key string, off, n int64) (*tier.Reader, error) {
	d, err := f.made()
	if err != nil {
		return nil, err
	}
	return d.Get(ctx, key, off, n)
}

// Head implements tier.Store.
func (f *folder) Head(ctx context.Context, key string) (tier.Object, error) {
	d, err := f.made()
	if err != nil {
		return tier.Object{}, err
	}
	return d.Head(ctx, key)
}

// List implements tier.Store.
func (f *folder) List(ctx context.Context, prefix, after string, limit int) (tier.Page, error) {
	d, err := f.made()
	if err != nil {
		return tier.Page{}, err
	}
	return d.List(ctx, prefix, after, limit)
}

// Delete implements tier.Store.
func (f *folder) Delete(ctx context.Context, key string) error {
	d, err := f.made()
	if err != nil {
		return err
	}
	return d.Delete(ctx, key)
}

// Uploads implements tier.Store.
func (f *folder) Uploads(ctx context.Context, prefix string, after tier.Upload, limit int) (tier.UploadPage, error) {
	d, err := f.made()
	if err != nil {
		return tier.UploadPage{}, err
	}
	return d.Uploads(ctx, prefix, after, limit)
}

// AbortUpload implements tier.Store.
func (f *folder) AbortUpload(ctx context.Context, u tier.Upload) error {
	d, err := f.made()
	if err != nil {
		return err
	}
	return d.AbortUpload(ctx, u)
}
