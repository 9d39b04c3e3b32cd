package archive

import (
	"context"
	"errors"

	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
)

// moveLatest has latest name the state, and the cluster that publishes it as the owner, if latest still is what was read: the
// object with that ETag, or none for version 0. So a cluster that takes the archive over meanwhile is not overtaken.
func (w *publisher) moveLatest(ctx context.Context, now *Latest, etag string) error {
	w.latest.Version, w.latest.Owner = now.Version+1, now.Owner
	if now.Owner.Cluster != w.p.Cluster {
		w.latest.Owner = Owner{Cluster: w.p.Cluster, Since: w.latest.Version}
	}
	b, err := w.latest.encode()
	if err != nil {
		return err
	}
	return w.move(ctx, tier.LatestName, b, etag)
}

// moveCheckpoint has checkpoint be the state's, unless it is, or a newer one.
func (w *publisher) moveCheckpoint(ctx context.Context) error {
	var b []byte
	var o tier.Object
	err := w.retry(ctx, func(ctx context.Context) (err error) {
		b, o, err = tier.ReadAll(ctx, w.store, tier.CheckpointName, tlog.MaxCheckpointBytes)
		return err
	})
	switch {
	case errors.Is(err, tier.ErrNotFound):
		return w.move(ctx, tier.CheckpointName, w.p.Checkpoint, "")
	case err != nil && !isDamage(err):
		return failed(w.store, "read "+tier.CheckpointName, err)
	}
	now, _, perr := tlog.ParseCheckpoint(string(b))
	if err == nil && perr == nil && now.Origin == w.p.Identity.Origin && now.Size >= w.size() {
		if now.Size == w.size() && now.Root != w.root {
			return &ConflictError{Store: w.store.Name(), Object: tier.CheckpointName, Size: now.Size, Published: now.Root,
				Own: w.root}
		}
		return nil
	}
	return w.move(ctx, tier.CheckpointName, w.p.Checkpoint, o.ETag)
}

// move replaces a pointer, or makes it when etag is empty. errMoved when it is not what it was when the ETag was read, or
// when an earlier try, whose answer was lost, has done it.
func (w *publisher) move(ctx context.Context, name string, data []byte, etag string) error {
	err := w.retry(ctx, func(ctx context.Context) (err error) {
		if etag == "" {
			_, err = w.store.Put(ctx, name, tier.BytesBody(data), tier.PutOptions{})
		} else {
			_, err = w.store.Replace(ctx, name, tier.BytesBody(data), etag, tier.PutOptions{})
		}
		return err
	})
	switch {
	case errors.Is(err, tier.ErrExists), errors.Is(err, tier.ErrChanged):
		return errMoved
	case err != nil:
		return failed(w.store, "move "+name, err)
	}
	return nil
}
