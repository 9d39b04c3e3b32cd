package sstable

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
)

// WriterOptions tune a Writer. The zero value is the documented default. None of them changes the root.
type WriterOptions struct {
	Compression     segfile.Compression
	BlockBytes      int // data bytes gathered before a block is closed; default 8 KiB, at most 64 KiB
	LargeValueBytes int // values longer than this get blocks of their own; default 32 KiB, at most 128 KiB
	BufferBytes     int // gathered before the output is written; default 256 KiB
	// PartitionBlocks is how many data blocks share a partition of the index; default and at most 1024.
	PartitionBlocks int
	// Scratch takes what the meta tail will say until Finish: about 38 bytes an entry, from offset 0 on. It is read and
	// written at any place, never synced, and worth nothing afterwards. The caller makes it, empty, and removes it.
	// Without one it is held in memory, and a segment may have [MaxEntriesInMemory].
	Scratch Scratch
}

// Scratch is a temporary file for one Writer. A vfs.File is one.
type Scratch interface {
	io.ReaderAt
	io.WriterAt
}

// MaxEntriesInMemory bounds a segment whose Writer has no Scratch.
const MaxEntriesInMemory = 4 << 20

func (o *WriterOptions) partitionBlocks() int {
	if o.PartitionBlocks <= 0 || o.PartitionBlocks > maxPartitionBlocks {
		return maxPartitionBlocks
	}
	return o.PartitionBlocks
}

const (
	// A point read that finds no block cached pays for a whole one: half the time of 16 KiB, for 2 % more bytes.
	defaultBlockBytes      = 8 << 10
	maxBlockBytes          = 64 << 10
	defaultLargeValueBytes = 32 << 10
	maxLargeValueBytes     = 128 << 10 // with maxBlockBytes and a longest key it stays below segfile.MaxBlockBytes
)

// Writer builds one segment from entries that come in segment order. It is for one goroutine. After an error it is
// of no further use and repeats that error. What grows with the entries is in its Scratch: it holds itself a fifth of a
// byte an entry, and the partition of the index that is being gathered.
type Writer struct {
	out   *segfile.Writer
	opts  WriterOptions
	props properties

	block      blockBuilder
	blockFirst uint64    // ordinal of the block's first entry
	blockSep   separator // of the block being gathered
	scratch    []byte

	index     indexBuilder // of the partition being gathered
	filter    filterBuilder
	partFirst uint64    // ordinal of the partition's first entry
	partSep   separator // of the partition being gathered
	top       topBuilder

	lastOp  tlog.Op
	lastKey []byte
	lastSeq uint64

	count       uint64
	spill       *spill
	ledgerNodes []merkle.Hash
	err         error
}

// NewWriter begins a segment that will cover exactly the seqs [first, last]. It appends to out and never seeks; the
// caller syncs the file and makes its name durable after Finish.
func NewWriter(out io.Writer, first, last uint64, opts WriterOptions) (*Writer, error) {
	if first > last || last-first >= MaxEntries {
		return nil, fmt.Errorf("sstable: a segment of the seqs %d to %d; 1 to %d of them fit", first, last, uint64(MaxEntries))
	}
	entries := last - first + 1
	if opts.Scratch == nil && entries > MaxEntriesInMemory {
		return nil, fmt.Errorf("sstable: a segment of %d entries without a scratch file; %d at most", entries,
			MaxEntriesInMemory)
	}
	if opts.BlockBytes <= 0 {
		opts.BlockBytes = defaultBlockBytes
	}
	if opts.LargeValueBytes <= 0 {
		opts.LargeValueBytes = defaultLargeValueBytes
	}
	opts.BlockBytes = min(opts.BlockBytes, maxBlockBytes)
	opts.LargeValueBytes = min(opts.LargeValueBytes, maxLargeValueBytes)
	w := &Writer{opts: opts, block: blockBuilder{firstSeq: first}, spill: newSpill(opts.Scratch, entries)}
	w.props.Info = Info{ID: tlog.SegmentID(first, last), FirstSeq: first, LastSeq: last, Entries: entries}
	var err error
	w.out, err = segfile.NewWriter(out, segfile.WriterOptions{Compression: opts.Compression, Salt: saltOf(w.props.ID),
		BufferBytes: opts.BufferBytes})
	return w, err
}

