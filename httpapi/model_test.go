package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tlog"
)

// model is a Backend in which everything is looked up the slow and obvious way. Time is a microsecond per entry.
type model struct {
	mu      sync.Mutex
	log     []ledger.Entry
	done    map[string]remembered
	status  node.Status
	sealed  uint64
	started int64

	// Faults, set by tests before they make requests. fail answers every Write and Barrier; block makes Write wait for
	// the context; corruptAt makes iterators and Get stop at that seq with readErr.
	fail      error
	block     bool
	readErr   error
	corruptAt uint64
	barriers  int
	badProof  bool
	onGet     func()
	badFrom   int // with readErr, where large values cannot be read; 0 nowhere
	opened    int // values that are not closed
	readMost  int // bytes asked of a large value at once

	tiered  node.TierStatus
	tierErr error // answers Tier and Scrub
	evicts  []bool

	changed   []string // what changes of the members came
	changeErr error    // answers them
}

type remembered struct {
	hash merkle.Hash
	rc   ledger.Receipt
}

func newModel() *model {
	return &model{
		done:    make(map[string]remembered),
		started: 1_790_000_000_000_000,
		status: node.Status{NodeID: 1, ClusterID: "c0ffee", Role: "leader", Leader: 1, Term: 3, Ready: true,
			Members: []node.Member{{NodeID: 1, RaftAddr: "127.0.0.1:9001", HTTPAddr: "127.0.0.1:8001", Role: "leader",
				Voter: true, Healthy: true, MatchIndex: 9}}},
	}
}

// newest returns the newest version of a key with seq < end; nil when there is none.
func (m *model) newest(key []byte, end uint64) *ledger.Entry {
	for i := int(min(end, uint64(len(m.log)))) - 1; i >= 0; i-- {
		if e := &m.log[i]; e.Op != tlog.OpSegment && bytes.Equal(e.Key, key) {
			return e
		}
	}
	return nil
}

// outlast waits for a write's deadline as the node does, which does not need the context to be done.
func outlast(ctx context.Context) error {
	var late <-chan time.Time
	if at, ok := ctx.Deadline(); ok {
		late = time.After(time.Until(at))
	}
	select {
	case <-late:
		return &node.Unavailable{Reason: node.OutcomeUnknown, Detail: "the write was not confirmed in time"}
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *model) Write(ctx context.Context, cmd *ledger.Command) (ledger.Receipt, error) {
	if m.block {
		return ledger.Receipt{}, outlast(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return ledger.Receipt{}, m.fail
	}
	if before, ok := m.done[cmd.IdempotencyKey]; ok && cmd.IdempotencyKey != "" {
		if before.hash != cmd.RequestHash {
			return ledger.Receipt{}, ledger.ErrIdempotencyMismatch
		}
		before.rc.Replayed = true
		return before.rc, nil
	}
	for i, op := range cmd.Ops {
		e := m.newest(op.Key, uint64(len(m.log)))
		live := e != nil && e.Op == tlog.OpPut
		for _, cond := range op.Conditions {
			named := live && (cond.Any || slices.Contains(cond.Seqs, e.Seq))
			if named != (cond.Kind == ledger.IfMatch) {
				err := &ledger.PreconditionError{OpIndex: i, Exists: e != nil}
				if e != nil {
					err.Seq = e.Seq
				}
				return ledger.Receipt{}, err
			}
		}
		if op.Op == tlog.OpDelete && !live {
			err := &ledger.NotFoundError{OpIndex: i, Tombstone: e != nil}
			if e != nil {
				err.Seq = e.Seq
			}
			return ledger.Receipt{}, err
		}
	}
	rc := ledger.Receipt{FirstSeq: uint64(len(m.log)), Count: uint64(len(cmd.Ops))}
	for _, op := range cmd.Ops {
		m.append(op.Op, op.Key, op.Value, op.ContentType)
	}
	rc.LeafHash, rc.Time = m.log[rc.FirstSeq].Leaf, m.log[rc.FirstSeq].Time
	if cmd.IdempotencyKey != "" {
		m.done[cmd.IdempotencyKey] = remembered{cmd.RequestHash, rc}
	}
	return rc, nil
}

func (m *model) append(op tlog.Op, key, value []byte, contentType string) {
	seq := uint64(len(m.log))
	e := ledger.Entry{Record: tlog.Record{Op: op, Seq: seq, Time: m.started + int64(seq), Key: key,
		ContentType: contentType, ValueSize: uint64(len(value)), ValueHash: sha256.Sum256(value)}, Value: value}
	e.Leaf = e.LeafHash()
	m.log = append(m.log, e)
}

func (m *model) Barrier(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.barriers++
	return m.fail
}

func (m *model) Seal(context.Context) (node.SealResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := uint64(len(m.log))
	if n == 0 {
		return node.SealResult{}, m.fail
	}
	first := m.sealed
	m.sealed = n
	return node.SealResult{Segments: []string{tlog.SegmentID(first, n-1)}, SealedThrough: n - 1, Any: true}, m.fail
}

func (m *model) Compact(_ context.Context, all bool) (node.CompactResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !all || m.fail != nil {
		return node.CompactResult{Left: 2}, m.fail
	}
	return node.CompactResult{Segments: []string{tlog.SegmentID(0, 1)}, Merged: 2, Left: 1}, nil
}

func (m *model) Tier(_ context.Context, evict bool) (node.TierResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.evicts = append(m.evicts, evict)
	r := node.TierResult{Uploaded: []string{tlog.SegmentID(0, 1)}, UploadedBytes: 100, Published: 2, Waiting: 1}
	if evict {
		r.Evicted, r.EvictedBytes = r.Uploaded, 90
	}
	return r, m.tierErr
}

func (m *model) TierStatus() node.TierStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tiered
}

func (m *model) Scrub(context.Context) (node.ScrubResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return node.ScrubResult{Segments: 2, Objects: 1, Bytes: 300, Findings: []node.ScrubFinding{
		{Segment: tlog.SegmentID(0, 1), File: "segments/x.seg", Offset: 7, Reason: "checksum", Repaired: true, From: "store"},
	}}, m.tierErr
}

func (m *model) Status() node.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.status
	s.TreeSize = uint64(len(m.log))
	return s
}

