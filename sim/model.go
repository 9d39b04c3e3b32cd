package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// Model is what a ledger must hold after a list of commands: all entries in a slice, and the root at every size.
type Model struct {
	entries []ledger.Entry
	roots   []merkle.Hash   // roots[n] is that of the first n entries
	whole   map[uint64]bool // sizes between two commands; a command is never half there
	tree    tlog.Frontier

	newest   map[string]int // key to its newest version's seq
	time     int64
	active   uint64 // first seq that is not sealed
	recorded uint64 // first seq that the ledger has no record of

	parts  [][2]uint64 // the recorded segments
	merges [][2]uint64 // decided and not recorded
	Merged int         // merges recorded
}

// NewModel is the model of an empty ledger.
func NewModel() *Model {
	return &Model{roots: []merkle.Hash{merkle.EmptyRoot()}, whole: map[uint64]bool{0: true}, newest: make(map[string]int)}
}

// commandHeader is what stands before the body of a command in the log: its kind and its time.
const commandHeader = 1 + 8

const commandMerge = 5

// Outcome is what a client must be told of a command.
type Outcome struct {
	Size  uint64 // of the ledger behind it
	First uint64
	Count uint64
	Time  int64
	Err   bool // a condition failed, or the deleted key is not live
}

// Size is the number of entries.
func (m *Model) Size() uint64 { return uint64(len(m.entries)) }

// Root is the root of the first n entries.
func (m *Model) Root(n uint64) merkle.Hash { return m.roots[n] }

// Apply takes in what is proposed and says what must become of it. In a log with one writer, what is proposed first is
// applied first.
func (m *Model) Apply(p Proposal) (Outcome, error) {
	m.time = max(m.time, p.Time)
	out := Outcome{First: m.Size(), Time: m.time}
	switch {
	case p.Write != nil:
		out.Err = !m.admits(p.Write)
		if out.Err {
			break
		}
		for _, op := range p.Write.Ops {
			m.add(ledger.Entry{Record: tlog.Record{Op: op.Op, Key: op.Key, ContentType: op.ContentType,
				Principal: p.Write.Principal}, Value: op.Value})
		}
		out.Count = uint64(len(p.Write.Ops))
	case len(p.Data) == len(ledger.SealNow()):
		if first := binary.BigEndian.Uint64(p.Data[commandHeader:]); first == ^uint64(0) || first == m.active {
			m.active = m.Size()
		}
	case p.Data[0] == commandMerge:
		body := p.Data[commandHeader:]
		m.merge([2]uint64{binary.BigEndian.Uint64(body), binary.BigEndian.Uint64(body[8:])})
	default:
		d, err := tlog.ParseDescriptor(p.Data[commandHeader:])
		if err != nil {
			return out, err
		}
		if m.record([2]uint64{d.FirstSeq, d.LastSeq}) {
			m.add(ledger.Entry{Record: tlog.Record{Op: tlog.OpSegment, Key: []byte(d.ID())}, Value: p.Data[commandHeader:]})
		}
	}
	out.Size = m.Size()
	m.whole[out.Size] = true
	return out, nil
}

// merge takes in that recorded segments are to become one.
func (m *Model) merge(r [2]uint64) {
	begins := slices.IndexFunc(m.parts, func(x [2]uint64) bool { return x[0] == r[0] })
	ends := slices.IndexFunc(m.parts, func(x [2]uint64) bool { return x[1] == r[1] })
	busy := slices.ContainsFunc(m.merges, func(x [2]uint64) bool { return x[0] <= r[1] && x[1] >= r[0] })
	if begins >= 0 && ends > begins && !busy && len(m.merges) < 4 {
		m.merges = append(m.merges, r)
	}
}

// record says whether a segment is one to be recorded: the next one of a memtable, or one of a merge that was decided.
func (m *Model) record(r [2]uint64) bool {
	if r[0] == m.recorded && r[1] < m.active {
		m.recorded = r[1] + 1
		m.parts = append(m.parts, r)
		return true
	}
	i := slices.Index(m.merges, r)
	if i < 0 {
		return false
	}
	m.merges = slices.Delete(m.merges, i, i+1)
	m.Merged++
	begins := slices.IndexFunc(m.parts, func(x [2]uint64) bool { return x[0] == r[0] })
	ends := slices.IndexFunc(m.parts, func(x [2]uint64) bool { return x[1] == r[1] })
	m.parts = slices.Replace(m.parts, begins, ends+1, r)
	return true
}

func (m *Model) add(e ledger.Entry) {
	e.Seq, e.Time = m.Size(), m.time
	e.ValueSize, e.ValueHash = uint64(len(e.Value)), sha256.Sum256(e.Value)
	e.Leaf = e.LeafHash()
	m.tree.Append(e.Leaf)
	m.roots = append(m.roots, m.tree.Root())
	if e.Op != tlog.OpSegment {
		m.newest[string(e.Key)] = len(m.entries)
	}
	m.entries = append(m.entries, e)
}

