package main

import (
	"context"
	"sync/atomic"

	"github.com/scribe-ledger/scribe/httpapi"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/node"
)

// opened joins the writes and barriers of a node with the reads of its ledger.
type opened struct {
	httpapi.Reader
	*node.Node
}

// slot is the backend of the HTTP API for the life of the process. The node in it may be absent: while it joins or is
// opened, and while it is rebuilt. Then every request is answered 503 with the reason, and nothing is applied.
type slot struct {
	id  uint64
	now atomic.Pointer[occupant]
}

// occupant is a node, or why there is none.
type occupant struct {
	httpapi.Backend // nil when there is none

	why     string
	failed  bool       // there was one, and it failed
	rebuilt *node.Node // what is to serve next, and tells how far it is; may be nil
}

func newSlot(id uint64) *slot {
	s := &slot{id: id}
	s.empty(&occupant{why: "this node is starting"})
	return s
}

// fill puts a node in. One that takes the place of another in the same process must be ready: a request may have passed
// the barrier of the one before, and must not read a state that is older.
func (s *slot) fill(n *node.Node) { s.now.Store(&occupant{Backend: opened{n.Ledger(), n}}) }

// empty takes the node out. Requests that have it already go on with it.
func (s *slot) empty(o *occupant) { s.now.Store(o) }

// use calls do with the node, if there is one.
func use[T any](s *slot, do func(httpapi.Backend) (T, error)) (T, error) {
	o := s.now.Load()
	if o.Backend == nil {
		var none T
		return none, &node.Unavailable{Reason: node.NotReady, Detail: o.why}
	}
	return do(o.Backend)
}

// try is use for what answers an error only.
func (s *slot) try(do func(httpapi.Backend) error) error {
	_, err := use(s, func(b httpapi.Backend) (struct{}, error) { return struct{}{}, do(b) })
	return err
}

// Status implements httpapi.Backend.
func (s *slot) Status() node.Status {
	o := s.now.Load()
	if o.Backend != nil {
		return o.Backend.Status()
	}
	out := node.Status{NodeID: s.id, Role: "none"}
	if o.rebuilt != nil {
		out = o.rebuilt.Status()
	}
	out.Ready, out.Warning = false, o.why
	if o.failed && out.Fault == "" {
		out.Fault = o.why
	}
	return out
}

// Write implements httpapi.Backend.
func (s *slot) Write(ctx context.Context, cmd *ledger.Command) (ledger.Receipt, error) {
	return use(s, func(b httpapi.Backend) (ledger.Receipt, error) { return b.Write(ctx, cmd) })
}

// Barrier implements httpapi.Backend.
func (s *slot) Barrier(ctx context.Context) error {
	return s.try(func(b httpapi.Backend) error { return b.Barrier(ctx) })
}

// Seal implements httpapi.Backend.
func (s *slot) Seal(ctx context.Context) (node.SealResult, error) {
	return use(s, func(b httpapi.Backend) (node.SealResult, error) { return b.Seal(ctx) })
}

// Compact implements httpapi.Backend.
func (s *slot) Compact(ctx context.Context, all bool) (node.CompactResult, error) {
	return use(s, func(b httpapi.Backend) (node.CompactResult, error) { return b.Compact(ctx, all) })
}

// Tier implements httpapi.Backend.
func (s *slot) Tier(ctx context.Context, evict bool) (node.TierResult, error) {
	return use(s, func(b httpapi.Backend) (node.TierResult, error) { return b.Tier(ctx, evict) })
}

// TierStatus implements httpapi.Backend.
func (s *slot) TierStatus() node.TierStatus {
	if o := s.now.Load(); o.Backend != nil {
		return o.TierStatus()
	}
	return node.TierStatus{}
}

// Scrub implements httpapi.Backend.
func (s *slot) Scrub(ctx context.Context) (node.ScrubResult, error) {
	return use(s, func(b httpapi.Backend) (node.ScrubResult, error) { return b.Scrub(ctx) })
}