func (m *model) change(ctx context.Context, what string, args ...any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := ctx.Deadline(); !ok {
		return errors.New("a change without a deadline")
	}
	m.changed = append(m.changed, fmt.Sprint(append([]any{what}, args...)...))
	return m.changeErr
}

func (m *model) Join(ctx context.Context, r node.JoinRequest) (node.JoinResult, error) {
	return node.JoinResult{}, m.change(ctx, "join ", r.NodeID, " ", r.RaftAddr, " ", r.HTTPAddr, " ", r.Learner)
}

func (m *model) Leave(ctx context.Context, id uint64) error { return m.change(ctx, "leave ", id) }

func (m *model) Promote(ctx context.Context, id uint64) error { return m.change(ctx, "promote ", id) }

func (m *model) Transfer(ctx context.Context, id uint64) error { return m.change(ctx, "transfer ", id) }

func (m *model) NextSeq() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return uint64(len(m.log))
}

func (m *model) version(key []byte, sel ledger.Selector) (*ledger.Entry, error) {
	end := uint64(len(m.log))
	switch sel.Kind {
	case ledger.BySeq:
		if sel.Seq >= end || m.log[sel.Seq].Op == tlog.OpSegment || !bytes.Equal(m.log[sel.Seq].Key, key) {
			return nil, ledger.ErrVersionNotFound
		}
		return &m.log[sel.Seq], nil
	case ledger.AsOfSeq:
		if sel.Seq < end {
			end = sel.Seq + 1
		}
	case ledger.AsOfTime:
		end = m.seqAtTime(sel.Time)
	}
	e := m.newest(key, end)
	if e == nil {
		return nil, &ledger.NotFoundError{}
	}
	return e, nil
}

