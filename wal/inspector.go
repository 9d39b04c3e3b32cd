package wal

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/scribe-ledger/scribe/vfs"
)

// inspector is an inspection under way.
type inspector struct {
	opts InspectOptions
	out  *Inspection
	// broken: what the files before led to is not known, so that the next header is believed.
	broken bool
}

// fault notes what is wrong with a file, and the entries [from, to] that it costs: none when from is above to.
func (in *inspector) fault(file string, err error, from, to uint64) {
	f := Fault{File: file, Err: err}
	var corrupt *vfs.CorruptError
	if errors.As(err, &corrupt) {
		f = Fault{File: file, Offset: corrupt.Offset, Reason: strings.TrimSuffix(corrupt.Reason, "; "+remedy)}
	}
	if from <= to {
		f.FirstLost, f.LastLost = from, to
	}
	in.out.Faults = append(in.out.Faults, f)
}

// sort parts the names in the directory.
func (in *inspector) sort(names []string) (ids []uint64, origin bool) {
	for _, name := range names {
		if id, ok := parseLogName(name); ok {
			ids = append(ids, id)
		} else if _, ok := parseSpareName(name); ok {
			in.out.Spares = append(in.out.Spares, name)
		} else if name == originName {
			origin = true
		} else if name != originName+".tmp" {
			in.out.Foreign = append(in.out.Foreign, name)
		}
	}
	slices.Sort(ids)
	return ids, origin
}

// readOrigin reads the origin file, and drops the ids of files before it.
func (in *inspector) readOrigin(ids []uint64) (used []uint64) {
	name := path.Join(in.opts.Dir, originName)
	b, err := vfs.ReadFile(in.opts.FS, name, 2*originSlot)
	if errors.Is(err, vfs.ErrTooLarge) {
		err = &vfs.CorruptError{File: name, Offset: 2 * originSlot, Reason: err.Error()}
	}
	var o origin
	if err == nil {
		o, err = decodeOrigin(name, b)
	}
	if err != nil {
		in.fault(name, err, 1, 0)
		return ids
	}
	in.out.Origin, in.out.Owner = o.id, o.owner
	trimmed, used := splitTrimmed(ids, o.id)
	for _, id := range trimmed {
		in.out.Trimmed = append(in.out.Trimmed, logName(id))
	}
	return used
}

// checkNames finds missing files.
func (in *inspector) checkNames(ids []uint64, haveOrigin bool) {
	due := max(in.out.Origin, 1)
	switch {
	case haveOrigin && in.out.Origin == 0 && len(ids) > 0: // it is damaged, and told nothing
		due = ids[0]
	case !haveOrigin && len(ids) == 0:
		return
	}
	missing := func(through uint64) {
		if due <= through {
			name := path.Join(in.opts.Dir, logName(due))
			in.fault(name, &vfs.CorruptError{File: name, Reason: fmt.Sprintf(
				"the file is missing, and its entries with it (files %d to %d)", due, through)}, 1, 0)
		}
	}
	for _, id := range ids {
		missing(id - 1)
		due = id + 1
	}
	if len(ids) == 0 {
		missing(due)
	}
}

// headers opens each file for its header. A file whose header cannot be read has none.
func (in *inspector) headers(ids []uint64) []*logFile {
	files := make([]*logFile, len(ids))
	for i, id := range ids {
		f, err := openReadOnly(in.opts.FS, in.opts.Dir, id)
		files[i] = f
		in.out.Files = append(in.out.Files, FileReport{Name: logName(id), ID: id, Damaged: err != nil})
		if info, serr := in.opts.FS.Stat(f.path); serr == nil {
			in.out.Files[i].Bytes = info.Size
		}
		if err != nil {
			in.fault(f.path, err, 1, 0)
			continue
		}
		f.unmap()
		r := &in.out.Files[i]
		r.Restart, r.FirstNext, r.Hard = f.hdr.restart, f.hdr.first, f.hdr.hard
	}
	return files
}

