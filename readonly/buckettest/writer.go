// Package buckettest makes archives for tests: a ledger of one node in memory, whose segments it puts into a store and
// publishes there. The node knows nothing of the store, so what is published is this package's doing alone.
package buckettest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// Options of New. Zero fields mean the default named beside them.
type Options struct {
	ClusterSeed uint64 // another one makes another ledger; default 0
	BlockBytes  int    // of data blocks; default 1 KiB
	Compression segfile.Compression
}

// Writer is a ledger and where it is published. It is for one goroutine.
type Writer struct {
	Store tier.Store
	Node  *node.Node

	t   testing.TB
	rng *rand.Rand
	id  archive.Identity
}

// New opens an empty ledger that ends with the test.
func New(t testing.TB, store tier.Store, o Options) *Writer {
	t.Helper()
	if o.BlockBytes == 0 {
		o.BlockBytes = 1 << 10
	}
	seed := o.ClusterSeed + 1
	clock := int64(1_790_000_000_000_000)
	n, err := node.Open(node.Options{FS: vfs.NewMem(), Dir: "data", NodeID: 1, Seed: seed, RaftAddr: "127.0.0.1:9001",
		Heartbeat: 5 * time.Millisecond, Now: func() time.Time { return time.UnixMicro(clock) },
		WAL: wal.Options{FileBytes: 1 << 20, SpareFiles: 1},
		Ledger: ledger.Options{SealBytes: 1 << 30, SealAge: -1, BlockBytes: o.BlockBytes, Compression: o.Compression,
			CompactFanIn: -1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-n.Ready():
	case <-n.Failed():
		t.Fatal(n.Err())
	}
	return &Writer{Store: store, Node: n, t: t, rng: rand.New(rand.NewPCG(seed, 1))}
}

// Write appends ops as one command.
func (w *Writer) Write(ops ...ledger.WriteOp) ledger.Receipt {
	w.t.Helper()
	r, err := w.Node.Write(context.Background(), &ledger.Command{Ops: ops})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// Put appends a version.
func (w *Writer) Put(key string, value []byte) uint64 {
	w.t.Helper()
	return w.Write(ledger.WriteOp{Op: tlog.OpPut, Key: []byte(key), ContentType: "text/plain", Value: value}).FirstSeq
}

// Delete appends a tombstone.
func (w *Writer) Delete(key string) uint64 {
	w.t.Helper()
	return w.Write(ledger.WriteOp{Op: tlog.OpDelete, Key: []byte(key)}).FirstSeq
}

// Noise is bytes that do not compress.
func (w *Writer) Noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.rng.Uint32())
	}
	return b
}

// Fill appends n versions of n/2 keys.
func (w *Writer) Fill(n int) {
	w.t.Helper()
	var ops []ledger.WriteOp
	for i := range n {
		ops = append(ops, ledger.WriteOp{Op: tlog.OpPut, Key: fmt.Appendf(nil, "key/%06d", w.rng.IntN(n/2+1)),
			Value: w.Noise(40 + i%60)})
		if len(ops) == 500 || i == n-1 {
			w.Write(ops...)
			ops = nil
		}
	}
}

// Seal puts all entries into segments, and returns the state that the manifest on disk holds.
func (w *Writer) Seal() *manifest.State {
	w.t.Helper()
	if _, err := w.Node.Seal(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	return w.Node.Ledger().Candidate()
}

// Merge makes one segment of all.
func (w *Writer) Merge() {
	w.t.Helper()
	if _, err := w.Node.Compact(context.Background(), true); err != nil {
		w.t.Fatal(err)
	}
}

// Publish seals, uploads what has no object yet, publishes, and returns what a reader finds.
func (w *Writer) Publish() *archive.Published {
	w.t.Helper()
	return w.PublishState(w.Seal())
}

// PublishState publishes a state that Seal has returned.
func (w *Writer) PublishState(sealed *manifest.State) *archive.Published {
	w.t.Helper()
	ctx := context.Background()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	state := *sealed
	state.Segments = append([]manifest.Segment(nil), state.Segments...)
	for i := range state.Segments {
		g := &state.Segments[i]
		g.Object, g.Tier = w.upload(*g), manifest.Cold
		g.Bytes = g.Object.Bytes
	}
	if w.id.LedgerID == "" {
		w.id = archive.Identity{LedgerID: state.ClusterID, Origin: ledger.DefaultOrigin(state.ClusterID)}
		must(archive.Claim(ctx, w.Store, w.id))
	}
	root, err := w.Node.Ledger().RootAt(state.TreeSize)
	must(err)
	c := tlog.Checkpoint{Origin: w.id.Origin, Size: state.TreeSize, Root: root}
	text, err := c.Text()
	must(err)
	must(archive.Publish(ctx, w.Store, archive.Publication{Identity: w.id, State: &state, Checkpoint: []byte(text),
		Tree: w.Node.Ledger()}))
	p, err := archive.Read(ctx, w.Store)
	must(err)
	return p
}

// upload puts a segment, unless it is there.
func (w *Writer) upload(g manifest.Segment) manifest.Object {
	w.t.Helper()
	f, err := w.Node.Ledger().OpenSegment(ledger.SegmentPart{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq, Bytes: g.Bytes,
		Root: g.Root})
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	src, err := segfile.NewFileSource(f.Name(), f)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := segfile.Open(src)
	if err != nil {
		w.t.Fatal(err)
	}
	o, _, err := tier.NewUploader(w.Store, tier.UploaderOptions{}).Upload(context.Background(), tier.SegmentFile{Bytes: f,
		Size: int64(f.Bytes), SegmentMetadata: tier.SegmentMetadata{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq,
			Entries: g.Entries, Root: g.Root, MetaOffset: int64(r.MetaOffset()), MinKey: g.MinKey, MaxKey: g.MaxKey}})
	if err != nil {
		w.t.Fatal(err)
	}
	return manifest.Object{Name: o.Name, Bytes: uint64(o.Bytes), SHA256: merkle.Hash(o.SHA256),
		MetaOffset: uint64(o.MetaOffset)}
}
