package wal

import (
	"encoding/binary"
	"fmt"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

const remedy = "restore the file from a peer or a backup, never delete it"

// scan is what the records of one file came to.
type scan struct {
	good    int64  // end of the last batch
	goodSum uint64 // checksum of its marker
	end     int64  // end of what verifies at and after good: good, or the end of the note there
	endSum  uint64
	clean   bool // nothing but zeros follows end, so appending may go on there
}

// pending is an entry whose batch has not been closed by its marker yet.
type pending struct {
	index, term uint64
	off         int64
	prev        uint64
	members     bool // its kind is raft.EntryMembers
}

// enter checks that f continues the timeline and takes up what its header says.
func (t *timeline) enter(f *logFile) error {
	h := &f.hdr
	switch {
	case len(t.files) == 0 || h.restart:
		for _, old := range t.files {
			old.span = span{}
		}
	case h.first != t.next || h.hard != t.hard:
		return f.corrupt(32, "the file begins at entry %d with hard state %v, where the file before leaves off at "+
			"entry %d with %v; %s", h.first, h.hard, t.next, t.hard, remedy)
	}
	t.next, t.hard = h.first, h.hard
	t.files = append(t.files, f)
	return nil
}

// replay reads the records of f, the newest file of the timeline so far. successor is the header of the file after
// it, nil for the last one. It does no I/O but through f.buf, allocates in proportion to the records found, and
// returns *vfs.CorruptError when acknowledged bytes are damaged or may be.
func (t *timeline) replay(f *logFile, successor *header) (scan, error) {
	id, origin := f.hdr.id, f.hdr.sum
	sc := scan{good: headerSize, goodSum: origin, end: headerSize, endSum: origin}
	limit := int64(len(f.buf))
	if successor != nil {
		if limit = successor.prevEnd; limit < headerSize || limit > int64(len(f.buf)) {
			return sc, f.corrupt(0, "the file after it says that it ends at %d of its %d bytes; %s",
				limit, len(f.buf), remedy)
		}
	}
	var batch []pending
	hard := t.hard
	next := t.next
	off, prev := sc.end, sc.endSum
	for off < limit || successor == nil {
		rec, why := recordAt(f.buf[:limit], id, off, prev)
		if why != "" {
			if successor != nil {
				return sc, f.corrupt(off, "%s, before the end at %d that the next file records: entries %d to %d "+
					"cannot be read; %s", why, limit, t.next, max(t.next, successor.first)-1, remedy)
			}
			return sc, t.checkTail(f, &sc, off, why)
		}
		if why = rec.checkShape(origin, id); why != "" {
			return sc, f.corrupt(off, "%s; %s", why, remedy)
		}
		switch rec.typ {
		case typeEntry:
			p := pending{index: rec.u64(0), term: rec.u64(1), off: off, prev: prev,
				members: raft.EntryKind(rec.kind) == raft.EntryMembers}
			if p.index == 0 || p.index > next {
				return sc, f.corrupt(off, "entry %d follows entry %d; %s", p.index, next-1, remedy)
			}
			next = p.index + 1
			batch = append(batch, p)
		case typeHard:
			hard = rec.hardState()
		case typeMarker:
			if why := markerMisfit(&rec, &sc, batch, next); why != "" {
				return sc, f.corrupt(off, "%s; %s", why, remedy)
			}
			for _, p := range batch {
				t.add(f, p)
			}
			batch, t.hard = batch[:0], hard
			sc.good, sc.goodSum, sc.end, sc.endSum = rec.end, rec.sum, rec.end, rec.sum
		case typeNote:
			if off != sc.good || int64(rec.u64(0)) != sc.good {
				return sc, f.corrupt(off, "a note stands at %d and speaks of %d, where a batch ends at %d; %s",
					off, rec.u64(0), sc.good, remedy)
			}
			sc.end, sc.endSum = rec.end, rec.sum
		}
		off, prev = rec.end, rec.sum
	}
	if sc.good != limit || sc.goodSum != successor.prevSum {
		return sc, f.corrupt(sc.good, "the last batch ends at %d with checksum %016x, the next file records %d and "+
			"%016x; %s", sc.good, sc.goodSum, limit, successor.prevSum, remedy)
	}
	return sc, nil
}

func markerMisfit(rec *record, sc *scan, batch []pending, next uint64) string {
	first := uint64(0)
	if len(batch) > 0 {
		first = batch[0].index
	}
	if int64(rec.u64(0)) != sc.good || rec.u64(1) != first || rec.u64(2) != next-1 {
		return fmt.Sprintf("the marker tells of a batch from %d with entries %d to %d, where one from %d with %d to %d "+
			"stands", rec.u64(0), rec.u64(1), rec.u64(2), sc.good, first, next-1)
	}
	return ""
}

// checkTail decides what the bytes of the last file behind its last good batch are: off is where the first record
// fails to verify. A batch is begun only when the one before it is durable. So a marker of a batch that begins behind
// sc.good, or a note that speaks of more than sc.good, proves that the batch at sc.good was durable, and may have been
// acknowledged: damage. Without such proof no entry behind sc.good was acknowledged: a torn tail, or nothing.
func (t *timeline) checkTail(f *logFile, sc *scan, off int64, why string) error {
	var proof int64
	lost, last := t.next, uint64(0)
	clean := true
	for at := sc.end; at+align <= int64(len(f.buf)); at += align {
		word := binary.LittleEndian.Uint64(f.buf[at:])
		if word == 0 {
			continue
		}
		clean = false
		rec, ok := selfVerified(f.buf, f.hdr.sum, f.hdr.id, at, word)
		if !ok {
			continue
		}
		begins := int64(rec.u64(0))
		if rec.typ == typeMarker {
			if first := rec.u64(1); first != 0 {
				lost = min(lost, first)
			}
			if begins == sc.good {
				continue
			}
			last = max(last, rec.u64(2))
		} else {
			if begins == sc.good {
				continue
			}
			last = max(last, rec.u64(1))
		}
		if proof == 0 {
			proof = at
		}
	}
	sc.clean = clean
	if proof == 0 {
		return nil
	}
	what := fmt.Sprintf("entries %d to %d cannot be read", lost, last)
	if last < lost {
		what = fmt.Sprintf("a hard state, or entries behind %d, cannot be read", lost-1)
	}
	return f.corrupt(off, "%s, and the record at %d proves that the batch from %d was durable: %s; %s",
		why, proof, sc.good, what, remedy)
}

// selfVerified reads a marker or note at off by its own checksum. word is the file's 8 bytes there.
func selfVerified(buf []byte, origin, id uint64, off int64, word uint64) (rec record, ok bool) {
	const (
		marker = uint64(markerBytes) | uint64(typeMarker)<<32
		note   = uint64(noteBytes) | uint64(typeNote)<<32
	)
	n := int64(0)
	switch word {
	case marker:
		n = markerBytes
	case note:
		n = noteBytes
	default:
		return rec, false
	}
	end := off + recordHead + n
	if end > int64(len(buf)) {
		return rec, false
	}
	rec = record{off: off, end: end, typ: recordType(word >> 32), payload: buf[off+recordHead : end : end]}
	return rec, rec.u64(int(n/8)-1) == selfSum(origin, id, off, rec.typ, rec.payload[:n-8])
}

// corrupt makes the error for bytes of f that fail.
func (f *logFile) corrupt(off int64, format string, args ...any) error {
	return &vfs.CorruptError{File: f.path, Offset: off, Reason: fmt.Sprintf(format, args...)}
}
