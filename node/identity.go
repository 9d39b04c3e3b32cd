package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

const (
	identityName   = "IDENTITY"
	logDir         = "wal"
	identityFormat = 1
	// maxLedgerIDBytes bounds the name of a ledger; it is that of the cluster in which it began.
	maxLedgerIDBytes = 64
	// maxIdentityBytes bounds what is read as an identity.
	maxIdentityBytes = 64 << 10
)

// identity says whose data a directory holds. It is written once, when the node is founded, after its log exists, which
// names the same node and cluster in each of its files.
type identity struct {
	Format    int    `json:"format"`
	NodeID    uint64 `json:"node_id"`
	ClusterID string `json:"cluster_id"`
	// LedgerID names the data where the cluster is not the one that it began in: after a restore. Empty is ClusterID.
	LedgerID string `json:"ledger_id,omitempty"`
	// Restored is the publication that it began with, in the archive that is its tier; nil when it began without one.
	Restored *restoredFrom  `json:"restored,omitempty"`
	Instance instance       `json:"instance"`
	Founding []foundingNode `json:"founding_members"` // empty in a node that joined
	// Contacts are whom a node that joined knew then. They serve until its log says who the members are.
	Contacts []foundingNode `json:"contacts,omitempty"`
}

// instance tells the data of a directory from any other under the same node id. It is drawn when the directory is made.
// JSON numbers are not exact to 64 bits everywhere, so it stands in hex.
type instance uint64

func (i instance) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(i)), nil }

func (i *instance) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 16, 64)
	if err != nil || v == 0 {
		return fmt.Errorf("instance %q is not a hex number other than 0", b)
	}
	*i = instance(v)
	return nil
}

func drawInstance(draw *rand.Rand) instance {
	for {
		if i := instance(draw.Uint64()); i != 0 {
			return i
		}
	}
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

// ClusterOf names the cluster that a directory's node belongs to; empty when it belongs to no node yet. A node that belongs
// to one ignores Options.Join and Options.Bootstrap.
func ClusterOf(fsys vfs.FS, dir string) (cluster string, err error) {
	id, err := readIdentity(fsys, dir)
	if id == nil {
		return "", err
	}
	return id.ClusterID, nil
}

// Founders says how many founded the cluster that a directory's node belongs to: 0 for a node that joined. It is not known
// of a directory that has no identity yet.
func Founders(fsys vfs.FS, dir string) (n int, known bool, err error) {
	id, err := readIdentity(fsys, dir)
	if id == nil {
		return 0, false, err
	}
	return len(id.Founding), true, nil
}

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
	if _, err := raft.ParseClusterID(id.ClusterID); err != nil || id.NodeID == 0 || len(id.LedgerID) > maxLedgerIDBytes {
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
			switch {
			case name == manifestName:
				return refuse("it holds a ledger but no %s file; restore that file, or use an empty directory", identityName)
			case opts.Restore == nil && ledger.IsOfInstallation(name):
				return refuse("a restore into it was cut short; start the restore again, or use an empty directory")
			}
		}
		return nil
	}
	if id.NodeID != opts.NodeID {
		return refuse("it belongs to node %d, and this is node %d; use another directory, or node id %d", id.NodeID,
			opts.NodeID, id.NodeID)
	}
	switch founded := id.founders(); {
	case len(opts.Initial) == 0 || slices.Equal(sorted(opts.Initial), founded):
	case len(founded) == 0:
		return refuse("it belongs to a node that joined its cluster, %s, and the configuration says that %s found one; use "+
			"another directory, or leave the list away", id.ClusterID, listOf(opts.Initial))
	default:
		return refuse("its cluster was founded by %s, and the configuration says %s; use another directory, or the list it "+
			"was founded with", listOf(founded), listOf(opts.Initial))
	}
	return nil
}

// manifestName is the ledger's manifest, which has no place in a directory without an identity.
const manifestName = "MANIFEST"

// ledger names the data, which outlives the cluster: Options.ClusterID of the ledger.
func (id *identity) ledger() string {
	if id.LedgerID != "" {
		return id.LedgerID
	}
	return id.ClusterID
}

// owner is how the node's log names it.
func (id *identity) owner() (wal.Owner, error) {
	cluster, err := raft.ParseClusterID(id.ClusterID)
	return wal.Owner{Cluster: cluster, Node: id.NodeID}, err
}

func (id *identity) founders() []Founder {
	out := make([]Founder, len(id.Founding))
	for i, f := range id.Founding {
		out[i] = Founder{NodeID: f.NodeID, RaftAddr: f.RaftAddr}
	}
	return out
}

// listOf writes founders as a configuration does: 1=host:port,2=…
func listOf(founders []Founder) string {
	parts := make([]string, len(founders))
	for i, f := range founders {
		parts[i] = fmt.Sprintf("%d=%s", f.NodeID, f.RaftAddr)
	}
	return strings.Join(parts, ",")
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
