package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/open"
	"github.com/scribe-ledger/scribe/tlog"
)

// archiveJSON describes what is published in a bucket; its manifest follows as a document of its own.
type archiveJSON struct {
	Kind           string `json:"kind"` // archive
	Store          string `json:"store"`
	LedgerID       string `json:"ledger_id"`
	Origin         string `json:"origin"`
	Version        uint64 `json:"version"`           // counts what was published
	Cluster        string `json:"cluster,omitempty"` // the owner, and the version with which it took the archive; none: nobody
	ClusterSince   uint64 `json:"cluster_since,omitempty"`
	Manifest       string `json:"manifest"`
	ManifestSHA256 string `json:"manifest_sha256"`
	CheckpointSize uint64 `json:"checkpoint_size"`
	CheckpointRoot string `json:"checkpoint_root"`
	Checkpoint     string `json:"checkpoint"` // as it stands in the store
}

// bucket is an archive for reading. Its segments are read by range.
type bucket struct {
	*archive.Published
	store  tier.Store
	ranges *tier.Ranges
}

// bucket shows the archive that a URL names: what is published, or the segments that are named.
func (in *inspection) bucket(ctx context.Context, url string, names []string) error {
	store, err := in.openBucket(url)
	if err != nil {
		return err
	}
	ranges := tier.NewRanges(store, tier.RangesOptions{})
	stop := context.AfterFunc(ctx, func() { ranges.Close() }) // so that reads under way end
	err = in.published(ctx, &bucket{store: store, ranges: ranges}, names)
	stop()
	err = errors.Join(err, ranges.Close(), open.Close(store))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (in *inspection) published(ctx context.Context, b *bucket, names []string) (err error) {
	if b.Published, err = archive.Read(ctx, b.store); err != nil {
		return in.corrupt(err)
	}
	segments := make([]*manifest.Segment, len(names))
	for i, name := range names {
		if segments[i] = b.find(name); segments[i] == nil {
			return fmt.Errorf("%s: the archive %s names no such segment; inspect it without a name to see those it has",
				display(name), b.store.Name())
		}
	}
	if len(names) == 0 {
		if err := in.archive(b); err != nil {
			return err
		}
		if !in.entries && !in.blocks {
			return nil
		}
		for i := range b.State.Segments {
			segments = append(segments, &b.State.Segments[i])
		}
	}
	for i, g := range segments {
		if !in.json && (i > 0 || len(names) == 0) {
			in.out.printf("\n")
		}
		in.listed = 0
		if err := in.object(b, g); err != nil && !errors.Is(err, errLimit) {
			return err
		}
	}
	return nil
}

// find returns the segment that a name means: that of its object, with or without what stands before it, or its id.
func (b *bucket) find(name string) *manifest.Segment {
	name = strings.TrimPrefix(name, b.store.Name()+"/")
	for i := range b.State.Segments {
		g := &b.State.Segments[i]
		switch name {
		case g.Object.Name, strings.TrimPrefix(g.Object.Name, tier.SegmentPrefix), tlog.SegmentID(g.FirstSeq, g.LastSeq):
			return g
		}
	}
	return nil
}

// archive shows what is published.
func (in *inspection) archive(b *bucket) error {
	doc := archiveJSON{Kind: "archive", Store: b.store.Name(), LedgerID: b.Identity.LedgerID, Origin: b.Identity.Origin,
		Version: b.Version, Cluster: b.Owner.Cluster, ClusterSince: b.Owner.Since, Manifest: b.Name, ManifestSHA256: b.SHA256.String(), CheckpointSize: b.Checkpoint.Size,
		CheckpointRoot: b.Checkpoint.Root.String(), Checkpoint: string(b.Note)}
	state, err := in.manifestDoc(b.store.Name()+"/"+b.Name, b.State)
	if err != nil {
		return err
	}
	if in.json {
		return errors.Join(in.print(doc), in.print(state))
	}
	in.row("archive", "%s, ledger %s", display(doc.Store), display(doc.LedgerID))
	in.row("origin", "%s", display(doc.Origin))
	if doc.Cluster == "" {
		in.row("owner", "nobody")
	} else {
		in.row("owner", "cluster %s, since version %d", display(doc.Cluster), doc.ClusterSince)
	}
	in.row("published", "version %d, manifest of SHA-256 %s", doc.Version, doc.ManifestSHA256)
	in.row("checkpoint", "%d entries, root %s", doc.CheckpointSize, doc.CheckpointRoot)
	in.out.printf("\n")
	in.printManifest(state)
	in.out.printf("\n")
	return in.objectTable(state.Segments)
}

func (in *inspection) objectTable(segments []*segmentJSON) error {
	w := tabwriter.NewWriter(in.out.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEQS\tENTRIES\tBYTES\tOBJECT\tROOT")
	for _, s := range segments {
		fmt.Fprintf(w, "%d to %d\t%d\t%d\t%s\t%s\n", s.FirstSeq, s.LastSeq, s.Entries, s.ObjectBytes, display(s.Object), s.Root)
	}
	return errors.Join(in.out.err, w.Flush())
}

// object shows a segment in the store, which must be the one that the manifest names.
func (in *inspection) object(b *bucket, g *manifest.Segment) error {
	src, err := b.ranges.Open(tier.SealedObject{Name: g.Object.Name, Bytes: int64(g.Object.Bytes),
		SHA256: [sha256.Size]byte(g.Object.SHA256), MetaOffset: int64(g.Object.MetaOffset)}, nil)
	if err != nil {
		return err
	}
	t, err := sstable.Open(src, sstable.Options{Cache: sstable.NewBlockCache(segmentCache), ResidentBytes: -1,
		Expect: &sstable.Info{ID: tlog.SegmentID(g.FirstSeq, g.LastSeq), FirstSeq: g.FirstSeq, LastSeq: g.LastSeq,
			Entries: g.Entries, Bytes: g.Object.Bytes, Root: g.Root}})
	if err != nil {
		return in.noSegment(src.Name(), err)
	}
	doc := segmentDoc(src.Name(), t)
	doc.Tier, doc.Object = g.Tier.String(), g.Object.Name
	doc.ObjectBytes, doc.ObjectSHA256 = g.Object.Bytes, g.Object.SHA256.String()
	if in.json {
		err = in.print(doc)
	} else {
		in.printSegment(doc, t.Info())
		in.row("object", "%s, SHA-256 %s", display(doc.Object), doc.ObjectSHA256)
		err = in.out.err
	}
	if err != nil {
		return err
	}
	return in.listSegment(t)
}
