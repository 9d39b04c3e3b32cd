package node

import (
	"cmp"
	"context"
	"fmt"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
)

// A directory that is restored becomes that of a founder whose ledger begins at a published seal point in place of seq 0:
//
//	the published state, with the founders for members, and the note to install it (ledger.PutRestored)
//	  → the log, empty → IDENTITY → ledger.Open installs the state and fetches meta tails → the log begins behind it
//
// Each is durable before the next, and all but IDENTITY is done over when it is not there: a start that is cut short before
// goes on with whatever Options.Restore says then, and one without it is refused; after IDENTITY the directory goes on by
// itself, as after a snapshot. The founders agree on where they begin as they agree on each other: both are in the id of
// their cluster. That is another one than the old cluster's, of whose members some may be alive and have more of the log.
// The ledger, with its origin, idempotency window and last time, is the same.

// The archive becomes the new cluster's, so that nobody publishes, merges or deletes what it stands on; see tierfence.go.
// TakeArchive does that before anything of this, and what it returns is what was published when it was taken.

// beginRestored has a new directory begin with the published state.
func (n *Node) beginRestored(id *identity) error {
	p := n.opts.Restore
	if err := checkRestore(&n.opts, p, id); err != nil {
		return err
	}
	if n.opts.Tier != nil {
		id.Restored = &restoredFrom{Version: p.Version, Manifest: p.SHA256}
	}
	members, err := id.membership()
	if err != nil {
		return err
	}
	if err := ledger.PutRestored(n.opts.FS, n.opts.Dir, p.State, raft.AppendMembership(nil, members)); err != nil {
		return err
	}
	n.opts.Logger.Info("the ledger is restored from its archive", "ledger", id.ledger(), "entries", p.State.TreeSize,
		"root", p.Checkpoint.Root.String(), "segments", len(p.State.Segments), "published_version", p.Version, "cluster", id.ClusterID)
	return nil
}

// checkRestore says what keeps a directory from being restored, and gives the identity the ledger's name.
func checkRestore(opts *Options, p *archive.Published, id *identity) error {
	refuse := func(format string, args ...any) error {
		return &RefusedError{Dir: opts.Dir, Reason: "it cannot be restored: " + fmt.Sprintf(format, args...)}
	}
	switch {
	case opts.Join != nil:
		return refuse("a node that joins a cluster gets its state from that")
	case opts.Ledger.Cold == nil && opts.Tier == nil:
		return refuse("no object store is configured, and its segments are in one")
	case len(p.Identity.LedgerID) > maxLedgerIDBytes:
		return refuse("the archive is of ledger %.80q…, and a ledger's name has at most %d bytes", p.Identity.LedgerID,
			maxLedgerIDBytes)
	}
	if id.LedgerID = p.Identity.LedgerID; id.LedgerID == id.ClusterID {
		id.LedgerID = ""
	}
	if origin := cmp.Or(opts.Ledger.Origin, ledger.DefaultOrigin(id.ledger())); origin != p.Identity.Origin {
		return refuse("the archive's checkpoints have the origin %.200q, and this ledger's would have %.200q", p.Identity.Origin,
			origin)
	}
	return nil
}

// TakeArchive reads what is published in the store of opts.Tier, for a new directory to begin with it, takes the archive over
// for the cluster that is founded so, and returns the options with Restore, and FoundAs where that is for opts to say. No
// other cluster publishes any more then. It may be called again after any error, best with the options that came with it,
// and after a start that was cut short. Errors: *RefusedError, and those of archive.Read and archive.TakeOver.
//
// Several founders agree on their cluster by what is published, so the first of them takes the archive over for all, and the
// others find it taken. When a cluster of the same founders has published since it took the archive, this one may be late,
// and the others be at work; then the archive is left to the leader that the founders will have if all of them begin anew.
func TakeArchive(ctx context.Context, opts Options) (Options, error) {
	p, err := archive.Read(ctx, opts.Tier.Store)
	if err != nil {
		return opts, err
	}
	if err := checkRestore(&opts, p, &identity{}); err != nil {
		return opts, err
	}
	if opts.foundsAlone() && opts.FoundAs == "" {
		opts.FoundAs = drawCluster(source(&opts)).String()
	}
	left := false
	now, err := archive.TakeOver(ctx, opts.Tier.Store, func(now archive.Latest) string {
		left = false
		if opts.foundsAlone() {
			return opts.FoundAs
		}
		own := clusterOf(opts.Initial, now.ManifestSHA256).String()
		if now.Owner.Cluster != own && now.Owner.Cluster == clusterOf(opts.Initial, now.Owner.Restored).String() {
			left = true
			return ""
		}
		return own
	})
	if err == nil && now.Version != p.Version {
		p, err = archive.ReadVersion(ctx, opts.Tier.Store, now)
	}
	if err != nil {
		return opts, err
	}
	if left && opts.Logger != nil {
		opts.Logger.Info("a cluster of the same founders owns the archive; if it is at work, this node is late: stop it, and have "+
			"it join the others with an empty directory", "owner", now.Owner.Cluster, "since_version", now.Owner.Since)
	}
	opts.Restore = p
	return opts, nil
}