func (m *model) Get(key []byte, sel ledger.Selector) (*ledger.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.onGet != nil {
		m.onGet()
	}
	e, err := m.version(key, sel)
	switch {
	case err != nil:
		return nil, err
	case m.readErr != nil && e.Seq >= m.corruptAt:
		return nil, m.readErr
	case e.Op == tlog.OpPut:
		own := *e
		own.ValueHash = merkle.Hash{} // small values in segments do not store it
		return &own, nil
	case sel.Kind == ledger.BySeq:
		return nil, ledger.ErrVersionNotFound
	}
	return nil, &ledger.NotFoundError{Tombstone: true, Seq: e.Seq}
}

// Peek leaves large values out, and only then gives the hash, as a segment does.
func (m *model) Peek(key []byte, sel ledger.Selector) (*ledger.Entry, error) {
	e, err := m.Get(key, sel)
	if err == nil && len(e.Value) > 32<<10 {
		e.ValueHash, e.Value = sha256.Sum256(e.Value), nil
	}
	return e, err
}

func (m *model) OpenValue(seq uint64) (ledger.Value, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if seq >= uint64(len(m.log)) || m.log[seq].Op != tlog.OpPut {
		return nil, ledger.ErrVersionNotFound
	}
	m.opened++
	return &modelValue{m, m.log[seq].Value}, nil
}

type modelValue struct {
	m *model
	b []byte
}

func (v *modelValue) Size() uint64      { return uint64(len(v.b)) }
func (v *modelValue) Hash() merkle.Hash { return sha256.Sum256(v.b) }

func (v *modelValue) Close() error {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	v.m.opened--
	return nil
}

func (v *modelValue) ReadAt(p []byte, off int64) (int, error) {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	v.m.readMost = max(v.m.readMost, len(p))
	if v.m.readErr != nil && int(off)+len(p) > v.m.badFrom {
		return 0, v.m.readErr
	}
	return bytes.NewReader(v.b).ReadAt(p, off)
}

// modelIter hands out each entry in the same space, as a real iterator may, so that whoever keeps one is found out.
type modelIter struct {
	m     *model
	list  []ledger.Entry
	entry ledger.Entry
	err   error
}

func (it *modelIter) Next() bool {
	for i := range it.entry.Key {
		it.entry.Key[i] = 0xee
	}
	if len(it.list) == 0 || it.err != nil {
		return false
	}
	if it.m.readErr != nil && it.list[0].Seq >= it.m.corruptAt {
		it.err = it.m.readErr
		return false
	}
	it.entry = it.list[0]
	it.entry.Key = bytes.Clone(it.entry.Key)
	it.list = it.list[1:]
	return true
}
func (it *modelIter) Entry() *ledger.Entry { return &it.entry }
func (it *modelIter) Err() error           { return it.err }
func (it *modelIter) Close() error         { it.list = nil; return nil }

// walk makes an iterator of copies, with or without values.
func (m *model) walk(list []ledger.Entry, values bool) ledger.Iterator {
	list = slices.Clone(list)
	for i := range list {
		if !values {
			list[i].Value = nil
		}
	}
	return &modelIter{m: m, list: list}
}

func (m *model) History(key []byte, before uint64, values bool) (ledger.Iterator, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []ledger.Entry
	for _, e := range slices.Backward(m.log) {
		if e.Op != tlog.OpSegment && bytes.Equal(e.Key, key) && e.Seq < before {
			list = append(list, e)
		}
	}
	return m.walk(list, values), nil
}

func (m *model) Exists(key []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newest(key, uint64(len(m.log))) != nil, nil
}

func (m *model) Scan(o ledger.ScanOptions) (ledger.Iterator, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := make(map[string]ledger.Entry)
	for _, e := range m.log[:o.AsOf+1] {
		if e.Op == tlog.OpSegment || bytes.Compare(e.Key, o.Start) < 0 || o.End != nil && bytes.Compare(e.Key, o.End) >= 0 {
			continue
		}
		newest[string(e.Key)] = e
	}
	var list []ledger.Entry
	for _, e := range newest {
		if e.Op == tlog.OpPut {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b ledger.Entry) int { return bytes.Compare(a.Key, b.Key) })
	if o.Reverse {
		slices.Reverse(list)
	}
	return m.walk(list, !o.KeysOnly), nil
}

