package sstable

import "github.com/scribe-ledger/scribe/segfile"

// Part names the part of a segment's file that an offset is in, for reports about damage: "data", "large value", "leaf
// hashes", "seq index", "index", "filter", "upper tree", "ledger nodes", "properties", "section table" or "footer". It
// finds out as much as the file lets it, and reads of src what it needs for that. entries is how many the segment
// should have.
func Part(src segfile.Source, entries, offset uint64) string {
	size := uint64(src.Size())
	if offset+segfile.FooterBytes >= size {
		return "footer"
	}
	file, err := segfile.Open(src)
	if err != nil {
		return "section table" // the footer is at the end, so what fails lies right before it
	}
	if offset >= file.BlocksEnd() {
		return sectionPart(file, offset)
	}
	leaves, seqs := tileArrays(file.MetaOffset(), entries)
	switch {
	case offset < file.MetaOffset():
	case offset < leaves.end():
		return "leaf hashes"
	case offset < seqs.end():
		return "seq index"
	}
	t, err := Open(src, Options{ResidentBytes: -1})
	switch {
	case err != nil && offset < file.MetaOffset():
		return "data"
	case err != nil:
		return "index"
	}
	return t.part(offset)
}

// sectionPart names the section that an offset is in.
func sectionPart(file *segfile.Reader, offset uint64) string {
	for kind, name := range map[uint32]string{sectionIndex: "index", sectionUpper: "upper tree",
		sectionLedgerNodes: "ledger nodes", sectionProperties: "properties"} {
		if at, ok := file.SectionAt(kind); ok && offset >= at.Offset && offset < at.Offset+at.Length {
			return name
		}
	}
	return "section table"
}

// part names what a block belongs to that is neither a tile nor in a section.
func (t *Table) part(offset uint64) string {
	for n := range t.top.parts {
		p := &t.top.parts[n]
		switch {
		case offset >= p.filter.Offset && offset < p.filter.Offset+p.filter.Length:
			return "filter"
		case offset >= p.index.Offset && offset < p.index.Offset+p.index.Length:
			return "index"
		case offset < p.dataAt || offset >= p.dataEnd:
			continue
		}
		loaded, err := t.loadPartition(n)
		if err != nil {
			return "data"
		}
		for i := range loaded.count {
			if h := loaded.handle(i); offset >= h.Offset && offset < h.Offset+h.Length {
				return "data"
			}
		}
		return "large value" // these stand between the data blocks
	}
	return "data"
}
