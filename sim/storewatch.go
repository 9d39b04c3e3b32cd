package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"path"
	"strings"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// storeWatch holds what nodes do with the store, and with their files on account of it, against the rules of the cold tier
// while the run goes on:
//
//   - A file goes only when the manifest on disk lists the object of its segment, the meta tail is there, both durable,
//     and the object has the bytes that are recorded.
//   - An object that is recorded or published is deleted only by a node that has its bytes in a file, to put it again.
//   - What is published verifies as a whole, and never goes back.
type storeWatch struct {
	b         *bucket
	published []publication
	pointer   uint64 // size that the newest checkpoint is of
	newest    *archive.Published
	right     map[string]string // objects whose bytes were found right, and their ETags
	gone      int               // files that went for their objects
}

// publication is a state that was the newest published one for a while.
type publication struct {
	size uint64
	root merkle.Hash
}

func (c *storeWatch) begin(b *bucket) { c.b, c.right = b, make(map[string]string) }

// fileGoes looks at the file of a segment that is about to go from a disk for good.
func (c *storeWatch) fileGoes(d *disk, name string) {
	if _, err := d.mem.Stat("data/INSTALL"); err == nil {
		return // another state is about to be put in this one's place, and its segments are in a directory of their own
	}
	id := strings.TrimSuffix(path.Base(name), ".seg")
	g, listed := listedSegment(d.mem, id)
	if !listed {
		return // it was merged, or was never listed
	}
	c.gone++
	c.b.w.stats.Evictions++
	left := vfs.FS(d.mem)
	if c.gone%4 == 0 { // what a power cut would leave now is looked at more seldom, for it takes longer
		left = d.mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone})
		if g, listed = listedSegment(left, id); !listed {
			c.b.w.violated("node %d: the file of segment %s goes, and after a power cut its manifest would not list it", d.r.id, id)
			return
		}
	}
	if !g.Object.Exists() {
		c.b.w.violated("node %d: the file of segment %s goes, and the manifest on disk lists no object", d.r.id, id)
		return
	}
	f, err := left.Open(strings.TrimSuffix(name, ".seg") + ".meta")
	if err != nil {
		c.b.w.violated("node %d: the file of segment %s goes, and its meta tail is not there: %w", d.r.id, id, err)
		return
	}
	size, err := f.Size()
	if cerr := f.Close(); err != nil || cerr != nil || uint64(size) != g.Object.Bytes-g.Object.MetaOffset {
		c.b.w.violated("node %d: the file of segment %s goes, and %d bytes of its meta tail are there: %v", d.r.id, id, size,
			errors.Join(err, cerr))
		return
	}
	if !c.b.rotten[g.Object.Name] {
		c.object(g.Object)
	}
}

// listedSegment returns a segment of the manifest on a disk.
func listedSegment(disk vfs.FS, id string) (g manifest.Segment, listed bool) {
	encoded, err := vfs.ReadFile(disk, "data/MANIFEST", 1<<30)
	if err != nil {
		return g, false
	}
	state, err := manifest.Decode(encoded)
	if err != nil {
		return g, false
	}
	for _, g := range state.Segments {
		if tlog.SegmentID(g.FirstSeq, g.LastSeq) == id {
			return g, true
		}
	}
	return g, false
}

// object holds the bytes of an object against what is recorded of it.
func (c *storeWatch) object(o manifest.Object) {
	c.b.raw(func(s tier.Store) {
		head, err := s.Head(context.Background(), o.Name)
		if err == nil && c.right[o.Name] == head.ETag && bytes.Equal(head.SHA256, o.SHA256[:]) {
			return
		}
		data, head, err := tier.ReadAll(context.Background(), s, o.Name, 1<<30)
		if err != nil || uint64(len(data)) != o.Bytes || sha256.Sum256(data) != o.SHA256 {
			c.b.w.violated("object %s is recorded with %d bytes and SHA-256 %s, and has %d: %v", o.Name, o.Bytes, o.SHA256,
				len(data), err)
			return
		}
		c.right[o.Name] = head.ETag
	})
}

