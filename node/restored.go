package node

import (
	"cmp"
	"fmt"

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

// beginRestored has a new directory begin with the published state.
func (n *Node) beginRestored(id *identity) error {
	p := n.opts.Restore
	refuse := func(format string, args ...any) error {
		return &RefusedError{Dir: n.opts.Dir, Reason: "it cannot be restored: " + fmt.Sprintf(format, args...)}
	}
	switch {
	case n.opts.Join != nil:
		return refuse("a node that joins a cluster gets its state from that")
	case n.opts.Ledger.Cold == nil && n.opts.Tier == nil:
		return refuse("no object store is configured, and its segments are in one")
	case len(p.Identity.LedgerID) > maxLedgerIDBytes:
		return refuse("the archive is of ledger %.80q…, and a ledger's name has at most %d bytes", p.Identity.LedgerID,
			maxLedgerIDBytes)
	}
	if id.LedgerID = p.Identity.LedgerID; id.LedgerID == id.ClusterID {
		id.LedgerID = ""
	}
	if origin := cmp.Or(n.opts.Ledger.Origin, ledger.DefaultOrigin(id.ledger())); origin != p.Identity.Origin {
		return refuse("the archive's checkpoints have the origin %.200q, and this ledger's would have %.200q", p.Identity.Origin,
			origin)
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