// admits says whether a command appends anything: conditions, and that what is deleted is live.
func (m *Model) admits(w *ledger.Command) bool {
	for _, op := range w.Ops {
		seq, written := m.newest[string(op.Key)]
		live := written && m.entries[seq].Op == tlog.OpPut
		if op.Op == tlog.OpDelete && !live {
			return false
		}
		for _, c := range op.Conditions {
			named := live && c.Any
			for _, s := range c.Seqs {
				named = named || live && s == uint64(seq)
			}
			if named != (c.Kind == ledger.IfMatch) {
				return false
			}
		}
	}
	return true
}

// Check holds a ledger against the model: it must hold the first acked entries, whole commands, and nothing else than
// the model's entries, with their roots.
func (m *Model) Check(l *ledger.Ledger, acked uint64) error {
	size, root := l.Root()
	switch {
	case size < acked:
		return fmt.Errorf("%d entries were acknowledged, the ledger has %d", acked, size)
	case size > m.Size():
		return fmt.Errorf("%d entries were proposed, the ledger has %d", m.Size(), size)
	case !m.whole[size]:
		return fmt.Errorf("the ledger's %d entries end inside a batch", size)
	case root != m.roots[size]:
		return fmt.Errorf("root of %d entries is %v, not %v", size, root, m.roots[size])
	}
	if err := m.checkEntries(l, size); err != nil {
		return err
	}
	if err := m.checkKeys(l, size); err != nil {
		return err
	}
	return m.checkRoots(l, acked, size)
}

func (m *Model) checkEntries(l *ledger.Ledger, size uint64) error {
	it, err := l.Entries(0, false)
	if err != nil {
		return err
	}
	defer it.Close()
	n := uint64(0)
	for ; it.Next(); n++ {
		if err := m.same(it.Entry(), n); err != nil {
			return err
		}
		if it.Entry().Leaf != m.entries[n].Leaf {
			return fmt.Errorf("entry %d has leaf %v, not %v", n, it.Entry().Leaf, m.entries[n].Leaf)
		}
	}
	if it.Err() == nil && n != size {
		return fmt.Errorf("walked %d entries of %d", n, size)
	}
	return it.Err()
}

// same compares an entry with the model's.
func (m *Model) same(e *ledger.Entry, seq uint64) error {
	want := &m.entries[seq]
	if e.Seq != want.Seq || e.Op != want.Op || e.Time != want.Time || !bytes.Equal(e.Key, want.Key) ||
		e.ContentType != want.ContentType || e.Principal != want.Principal || !bytes.Equal(e.Value, want.Value) {
		return fmt.Errorf("entry %d is %d of %q at %d with %d bytes (seq %d), not %d of %q at %d with %d bytes", seq, e.Op,
			e.Key, e.Time, len(e.Value), e.Seq, want.Op, want.Key, want.Time, len(want.Value))
	}
	return nil
}

// checkKeys reads the newest version of each key that the first size entries write, by key.
func (m *Model) checkKeys(l *ledger.Ledger, size uint64) error {
	seen := make(map[string]bool)
	for seq := int(size) - 1; seq >= 0; seq-- {
		want := &m.entries[seq]
		if want.Op == tlog.OpSegment || seen[string(want.Key)] {
			continue
		}
		seen[string(want.Key)] = true
		if err := m.checkGet(l, want.Key, uint64(seq)); err != nil {
			return err
		}
	}
	return nil
}

// checkGet reads a key whose newest version is seq.
func (m *Model) checkGet(l *ledger.Ledger, key []byte, seq uint64) error {
	e, err := l.Get(key, ledger.Selector{})
	if m.entries[seq].Op == tlog.OpPut {
		if err != nil {
			return fmt.Errorf("get %q: %w", key, err)
		}
		return m.same(e, seq)
	}
	var absent *ledger.NotFoundError
	if errors.As(err, &absent) && absent.Tombstone && absent.Seq == seq {
		return nil
	}
	return fmt.Errorf("get %q, which entry %d deleted: %w", key, seq, err)
}

// checkRoots proves some acknowledged sizes to be prefixes of what is there.
func (m *Model) checkRoots(l *ledger.Ledger, acked, size uint64) error {
	for _, from := range []uint64{0, acked / 3, acked - min(acked, 1), acked} {
		old, now, proof, err := l.Consistency(from, size)
		if err != nil {
			return err
		}
		if old != m.roots[from] || now != m.roots[size] {
			return fmt.Errorf("roots of %d and %d entries are %v and %v", from, size, old, now)
		}
		if err := merkle.VerifyConsistency(from, size, old, now, proof); err != nil {
			return err
		}
	}
	return nil
}