// Add appends the next entry. Entries come in segment order: OpSegment entries by seq ascending, then all others by
// key ascending (bytewise), within a key by seq descending. Leaf and ValueHash must be set. Nothing of e is kept.
func (w *Writer) Add(e *Entry) error {
	if w.err == nil {
		w.err = w.add(e, nil)
	}
	return w.err
}

// AddFrom is Add for the entry that it stands on, whose leaf must be there. It is what merges use: with
// ScanOptions.LeaveLarge a large value is copied piece by piece, as it is stored. Of a small one whose hash the source
// does not store, none is needed.
func (w *Writer) AddFrom(it *ScanIter) error {
	if w.err != nil {
		return w.err
	}
	e := *it.Entry()
	var run *segfile.Run
	if e.Value == nil && e.ValueSize > 0 {
		v, err := it.OpenValue()
		if err != nil {
			w.err = err
			return err
		}
		run = v.run
	} else if e.ValueHash == (merkle.Hash{}) {
		if e.ValueSize == 0 || len(e.Value) > w.opts.LargeValueBytes {
			e.Sum()
		} else {
			e.ValueHash = e.Leaf // stands in for it in the checks; the hash of a small value is not stored
		}
	}
	w.err = w.add(&e, run)
	return w.err
}

// add appends e, whose value is e.Value, or run if that is not nil.
func (w *Writer) add(e *Entry, run *segfile.Run) error {
	size := uint64(len(e.Value))
	if run != nil {
		size = run.Size()
	}
	if err := w.check(e, size); err != nil {
		return err
	}
	newKey := e.Op != tlog.OpSegment && (w.lastOp == tlog.OpSegment || !bytes.Equal(e.Key, w.lastKey))
	lastOfSegments := w.lastOp == tlog.OpSegment && e.Op != tlog.OpSegment
	if w.block.count() > 0 && (w.block.weight >= w.opts.BlockBytes || w.block.full() || lastOfSegments) {
		if err := w.closeBlock(lastOfSegments); err != nil {
			return err
		}
	}
	if w.block.count() == 0 {
		w.beginBlock(e)
	}
	large, err := w.storeLarge(e, run)
	if err != nil {
		return err
	}
	w.block.add(e, large)
	return w.note(e, newKey)
}

// beginBlock notes where the block that e begins starts, and the partition that the block begins.
func (w *Writer) beginBlock(e *Entry) {
	w.blockFirst, w.blockSep = w.count, separator{}
	if w.lastOp != tlog.OpSegment && w.count > 0 {
		w.blockSep = separate(w.lastKey, w.lastSeq, e.Key).clone()
	}
	if w.index.count() == 0 {
		w.partFirst, w.partSep = w.count, w.blockSep
		w.blockSep = separator{}
		if w.lastOp != tlog.OpSegment && w.count > 0 && bytes.Equal(w.lastKey, e.Key) {
			w.filter.add(e.Key) // its versions go on from the partition before
		}
	}
}

// storeLarge writes a value that gets blocks of its own; nil for others.
func (w *Writer) storeLarge(e *Entry, run *segfile.Run) (*largeValue, error) {
	if run == nil && len(e.Value) <= w.opts.LargeValueBytes {
		return nil, nil
	}
	v := largeValue{size: e.ValueSize, hash: e.ValueHash}
	var err error
	if run != nil {
		v.at, err = w.out.CopyRun(run)
	} else {
		v.at, err = w.out.AppendRun(e.Value)
	}
	return &v, err
}

// check refuses an entry that breaks the order, the coverage or a limit.
func (w *Writer) check(e *Entry, size uint64) error {
	if err := e.Check(); err != nil {
		return fmt.Errorf("sstable: entry %d: %w", e.Seq, err)
	}
	switch {
	case e.Seq < w.props.FirstSeq || e.Seq > w.props.LastSeq:
		return fmt.Errorf("sstable: entry %d is not of segment %s", e.Seq, w.props.ID)
	case size != e.ValueSize || e.ValueSize > MaxValueBytes:
		return fmt.Errorf("sstable: entry %d has a value of %d bytes, of %d", e.Seq, size, e.ValueSize)
	case e.Leaf == (merkle.Hash{}):
		return fmt.Errorf("sstable: entry %d has no leaf hash", e.Seq)
	}
	if w.count == 0 {
		return nil
	}
	ordered := false
	switch {
	case e.Op == tlog.OpSegment:
		ordered = w.lastOp == tlog.OpSegment && w.lastSeq < e.Seq
	case w.lastOp == tlog.OpSegment:
		ordered = true
	default:
		ordered = compare(w.lastKey, w.lastSeq, e.Key, e.Seq) < 0
	}
	if !ordered {
		return fmt.Errorf("sstable: entry %d is out of order behind entry %d", e.Seq, w.lastSeq)
	}
	return nil
}

