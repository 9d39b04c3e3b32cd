package node

import (
	"context"

	"github.com/scribe-ledger/scribe/manifest"
)

// claim makes the store this ledger's, or finds that it is another's.
func (t *tiering) claim(context.Context) error { return nil }

// publishNewest publishes the newest state that can be, and returns what is published then. was is what this leader knows to
// be published; known false: it has to find out.
func (t *tiering) publishNewest(_ context.Context, was published, _ bool, candidate *manifest.State,
) (published, *manifest.State, error) {
	return was, candidate, nil
}

func isForeign(error) bool { return false }
