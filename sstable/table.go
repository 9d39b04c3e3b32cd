package sstable

import (
	"fmt"
	"math"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// Options of Open. The zero value is the documented default.
type Options struct {
	// ResidentBytes bounds the index and the filters that a table keeps in memory from Open on; default 64 MiB, about
	// 40 million entries of some hundred bytes. A larger segment's partitions are read when they are needed, through
	// the cache: a point read then asks the cache twice. Negative keeps none.
	ResidentBytes int64
	Cache         *BlockCache // shared between tables; default none: every read decodes its block
	Expect        *Info       // what the manifest says of the segment (Bytes 0 is not compared); nil skips the cross-check
}

const defaultResidentBytes = 64 << 20

// Table reads one sealed segment. It is immutable and safe for concurrent use by any number of goroutines. It holds
// no file: the caller closes the source once no call is under way.
//
// Entries it returns alias immutable decoded blocks on the heap: they stay valid for good, and must not be modified.
// One that is kept for long should be copied: it keeps its whole block in memory. Leaf is zero unless a method says
// otherwise.
type Table struct {
	src    segfile.Source
	file   *segfile.Reader
	ahead  segfile.Prefetcher // src, when it reads ahead
	props  properties
	top    *topIndex
	parts  []*partition // all of them; nil when they are too large to keep
	upper  *merkle.Upper
	leaves tileArray
	seqs   tileArray
	cache  *BlockCache
	number uint64 // in cache
}

// Open checks the footer, the section table and every section that searches rely on, and cross-checks them with
// opts.Expect. Damage, or another segment than the expected one, is a *vfs.CorruptError.
func Open(src segfile.Source, opts Options) (*Table, error) {
	file, err := segfile.Open(src)
	if err != nil {
		return nil, err
	}
	t := &Table{src: src, file: file, cache: opts.Cache, number: opts.Cache.newTable()}
	t.ahead, _ = src.(segfile.Prefetcher)
	for _, s := range []struct {
		kind  uint32
		parse func([]byte) error
	}{
		{sectionProperties, t.parseProperties},
		{sectionIndex, t.parseTop},
		{sectionUpper, t.parseUpper},
	} {
		b, err := file.Section(s.kind)
		if err != nil {
			return nil, err
		}
		if err := s.parse(b); err != nil {
			at, _ := file.SectionAt(s.kind)
			return nil, t.corrupt(at.Offset, err)
		}
	}
	if err := t.expect(opts.Expect); err != nil {
		return nil, t.corrupt(0, err)
	}
	resident := opts.ResidentBytes
	if resident == 0 {
		resident = defaultResidentBytes
	}
	if resident > 0 && t.top.bytes <= uint64(resident) {
		if err := t.keepPartitions(); err != nil {
			return nil, err
		}
	}
	// The root ties the upper part, and the last tile's leaves, to the properties.
	root, err := merkle.RootAt(t.props.Entries, t.nodes())
	if err != nil {
		return nil, err
	}
	if root != t.props.Root {
		return nil, t.corrupt(0, fmt.Errorf("root is %s, computed %s", t.props.Root, root))
	}
	return t, nil
}

func (t *Table) parseProperties(b []byte) (err error) {
	if t.props, err = parseProperties(b); err != nil {
		return err
	}
	t.props.Bytes = t.file.Size()
	if t.file.Salt() != saltOf(t.props.ID) {
		return fmt.Errorf("file's salt is not that of segment %s", t.props.ID)
	}
	t.leaves, t.seqs = tileArrays(t.file.MetaOffset(), t.props.Entries)
	if t.seqs.end() > t.file.BlocksEnd() {
		return fmt.Errorf("tiles of %d entries end at %d, behind %d", t.props.Entries, t.seqs.end(), t.file.BlocksEnd())
	}
	return nil
}

func (t *Table) parseTop(b []byte) (err error) {
	t.top, err = parseTop(b, t.props.Entries, t.props.segments, t.seqs.end(), t.file.BlocksEnd(), t.file.MetaOffset())
	return err
}

func (t *Table) parseUpper(b []byte) error {
	if uint64(len(b)) != t.props.Entries/merkle.TileWidth*merkle.HashSize {
		return fmt.Errorf("upper tree of %d bytes for %d entries", len(b), t.props.Entries)
	}
	t.upper = merkle.NewUpper(hashes(b))
	return nil
}

// expect compares what the file says of itself with what the manifest does.
func (t *Table) expect(want *Info) error {
	got := &t.props.Info
	switch {
	case want == nil:
		return nil
	case got.FirstSeq != want.FirstSeq || got.LastSeq != want.LastSeq:
		return fmt.Errorf("this is segment %s, not %s", got.ID, tlog.SegmentID(want.FirstSeq, want.LastSeq))
	case got.Entries != want.Entries:
		return fmt.Errorf("segment has %d entries, not %d", got.Entries, want.Entries)
	case got.Root != want.Root:
		return fmt.Errorf("segment's root is %s, not %s", got.Root, want.Root)
	case want.Bytes != 0 && got.Bytes != want.Bytes:
		return fmt.Errorf("segment's file has %d bytes, not %d", got.Bytes, want.Bytes)
	}
	return nil
}

// Info describes the segment.
func (t *Table) Info() Info { return t.props.Info }

// SegmentEntries is how many OpSegment entries the segment holds; theirs are the ordinals below it.
func (t *Table) SegmentEntries() uint64 { return t.props.segments }

// Keys is how many distinct keys the segment's puts and deletes have.
func (t *Table) Keys() uint64 { return t.props.keys }

func (t *Table) corrupt(offset uint64, reason error) error {
	return &vfs.CorruptError{File: t.file.Name(), Offset: int64(min(offset, math.MaxInt64)), Reason: reason.Error()}
}
