package node

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/wal"
)

// found makes a new directory what Options say. What it is restored from comes first, then the log is made, then IDENTITY,
// which is what says that a directory is in use. A first start that was cut short between the two left a log that was never
// used; its owner is the one to go on with.
func (n *Node) found() (*identity, error) {
	id, err := n.newIdentity()
	if err == nil && n.opts.Restore != nil {
		err = n.beginRestored(id)
	}
	if err != nil {
		return nil, err
	}
	owner, err := id.owner()
	if err != nil {
		return nil, err
	}
	err = n.openLogAs(owner, true)
	var foreign *wal.OwnerError
	if errors.As(err, &foreign) {
		return nil, &RefusedError{Dir: n.opts.Dir, Reason: fmt.Sprintf("it holds a log, that of %s, but no %s file; restore "+
			"that file, or use an empty directory", foreign.Has, identityName)}
	}
	if err != nil {
		return nil, err
	}
	switch had := n.log.Owner(); {
	case had.Node != owner.Node:
		return nil, &RefusedError{Dir: n.opts.Dir, Reason: fmt.Sprintf("it was made for node %d, and this is node %d; use "+
			"another directory, or node id %d", had.Node, owner.Node, had.Node)}
	case had.Cluster != owner.Cluster && !n.opts.foundsAlone():
		return nil, &RefusedError{Dir: n.opts.Dir, Reason: fmt.Sprintf("a start that was cut short has begun it for cluster "+
			"%s, and this node belongs to cluster %s; use an empty directory", had.Cluster, owner.Cluster)}
	default:
		id.ClusterID = had.Cluster.String()
	}
	if err := n.foundLog(); err != nil {
		return nil, err
	}
	if err := id.write(n.opts.FS, n.opts.Dir); err != nil {
		return nil, fmt.Errorf("write identity: %w", err)
	}
	return id, nil
}

// foundsAlone says whether a new directory becomes the only founder of a cluster, whose id is drawn at random.
func (o *Options) foundsAlone() bool { return o.Join == nil && len(o.Initial) <= 1 }

// newIdentity is that of a new directory: a joining node's, one of several founders', or the only founder's.
func (n *Node) newIdentity() (*identity, error) {
	opts := &n.opts
	id := &identity{Format: identityFormat, NodeID: opts.NodeID, Instance: drawInstance(n.draw), Founding: []foundingNode{}}
	switch {
	case opts.Join != nil:
		cluster, err := raft.ParseClusterID(opts.Join.ClusterID)
		if err != nil {
			return nil, err
		}
		id.ClusterID = cluster.String()
		if opts.Join.LedgerID != id.ClusterID {
			id.LedgerID = opts.Join.LedgerID
		}
		for _, m := range opts.Join.Members {
			if m.NodeID != opts.NodeID {
				id.Contacts = append(id.Contacts, foundingNode{NodeID: m.NodeID, RaftAddr: m.RaftAddr})
			}
		}
	case len(opts.Initial) > 1:
		if !slices.ContainsFunc(opts.Initial, func(f Founder) bool { return f.NodeID == opts.NodeID }) {
			return nil, &RefusedError{Dir: opts.Dir, Reason: fmt.Sprintf("node %d is not among the founders %s", opts.NodeID,
				listOf(opts.Initial))}
		}
		id.ClusterID = clusterOf(opts.Initial, restoredManifest(opts)).String()
		for _, f := range sorted(opts.Initial) {
			// The same on every founder: what only one of them knows, the leader adds when it introduces itself.
			id.Founding = append(id.Founding, foundingNode{NodeID: f.NodeID, RaftAddr: f.RaftAddr})
		}
	default:
		cluster := drawCluster(n.draw)
		if opts.FoundAs != "" {
			var err error
			if cluster, err = raft.ParseClusterID(opts.FoundAs); err != nil {
				return nil, err
			}
		}
		id.ClusterID = cluster.String()
		id.Founding = append(id.Founding, foundingNode{NodeID: opts.NodeID, RaftAddr: opts.RaftAddr, HTTPAddr: opts.HTTPAddr})
	}
	return id, nil
}

// clusterOf is the id of the cluster that several founders make: the same on each of them, from the list that each has and
// the SHA-256 of the published state that they begin with, if they do.
func clusterOf(founders []Founder, restored merkle.Hash) raft.ClusterID {
	text := "scribe cluster\n" + listOf(sorted(founders))
	if restored != (merkle.Hash{}) {
		text += "\nrestored " + restored.String()
	}
	sum := sha256.Sum256([]byte(text))
	return raft.ClusterID(sum[:16])
}

// restoredManifest is the SHA-256 of the state that a new directory begins with; zero for none.
func restoredManifest(opts *Options) merkle.Hash {
	if opts.Restore == nil {
		return merkle.Hash{}
	}
	return opts.Restore.SHA256
}

func drawCluster(draw *rand.Rand) (id raft.ClusterID) {
	binary.BigEndian.PutUint64(id[:8], draw.Uint64())
	binary.BigEndian.PutUint64(id[8:], draw.Uint64())
	return id
}

func sorted(founders []Founder) []Founder {
	return slices.SortedFunc(slices.Values(founders), func(a, b Founder) int { return cmp.Compare(a.NodeID, b.NodeID) })
}

// foundLog makes sure that a new log has its first file, which the log opens without when the disk is full. An identity
// beside no log would be refused at every later start, as one that has lost its log.
func (n *Node) foundLog() error {
	has, err := n.hasLog()
	if has || err != nil {
		return err
	}
	if err := n.log.Prepare(); err != nil {
		return fmt.Errorf("make the first log file: %w", err)
	}
	return errors.New("the first log file could not be made, and now there is space for it; start again")
}

// openLog opens the log that belongs to an identity.
func (n *Node) openLog(id *identity) error {
	has, err := n.hasLog()
	if err != nil {
		return err
	}
	if !has {
		return &RefusedError{Dir: n.opts.Dir, Reason: "its log, the folder " + logDir + ", is missing, and with it what " +
			"was not in segments yet; restore it, or rebuild the whole directory from a backup or the other members"}
	}
	owner, err := id.owner()
	if err != nil {
		return err
	}
	err = n.openLogAs(owner, false)
	var foreign *wal.OwnerError
	if errors.As(err, &foreign) {
		return &RefusedError{Dir: n.opts.Dir, Reason: fmt.Sprintf("its log, the folder %s, is that of %s, and %s says %s; "+
			"restore the one that belongs here", logDir, foreign.Has, identityName, foreign.Want)}
	}
	return err
}

func (n *Node) openLogAs(owner wal.Owner, adopt bool) (err error) {
	o := n.opts.WAL
	o.FS, o.Dir, o.Owner, o.Adopt = n.opts.FS, path.Join(n.opts.Dir, logDir), owner, adopt
	o.Logger, o.Registerer = n.opts.Logger, n.opts.Registerer
	n.log, err = wal.Open(o)
	return err
}

// hasLog says whether the log's directory holds any log file.
func (n *Node) hasLog() (bool, error) {
	names, err := n.opts.FS.List(path.Join(n.opts.Dir, logDir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") && !strings.HasPrefix(name, "spare") {
			return true, err
		}
	}
	return false, err
}
