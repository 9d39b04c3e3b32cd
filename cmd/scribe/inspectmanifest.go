package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// manifestJSON describes a manifest.
type manifestJSON struct {
	Kind         string            `json:"kind"` // manifest
	File         string            `json:"file"`
	Version      uint64            `json:"version"`
	ClusterID    string            `json:"cluster_id"`
	AppliedIndex uint64            `json:"applied_index"`
	AppliedTerm  uint64            `json:"applied_term"`
	LastTime     string            `json:"last_time"`
	TreeSize     uint64            `json:"tree_size"`
	Root         string            `json:"root"`
	Recorded     []recordedJSON    `json:"recorded"`
	Merges       []string          `json:"merges"` // ids of the segments that are to be
	Members      []memberJSON      `json:"members"`
	Idempotency  int               `json:"idempotency_keys"`
	Segments     []*segmentJSON    `json:"segments"`
	Settings     map[string]string `json:"settings"`
}

type recordedJSON struct {
	ID     string `json:"id"`
	Root   string `json:"merkle_root"`
	Object string `json:"object,omitempty"`
}

type memberJSON struct {
	NodeID   uint64 `json:"node_id"`
	Role     string `json:"role"`
	RaftAddr string `json:"raft_addr"`
	HTTPAddr string `json:"http_addr"`
}

func (in *inspection) manifest(name string) error {
	state, err := in.readManifest(name)
	if state == nil || err != nil {
		return err
	}
	doc, err := in.manifestDoc(name, state)
	if err != nil {
		return err
	}
	if in.json {
		return in.print(doc)
	}
	in.printManifest(doc)
	for _, g := range doc.Segments {
		if g.Object != "" {
			in.row("object", "%s, %d bytes, SHA-256 %s", display(g.Object), g.ObjectBytes, g.ObjectSHA256)
		}
	}
	in.out.printf("\n")
	return in.segmentTable(doc.Segments)
}

// readManifest returns nil when the manifest is damaged, which it tells.
func (in *inspection) readManifest(name string) (*manifest.State, error) {
	b, err := vfs.ReadFile(in.fs, name, ledger.MaxSnapshotBytes)
	if err != nil {
		return nil, err
	}
	state, err := manifest.Decode(b)
	var at *manifest.DecodeError
	if errors.As(err, &at) {
		return nil, in.damage(name, at.Offset, "which segments the ledger has", at.Reason)
	}
	return state, err
}

func (in *inspection) manifestDoc(name string, s *manifest.State) (*manifestJSON, error) {
	doc := &manifestJSON{Kind: "manifest", File: name, Version: s.Version, ClusterID: s.ClusterID, AppliedIndex: s.AppliedIndex,
		AppliedTerm: s.AppliedTerm, LastTime: timeOf(s.LastTime), TreeSize: s.TreeSize, Recorded: []recordedJSON{},
		Merges: []string{}, Members: []memberJSON{}, Segments: []*segmentJSON{}, Settings: map[string]string{}}
	for _, r := range s.Recorded {
		doc.Recorded = append(doc.Recorded, recordedJSON{tlog.SegmentID(r.FirstSeq, r.LastSeq), r.Root.String(), r.Object.Name})
	}
	for _, r := range s.Merges {
		doc.Merges = append(doc.Merges, tlog.SegmentID(r.FirstSeq, r.LastSeq))
	}
	for _, g := range s.Segments {
		seg := &segmentJSON{ID: tlog.SegmentID(g.FirstSeq, g.LastSeq), FirstSeq: g.FirstSeq, LastSeq: g.LastSeq,
			Entries: g.Entries, Bytes: g.Bytes, Root: g.Root.String(), FirstTime: timeOf(g.FirstTime),
			LastTime: timeOf(g.LastTime), Tier: g.Tier.String(), Object: g.Object.Name}
		if g.Object.Exists() {
			seg.ObjectBytes, seg.ObjectSHA256 = g.Object.Bytes, g.Object.SHA256.String()
		}
		seg.setKeys(g.MinKey, g.MaxKey)
		doc.Segments = append(doc.Segments, seg)
	}
	for _, v := range s.Settings {
		doc.Settings[v.Name] = v.Value
	}
	if s.TreeSize > 0 {
		f, err := tlog.UnmarshalFrontier(s.Frontier)
		if err != nil {
			return doc, in.damage(name, 0, "the ledger tree's frontier", err.Error())
		}
		doc.Root = f.Root().String()
	}
	if len(s.Members) > 0 {
		m, err := raft.ParseMembership(s.Members)
		if err != nil {
			return doc, in.damage(name, 0, "the members", err.Error())
		}
		for _, mb := range m.Members {
			doc.Members = append(doc.Members, memberJSON{mb.ID, mb.Role.String(), mb.RaftAddr, mb.HTTPAddr})
		}
	}
	n, err := ledger.WindowSize(s.Idempotency)
	if err != nil {
		return doc, in.damage(name, 0, "the idempotency window", err.Error())
	}
	doc.Idempotency = n
	return doc, nil
}

func (in *inspection) printManifest(d *manifestJSON) {
	in.row("manifest", "%s, version %d", display(d.File), d.Version)
	in.row("cluster", "%s", display(d.ClusterID))
	in.row("as of", "raft index %d, term %d, %s", d.AppliedIndex, d.AppliedTerm, d.LastTime)
	in.row("ledger", "%d entries in %s, root %s", d.TreeSize, count(len(d.Segments), "segment", "segments"), orDash(d.Root))
	in.row("recorded", "%s", count(len(d.Recorded), "segment", "segments"))
	for _, id := range d.Merges {
		in.row("to be merged", "%s", id)
	}
	for _, m := range d.Members {
		in.row("member", "%d %s, raft %s, HTTP %s", m.NodeID, m.Role, address(m.RaftAddr), address(m.HTTPAddr))
	}
	in.row("idempotency", "%s", count(d.Idempotency, "key", "keys"))
	for _, name := range slices.Sorted(maps.Keys(d.Settings)) {
		in.row("setting", "%s = %s", display(name), display(d.Settings[name]))
	}
}

func (in *inspection) segmentTable(segments []*segmentJSON) error {
	w := tabwriter.NewWriter(in.out.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEGMENT\tENTRIES\tBYTES\tTIER\tROOT")
	for _, s := range segments {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", s.ID, s.Entries, s.Bytes, s.Tier, s.Root)
	}
	return w.Flush()
}
