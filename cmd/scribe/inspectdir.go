package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/scribe-ledger/scribe/node"
)

// identityJSON says whose a data directory is.
type identityJSON struct {
	Kind      string   `json:"kind"` // identity
	Dir       string   `json:"dir"`
	NodeID    uint64   `json:"node_id"`
	ClusterID string   `json:"cluster_id"`
	LedgerID  string   `json:"ledger_id,omitempty"` // where the cluster was restored: of the data
	Instance  string   `json:"instance"`
	Founders  []string `json:"founders"`
}

// directoryJSON describes a data directory; its identity, manifest and log follow as documents of their own.
type directoryJSON struct {
	Kind  string   `json:"kind"` // directory
	Dir   string   `json:"dir"`
	InUse bool     `json:"in_use"`
	Names []string `json:"names"`
}

// directory shows the parts of a data directory one after the other.
func (in *inspection) directory(dir string) error {
	names, err := in.fs.List(dir)
	if err != nil {
		return err
	}
	used, err := in.locked(dir)
	if err != nil {
		return err
	}
	if in.json {
		err = in.print(directoryJSON{Kind: "directory", Dir: dir, InUse: used, Names: list(names)})
	} else {
		in.row("directory", "%s", display(dir))
		if used {
			in.row("in use", "by a node: this is the state of the moment")
		}
	}
	if err != nil {
		return err
	}
	if err := in.identity(dir); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		show func(string) error
	}{
		{"MANIFEST", in.manifest},
		{"wal", func(dir string) error { return in.log(dir, "") }},
	} {
		if !in.json {
			in.out.printf("\n")
		}
		err := part.show(path.Join(dir, part.name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if !in.json {
				in.row(part.name, "is not there")
			}
		case errors.Is(err, errLimit):
		case err != nil:
			return err
		}
	}
	if !in.entries && !in.blocks {
		return nil
	}
	return in.allSegments(path.Join(dir, "segments"))
}

// allSegments shows every segment file of a directory, listed in the manifest or not.
func (in *inspection) allSegments(dir string) error {
	names, err := in.fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if path.Ext(name) != ".seg" {
			continue
		}
		if !in.json {
			in.out.printf("\n")
		}
		in.listed = 0
		if err := in.segment(path.Join(dir, name)); err != nil && !errors.Is(err, errLimit) {
			return err
		}
	}
	return nil
}

func (in *inspection) identity(dir string) error {
	id, ok, err := node.ReadIdentity(in.fs, dir)
	if err != nil {
		return in.corrupt(err)
	}
	if !ok {
		if !in.json {
			in.row("identity", "is not there")
		}
		return nil
	}
	doc := identityJSON{Kind: "identity", Dir: dir, NodeID: id.NodeID, ClusterID: id.ClusterID,
		Instance: fmt.Sprintf("%016x", id.Instance), Founders: []string{}}
	if id.LedgerID != id.ClusterID {
		doc.LedgerID = id.LedgerID
	}
	for _, f := range id.Founders {
		doc.Founders = append(doc.Founders, fmt.Sprintf("%d=%s", f.NodeID, f.RaftAddr))
	}
	if in.json {
		return in.print(doc)
	}
	in.row("identity", "node %d of cluster %s, instance %s", doc.NodeID, doc.ClusterID, doc.Instance)
	if doc.LedgerID != "" {
		in.row("ledger", "%s: the cluster was restored from its archive", display(doc.LedgerID))
	}
	for _, f := range doc.Founders {
		in.row("founder", "%s", display(f))
	}
	return in.out.err
}