func (m *model) Entries(from uint64, keysOnly bool) (ledger.Iterator, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.walk(m.log[from:], !keysOnly), nil
}

func (m *model) seqAtTime(t int64) uint64 {
	n := 0
	for n < len(m.log) && m.log[n].Time <= t {
		n++
	}
	return uint64(n)
}

func (m *model) SeqAtTime(t int64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seqAtTime(t), nil
}

// node returns the hash of a complete subtree, straight from RFC 6962 §2.1.
func (m *model) node(level uint, index uint64) (merkle.Hash, error) {
	leaves := make([]merkle.Hash, 1<<level)
	for i := range leaves {
		leaves[i] = m.log[index<<level+uint64(i)].Leaf
	}
	return merkle.RootOf(leaves), nil
}

func (m *model) Prove(key []byte, sel ledger.Selector) (*ledger.Proof, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, err := m.version(key, sel)
	if err != nil {
		return nil, err
	}
	if m.readErr != nil && e.Seq >= m.corruptAt {
		return nil, m.readErr
	}
	p := &ledger.Proof{Entry: e, Leaf: e.Leaf, TreeSize: uint64(len(m.log)), Checkpoint: "model\n\"note\"\n"}
	if p.Record, err = tlog.AppendRecord(nil, &e.Record); err != nil {
		return nil, err
	}
	if p.Root, err = merkle.RootAt(p.TreeSize, m.node); err != nil {
		return nil, err
	}
	if p.Inclusion, err = merkle.InclusionProof(e.Seq, p.TreeSize, m.node); err != nil {
		return nil, err
	}
	if e.Seq < m.sealed {
		s := &ledger.SegmentProof{ID: tlog.SegmentID(0, m.sealed-1), Ordinal: e.Seq, Entries: m.sealed}
		if s.Root, err = merkle.RootAt(m.sealed, m.node); err != nil {
			return nil, err
		}
		if s.Inclusion, err = merkle.InclusionProof(e.Seq, m.sealed, m.node); err != nil {
			return nil, err
		}
		p.Segment = s
	}
	if m.badProof {
		p.Root[0] ^= 1
	}
	return p, nil
}

func (m *model) Consistency(from, to uint64) (fromRoot, toRoot merkle.Hash, proof []merkle.Hash, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if fromRoot, err = merkle.RootAt(from, m.node); err != nil {
		return
	}
	if toRoot, err = merkle.RootAt(to, m.node); err != nil {
		return
	}
	proof, err = merkle.ConsistencyProof(from, to, m.node)
	return
}

func (m *model) Manifest() ledger.ManifestInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	info := ledger.ManifestInfo{Version: 4, AppliedIndex: 7, TreeSize: m.sealed, Settings: map[string]string{"a": "b"}}
	if m.sealed > 0 {
		info.Segments = []ledger.SegmentInfo{{ID: tlog.SegmentID(0, m.sealed-1), LastSeq: m.sealed - 1, Entries: m.sealed,
			Bytes: 1234, MinKey: []byte("a"), MaxKey: []byte("\xff"), Tier: "local"}}
	}
	return info
}

// put appends through the model, past HTTP.
func (m *model) put(key string, value string) uint64 {
	rc, err := m.Write(context.Background(), &ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpPut, Key: []byte(key),
		Value: []byte(value), ContentType: "text/plain"}}})
	if err != nil {
		panic("model: " + err.Error())
	}
	return rc.FirstSeq
}

func (m *model) del(key string) uint64 {
	rc, err := m.Write(context.Background(), &ledger.Command{Ops: []ledger.WriteOp{{Op: tlog.OpDelete, Key: []byte(key)}}})
	if err != nil {
		panic("model: " + err.Error())
	}
	return rc.FirstSeq
}

// segment appends the ledger's own record, as a seal would.
func (m *model) segment() {
	m.mu.Lock()
	defer m.mu.Unlock()
	descriptor := strings.Repeat("\x01", 24) + strings.Repeat("\xff", 32)
	m.append(tlog.OpSegment, []byte(tlog.SegmentID(0, 0)), []byte(descriptor), "")
}
