package wal

import (
	"encoding/binary"

	"github.com/scribe-ledger/scribe/raft"
)

// Record is one record of a log file, as Inspect shows it.
type Record struct {
	File   string
	Offset int64
	Bytes  int64  // with head and padding
	Type   string // entry, hard, marker, note
	Batch  uint64 // number of its batch in the file, from 0
	Torn   bool   // of a batch that was never finished: it does not count

	Index uint64 // of an entry; of a marker the first one of its batch, 0 for none
	Term  uint64 // of an entry
	Kind  raft.EntryKind
	Data  []byte         // of an entry
	Last  uint64         // of a marker or note: the log's last index then
	Hard  raft.HardState // of a hard state
}

// gap is a stretch of a file in which no record verifies.
type gap struct {
	from, to    int64  // to is the end of what was looked at when nothing follows
	before      uint64 // index of the last entry before it, 0 when there is none
	after       uint64 // index of the first entry behind it, 0 when there is none
	fromMarkers uint64 // the last index that a marker or note behind it speaks of
}

// records shows the records of f and says what replay's error, damage, costs.
func (in *inspector) records(f *logFile, sc *scan, damage error, successor *header, last bool) error {
	limit := int64(len(f.buf))
	if successor != nil && successor.prevEnd <= limit {
		limit = max(successor.prevEnd, headerSize)
	}
	w := &walker{f: f, good: sc.good, limit: limit, damaged: damage != nil, visit: in.opts.Visit}
	if damage == nil && !last && successor == nil {
		w.limit = sc.good // the file behind is missing: what counts here is not known
	}
	var visitErr error
	err := guardFault(&f, func() error {
		visitErr = w.walk()
		return nil
	})
	if visitErr != nil {
		return visitErr
	}
	if err != nil && damage == nil {
		in.fault(f.path, err, 1, 0)
	}
	if damage == nil {
		if last {
			in.out.Tail = tailOf(sc, w)
		}
		return nil
	}
	next, end := in.out.line.next, uint64(0)
	if successor != nil {
		end = successor.first - 1
	}
	if len(w.gaps) == 0 { // every record verifies, and what they say does not fit
		in.fault(f.path, damage, next, end)
	}
	for i, g := range w.gaps {
		from, to := g.before+1, g.after-1
		if g.before == 0 {
			from = next
		}
		switch {
		case g.after == 0:
			to = max(g.fromMarkers, end)
		case g.after <= g.before: // what is lost truncated the log before it went on
			from = g.after - 1
		}
		if i > 0 {
			damage = f.corrupt(g.from, "no record verifies from here to %d", g.to)
		}
		in.fault(f.path, damage, from, to)
	}
	return nil
}

func tailOf(sc *scan, w *walker) Tail {
	switch {
	case w.torn > 0:
		return TailTorn
	case !sc.clean:
		return TailOld
	}
	return TailClean
}

// walker shows the records of one mapped file.
type walker struct {
	f       *logFile
	good    int64 // end of the last batch that replay took up
	limit   int64
	damaged bool // replay found damage: what does not verify is passed over, instead of ending the walk
	visit   func(*Record) error

	batch uint64
	index uint64 // of the last entry shown
	torn  int    // records of an unfinished batch
	gaps  []gap
}

func (w *walker) walk() error {
	off, prev := int64(headerSize), w.f.hdr.sum
	for off < w.limit {
		rec, why := recordAt(w.f.buf[:w.limit], w.f.hdr.id, off, prev)
		if why == "" {
			why = rec.checkShape(w.f.hdr.sum, w.f.hdr.id)
		}
		if why != "" {
			if !w.damaged || len(w.gaps) == maxGaps || w.onlyZeros(off) {
				return nil
			}
			w.gaps = append(w.gaps, gap{from: off, before: w.index})
			off, prev = w.resume(off)
			w.gaps[len(w.gaps)-1].to = off
			continue
		}
		if err := w.show(&rec); err != nil {
			return err
		}
		off, prev = rec.end, rec.sum
	}
	return nil
}

// maxGaps bounds the damaged stretches of one file that are told one by one.
const maxGaps = 64

func (w *walker) onlyZeros(off int64) bool {
	for ; off+align <= w.limit; off += align {
		if binary.LittleEndian.Uint64(w.f.buf[off:]) != 0 {
			return false
		}
	}
	return true
}

// resume finds where records go on behind one that does not verify, and the checksum to which the next one chains. Where
// only the payload is damaged the record's length and checksum still lead to the next one; else a marker or note that
// verifies by itself does.
func (w *walker) resume(off int64) (next int64, prev uint64) {
	buf, id := w.f.buf[:w.limit], w.f.hdr.id
	if off+recordHead <= w.limit {
		size := recordHead + pad(int64(binary.LittleEndian.Uint32(buf[off:])))
		sum := binary.LittleEndian.Uint64(buf[off+8:])
		if size <= w.limit-off {
			if _, why := recordAt(buf, id, off+size, sum); why == "" {
				return off + size, sum
			}
		}
	}
	for at := off + align; at+align <= w.limit; at += align {
		rec, ok := selfVerified(buf, w.f.hdr.sum, id, at, binary.LittleEndian.Uint64(buf[at:]))
		if !ok {
			continue
		}
		sum := binary.LittleEndian.Uint64(buf[at+8:])
		if _, why := recordAt(buf, id, rec.end, sum); why != "" && !w.onlyZeros(rec.end) {
			continue // its own chain is damaged too, or it was torn
		}
		w.tell(&rec)
		if rec.typ == typeMarker {
			w.batch++
		}
		return rec.end, sum
	}
	return w.limit, 0
}

// tell notes what a marker or note says of the entries in the gaps before it.
func (w *walker) tell(rec *record) {
	last := uint64(0)
	switch rec.typ {
	case typeMarker:
		last = rec.u64(2)
	case typeNote:
		last = rec.u64(1)
	}
	for i := range w.gaps {
		w.gaps[i].fromMarkers = max(w.gaps[i].fromMarkers, last)
	}
}

func (w *walker) show(rec *record) error {
	r := Record{File: w.f.path, Offset: rec.off, Bytes: rec.end - rec.off, Batch: w.batch,
		Torn: !w.damaged && rec.off >= w.good && rec.typ != typeNote}
	if r.Torn {
		w.torn++
	}
	switch rec.typ {
	case typeEntry:
		r.Type, r.Index, r.Term, r.Kind = "entry", rec.u64(0), rec.u64(1), raft.EntryKind(rec.kind)
		r.Data = rec.payload[entryHead:]
		w.index = r.Index
		for i := range w.gaps {
			if w.gaps[i].after == 0 {
				w.gaps[i].after = r.Index
			}
		}
	case typeHard:
		r.Type, r.Hard = "hard", rec.hardState()
	case typeMarker:
		r.Type, r.Index, r.Last = "marker", rec.u64(1), rec.u64(2)
		w.batch++
		w.tell(rec)
	case typeNote:
		r.Type, r.Last = "note", rec.u64(1)
		w.tell(rec)
	}
	if w.visit == nil {
		return nil
	}
	return w.visit(&r)
}
