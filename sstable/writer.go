package sstable

import (
	"errors"
	"io"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
)

// WriterOptions tune a Writer. The zero value is the documented default. None of them changes the root.
type WriterOptions struct {
	Compression     segfile.Compression
	BlockBytes      int // data bytes gathered before a block is closed; default 16 KiB
	LargeValueBytes int // values longer than this get blocks of their own; default 32 KiB, at most 128 KiB
}

// Writer builds one segment from entries that come in segment order. It is for one goroutine. After an error it is
// of no further use.
type Writer struct{}

// NewWriter begins a segment that will cover exactly the seqs [first, last]. It appends to out and never seeks; the
// caller syncs the file and makes its name durable after Finish.
func NewWriter(out io.Writer, first, last uint64, opts WriterOptions) (*Writer, error) {
	return nil, errTodo
}

// Add appends the next entry. Entries come in segment order: OpSegment entries by seq ascending, then all others by
// key ascending (bytewise), within a key by seq descending. Leaf and ValueHash must be set. Nothing of e is kept.
func (w *Writer) Add(e *Entry) error { return errTodo }

// SetLedgerNodes gives the level-8 nodes of the ledger tree that this segment's entries complete. They are stored as
// given, for Table.LedgerNodes.
func (w *Writer) SetLedgerNodes(nodes []merkle.Hash) {}

// Finish writes the meta tail and says what was built. It fails when a seq of [first, last] was not added.
func (w *Writer) Finish() (Info, error) { return Info{}, errTodo }

var errTodo = errors.New("sstable: not written yet")
