package node

import (
	"time"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/wal"
)

const (
	// trimPause is how often what is kept for other members is looked at, while nothing more came into segments.
	trimPause = time.Second
	// maxCovered bounds how finely the age of the flushed log is known.
	maxCovered = 256
)

// trimmer decides which log files go. What is not in segments stays in any case. The rest is of use to members that lag:
// while the log holds what they need, they need no snapshot. It is kept within bounds of size and age, and the room goes
// to new entries when the disk gets full. Owned by the keeper.
type trimmer struct {
	trimmed uint64    // files up to this index are dropped
	looked  time.Time // when the margin was last looked at
	covered []covered // when which part of the log came into segments, oldest first
}

type covered struct {
	index uint64
	at    time.Time
}

// note remembers that what stands up to index is in segments now.
func (t *trimmer) note(index uint64, now time.Time) (news bool) {
	if n := len(t.covered); n > 0 && t.covered[n-1].index >= index {
		return false
	}
	if len(t.covered) == maxCovered { // forget every other one: what is forgotten counts as younger than it is
		kept := t.covered[:0]
		for i := 1; i < maxCovered; i += 2 {
			kept = append(kept, t.covered[i])
		}
		t.covered = kept
	}
	t.covered = append(t.covered, covered{index, now})
	return true
}

// agedOut is the index up to which all has been in segments for longer than age.
func (t *trimmer) agedOut(now time.Time, age time.Duration) (index uint64) {
	for _, c := range t.covered {
		if now.Sub(c.at) <= age {
			break
		}
		index = c.index
	}
	return index
}

// margin is what may stay of the flushed log.
type margin struct {
	bytes  int64
	needed uint64 // entries up to here no other member needs
	aged   uint64 // entries up to here are older than the age allows
}

// goes returns the index up to which files go: those that are flushed, and of no use, too old or too many. Spans are
// those of the log; the last file never goes.
func (m margin) goes(flushed uint64, spans []wal.Span) (index uint64) {
	var kept int64
	for i := len(spans) - 2; i >= 0; i-- {
		s := spans[i]
		if s.Last > flushed {
			continue
		}
		kept += s.Bytes
		if s.Last <= m.needed || s.Last <= m.aged || kept > m.bytes {
			return s.Last // and what is older
		}
	}
	return 0
}

// trim drops log files that neither the ledger nor the core needs any more, and says whether it could drop some.
func (n *Node) trim() bool {
	t := &n.trimmer
	flushed, now := n.compacted.Load(), n.opts.Now()
	news := t.note(flushed, now)
	if !news && now.Sub(t.looked) < trimPause && !now.Before(t.looked) {
		return false
	}
	t.looked = now
	index := n.logMargin(now).goes(flushed, n.log.Spans())
	if index <= t.trimmed {
		return false
	}
	if err := n.log.Trim(index); err != nil {
		n.opts.Logger.Warn("old log files could not be dropped; it is tried again", "error", err)
		t.covered = t.covered[:0]
		return false
	}
	t.trimmed = index
	return true
}

// logMargin says what may stay of the flushed log: nothing where nobody could need it or the disk is nearly full.
func (n *Node) logMargin(now time.Time) margin {
	m := margin{bytes: max(n.opts.KeepLogBytes, 0), aged: n.trimmer.agedOut(now, max(n.opts.KeepLogAge, 0))}
	st := n.status.Load()
	switch {
	case len(st.Members.Members) <= 1 || n.diskFull.Load() || n.space.short.Load() ||
		n.spaceFor(n.log.FileBytes()) != nil:
		m.bytes = 0
	case st.Role == raft.Leader: // which alone knows how far they are; it may be another node's turn any time
		m.needed = raft.MaxIndex
		for _, p := range st.Peers {
			m.needed = min(m.needed, p.Match)
		}
	}
	return m
}