// written looks at what a node has written, whatever it was told of that.
func (c *storeWatch) written(r *replica, key string) {
	switch key {
	case tier.LatestName:
		c.b.raw(func(s tier.Store) { c.movedLatest(s, r) })
	case tier.CheckpointName:
		c.b.raw(func(s tier.Store) { c.movedCheckpoint(s, r) })
	}
}

func (c *storeWatch) movedLatest(s tier.Store, r *replica) {
	w := c.b.w
	latest, err := archive.ReadLatest(context.Background(), s)
	if errors.Is(err, archive.ErrNothingPublished) && c.newest == nil || err == nil && c.newest != nil &&
		latest.Version == c.newest.Version {
		return
	}
	p, err := archive.Read(context.Background(), s)
	if err != nil {
		w.violated("what node %d has published does not verify: %w", r.id, err)
		return
	}
	if c.newest != nil && (p.State.TreeSize < c.newest.State.TreeSize || p.Version <= c.newest.Version) {
		w.violated("node %d has published %d entries as version %d, and %d were published as version %d", r.id,
			p.State.TreeSize, p.Version, c.newest.State.TreeSize, c.newest.Version)
	}
	for i := range p.State.Segments {
		o := p.State.Segments[i].Object
		if _, err := s.Head(context.Background(), o.Name); err != nil && !c.b.rotten[o.Name] {
			w.violated("node %d has published a state of %d entries, whose object %s is not there: %w", r.id, p.State.TreeSize,
				o.Name, err)
		}
	}
	c.newest = p
	c.published = append(c.published, publication{p.State.TreeSize, p.Checkpoint.Root})
	w.stats.Published++
	w.tell("node %d has published %d entries", r.id, p.State.TreeSize)
}

func (c *storeWatch) movedCheckpoint(s tier.Store, r *replica) {
	data, _, err := tier.ReadAll(context.Background(), s, tier.CheckpointName, tlog.MaxCheckpointBytes)
	if errors.Is(err, tier.ErrNotFound) {
		return
	}
	note, _, perr := tlog.ParseCheckpoint(string(data))
	if err != nil || perr != nil || note.Size < c.pointer {
		c.b.w.violated("node %d has written a checkpoint of %d entries behind one of %d: %v", r.id, note.Size, c.pointer,
			errors.Join(err, perr))
	}
	c.pointer = note.Size
}

// deletes looks at an object that a node is about to delete.
func (c *storeWatch) deletes(r *replica, key string) {
	p, err := tier.ParseSegmentName(key)
	if err != nil {
		return
	}
	o, needed := c.needed(key)
	if !needed {
		c.b.w.stats.Swept++
		return
	}
	name := path.Join(segmentDir, tlog.SegmentID(p.FirstSeq, p.LastSeq)+".seg")
	if data, err := vfs.ReadFile(r.disk.mem, name, 1<<30); err == nil && sha256.Sum256(data) == o.SHA256 {
		c.b.w.stats.Repairs++
		return
	}
	c.b.w.violated("node %d deletes object %s, which is needed, and has no file of it", r.id, key)
}

// needed says whether an object is recorded, as far as any node has applied the log, or published.
func (c *storeWatch) needed(name string) (manifest.Object, bool) {
	for _, r := range c.b.recorded() {
		if r.Object.Name == name {
			return r.Object, true
		}
	}
	if c.newest != nil {
		for i := range c.newest.State.Segments {
			if o := c.newest.State.Segments[i].Object; o.Name == name {
				return o, true
			}
		}
	}
	return manifest.Object{}, false
}

// recorded are the recorded segments, of the node that has applied most.
func (b *bucket) recorded() []manifest.Recorded {
	var most *replica
	for _, r := range b.w.nodes {
		if r.node == nil {
			continue
		}
		if _, _, rebuilding := r.node.Glance(); rebuilding {
			continue
		}
		if most == nil || r.node.Ledger().NextSeq() > most.node.Ledger().NextSeq() {
			most = r
		}
	}
	if most == nil {
		return nil
	}
	return most.node.Ledger().Recorded()
}
