package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"time"

	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/vfs"
)

// segmentJSON describes a segment, as it does itself, or as the manifest does.
type segmentJSON struct {
	Kind           string  `json:"kind,omitempty"` // segment; none within a manifest
	File           string  `json:"file,omitempty"`
	ID             string  `json:"id"`
	FirstSeq       uint64  `json:"first_seq"`
	LastSeq        uint64  `json:"last_seq"`
	Entries        uint64  `json:"entries"`
	SegmentEntries *uint64 `json:"segment_entries,omitempty"` // op 3
	Keys           *uint64 `json:"keys,omitempty"`
	Bytes          uint64  `json:"bytes"`
	Root           string  `json:"merkle_root"`
	MinKey         *string `json:"min_key,omitempty"`
	MinKeyB64      *string `json:"min_key_b64,omitempty"`
	MaxKey         *string `json:"max_key,omitempty"`
	MaxKeyB64      *string `json:"max_key_b64,omitempty"`
	FirstTime      string  `json:"first_time"`
	LastTime       string  `json:"last_time"`
	Tier           string  `json:"tier,omitempty"`
	Object         string  `json:"object,omitempty"`
	ObjectBytes    uint64  `json:"object_bytes,omitempty"`
	ObjectSHA256   string  `json:"object_sha256,omitempty"`
}

// setKeys takes a segment's smallest and largest key; nil when it holds records of the ledger only.
func (s *segmentJSON) setKeys(smallest, largest []byte) {
	if smallest == nil {
		return
	}
	lo, hi := keyJSON(string(smallest)), keyJSON(string(largest))
	s.MinKey, s.MinKeyB64, s.MaxKey, s.MaxKeyB64 = lo.Key, lo.KeyB64, hi.Key, hi.KeyB64
}

// entryJSON is one entry of a segment.
type entryJSON struct {
	Kind    string  `json:"kind"` // entry
	Ordinal *uint64 `json:"ordinal,omitempty"`
	Seq     uint64  `json:"seq"`
	Time    string  `json:"time"`
	Op      string  `json:"op"`
	jsonKey
	Size        uint64 `json:"size"`
	ContentType string `json:"content_type,omitempty"`
	Principal   string `json:"principal,omitempty"`
	LeafHash    string `json:"leaf_hash,omitempty"`
}

func timeOf(micros int64) string { return time.UnixMicro(micros).UTC().Format(timeLayout) }

// fileSource is a segment's file for reading, block by block.
type fileSource struct {
	vfs.File
	size int64
}

func (s *fileSource) Size() int64 { return s.size }

// segmentCache is what a segment's decoded blocks may take in memory.
const segmentCache = 8 << 20

func openSegment(fsys vfs.FS, name string) (*sstable.Table, io.Closer, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, nil, err
	}
	size, err := f.Size()
	if err == nil {
		var t *sstable.Table
		if t, err = sstable.Open(&fileSource{f, size}, sstable.Options{Cache: sstable.NewBlockCache(segmentCache),
			ResidentBytes: -1}); err == nil {
			return t, f, nil
		}
	}
	return nil, nil, errors.Join(err, f.Close())
}

func (in *inspection) segment(name string) error {
	t, file, err := openSegment(in.fs, name)
	if err != nil {
		return in.noSegment(name, err)
	}
	defer file.Close()
	doc, info := segmentDoc(name, t), t.Info()
	if in.json {
		err = in.print(doc)
	} else {
		in.printSegment(doc, info)
		if id := path.Base(name); id != info.ID+".seg" {
			in.row("name", "%s, which is not that of this segment", display(id))
		}
	}
	if err != nil {
		return err
	}
	return in.listSegment(t)
}

// noSegment tells of a segment that cannot be opened.
func (in *inspection) noSegment(name string, err error) error {
	if !in.json {
		in.row("segment", "%s", display(name))
	}
	return in.corrupt(err)
}

// segmentDoc is what a segment says of itself.
func segmentDoc(name string, t *sstable.Table) *segmentJSON {
	info, records, keys := t.Info(), t.SegmentEntries(), t.Keys()
	doc := &segmentJSON{Kind: "segment", File: name, ID: info.ID, FirstSeq: info.FirstSeq, LastSeq: info.LastSeq,
		Entries: info.Entries, SegmentEntries: &records, Keys: &keys, Bytes: info.Bytes, Root: info.Root.String(),
		FirstTime: timeOf(info.FirstTime), LastTime: timeOf(info.LastTime)}
	doc.setKeys(info.MinKey, info.MaxKey)
	return doc
}

