package wal

import (
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/raft"
)

// Term returns the term of an entry: raft.ErrCompacted below FirstIndex, raft.ErrUnavailable above LastIndex.
func (l *Log) Term(index uint64) (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return 0, ErrClosed
	}
	if err := l.line.within(index, index+1); err != nil {
		return 0, err
	}
	return l.line.files[l.line.find(index)].span.term(index), nil
}

// within says whether entries [lo, hi) are held.
func (t *timeline) within(lo, hi uint64) error {
	if lo < t.first() {
		return fmt.Errorf("%w: entry %d, the log begins at %d", raft.ErrCompacted, lo, t.first())
	}
	if hi > t.next || lo > hi {
		return fmt.Errorf("%w: entries %d up to %d, the log ends at %d", raft.ErrUnavailable, lo, hi, t.next-1)
	}
	return nil
}

// piece is the part of a reading that stands in one file.
type piece struct {
	file  *logFile
	first uint64
	units []uint32
	prevs []uint64
}

// Entries returns copies of entries [lo, hi), as many as have at most maxBytes of Data together, at least one. Every
// record's checksum is verified. Errors: as Term, and *vfs.CorruptError.
func (l *Log) Entries(lo, hi, maxBytes uint64) ([]raft.Entry, error) {
	pieces, err := l.snapshot(lo, hi)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, p := range pieces {
			p.file.release()
		}
	}()
	var entries []raft.Entry
	var file *logFile // under the reader's eyes
	err = guardFault(&file, func() error {
		var recs []placed
		size := uint64(0)
		for _, p := range pieces {
			file = p.file
			for i := range p.units {
				rec, err := p.read(i)
				if err != nil {
					return err
				}
				n := uint64(len(rec.payload) - entryHead)
				if len(recs) > 0 && (n > maxBytes || size > maxBytes-n) {
					entries = copyEntries(&file, recs, size)
					return nil
				}
				size += n
				recs = append(recs, placed{file: p.file, record: rec})
			}
		}
		entries = copyEntries(&file, recs, size)
		return nil
	})
	return entries, err
}

// MembersEntries returns copies of the entries of kind raft.EntryMembers that are held, in order. Errors: as Entries.
func (l *Log) MembersEntries() ([]raft.Entry, error) {
	l.mu.RLock()
	var at []uint64
	for _, f := range l.line.files {
		at = append(at, f.span.members...)
	}
	l.mu.RUnlock()
	var out []raft.Entry
	for _, index := range at {
		entries, err := l.Entries(index, index+1, 0)
		if errors.Is(err, raft.ErrCompacted) {
			continue // trimmed meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, entries...)
	}
	return out, nil
}

// placed is a verified record and the file that it stands in.
type placed struct {
	file *logFile
	record
}

// copyEntries copies entries out of the maps, their size bytes of data into one piece of memory.
func copyEntries(file **logFile, recs []placed, size uint64) []raft.Entry {
	entries := make([]raft.Entry, len(recs))
	data := make([]byte, 0, size)
	for i := range recs {
		r := &recs[i]
		*file = r.file
		at := len(data)
		data = append(data, r.payload[entryHead:]...)
		entries[i] = raft.Entry{Index: r.u64(0), Term: r.u64(1), Kind: raft.EntryKind(r.kind)}
		if len(data) > at {
			entries[i].Data = data[at:len(data):len(data)]
		}
	}
	return entries
}

// snapshot finds entries [lo, hi) and holds their files, all at one moment: a truncation meanwhile does not mix.
func (l *Log) snapshot(lo, hi uint64) ([]piece, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return nil, ErrClosed
	}
	if err := l.line.within(lo, hi); err != nil {
		return nil, err
	}
	var pieces []piece
	for i := l.line.find(lo); lo < hi; i++ {
		f := l.line.files[i]
		s := &f.span
		if !s.holds(lo) {
			continue
		}
		end := min(hi, s.after())
		from, to := lo-s.first, end-s.first
		f.refs.Add(1)
		pieces = append(pieces, piece{file: f, first: lo, units: s.units[from:to], prevs: s.prevs[from:to]})
		lo = end
	}
	return pieces, nil
}

// read verifies the i-th entry of a piece where it stands.
func (p *piece) read(i int) (record, error) {
	off, index := int64(p.units[i])*align, p.first+uint64(i)
	rec, why := recordAt(p.file.buf, p.file.hdr.id, off, p.prevs[i])
	if why == "" && (rec.typ != typeEntry || len(rec.payload) < entryHead || rec.u64(0) != index) {
		why = "another record stands there"
	}
	if why != "" {
		return rec, p.file.corrupt(off, "entry %d: %s; %s", index, why, remedy)
	}
	return rec, nil
}
