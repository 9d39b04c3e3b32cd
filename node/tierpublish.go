package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
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
	_, err := t.lookOnce(ctx)
	if isCorrupt(err) { // whoever publishes says so
		return nil
	}
	return err
}

// extends refuses what is published, as it was just read, unless this ledger begins with it: *archive.ConflictError. A node
// that has fewer entries cannot tell, but for a leader: he has all that was ever committed, so what is published beyond that
// is of another history. One that was succeeded, and has not heard of it, errs there until he has.
func (t *tiering) extends(manifest string, size uint64, root merkle.Hash) (known bool, err error) {
	leads := t.leads() // before the root is computed: it may catch up meanwhile
	own, err := t.n.ledger.RootAt(size)
	switch {
	case errors.Is(err, merkle.ErrRange) && !leads:
		return false, nil
	case err == nil && own == root:
		return true, nil
	case err != nil && !errors.Is(err, merkle.ErrRange):
		return false, fmt.Errorf("compute the root of %d entries: %w", size, err)
	}
	return true, &archive.ConflictError{Store: t.opts.Store.Name(), Object: manifest, Size: size, Published: root, Own: own}
}

// readPublished reads the state that latest names. One that cannot be read is as good as none: publishing puts that right.
func (t *tiering) readPublished(ctx context.Context, latest archive.Latest) (published, error) {
	if latest.Version == 0 {
		return published{}, nil
	}
	p, err := archive.ReadVersion(ctx, t.opts.Store, latest)
	if isCorrupt(err) {
		return published{manifest: latest.Manifest}, nil
	}
	if err != nil {
		return published{}, err
	}
	return publishedState(p.State, p.Name), nil
}

// publishNewest publishes the newest state that can be, and returns what is published then. was is what this leader knows
// to be published; known false: it has to find out. candidate is what it has taken up before. One call publishes at most
// one state.
func (t *tiering) publishNewest(ctx context.Context, was published, known bool, candidate *manifest.State,
) (published, *manifest.State, error) {
	latest, err := t.lookAgain(ctx)
	if err != nil {
		return was, candidate, err
	}
	if !known || latest.Manifest != was.manifest {
		now, err := t.readPublished(ctx, latest)
		if err != nil {
			return was, candidate, err
		}
		was = now
	}
	state, candidate, err := t.toPublish(was, candidate)
	if state == nil || err != nil {
		return was, candidate, err
	}
	note, err := t.n.ledger.Checkpoint(state.TreeSize)
	if err != nil {
		return was, candidate, err
	}
	p := archive.Publication{Identity: t.archiveIdentity(), Cluster: t.n.ClusterID(), State: state, Checkpoint: []byte(note), Tree: t.n.ledger,
		Retry: t.retry}
	if t.n.opts.Manual {
		p.Parallel = 1
	}
	err = archive.Publish(ctx, t.opts.Store, p)
	if errors.Is(err, archive.ErrBehind) { // another leader was faster
		var now published
		if latest, err = t.lookAgain(ctx); err == nil {
			now, err = t.readPublished(ctx, latest)
		}
		if err == nil {
			return now, candidate, nil
		}
	}
	if err != nil {
		return was, candidate, err
	}
	sum := sha256.Sum256(state.Encode())
	return publishedState(state, tier.ManifestName(state.TreeSize, sum)), candidate, nil
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
		if now := publishedState(state, ""); now.size > was.size || !maps.Equal(now.objects, was.objects) {
			return state, newest, nil
		}
	}
	if candidate == nil || candidate.TreeSize <= was.size {
		candidate = newest
	}
	return nil, candidate, nil
}

// publishedState is a published state as the sweep goes by it.
func publishedState(s *manifest.State, name string) published {
	out := published{size: s.TreeSize, manifest: name, objects: make(map[string]bool, len(s.Segments))}
	for i := range s.Segments {
		out.objects[s.Segments[i].Object.Name] = true
	}
	return out
}