// listSegment lists what was asked for of a segment.
func (in *inspection) listSegment(t *sstable.Table) error {
	if in.blocks {
		if err := in.listBlocks(t); err != nil {
			return err
		}
	}
	if !in.entries {
		return nil
	}
	if !in.json {
		in.out.printf("\n%10s  %10s  %-27s  %-7s  %12s  %s\n", "ORDINAL", "SEQ", "TIME", "OP", "BYTES", "KEY")
	}
	if in.byKey {
		return in.versions(t)
	}
	return t.Survey(sstable.ScanOptions{KeysOnly: true, Leaves: in.json}, in.entry, func(h sstable.Hole) error {
		last := h.Ordinal + h.Entries - 1
		return in.damage(h.Damage.File, h.Damage.Offset, fmt.Sprintf("the entries at ordinals %d to %d", h.Ordinal, last),
			h.Damage.Reason)
	})
}

func (in *inspection) printSegment(d *segmentJSON, info sstable.Info) {
	in.row("segment", "%s", d.ID)
	in.row("file", "%s, %s", display(d.File), sizeText(d.Bytes))
	in.row("seqs", "%d to %d", d.FirstSeq, d.LastSeq)
	in.row("entries", "%d, of which %d records of segments", d.Entries, *d.SegmentEntries)
	if info.MinKey == nil {
		in.row("keys", "none")
	} else {
		in.row("keys", "%d, %s to %s", *d.Keys, display(string(info.MinKey)), display(string(info.MaxKey)))
	}
	in.row("times", "%s to %s", d.FirstTime, d.LastTime)
	in.row("root", "%s", d.Root)
}

// versions lists the versions of the key that was asked for.
func (in *inspection) versions(t *sstable.Table) error {
	it := t.Versions([]byte(in.key), math.MaxUint64, true)
	for it.Next() {
		ordinal, err := t.Ordinal(it.Entry().Seq)
		if err == nil {
			err = in.entry(ordinal, it.Entry())
		}
		if err != nil {
			return in.corrupt(err)
		}
	}
	if it.Err() != nil {
		return in.corrupt(it.Err())
	}
	return nil
}

func (in *inspection) entry(ordinal uint64, e *sstable.Entry) error {
	if err := in.list(); err != nil {
		return err
	}
	if !in.json {
		in.out.printf("%10d  %10d  %s  %-7s  %12d  %s\n", ordinal, e.Seq, timeOf(e.Time), e.Op.String(), e.ValueSize,
			display(string(e.Key)))
		return in.out.err
	}
	doc := entryJSON{Kind: "entry", Ordinal: &ordinal, Seq: e.Seq, Time: timeOf(e.Time), Op: e.Op.String(),
		jsonKey: keyJSON(string(e.Key)), Size: e.ValueSize, ContentType: e.ContentType, Principal: e.Principal}
	if !in.byKey {
		doc.LeafHash = e.Leaf.String()
	}
	return in.print(doc)
}

// blockJSON is one data block of a segment.
type blockJSON struct {
	Kind         string `json:"kind"` // block
	Offset       uint64 `json:"offset"`
	StoredBytes  uint64 `json:"stored_bytes"`
	RawBytes     uint64 `json:"raw_bytes"`
	FirstOrdinal uint64 `json:"first_ordinal"`
	Entries      uint64 `json:"entries"`
	jsonKey             // the first one
	Damaged      bool   `json:"damaged,omitempty"`
}

// listBlocks lists the data blocks.
func (in *inspection) listBlocks(t *sstable.Table) error {
	if !in.json {
		in.out.printf("\n%12s  %8s  %8s  %10s  %7s  %s\n", "OFFSET", "STORED", "RAW", "ORDINAL", "ENTRIES", "FIRST KEY")
	}
	err := t.Blocks(func(b *sstable.BlockInfo) error {
		if err := in.list(); err != nil {
			return err
		}
		switch {
		case in.json:
			err := in.print(blockJSON{Kind: "block", Offset: b.Offset, StoredBytes: b.StoredBytes, RawBytes: b.RawBytes,
				FirstOrdinal: b.FirstOrdinal, Entries: b.Entries, jsonKey: keyJSON(string(b.FirstKey)), Damaged: b.Damage != nil})
			if err != nil || b.Damage == nil {
				return err
			}
		case b.Damage == nil:
			in.out.printf("%12d  %8d  %8d  %10d  %7d  %s\n", b.Offset, b.StoredBytes, b.RawBytes, b.FirstOrdinal, b.Entries,
				display(string(b.FirstKey)))
			return in.out.err
		}
		return in.damage(b.Damage.File, b.Damage.Offset, count(int(b.Entries), "entry", "entries"), b.Damage.Reason)
	})
	if errors.Is(err, errLimit) {
		in.listed = 0
		return nil
	}
	return in.corrupt(err)
}
