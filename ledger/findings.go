package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/scribe-ledger/scribe/tlog"
)

// Finding is the newest version of a key: its seq, and what it does.
type Finding struct {
	Exists bool // there is one
	Live   bool // and it is a put, no tombstone
	Seq    uint64
}

// Findings are what the outcome of a command depends on, as far as it was there before the command was proposed: for each
// of its ops that has a condition or deletes, in their order, the newest version of its key among the first Size entries.
// They travel in the command. So no replica looks for what is older than Size when it applies the command: those versions
// may be in the object store only, which is slow, and may be away.
//
// The entries below Size are applied where Check looks, hence committed, hence the same on every member; and whatever was
// appended since, Apply finds behind Size. So it does not matter which member looked, nor how long ago.
//
// Findings are believed. They come from a member of the cluster, whose state is the log's like that of the others: raft
// tolerates members that stop, not members that lie, and one whose state has diverged unnoticed would mislead all alike.
type Findings struct {
	Size   uint64
	Newest []Finding // none: there are no findings, and Apply looks at all there is
}

// findingsVersion is that of the encoding below. A command without findings has none of it.
const findingsVersion = 1

// maxColdLookups is how many keys of one command are looked up at a time where a lookup may wait for the object store.
const maxColdLookups = 16

// States of a finding, as they are encoded.
const (
	foundNothing byte = iota
	foundTombstone
	foundLive
)

var errFindings = errors.New("ledger: findings of another command")

// asks says whether the outcome depends on the newest version of the op's key.
func (op *WriteOp) asks() bool { return op.Op == tlog.OpDelete || len(op.Conditions) > 0 }

func asking(ops []WriteOp) (n int) {
	for i := range ops {
		if ops[i].asks() {
			n++
		}
	}
	return n
}

// Check looks up what the outcome of a command depends on, for EncodeFound. So damage, and an object store that is away,
// are found, and answered to the one client they concern, before the command is in the log of every replica. A command
// that depends on nothing has no findings. The outcome itself is not Check's to tell: other commands may come first.
//
// Errors: *vfs.CorruptError, *ColdError when the object store cannot be read, the context's once it has ended, ErrClosed,
// ErrRebuilding, an I/O error.
func (l *Ledger) Check(ctx context.Context, w *Command) (Findings, error) {
	n := asking(w.Ops)
	size := l.published.Load() // before the view, see version
	if n == 0 || size == 0 {
		return Findings{}, nil
	}
	v, err := l.acquire()
	if err != nil {
		return Findings{}, err
	}
	defer v.release()
	found := Findings{Size: size, Newest: make([]Finding, n)}
	if !l.opts.Manual && n > 1 && slices.ContainsFunc(v.tables, (*table).cold) {
		err = v.lookMany(ctx, w.Ops, found)
	} else {
		err = v.look(ctx, w.Ops, found)
	}
	if err != nil {
		l.noteDamage(err)
		return Findings{}, err
	}
	return found, nil
}

// look finds the newest versions of the ops' keys, one after the other.
func (v *view) look(ctx context.Context, ops []WriteOp, found Findings) (err error) {
	n := 0
	for i := range ops {
		if !ops[i].asks() {
			continue
		}
		if found.Newest[n], err = v.lookOne(ctx, ops[i].Key, found.Size); err != nil {
			return err
		}
		n++
	}
	return nil
}

// lookMany is look where each may take a range request of the object store: it waits for several at a time.
func (v *view) lookMany(ctx context.Context, ops []WriteOp, found Findings) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxColdLookups)
	places := found.Newest
	for i := range ops {
		if !ops[i].asks() {
			continue
		}
		place := &places[0]
		places = places[1:]
		group.Go(func() (err error) {
			*place, err = v.lookOne(ctx, ops[i].Key, found.Size)
			return err
		})
	}
	return group.Wait()
}

func (v *view) lookOne(ctx context.Context, key []byte, size uint64) (Finding, error) {
	if err := ctx.Err(); err != nil {
		return Finding{}, err
	}
	return v.newest(key, 0, size-1)
}

// fit says why f cannot be the findings of a command with these ops.
func (f *Findings) fit(ops []WriteOp) error {
	if len(f.Newest) == 0 {
		return nil
	}
	if n := asking(ops); n != len(f.Newest) {
		return fmt.Errorf("%w: %d, and %d ops ask for one", errFindings, len(f.Newest), n)
	}
	if f.Size == 0 {
		return fmt.Errorf("%w: of no entries", errFindings)
	}
	for _, x := range f.Newest {
		if x.Exists && x.Seq >= f.Size {
			return fmt.Errorf("%w: version %d among %d entries", errFindings, x.Seq, f.Size)
		}
	}
	return nil
}

// room is how many bytes append adds at most.
func (f *Findings) room() int {
	if len(f.Newest) == 0 {
		return 0
	}
	return 1 + binary.MaxVarintLen64 + len(f.Newest)*(1+binary.MaxVarintLen64)
}

func (f *Findings) append(b []byte) []byte {
	if len(f.Newest) == 0 {
		return b
	}
	b = append(b, findingsVersion)
	b = binary.AppendUvarint(b, f.Size)
	for _, x := range f.Newest {
		switch {
		case !x.Exists:
			b = append(b, foundNothing)
			continue
		case x.Live:
			b = append(b, foundLive)
		default:
			b = append(b, foundTombstone)
		}
		b = binary.AppendUvarint(b, x.Seq)
	}
	return b
}

// findings takes those of a command with these ops: all that is left, which may be nothing.
func (d *decoder) findings(ops []WriteOp) (f Findings) {
	if d.bad || len(d.b) == 0 {
		return f
	}
	version, n := d.u8(), asking(ops)
	f.Size = d.uvarint()
	// A finding has at least one byte.
	if d.bad || version != findingsVersion || f.Size == 0 || n == 0 || n > len(d.b) {
		d.bad = true
		return Findings{}
	}
	f.Newest = make([]Finding, n)
	for i := range f.Newest {
		f.Newest[i] = d.finding(f.Size)
	}
	return f
}

func (d *decoder) finding(size uint64) (x Finding) {
	state := d.u8()
	if state == foundNothing {
		return x
	}
	x = Finding{Exists: true, Live: state == foundLive, Seq: d.uvarint()}
	if state > foundLive || x.Seq >= size {
		d.bad = true
	}
	return x
}