// Join implements httpapi.Backend.
func (s *slot) Join(ctx context.Context, r node.JoinRequest) (node.JoinResult, error) {
	return use(s, func(b httpapi.Backend) (node.JoinResult, error) { return b.Join(ctx, r) })
}

// Leave implements httpapi.Backend.
func (s *slot) Leave(ctx context.Context, id uint64) error {
	return s.try(func(b httpapi.Backend) error { return b.Leave(ctx, id) })
}

// Promote implements httpapi.Backend.
func (s *slot) Promote(ctx context.Context, id uint64) error {
	return s.try(func(b httpapi.Backend) error { return b.Promote(ctx, id) })
}

// Transfer implements httpapi.Backend.
func (s *slot) Transfer(ctx context.Context, id uint64) error {
	return s.try(func(b httpapi.Backend) error { return b.Transfer(ctx, id) })
}

// NextSeq implements httpapi.Reader.
func (s *slot) NextSeq() uint64 {
	if o := s.now.Load(); o.Backend != nil {
		return o.NextSeq()
	}
	return 0
}

// Get implements httpapi.Reader.
func (s *slot) Get(key []byte, sel ledger.Selector) (*ledger.Entry, error) {
	return use(s, func(b httpapi.Backend) (*ledger.Entry, error) { return b.Get(key, sel) })
}

// Peek implements httpapi.Reader.
func (s *slot) OpenValue(seq uint64) (ledger.Value, error) {
	return use(s, func(b httpapi.Backend) (ledger.Value, error) { return b.OpenValue(seq) })
}

func (s *slot) Peek(key []byte, sel ledger.Selector) (*ledger.Entry, error) {
	return use(s, func(b httpapi.Backend) (*ledger.Entry, error) { return b.Peek(key, sel) })
}

// History implements httpapi.Reader.
func (s *slot) History(key []byte, before uint64, values bool) (ledger.Iterator, error) {
	return use(s, func(b httpapi.Backend) (ledger.Iterator, error) { return b.History(key, before, values) })
}

// Exists implements httpapi.Reader.
func (s *slot) Exists(key []byte) (bool, error) {
	return use(s, func(b httpapi.Backend) (bool, error) { return b.Exists(key) })
}

// Scan implements httpapi.Reader.
func (s *slot) Scan(opts ledger.ScanOptions) (ledger.Iterator, error) {
	return use(s, func(b httpapi.Backend) (ledger.Iterator, error) { return b.Scan(opts) })
}

// Entries implements httpapi.Reader.
func (s *slot) Entries(from uint64, keysOnly bool) (ledger.Iterator, error) {
	return use(s, func(b httpapi.Backend) (ledger.Iterator, error) { return b.Entries(from, keysOnly) })
}

// SeqAtTime implements httpapi.Reader.
func (s *slot) SeqAtTime(t int64) (uint64, error) {
	return use(s, func(b httpapi.Backend) (uint64, error) { return b.SeqAtTime(t) })
}

// Prove implements httpapi.Reader.
func (s *slot) Prove(key []byte, sel ledger.Selector) (*ledger.Proof, error) {
	return use(s, func(b httpapi.Backend) (*ledger.Proof, error) { return b.Prove(key, sel) })
}

// Consistency implements httpapi.Reader.
func (s *slot) Consistency(from, to uint64) (fromRoot, toRoot merkle.Hash, proof []merkle.Hash, err error) {
	err = s.try(func(b httpapi.Backend) (err error) {
		fromRoot, toRoot, proof, err = b.Consistency(from, to)
		return err
	})
	return fromRoot, toRoot, proof, err
}

// Manifest implements httpapi.Reader.
func (s *slot) Manifest() ledger.ManifestInfo {
	if o := s.now.Load(); o.Backend != nil {
		return o.Backend.Manifest()
	}
	return ledger.ManifestInfo{}
}