// checkOwners finds files of another member's log.
func (in *inspector) checkOwners(files []*logFile) {
	want := in.opts.Owner
	if want == nil && in.out.Origin > 0 {
		want = &in.out.Owner
	}
	if in.out.Origin > 0 && in.out.Owner != *want {
		f := &logFile{path: path.Join(in.opts.Dir, originName)}
		in.fault(f.path, f.corrupt(originOwnerOffset, "the file is from the log of %s, and stands in that of %s",
			in.out.Owner, *want), 1, 0)
	}
	for i, f := range files {
		switch {
		case f.hdr.id == 0:
		case want == nil:
			want = &f.hdr.owner
		case f.hdr.owner != *want:
			in.out.Files[i].Damaged = true
			in.fault(f.path, f.corrupt(ownerOffset, "the file is from the log of %s, and stands in that of %s", f.hdr.owner,
				*want), 1, 0)
		}
	}
	if want != nil {
		in.out.Owner = *want
	}
}

// file reads one file, as Open does, and then its records.
func (in *inspector) file(files []*logFile, i int, f *logFile) error {
	t, r := &in.out.line, &in.out.Files[i]
	if in.opts.Progress != nil {
		defer in.opts.Progress(r.Bytes)
	}
	if f.hdr.id == 0 {
		in.broken = true
		return nil
	}
	if in.broken || (i > 0 && files[i-1].hdr.id != f.hdr.id-1) {
		t.cut(f.hdr.first) // what a hole truncated is not known; the header tells where it led
		t.next, t.hard, in.broken = f.hdr.first, f.hdr.hard, false
	}
	if err := f.remap(in.opts.FS); err != nil {
		in.fault(f.path, err, 1, 0)
		r.Damaged, in.broken = true, true
		return nil
	}
	defer f.unmap()
	var successor *header
	last := i+1 == len(files)
	if !last && files[i+1].hdr.id == f.hdr.id+1 {
		successor = &files[i+1].hdr
	}
	enterErr := t.enter(f)
	if enterErr != nil { // it is said, and the header believed
		in.fault(f.path, enterErr, 1, 0)
		r.Damaged = true
		t.cut(f.hdr.first)
		t.next, t.hard = f.hdr.first, f.hdr.hard
		t.files = append(t.files, f)
	}
	var sc scan
	err := guardFault(&f, func() (err error) {
		sc, err = t.replay(f, successor)
		return err
	})
	r.Used = sc.good
	if err != nil {
		r.Damaged, in.broken = true, !last
	}
	return in.records(f, &sc, err, successor, last)
}

// finish tells what the files came to.
func (in *inspector) finish() {
	out := in.out
	for _, f := range out.line.files {
		for i := range out.Files {
			if r := &out.Files[i]; r.ID == f.hdr.id && !f.span.empty() {
				r.Entries, r.First, r.Last = uint64(len(f.span.units)), f.span.first, f.span.after()-1
			}
		}
	}
	out.First, out.Last, out.Hard = out.line.first(), out.line.next-1, out.line.hard
	in.checkTerms()
	if n := len(out.line.files); n > 0 && len(out.Faults) == 0 && out.Hard.Commit > out.Last {
		f := out.line.files[n-1]
		in.fault(f.path, f.corrupt(0, "the log says that entry %d is committed, and ends at %d", out.Hard.Commit, out.Last),
			out.Last+1, out.Hard.Commit)
	}
}

// checkTerms: along the log terms never go back, and none is above the term that the node knows (Raft §5.1, §5.4.1).
func (in *inspector) checkTerms() {
	last := uint64(0)
	for _, f := range in.out.line.files {
		for _, run := range f.span.runs {
			off := int64(f.span.units[run.first-f.span.first]) * align
			switch {
			case run.term < last:
				in.fault(f.path, f.corrupt(off, "entry %d is of term %d and follows one of term %d", run.first, run.term, last), 1, 0)
			case run.term > in.out.Hard.Term && len(in.out.Faults) == 0:
				in.fault(f.path, f.corrupt(off, "entry %d is of term %d, and the log says that the node knows no term above %d",
					run.first, run.term, in.out.Hard.Term), 1, 0)
			}
			last = max(last, run.term)
		}
	}
}
