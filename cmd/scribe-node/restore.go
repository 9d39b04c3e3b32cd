package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// restoreRetry is the wait between two tries to read an archive whose store is away.
const restoreRetry = time.Second

// prepareRestore returns what the archive has published last, for a directory that is to begin with it; nil for one that has
// an identity, and when nothing is to be restored.
func (p *process) prepareRestore() (*archive.Published, error) {
	if p.config.Archive.RestoreFrom == "" {
		return nil, nil
	}
	has, err := node.HasIdentity(vfs.NewOS(), p.config.Node.DataDir)
	if has || err != nil {
		return nil, err // it is the cold tier all the same
	}
	from := p.tier.store.Name()
	p.slot.empty(&occupant{why: "this node reads the archive in " + from})
	var found *archive.Published
	err = p.during(func(ctx context.Context) (err error) {
		found, err = readArchive(ctx, p.tier.store, func(err error) {
			p.logs.Warn("the archive cannot be read yet, trying again", "store", from, "problem", tier.Trouble(err))
		})
		return err
	})
	switch {
	case errors.Is(err, errStop):
		return nil, err
	case errors.Is(err, archive.ErrNothingPublished):
		return nil, fmt.Errorf("cannot restore from %s: nothing is published there; name the bucket and the prefix of a ledger", from)
	case err != nil:
		return nil, fmt.Errorf("cannot restore from %s: %s", from, tier.Trouble(err))
	}
	return found, nil
}

// readArchive reads what is published last, as often as it takes while the store is away only for a time; retry is told
// why, once for each reason.
func readArchive(ctx context.Context, store tier.Store, retry func(error)) (*archive.Published, error) {
	told := ""
	for {
		found, err := archive.Read(ctx, store)
		if _, again := tier.Temporary(err); !again {
			return found, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if text := tier.Trouble(err); text != told {
			told = text
			retry(err)
		}
		if err := pause(ctx, restoreRetry); err != nil {
			return nil, err
		}
	}
}

// fetchAll brings every segment that is in the store only to this disk. The node takes part in its cluster meanwhile, and
// serves nobody. Segments that are merged on the way come as the merged one.
func (p *process) fetchAll(ctx context.Context) error {
	began := time.Now()
	var at ledger.FetchProgress
	for {
		err := p.member.Ledger().FetchAll(ctx, 0, func(now ledger.FetchProgress) {
			at = now
			p.slot.empty(&occupant{why: fmt.Sprintf("this node is fetching its segments; %d of %d are here, %d of %d MiB",
				now.SegmentsDone, now.Segments, now.BytesDone>>20, now.Bytes>>20)})
		})
		switch {
		case err == nil:
			p.logs.Info("every segment is fetched", "segments", at.SegmentsDone, "bytes", at.BytesDone,
				"took", time.Since(began).Round(time.Millisecond))
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, new(*vfs.CorruptError)), vfs.IsNoSpace(err), !errors.Is(err, tier.ErrUnavailable):
			return fmt.Errorf("cannot fetch every segment: %w", err)
		}
		p.logs.Warn("a segment cannot be fetched yet, trying again", "problem", tier.Trouble(err))
		if err := pause(ctx, restoreRetry); err != nil {
			return err
		}
	}
}
