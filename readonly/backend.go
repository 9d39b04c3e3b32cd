package readonly

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/vfs"
)

// Role is what Status says of a server like this one.
const Role = "reader"

// refused is the error of all that changes something.
func refused(what string) error {
	return &node.Unavailable{Reason: node.ReadOnly,
		Detail: "this server reads a ledger's archive in an object store, and " + what}
}

const (
	noWrites  = "takes no writes; send them to a member of the cluster"
	noMembers = "belongs to no cluster; ask a member"
)

// read does with the current edition what reads its ledger. When another one has taken its place meanwhile, and it was
// closed, or when one can because this one's segments are gone, it does so again.
func read[T any](a *Archive, do func(*edition) (T, error)) (T, error) {
	for {
		e := a.current.Load()
		v, err := do(e)
		switch {
		case errors.Is(err, ledger.ErrClosed) && a.current.Load() != e:
			continue
		case a.outdated(e, err):
			continue
		}
		return v, err
	}
}

// outdated looks, when a read of an edition has met damage, for a newer one, and says whether there is one: the cluster
// may have merged segments, published that, and deleted their objects. The next look by the clock may be too late for it.
func (a *Archive) outdated(e *edition, err error) bool {
	if !errors.As(err, new(*vfs.CorruptError)) {
		return false
	}
	if a.current.Load() == e {
		ctx, cancel := context.WithTimeout(a.ctx, a.opts.ReadTimeout)
		defer cancel()
		if _, err := a.Refresh(ctx); err != nil && a.ctx.Err() == nil {
			a.opts.Logger.Warn("what is published now cannot be served; what was is served on", "error", err)
		}
	}
	return a.current.Load() != e
}

// iterator is one over an edition. What has begun cannot go on with a newer one, but what is asked for next begins there.
type iterator struct {
	ledger.Iterator
	archive *Archive
	edition *edition
}

// Err implements ledger.Iterator.
func (it *iterator) Err() error {
	err := it.Iterator.Err()
	it.archive.outdated(it.edition, err)
	return err
}

// iterate is read of what begins a list.
func iterate(a *Archive, begin func(*edition) (ledger.Iterator, error)) (ledger.Iterator, error) {
	return read(a, func(e *edition) (ledger.Iterator, error) {
		it, err := begin(e)
		if err != nil {
			return nil, err
		}
		return &iterator{it, a, e}, nil
	})
}

// NextSeq is the published size.
func (a *Archive) NextSeq() uint64 { return a.current.Load().ledger.NextSeq() }

// Get is Ledger.Get as of what is published.
func (a *Archive) Get(key []byte, sel ledger.Selector) (*ledger.Entry, error) {
	return read(a, func(e *edition) (*ledger.Entry, error) { return e.ledger.Get(key, sel) })
}

// Peek is Ledger.Peek as of what is published.
func (a *Archive) Peek(key []byte, sel ledger.Selector) (*ledger.Entry, error) {
	return read(a, func(e *edition) (*ledger.Entry, error) { return e.ledger.Peek(key, sel) })
}

// OpenValue is Ledger.OpenValue.
func (a *Archive) OpenValue(seq uint64) (ledger.Value, error) {
	return read(a, func(e *edition) (ledger.Value, error) { return e.ledger.OpenValue(seq) })
}

// History is Ledger.History as of what is published.
func (a *Archive) History(key []byte, before uint64, values bool) (ledger.Iterator, error) {
	return iterate(a, func(e *edition) (ledger.Iterator, error) { return e.ledger.History(key, before, values) })
}

// Exists is Ledger.Exists as of what is published.
func (a *Archive) Exists(key []byte) (bool, error) {
	return read(a, func(e *edition) (bool, error) { return e.ledger.Exists(key) })
}

// Scan is Ledger.Scan.
func (a *Archive) Scan(opts ledger.ScanOptions) (ledger.Iterator, error) {
	return iterate(a, func(e *edition) (ledger.Iterator, error) { return e.ledger.Scan(opts) })
}

// Entries is Ledger.Entries up to the published size.
func (a *Archive) Entries(from uint64, keysOnly bool) (ledger.Iterator, error) {
	return iterate(a, func(e *edition) (ledger.Iterator, error) { return e.ledger.Entries(from, keysOnly) })
}

