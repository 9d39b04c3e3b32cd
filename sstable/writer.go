package sstable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
)

// WriterOptions tune a Writer. The zero value is the documented default. None of them changes the root.
type WriterOptions struct {
	Compression     segfile.Compression
	BlockBytes      int // data bytes gathered before a block is closed; default 16 KiB, at most 64 KiB
	LargeValueBytes int // values longer than this get blocks of their own; default 32 KiB, at most 128 KiB
	BufferBytes     int // gathered before the output is written; default 256 KiB
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

const (
	defaultBlockBytes      = 16 << 10
	maxBlockBytes          = 64 << 10
	defaultLargeValueBytes = 32 << 10
	maxLargeValueBytes     = 128 << 10 // with maxBlockBytes and a longest key it stays below segfile.MaxBlockBytes
)

// Writer builds one segment from entries that come in segment order. It is for one goroutine. After an error it is
// of no further use and repeats that error. It holds about 44 bytes an entry until Finish.
type Writer struct {
	out   *segfile.Writer
	opts  WriterOptions
	props properties

	block      blockBuilder
	blockFirst uint64    // ordinal of the block's first entry
	blockSep   separator // of the block being gathered
	index      indexBuilder
	scratch    []byte

	lastOp  tlog.Op
	lastKey []byte
	lastSeq uint64

	count       uint64
	leaves      []byte   // hashes in segment order
	ordinals    []byte   // u32 per seq; noOrdinal where none was added yet
	hashes      []uint64 // of distinct keys
	ledgerNodes []merkle.Hash
	err         error
}

const noOrdinal = math.MaxUint32

// NewWriter begins a segment that will cover exactly the seqs [first, last]. It appends to out and never seeks; the
// caller syncs the file and makes its name durable after Finish.
func NewWriter(out io.Writer, first, last uint64, opts WriterOptions) (*Writer, error) {
	if first > last || last-first >= MaxEntries {
		return nil, fmt.Errorf("sstable: a segment of the seqs %d to %d; 1 to %d of them fit", first, last, MaxEntries)
	}
	if opts.BlockBytes <= 0 {
		opts.BlockBytes = defaultBlockBytes
	}
	if opts.LargeValueBytes <= 0 {
		opts.LargeValueBytes = defaultLargeValueBytes
	}
	opts.BlockBytes = min(opts.BlockBytes, maxBlockBytes)
	opts.LargeValueBytes = min(opts.LargeValueBytes, maxLargeValueBytes)
	w := &Writer{opts: opts, block: blockBuilder{firstSeq: first}}
	w.props.Info = Info{ID: tlog.SegmentID(first, last), FirstSeq: first, LastSeq: last, Entries: last - first + 1}
	var err error
	w.out, err = segfile.NewWriter(out, segfile.WriterOptions{Compression: opts.Compression, Salt: saltOf(w.props.ID),
		BufferBytes: opts.BufferBytes})
	if err != nil {
		return nil, err
	}
	w.ordinals = bytes.Repeat([]byte{0xff}, int(w.props.Entries)*4)
	w.leaves = make([]byte, 0, w.props.Entries*merkle.HashSize)
	return w, nil
}

// Add appends the next entry. Entries come in segment order: OpSegment entries by seq ascending, then all others by
// key ascending (bytewise), within a key by seq descending. Leaf and ValueHash must be set. Nothing of e is kept.
func (w *Writer) Add(e *Entry) error {
	if w.err == nil {
		w.err = w.add(e)
	}
	return w.err
}

// AddFrom is Add for the entry that it stands on. Use it in a merge: it.Entry's value need not be read (see
// ScanOptions.LeaveLarge), and a large one is copied piece by piece.
func (w *Writer) AddFrom(it *ScanIter) error { return w.Add(it.Entry()) }

func (w *Writer) add(e *Entry) error {
	if err := w.check(e); err != nil {
		return err
	}
	newKey := e.Op != tlog.OpSegment && (w.lastOp == tlog.OpSegment || !bytes.Equal(e.Key, w.lastKey))
	if w.block.count > 0 && (w.block.size() >= w.opts.BlockBytes || !w.block.fits(e.Key) ||
		w.lastOp == tlog.OpSegment && e.Op != tlog.OpSegment) {
		if err := w.closeBlock(); err != nil {
			return err
		}
	}
	if w.block.count == 0 {
		w.blockFirst = w.count
		w.blockSep = separator{}
		if w.lastOp != tlog.OpSegment && w.count > 0 {
			s := separate(w.lastKey, w.lastSeq, e.Key)
			w.blockSep = separator{bytes.Clone(s.key), s.seq}
		}
	}
	var value *segfile.Handle
	if len(e.Value) > w.opts.LargeValueBytes {
		h, err := w.out.AppendRun(e.Value)
		if err != nil {
			return err
		}
		value = &h
	}
	w.block.add(e, value)
	w.note(e, newKey)
	return nil
}

// check refuses an entry that breaks the order, the coverage or a limit.
func (w *Writer) check(e *Entry) error {
	if err := e.Check(); err != nil {
		return fmt.Errorf("sstable: entry %d: %w", e.Seq, err)
	}
	switch {
	case e.Seq < w.props.FirstSeq || e.Seq > w.props.LastSeq:
		return fmt.Errorf("sstable: entry %d is not of segment %s", e.Seq, w.props.ID)
	case uint64(len(e.Value)) != e.ValueSize || e.ValueSize > MaxValueBytes:
		return fmt.Errorf("sstable: entry %d has a value of %d bytes, of %d", e.Seq, len(e.Value), e.ValueSize)
	case e.Leaf == (merkle.Hash{}):
		return fmt.Errorf("sstable: entry %d has no leaf hash", e.Seq)
	case binary.LittleEndian.Uint32(w.ordinals[(e.Seq-w.props.FirstSeq)*4:]) != noOrdinal:
		return fmt.Errorf("sstable: entry %d comes twice", e.Seq)
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
func (w *Writer) note(e *Entry, newKey bool) {
	binary.LittleEndian.PutUint32(w.ordinals[(e.Seq-w.props.FirstSeq)*4:], uint32(w.count))
	w.leaves = append(w.leaves, e.Leaf[:]...)
	w.count++
	if e.Op == tlog.OpSegment {
		w.props.segments++
	} else if newKey {
		if w.props.keys == 0 {
			w.props.MinKey = bytes.Clone(e.Key)
		}
		w.props.keys++
		w.hashes = append(w.hashes, hashKey(e.Key))
	}
	if e.Seq == w.props.FirstSeq {
		w.props.FirstTime = e.Time
	}
	if e.Seq == w.props.LastSeq {
		w.props.LastTime = e.Time
	}
	w.lastOp, w.lastSeq = e.Op, e.Seq
	w.lastKey = append(w.lastKey[:0], e.Key...)
}

func (w *Writer) closeBlock() error {
	w.scratch = w.block.finish(w.scratch[:0])
	h, err := w.out.AppendBlock(w.scratch)
	if err != nil {
		return err
	}
	w.index.add(h, w.blockFirst, w.blockSep)
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
	if err := w.closeBlock(); err != nil {
		return err
	}
	if w.props.keys > 0 {
		w.props.MaxKey = bytes.Clone(w.lastKey)
	}
	upper, root, err := treeOf(w.leaves)
	if err != nil {
		return err
	}
	w.props.Root = root

	w.out.BeginMeta()
	leaves, seqs := tileArrays(w.out.Offset(), w.props.Entries)
	if err := leaves.write(w.out, w.leaves); err != nil {
		return err
	}
	if err := seqs.write(w.out, w.ordinals); err != nil {
		return err
	}
	for _, s := range []struct {
		kind uint32
		data []byte
	}{
		{sectionIndex, w.index.finish()},
		{sectionFilter, buildFilter(w.hashes)},
		{sectionUpper, appendHashes(nil, upper.Level8())},
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
