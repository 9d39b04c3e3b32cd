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

// prepareRestore has the options say what a new directory begins with: what the archive has published last, which no other
// cluster adds to from then on. It leaves a directory that has an identity alone.
func (p *process) prepareRestore(opts *node.Options) error {
	if p.config.Archive.RestoreFrom == "" {
		return nil
	}
	cluster, err := node.ClusterOf(vfs.NewOS(), p.config.Node.DataDir)
	if cluster != "" || err != nil {
		return err // it is the cold tier all the same
	}
	from := p.tier.store.Name()
	p.slot.empty(&occupant{why: "this node reads the archive in " + from})
	var refused *node.RefusedError
	err = p.during(func(ctx context.Context) error {
		return takeArchive(ctx, opts, func(err error) {
			p.logs.Warn("the archive cannot be read yet, trying again", "store", from, "problem", tier.Trouble(err))
		})
	})
	switch {
	case err == nil, errors.Is(err, errStop), errors.As(err, &refused):
		return err
	case errors.Is(err, archive.ErrNothingPublished):
		return fmt.Errorf("cannot restore from %s: nothing is published there; name the bucket and the prefix of a ledger", from)
	}
	return fmt.Errorf("cannot restore from %s: %s", from, tier.Trouble(err))
}

// takeArchive reads and takes over what is published last, as often as it takes while the store is away only for a time;
// retry is told why, once for each reason.
func takeArchive(ctx context.Context, opts *node.Options, retry func(error)) (err error) {
	told := ""
	for {
		*opts, err = node.TakeArchive(ctx, *opts)
		if _, again := tier.Temporary(err); !again {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if text := tier.Trouble(err); text != told {
			told = text
			retry(err)
		}
		if err := pause(ctx, restoreRetry); err != nil {
			return err
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