// SeqAtTime is Ledger.SeqAtTime.
func (a *Archive) SeqAtTime(t int64) (uint64, error) {
	return read(a, func(e *edition) (uint64, error) { return e.ledger.SeqAtTime(t) })
}

// Prove is Ledger.Prove, under the checkpoint that was published.
func (a *Archive) Prove(key []byte, sel ledger.Selector) (*ledger.Proof, error) {
	return read(a, func(e *edition) (*ledger.Proof, error) {
		p, err := e.ledger.Prove(key, sel)
		if err == nil {
			if p.TreeSize != e.Checkpoint.Size || p.Root != e.Checkpoint.Root {
				return nil, fmt.Errorf("readonly: a proof of size %d, %d are published", p.TreeSize, e.Checkpoint.Size)
			}
			p.Checkpoint = string(e.Note)
		}
		return p, err
	})
}

// Consistency is Ledger.Consistency.
func (a *Archive) Consistency(from, to uint64) (fromRoot, toRoot merkle.Hash, proof []merkle.Hash, err error) {
	_, err = read(a, func(e *edition) (struct{}, error) {
		fromRoot, toRoot, proof, err = e.ledger.Consistency(from, to)
		return struct{}{}, err
	})
	return fromRoot, toRoot, proof, err
}

// Manifest is what is published.
func (a *Archive) Manifest() ledger.ManifestInfo { return a.current.Load().ledger.Manifest() }

// Barrier has nothing to wait for: reads are as of the publication that is served.
func (a *Archive) Barrier(context.Context) error { return nil }

// Status says what is served, and in Warning why nothing newer is.
func (a *Archive) Status() node.Status {
	e := a.current.Load()
	s := node.Status{ClusterID: e.State.ClusterID, Role: Role, TreeSize: e.Checkpoint.Size, Root: e.Checkpoint.Root,
		CommitIndex: e.State.AppliedIndex, AppliedIndex: e.State.AppliedIndex, Ready: true}
	if t := a.trouble.Load(); t != nil {
		s.Warning = fmt.Sprintf("newer publications cannot be served, since %s: %v",
			t.since.UTC().Format(time.RFC3339), t.err)
	}
	return s
}

// TierStatus says where the archive is. All of it is in the store.
func (a *Archive) TierStatus() node.TierStatus {
	e := a.current.Load()
	s := node.TierStatus{Store: a.store.Name(), Usable: true, Published: e.Checkpoint.Size,
		ColdSegments: len(e.State.Segments)}
	for i := range e.State.Segments {
		s.ColdBytes += e.State.Segments[i].Object.Bytes
	}
	if t := a.trouble.Load(); t != nil {
		s.Problem = t.err.Error()
	}
	return s
}

// Tier is refused.
func (a *Archive) Tier(context.Context, bool) (node.TierResult, error) {
	return node.TierResult{}, refused(noMembers)
}

// Scrub is refused.
func (a *Archive) Scrub(context.Context) (node.ScrubResult, error) {
	return node.ScrubResult{}, refused(noMembers)
}

// Write is refused, as is all that follows.
func (a *Archive) Write(context.Context, *ledger.Command) (ledger.Receipt, error) {
	return ledger.Receipt{}, refused(noWrites)
}

// Seal is refused.
func (a *Archive) Seal(context.Context) (node.SealResult, error) {
	return node.SealResult{}, refused(noWrites)
}

// Compact is refused.
func (a *Archive) Compact(context.Context, bool) (node.CompactResult, error) {
	return node.CompactResult{}, refused(noWrites)
}

// Join is refused.
func (a *Archive) Join(context.Context, node.JoinRequest) (node.JoinResult, error) {
	return node.JoinResult{}, refused(noMembers)
}

// Leave is refused.
func (a *Archive) Leave(context.Context, uint64) error { return refused(noMembers) }

// Promote is refused.
func (a *Archive) Promote(context.Context, uint64) error { return refused(noMembers) }

// Transfer is refused.
func (a *Archive) Transfer(context.Context, uint64) error { return refused(noMembers) }
