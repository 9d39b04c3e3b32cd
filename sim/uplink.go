package sim

import (
	"context"
	"errors"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/tier"
)

// uplink is the object store as one life of a node reaches it.
type uplink struct {
	b    *bucket
	r    *replica
	life uint32
}

var (
	errDead   = errors.New("the power is gone")
	errParted = errors.New("no route to the object store")
)

// begin comes before every request. The power may be cut here: then nothing of the request leaves the machine.
func (u *uplink) begin(op tier.Op, key string) error {
	w := u.b.w
	w.note(uint64(op)<<8|uint64(uint8(u.r.index)), xxhash.Sum64String(key))
	if u.r.life != u.life || !u.r.disk.powered() {
		return &tier.Error{Op: op.String(), Key: key, Err: errDead}
	}
	if w.now < u.r.parted && w.faults {
		return &tier.Error{Op: op.String(), Key: key, Temporary: true, Err: errParted}
	}
	w.stats.Requests++
	return nil
}

// end comes after every request that was made.
func (u *uplink) end(op tier.Op, key string, err error) error {
	if w := u.b.w; w.tracing() {
		w.trace("node %d asks the store: %s %s: %v", u.r.id, op, key, err)
	}
	return err
}

// Put implements tier.Store.
func (u *uplink) Put(ctx context.Context, key string, body tier.Body, opts tier.PutOptions) (tier.Object, error) {
	if isRace(key) { // from several goroutines
		return u.b.mem.Put(ctx, key, body, opts)
	}
	if err := u.begin(tier.OpPut, key); err != nil {
		return tier.Object{}, err
	}
	o, err := u.b.mem.Put(ctx, key, body, opts)
	if err == nil {
		u.b.spoil(key)
	}
	u.b.watch.written(u.r, key)
	return o, u.end(tier.OpPut, key, err)
}

// Replace implements tier.Store.
func (u *uplink) Replace(ctx context.Context, key string, body tier.Body, match string, opts tier.PutOptions,
) (tier.Object, error) {
	if err := u.begin(tier.OpReplace, key); err != nil {
		return tier.Object{}, err
	}
	o, err := u.b.mem.Replace(ctx, key, body, match, opts)
	u.b.watch.written(u.r, key)
	return o, u.end(tier.OpReplace, key, err)
}

// Get implements tier.Store.
func (u *uplink) Get(ctx context.Context, key string, off, n int64) (*tier.Reader, error) {
	if err := u.begin(tier.OpGet, key); err != nil {
		return nil, err
	}
	r, err := u.b.mem.Get(ctx, key, off, n)
	return r, u.end(tier.OpGet, key, err)
}

// Head implements tier.Store.
func (u *uplink) Head(ctx context.Context, key string) (tier.Object, error) {
	if err := u.begin(tier.OpHead, key); err != nil {
		return tier.Object{}, err
	}
	o, err := u.b.mem.Head(ctx, key)
	return o, u.end(tier.OpHead, key, err)
}

// List implements tier.Store.
func (u *uplink) List(ctx context.Context, prefix, after string, limit int) (tier.Page, error) {
	if err := u.begin(tier.OpList, prefix); err != nil {
		return tier.Page{}, err
	}
	page, err := u.b.mem.List(ctx, prefix, after, limit)
	return page, u.end(tier.OpList, prefix, err)
}

// Delete implements tier.Store.
func (u *uplink) Delete(ctx context.Context, key string) error {
	if isRace(key) { // what came of a race is not in order
		return u.b.mem.Delete(ctx, key)
	}
	if err := u.begin(tier.OpDelete, key); err != nil {
		return err
	}
	u.b.watch.deletes(u.r, key)
	return u.end(tier.OpDelete, key, u.b.mem.Delete(ctx, key))
}

// Uploads implements tier.Store.
func (u *uplink) Uploads(ctx context.Context, prefix string, after tier.Upload, limit int) (tier.UploadPage, error) {
	if err := u.begin(tier.OpUploads, prefix); err != nil {
		return tier.UploadPage{}, err
	}
	page, err := u.b.mem.Uploads(ctx, prefix, after, limit)
	return page, u.end(tier.OpUploads, prefix, err)
}

// AbortUpload implements tier.Store.
func (u *uplink) AbortUpload(ctx context.Context, up tier.Upload) error {
	if err := u.begin(tier.OpAbort, up.Key); err != nil {
		return err
	}
	return u.end(tier.OpAbort, up.Key, u.b.mem.AbortUpload(ctx, up))
}

// LockAvailable implements tier.Locking.
func (u *uplink) LockAvailable(ctx context.Context) (bool, error) { return u.b.mem.LockAvailable(ctx) }

// Name implements tier.Store.
func (u *uplink) Name() string { return u.b.mem.Name() }
