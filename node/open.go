package node

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"

	"github.com/scribe-ledger/scribe/raft"
)

// open opens the parts, in the order in which they depend on each other.
func (n *Node) open() error {
	opts := n.opts
	names, err := opts.FS.List(opts.Dir)
	if err != nil {
		return err
	}
	id, err := readIdentity(opts.FS, opts.Dir)
	if err != nil {
		return err
	}
	if err := checkIdentity(id, opts, names); err != nil {
		return err
	}
	if id != nil {
		if err = n.openLog(id); err == nil && id.Instance == 0 { // founded by a version that drew none
			id.Instance = drawInstance(n.draw)
			err = id.write(opts.FS, opts.Dir)
		}
	} else {
		id, err = n.found()
	}
	if err != nil {
		return err
	}
	n.identity = id
	lo := opts.Ledger
	lo.FS, lo.Dir, lo.ClusterID = opts.FS, opts.Dir, id.ledger()
	lo.Now, lo.Logger, lo.Registerer = opts.Now, opts.Logger, opts.Registerer
	lo.Superseded = n.applier.superseded
	lo.Notify, lo.Damaged, lo.ObjectDamaged, lo.Manual = n.ledgerChanged, n.segmentDamaged, n.objectDamaged, opts.Manual
	if opts.Tier != nil {
		n.tiering = newTiering(n, *opts.Tier)
		lo.Cold = n.tiering.cold
	}
	n.scrub = newScrubber(n)
	if err = n.openLedger(lo); err != nil {
		return err
	}
	n.openSnapshots()
	n.metrics = newMetrics(n, opts.Registerer)
	n.look()
	if n.restoring.Load() {
		n.beginRestore()
		return nil
	}
	return n.openCore()
}

// source is where everything random of this life of the node comes from.
func source(opts *Options) *rand.Rand {
	if opts.Seed != 0 {
		return rand.New(rand.NewPCG(opts.Seed, opts.NodeID))
	}
	return rand.New(secure{})
}

// secure draws from the system's source.
type secure struct{}

func (secure) Uint64() uint64 {
	var b [8]byte
	crand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint64(b[:])
}

// openCore starts the core from the snapshot that the ledger is and the log behind it.
func (n *Node) openCore() error {
	index, term, encoded := n.ledger.SealPoint()
	var members raft.Membership
	var err error
	if len(encoded) > 0 {
		members, err = raft.ParseMembership(encoded)
	} else {
		members, err = n.identity.membership()
	}
	if err != nil {
		return err
	}
	n.ledger.SetMembers(raft.AppendMembership(nil, members))
	cluster, err := raft.ParseClusterID(n.identity.ClusterID)
	if err != nil {
		return err
	}
	n.core, err = raft.New(raft.Config{ID: n.opts.NodeID, ClusterID: cluster, Instance: n.Instance(),
		ElectionTicks: n.opts.ElectionTicks, ElectionMaxTicks: n.opts.ElectionMaxTicks, Seed: n.draw.Uint64()},
		n.log.HardState(), raft.Snapshot{Index: index, Term: term, Members: members}, n.log)
	if err != nil {
		return err
	}
	n.forwards.life = n.draw.Uint64()
	n.applier.applied.Store(index)
	n.publishStatus()
	if n.status.Load().Members.SoleVoter(n.opts.NodeID) {
		return n.core.Campaign() // it need not wait for its first tick
	}
	return nil
}
