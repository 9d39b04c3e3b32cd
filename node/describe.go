package node

import "github.com/scribe-ledger/scribe/vfs"

// Identity says whose data a directory holds, for tools that read it while no node runs.
type Identity struct {
	NodeID    uint64
	ClusterID string
	LedgerID  string    // of the data; the cluster's, but after a restore
	Instance  uint64    // 0 in a directory of a version that drew none
	Founders  []Founder // empty in a node that joined
}

// ReadIdentity returns the identity in a data directory; false when there is none. *vfs.CorruptError when the file is no
// identity, *RefusedError when it is of another format.
func ReadIdentity(fsys vfs.FS, dir string) (Identity, bool, error) {
	id, err := readIdentity(fsys, dir)
	if err != nil || id == nil {
		return Identity{}, false, err
	}
	return Identity{NodeID: id.NodeID, ClusterID: id.ClusterID, LedgerID: id.ledger(), Instance: uint64(id.Instance), Founders: id.founders()}, true, nil
}