// note takes down what the meta tail will say of e.
func (w *Writer) note(e *Entry, newKey bool) error {
	if err := w.spill.add(e.Leaf, e.Seq-w.props.FirstSeq); err != nil {
		return err
	}
	w.count++
	w.props.keyBytes += uint64(len(e.Key))
	w.props.valueBytes += e.ValueSize
	if e.Op == tlog.OpSegment {
		w.props.segments++
	} else if newKey {
		if w.props.keys == 0 {
			w.props.MinKey = bytes.Clone(e.Key)
		}
		w.props.keys++
		w.filter.add(e.Key)
	}
	if e.Seq == w.props.FirstSeq {
		w.props.FirstTime = e.Time
	}
	if e.Seq == w.props.LastSeq {
		w.props.LastTime = e.Time
	}
	w.lastOp, w.lastSeq = e.Op, e.Seq
	w.lastKey = append(w.lastKey[:0], e.Key...)
	return nil
}

// closeBlock writes the block being gathered, and the partition with it when that has become large enough, or last.
func (w *Writer) closeBlock(last bool) error {
	w.scratch = w.block.finish(w.scratch[:0])
	h, err := w.out.AppendBlock(w.scratch)
	if err != nil {
		return err
	}
	w.index.add(h, w.blockFirst, w.blockSep)
	w.props.blocks++
	if last || w.index.count() == w.opts.partitionBlocks() || w.filter.count()+maxBlockEntries > maxPartitionKeys ||
		w.index.size() > maxPartitionBytes {
		return w.closePartition()
	}
	return nil
}

func (w *Writer) closePartition() error {
	blocks := w.index.count()
	stored := [2]uint64{}
	for i, b := range [2][]byte{w.index.finish(), w.filter.finish()} {
		if len(b) == 0 {
			continue
		}
		if err := w.spill.addPart(b); err != nil {
			return err
		}
		stored[i] = uint64(len(b)) + segfile.BlockOverhead
	}
	w.top.add(w.out.Offset(), w.partFirst, blocks, stored[0], stored[1], w.partSep)
	return nil
}

// SetLedgerNodes gives the level-8 nodes of the ledger tree that this segment's entries complete. They are stored as
// given, for Table.LedgerNodes. The slice is kept until Finish.
func (w *Writer) SetLedgerNodes(nodes []merkle.Hash) { w.ledgerNodes = nodes }

// Finish writes the meta tail and says what was built. It fails when a seq of [first, last] was not added.
func (w *Writer) Finish() (Info, error) {
	if w.err != nil {
		return Info{}, w.err
	}
	if w.err = w.finish(); w.err != nil {
		return Info{}, w.err
	}
	w.err = errors.New("sstable: writer is finished")
	return w.props.Info, nil
}

func (w *Writer) finish() error {
	if w.count != w.props.Entries {
		return fmt.Errorf("sstable: segment %s has %d of its %d entries", w.props.ID, w.count, w.props.Entries)
	}
	if err := w.closeBlock(true); err != nil {
		return err
	}
	if w.props.keys > 0 {
		w.props.MaxKey = bytes.Clone(w.lastKey)
	}
	var err error
	if w.props.Root, err = w.spill.root(); err != nil {
		return err
	}
	w.out.BeginMeta()
	_, seqs := tileArrays(w.out.Offset(), w.props.Entries)
	if err := w.spill.writeLeaves(w.out); err != nil {
		return err
	}
	if err := w.spill.writeSeqs(w.out, seqs); err != nil {
		return err
	}
	if err := w.spill.writeParts(w.out); err != nil {
		return err
	}
	for _, s := range []struct {
		kind uint32
		data []byte
	}{
		{sectionIndex, w.top.finish()},
		{sectionUpper, appendHashes(nil, w.spill.upper.Level8())},
		{sectionLedgerNodes, appendHashes(nil, w.ledgerNodes)},
		{sectionProperties, w.props.append(nil)},
	} {
		if err := w.out.AddSection(s.kind, s.data); err != nil {
			return err
		}
	}
	w.props.Bytes, err = w.out.Finish()
	return err
}
