package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/scribe-ledger/scribe/wal"
)

// found makes this the only member of a new cluster with a random id. The log is made first, then IDENTITY, which is
// what says that a directory is in use. A first start that was cut short between the two left a log that was never
// used; its owner is the one to go on with.
func (n *Node) found() (*identity, error) {
	opts := n.opts
	owner := wal.Owner{Node: opts.NodeID}
	binary.BigEndian.PutUint64(owner.Cluster[:8], n.draw.Uint64())
	binary.BigEndian.PutUint64(owner.Cluster[8:], n.draw.Uint64())
	err := n.openLogAs(owner, true)
	var foreign *wal.OwnerError
	if errors.As(err, &foreign) {
		return nil, &RefusedError{Dir: opts.Dir, Reason: fmt.Sprintf("it holds a log, that of %s, but no %s file; restore "+
			"that file, or use an empty directory", foreign.Has, identityName)}
	}
	if err != nil {
		return nil, err
	}
	if owner = n.log.Owner(); owner.Node != opts.NodeID {
		return nil, &RefusedError{Dir: opts.Dir, Reason: fmt.Sprintf("it was made for node %d, and this is node %d; use "+
			"another directory, or node id %d", owner.Node, opts.NodeID, owner.Node)}
	}
	if err := n.foundLog(); err != nil {
		return nil, err
	}
	id := &identity{Format: identityFormat, NodeID: owner.Node, ClusterID: owner.Cluster.String(),
		Instance: drawInstance(n.draw), Founding: []foundingNode{{NodeID: owner.Node, RaftAddr: opts.RaftAddr, HTTPAddr: opts.HTTPAddr}}}
	if err := id.write(opts.FS, opts.Dir); err != nil {
		return nil, fmt.Errorf("write identity: %w", err)
	}
	return id, nil
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
