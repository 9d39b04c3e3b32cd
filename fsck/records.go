package fsck

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
)

// recordCheck holds the ledger's own records of its segments, op 3, as the segments have them.
type recordCheck struct {
	entries    []segmentRecord
	bad        []string // entries that are no record of a segment
	incomplete bool     // a segment could not be read: there may be more
}

type segmentRecord struct {
	seq  uint64
	desc tlog.Descriptor
}

// add takes an op 3 entry.
func (r *recordCheck) add(e *sstable.Entry) {
	d, err := tlog.ParseDescriptor(e.Value)
	if err != nil || !bytes.Equal(e.Key, []byte(d.ID())) {
		if len(r.bad) < maxHoles {
			r.bad = append(r.bad, fmt.Sprintf("entry %d, %.64q, is no record of a segment", e.Seq, e.Key))
		}
		return
	}
	r.entries = append(r.entries, segmentRecord{seq: e.Seq, desc: d})
}

// checkRecords follows the records in the ledger's order. They partition the ledger at any time: each one adds the next
// segment, or takes the place of two or more neighbours that were merged. What they come to must be what the manifest
// says was recorded, and every listed segment must be as it was recorded.
func (c *checker) checkRecords() {
	file, r := c.places.manifest, &c.records
	for _, bad := range r.bad {
		c.damage(KindSegmentRecord, c.places.segments, 0, "proofs of absence", c.advice.all, "%s", bad)
	}
	slices.SortFunc(r.entries, func(a, b segmentRecord) int { return compareSeq(a.seq, b.seq) })
	known := make(map[string]tlog.Descriptor)
	var line []tlog.Descriptor
	for _, e := range r.entries {
		known[e.desc.ID()] = e.desc
		if r.incomplete {
			continue
		}
		next, ok := recorded(line, e.desc)
		if !ok || e.desc.LastSeq >= e.seq {
			c.damage(KindSegmentRecord, c.places.segments, 0, "proofs of absence", c.advice.all,
				"entry %d records segment %s, which does not follow from the records before it", e.seq, e.desc.ID())
			continue
		}
		line = next
	}
	for _, d := range c.commands.recorded {
		if _, ok := known[d.ID()]; !ok {
			known[d.ID()] = d
		} else if known[d.ID()] != d {
			c.damage(KindSegmentRecord, c.places.log, 0, "", c.advice.all,
				"the log records segment %s with root %s, the ledger has it with root %s", d.ID(), d.Root, known[d.ID()].Root)
		}
	}
	for _, s := range c.segments() {
		if d, ok := known[idOf(s)]; ok && (d.Root != s.Root || d.Entries != s.Entries) {
			c.damage(KindSegmentRecord, file, 0, "", c.advice.all,
				"segment %s is listed with root %s, and was recorded with root %s", idOf(s), s.Root, d.Root)
		}
	}
	if r.incomplete {
		c.notice(KindNotChecked, file, "", "the records of all segments, because not all segments could be read")
		return
	}
	c.compareRecorded(line)
}

// recorded returns what the records come to with one more; false when it does not fit. It may change line.
func recorded(line []tlog.Descriptor, d tlog.Descriptor) ([]tlog.Descriptor, bool) {
	end := uint64(0)
	if n := len(line); n > 0 {
		end = line[n-1].LastSeq + 1
	}
	if d.FirstSeq == end {
		return append(line, d), true
	}
	from, ok1 := slices.BinarySearchFunc(line, d.FirstSeq, func(e tlog.Descriptor, seq uint64) int { return compareSeq(e.FirstSeq, seq) })
	to, ok2 := slices.BinarySearchFunc(line, d.LastSeq, func(e tlog.Descriptor, seq uint64) int { return compareSeq(e.LastSeq, seq) })
	if ok1 && d.LastSeq >= end { // recorded anew after a restore, when the record of the last ones was lost
		return append(line[:from], d), true
	}
	if !ok1 || !ok2 || from >= to {
		return line, false
	}
	return slices.Replace(line, from, to+1, d), true
}

func compareSeq(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// compareRecorded holds what the op 3 entries below the seal point come to against the manifest's account of it.
func (c *checker) compareRecorded(line []tlog.Descriptor) {
	file := c.places.manifest
	own := c.state.Recorded
	for i := range max(len(line), len(own)) {
		switch {
		case i >= len(own):
			c.damage(KindSegmentRecord, file, 0, "", c.advice.manifest, "segment %s is recorded in the ledger, and not in the manifest",
				line[i].ID())
		case i >= len(line):
			c.damage(KindSegmentRecord, file, 0, "", c.advice.manifest, "segment %s is recorded in the manifest, and not in the ledger",
				tlog.SegmentID(own[i].FirstSeq, own[i].LastSeq))
		case line[i].FirstSeq != own[i].FirstSeq || line[i].LastSeq != own[i].LastSeq || line[i].Root != own[i].Root:
			c.damage(KindSegmentRecord, file, 0, "", c.advice.manifest, "the ledger records segment %s with root %s, the manifest %s with root %s",
				line[i].ID(), line[i].Root, tlog.SegmentID(own[i].FirstSeq, own[i].LastSeq), own[i].Root)
		default:
			continue
		}
		return // the rest follows from it
	}
}
