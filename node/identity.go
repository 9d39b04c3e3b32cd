package node

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	identityName   = "IDENTITY"
	identityFormat = 1
	// maxIdentityBytes bounds what is read as an identity.
	maxIdentityBytes = 64 << 10
)

// identity says whose data a directory holds. It is written once, when the node is founded, after its log exists.
type identity struct {
	Format    int            `json:"format"`
	NodeID    uint64         `json:"node_id"`
	ClusterID string         `json:"cluster_id"`
	Founding  []foundingNode `json:"founding_members"`
}

type foundingNode struct {
	NodeID   uint64 `json:"node_id"`
	RaftAddr string `json:"raft_addr"`
	HTTPAddr string `json:"http_addr"`
}

// RefusedError says that a data directory must not be used as asked: it is another node's, or parts of it are missing.
type RefusedError struct {
	Dir    string
	Reason string // what is wrong and what to do
}

func (e *RefusedError) Error() string { return fmt.Sprintf("data directory %s: %s", e.Dir, e.Reason) }

// readIdentity returns the identity in dir, or nil when there is none.
func readIdentity(fsys vfs.FS, dir string) (*identity, error) {
	name := path.Join(dir, identityName)
	b, err := vfs.ReadFile(fsys, name, maxIdentityBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var id identity
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&id); err != nil {
		return nil, &vfs.CorruptError{File: name, Offset: d.InputOffset(), Reason: "not an identity: " + err.Error()}
	}
	if id.Format != identityFormat {
		return nil, &RefusedError{Dir: dir, Reason: fmt.Sprintf("%s has format %d, this program knows %d", identityName,
			id.Format, identityFormat)}
	}
	if _, err := raft.ParseClusterID(id.ClusterID); err != nil || id.NodeID == 0 {
		return nil, &vfs.CorruptError{File: name, Reason: "node id or cluster id is not valid"}
	}
	return &id, nil
}

// checkIdentity refuses a directory of another node, and one whose parts do not belong together.
func checkIdentity(id *identity, opts Options, names []string) error {
	refuse := func(format string, args ...any) error {
		return &RefusedError{Dir: opts.Dir, Reason: fmt.Sprintf(format, args...)}
	}
	if id == nil {
		for _, name := range names {
			if name == manifestName {
				return refuse("it holds a ledger but no %s file; restore that file, or use an empty directory", identityName)
			}
		}
		return nil
	}
	if id.NodeID != opts.NodeID {
		return refuse("it belongs to node %d, and this is node %d; use another directory, or node id %d", id.NodeID,
			opts.NodeID, id.NodeID)
	}
	return nil
}

// manifestName is the ledger's manifest, which has no place in a directory without an identity.
const manifestName = "MANIFEST"

// hasLog says whether a log directory holds any log file.
func hasLog(fsys vfs.FS, dir string) (bool, error) {
	names, err := fsys.List(dir)
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

// newIdentity founds a one-node cluster under a new random cluster id.
func newIdentity(opts Options) (*identity, error) {
	var cluster raft.ClusterID
	if _, err := rand.Read(cluster[:]); err != nil {
		return nil, err
	}
	return &identity{Format: identityFormat, NodeID: opts.NodeID, ClusterID: cluster.String(),
		Founding: []foundingNode{{NodeID: opts.NodeID, RaftAddr: opts.RaftAddr, HTTPAddr: opts.HTTPAddr}}}, nil
}

func (id *identity) write(fsys vfs.FS, dir string) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	return vfs.WriteFileAtomic(fsys, dir, identityName, append(b, '\n'))
}

// membership is the configuration that the cluster was founded with.
func (id *identity) membership() (raft.Membership, error) {
	members := make([]raft.Member, len(id.Founding))
	for i, f := range id.Founding {
		members[i] = raft.Member{ID: f.NodeID, Role: raft.Voter, RaftAddr: f.RaftAddr, HTTPAddr: f.HTTPAddr}
	}
	return raft.NewMembership(members...)
}
