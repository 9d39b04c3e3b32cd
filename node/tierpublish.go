package node

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
)

// archiveIdentity is whose archive the store is to be.
func (t *tiering) archiveIdentity() archive.Identity {
	return archive.Identity{LedgerID: t.n.LedgerID(), Origin: t.n.ledger.Origin()}
}

// claim makes the store this ledger's archive, or finds that it is another's, or that of one which has gone another way.
func (t *tiering) claim(ctx context.Context) error {
	if err := archive.Claim(ctx, t.opts.Store, t.archiveIdentity()); err != nil {
		return err
	}
	latest, err := archive.ReadLatest(ctx, t.opts.Store)
	if errors.Is(err, archive.ErrNothingPublished) || isCorrupt(err) { // publishing puts that right
		return nil
	}
	if err != nil {
		return err
	}
	own, err := t.n.ledger.RootAt(latest.TreeSize)
	if errors.Is(err, merkle.ErrRange) { // this node is behind: it cannot tell yet, and it does not lead
		return nil
	}
	if err != nil {
		return fmt.Errorf("compute the root of %d entries: %w", latest.TreeSize, err)
	}
	if own != latest.Root {
		return &archive.ConflictError{Store: t.opts.Store.Name(), Object: latest.Manifest, Size: latest.TreeSize,
			Published: latest.Root, Own: own}
	}
	return nil
}

// publishNewest publishes the newest state that can be, and returns what is published then. was is what this leader knows
// to be published; known false: it has to find out. candidate is what it has taken up before. One call publishes at most
// one state.
func (t *tiering) publishNewest(ctx context.Context, was published, known bool, candidate *manifest.State,
) (published, *manifest.State, error) {
	if !known {
		p, err := archive.Read(ctx, t.opts.Store)
		switch {
		case err == nil:
			was = publishedState(p.State)
		case errors.Is(err, archive.ErrNothingPublished), isCorrupt(err):
			was = published{}
		default:
			return was, candidate, err
		}
	}
	state, candidate, err := t.toPublish(was, candidate)
	if state == nil || err != nil {
		return was, candidate, err
	}
	note, err := t.n.ledger.Checkpoint(state.TreeSize)
	if err != nil {
		return was, candidate, err
	}
	p := archive.Publication{Identity: t.archiveIdentity(), State: state, Checkpoint: []byte(note), Tree: t.n.ledger,
		Retry: t.retry}
	if t.n.opts.Manual {
		p.Parallel = 1
	}
	err = archive.Publish(ctx, t.opts.Store, p)
	if errors.Is(err, archive.ErrBehind) { // another leader was faster
		p, err := archive.Read(ctx, t.opts.Store)
		if err != nil {
			return was, candidate, err
		}
		return publishedState(p.State), candidate, nil
	}
	if err != nil {
		return was, candidate, err
	}
	return publishedState(state), candidate, nil
}

// toPublish is the newest state that is complete and says more than what is published; nil when there is none. It returns the
// candidate to go on with: one that is kept until it is complete, since under load the newest one never is.
func (t *tiering) toPublish(was published, candidate *manifest.State) (state, next *manifest.State, err error) {
	newest := t.n.ledger.Candidate()
	for _, c := range []*manifest.State{newest, candidate} {
		if c == nil {
			continue
		}
		state, swallowed, err := t.n.ledger.Archive(c)
		if err != nil {
			return nil, candidate, err
		}
		if c == candidate && swallowed {
			candidate = nil
		}
		if state == nil || state.TreeSize < was.size {
			continue
		}
		if now := publishedState(state); now.size > was.size || !maps.Equal(now.objects, was.objects) {
			return state, newest, nil
		}
	}
	if candidate == nil || candidate.TreeSize <= was.size {
		candidate = newest
	}
	return nil, candidate, nil
}

// isForeign says that the store belongs to another ledger, or to one that has gone another way.
func isForeign(err error) bool {
	return errors.As(err, new(*archive.ForeignError)) || errors.As(err, new(*archive.ConflictError))
}

// publishedState is a published state as the sweep goes by it.
func publishedState(s *manifest.State) published {
	out := published{size: s.TreeSize, objects: make(map[string]bool, len(s.Segments))}
	for i := range s.Segments {
		out.objects[s.Segments[i].Object.Name] = true
	}
	return out
}
