package ledger

import (
	"fmt"
	"slices"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// Compaction makes one segment of neighbouring ones. Nothing is dropped: all of it is history. What shrinks is the number
// of places where a read must look.
//
//	leader: plan → merge command → all: build → roots agreed on → record command → install → remove the inputs
//
// The log decides and records (partition.go), each replica builds and installs in its own time. So of what the log says
// and of the segments in a replica's manifest either may be ahead: a replica that has slept through a merge does it later,
// perhaps several in one; one that replays its log finds the merge installed that the log only then decides.

// merged is a segment that was built of others and waits for its record.
type merged struct {
	span  manifest.Range
	table *table
	info  sstable.Info
}

// partitionChanged tells those that act on the partition of another one. For the apply loop.
func (l *Ledger) partitionChanged() {
	l.flushMu.Lock()
	l.broadcast()
	l.flushMu.Unlock()
	l.compactor.poke()
	l.notify()
}

// compareMerged compares the recorded root of a merge with this replica's, if it has built it; else it is compared when
// it is built.
func (l *Ledger) compareMerged(d tlog.Descriptor) error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	for _, m := range l.merged {
		if m.span == (manifest.Range{FirstSeq: d.FirstSeq, LastSeq: d.LastSeq}) {
			return sameDescriptor(d, descriptorOf(m.info))
		}
	}
	return nil
}

// MergedRoots returns what describes the merges that are built here and not recorded, by ascending seq.
func (l *Ledger) MergedRoots() []tlog.Descriptor {
	p := l.partition.Load()
	var out []tlog.Descriptor
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	for _, m := range l.merged {
		if p.pending(m.span) {
			out = append(out, descriptorOf(m.info))
		}
	}
	return out
}

// CompactStep does the next piece of compaction and says whether there was one: it removes the files of segments that
// were merged and that nobody reads any more, installs a merge that is recorded, or builds one. Only the compactor calls
// it, or, with Options.Manual, the owner. What gave an error is tried again by a later call, a merge when others have had
// their turn. A *DivergedError is final. ErrClosed when the ledger is closed meanwhile.
func (l *Ledger) CompactStep() (worked bool, err error) {
	l.compacts.Lock()
	defer l.compacts.Unlock()
	if l.absent.Load() {
		return false, nil
	}
	defer func() { l.noteDamage(err) }()
	if worked, err = l.sweep(); worked || err != nil {
		return worked, err
	}
	if worked, err = l.installMerged(); worked || err != nil {
		return worked, err
	}
	return l.buildNext()
}

// installMerged puts the oldest merge that is built and recorded into the manifest, in the place of what it consists of.
func (l *Ledger) installMerged() (worked bool, err error) {
	l.flushes.Lock()
	defer l.flushes.Unlock()
	p := l.partition.Load()
	l.flushMu.Lock()
	built := slices.Clone(l.merged)
	l.flushMu.Unlock()
	for _, m := range built {
		recorded, ok := p.is(m.span)
		switch {
		case ok && recorded.Root != m.info.Root:
			return true, sameDescriptor(describe(recorded), descriptorOf(m.info))
		case ok:
			return true, l.installMerge(m)
		case !p.pending(m.span): // part of a larger one by now
			l.forgetMerged(m)
			l.doom(m.table)
			m.table.release()
			return true, nil
		}
	}
	return false, nil
}

// installMerge makes a merge part of the manifest, durably, and only then gives up what it consists of. The caller holds
// flushes.
func (l *Ledger) installMerge(m *merged) error {
	v, err := l.acquire()
	if err != nil {
		return err
	}
	defer v.release()
	inputs := v.covering(m.span)
	if len(inputs) < 2 { // it was built from segments that another state has replaced
		l.forgetMerged(m)
		m.table.release()
		return nil
	}
	state, err := v.state.WithMerged(segmentIn(m.table, m.info))
	if err != nil {
		return fmt.Errorf("install merged segment %s: %w", m.info.ID, err)
	}
	if err := vfs.WriteFileAtomic(l.opts.FS, l.opts.Dir, manifestName, state.Encode()); err != nil {
		return fmt.Errorf("install merged segment %s: write the manifest: %w", m.info.ID, err)
	}
	for _, t := range inputs {
		l.doom(t)
	}
	l.buryStrays(m.span)
	l.swap(func(v *view) {
		v.state = state
		i := slices.Index(v.tables, inputs[0])
		v.tables = slices.Concat(v.tables[:i], []*table{m.table}, v.tables[i+len(inputs):])
	})
	l.forgetMerged(m)
	m.table.release() // the builder's reference; the views have their own
	l.metrics.compactions.Inc()
	l.flushMu.Lock()
	l.broadcast()
	l.flushMu.Unlock()
	l.opts.Logger.Info("merged segment installed", "segment", m.info.ID, "of", len(inputs), "manifest_version",
		state.Version)
	l.notify()
	return nil
}

// covering returns the tables that hold exactly the seqs of a range; nil when there are none.
func (v *view) covering(r manifest.Range) []*table {
	first, last := v.tableOf(r.FirstSeq), v.tableOf(r.LastSeq)
	if first == nil || last == nil || first.first != r.FirstSeq || last.last != r.LastSeq {
		return nil
	}
	return v.tables[slices.Index(v.tables, first) : slices.Index(v.tables, last)+1]
}

func (l *Ledger) forgetMerged(m *merged) {
	l.flushMu.Lock()
	l.merged = slices.DeleteFunc(slices.Clone(l.merged), func(x *merged) bool { return x == m })
	l.flushMu.Unlock()
}

// dropMerged gives up all merges that wait, when another state takes the place of the one that they are of. Their files
// are that state's affair. For whoever holds flushes, or has stopped the compactor.
func (l *Ledger) dropMerged() {
	l.flushMu.Lock()
	dropped := l.merged
	l.merged = nil
	l.flushMu.Unlock()
	for _, m := range dropped {
		m.table.release()
	}
}

// nextMerge returns what is to be built next: one that only has to be taken from the store, else a merge that was decided,
// and that the others wait for, else one that they have recorded and this replica lacks. One that has failed comes again
// when all others have had their turn. The tables it consists of come with a reference each.
func (l *Ledger) nextMerge() (span manifest.Range, inputs []*table, err error) {
	v, err := l.acquire()
	if err != nil {
		return span, nil, err
	}
	defer v.release()
	p := l.partition.Load()
	spans := append(v.adoptable(p), p.merges...)
	// Where all is merged, there are no more tables than recorded segments and those behind them.
	for _, r := range p.recorded {
		if r := (manifest.Range{FirstSeq: r.FirstSeq, LastSeq: r.LastSeq}); !p.busy(r) {
			spans = append(spans, r)
		}
	}
	if i := slices.Index(spans, l.failedMerge); i >= 0 {
		spans = slices.Concat(spans[i+1:], spans[:i+1])
	}
	for _, span := range spans {
		inputs := v.covering(span)
		if len(inputs) < 2 || l.isBuilt(span) || l.pinned(tlog.SegmentID(span.FirstSeq, span.LastSeq)) {
			continue
		}
		for _, t := range inputs {
			t.refs.Add(1)
		}
		return span, inputs, nil
	}
	return span, nil, nil
}

func (l *Ledger) isBuilt(r manifest.Range) bool {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	return slices.ContainsFunc(l.merged, func(m *merged) bool { return m.span == r })
}

func describe(r manifest.Recorded) tlog.Descriptor {
	return tlog.Descriptor{FirstSeq: r.FirstSeq, LastSeq: r.LastSeq, Entries: r.LastSeq - r.FirstSeq + 1, Root: r.Root}
}
