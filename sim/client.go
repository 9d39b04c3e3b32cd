package sim

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// pendingCall is a call of a node that was begun: a *node.Pending.
type pendingCall interface {
	Outcome() (receipt ledger.Receipt, err error, done bool)
}

// client does one operation after the other.
type client struct {
	w     *World
	index int32
	op    int32    // under way; -1 for none
	tries int      // of op
	open  *attempt // under way
	call  uint32   // counts what it waits for: older events mean nothing any more
}

const (
	requestTime = 3 * time.Second        // deadline that a request carries
	patience    = 4 * time.Second        // until a client takes a silent node for dead
	backoff     = 200 * time.Millisecond // mean pause before another try
	maxTries    = 6
	keyOps      = 40 // operations after which a key is left
)

func (w *World) beginClients() {
	w.clients = make([]client, w.plan.Clients)
	for i := range w.plan.Keys {
		w.history.newKey(i)
	}
	for i := range w.clients {
		w.clients[i] = client{w: w, index: int32(i), op: -1}
		w.clients[i].sleep(w.upTo(time.Second))
	}
}

func (h *history) newKey(slot int) {
	h.keys = append(h.keys, keyInfo{name: fmt.Appendf(nil, "key/%02d/%04d", slot, len(h.keys))})
}

// sleep lets the client go on after a while. What it waited for before does not wake it any more.
func (c *client) sleep(d time.Duration) {
	c.call++
	c.w.add(event{at: c.w.now + d, kind: evClient, arg: c.index, life: c.call, node: -1})
}

// wake goes on: with the next try, or the next operation, or because a node has been silent for too long.
func (c *client) wake(call uint32) {
	if call != c.call {
		return
	}
	w := c.w
	if a := c.open; a != nil {
		a.at.forget(a)
		c.settle(a, attemptUnknown)
		return
	}
	if c.op < 0 {
		if !w.faults {
			return // the heal has begun
		}
		c.op, c.tries = w.history.draw(w, c.index), 0
	}
	c.try()
}

// draw makes up an operation.
func (h *history) draw(w *World, client int32) int32 {
	r := w.rand
	o := operation{client: client, begin: w.now, floor: h.floor, keyCount: 1}
	switch k := r.IntN(20); {
	case k < 8:
		o.kind = opPut
	case k < 10:
		o.kind = opBatch
		o.keyCount = uint8(min(2+r.IntN(maxBatchKeys-1), w.plan.Keys))
	case k < 12:
		o.kind = opDelete
	case k < 19:
		o.kind = opGet
	default:
		o.kind = opStale
	}
	o.size = int32(8 + r.IntN(120))
	if r.IntN(12) == 0 {
		o.size = int32(w.plan.LargeSize/2 + r.IntN(w.plan.LargeSize))
	}
	op := int32(len(h.ops))
	live := h.keys[len(h.keys)-w.plan.Keys:]
	first := r.IntN(w.plan.Keys)
	for i := range o.keyCount {
		k := (first + int(i)) % w.plan.Keys
		o.keys[i] = int32(len(h.keys) - w.plan.Keys + k)
	}
	if w.bucket != nil && o.kind != opBatch && r.IntN(5) == 0 { // one that is in old segments by now
		o.keys[0] = int32(r.IntN(len(h.keys)))
	}
	for _, k := range o.keys[:o.keyCount] {
		h.keys[k].ops = append(h.keys[k].ops, op)
	}
	if o.kind == opPut || o.kind == opDelete {
		o.idem = r.IntN(4) == 0
		switch last := h.keys[o.keys[0]].last; {
		case r.IntN(8) == 0 && o.kind == opPut:
			o.condition = ifAbsent
		case r.IntN(5) == 0 && last > 0:
			o.condition, o.expect = ifSeq, last-1
		}
	}
	h.ops = append(h.ops, o)
	if oldest := len(live[0].ops); oldest >= keyOps {
		h.newKey(len(h.keys) % w.plan.Keys) // and the oldest is not written any more
	}
	return op
}

// try sends the operation to a node, or waits for one.
func (c *client) try() {
	w := c.w
	r := w.nodes[w.rand.IntN(len(w.nodes))]
	if c.tries++; c.tries > maxTries {
		c.giveUp(opNotDone)
		return
	}
	if r.node == nil {
		c.sleep(w.about(backoff))
		return
	}
	o := &w.history.ops[c.op]
	if !o.uncertain { // nothing of it can have happened yet
		o.begin, o.floor = w.now, w.history.floor
	}
	if o.kind == opStale {
		if r.node.Probe().Rebuilding {
			c.sleep(w.about(backoff))
			return
		}
		c.read(r)
		return
	}
	a := &attempt{op: c.op, number: int32(len(w.history.attempts)), at: r, client: c}
	w.history.attempts = append(w.history.attempts, a)
	deadline := r.clock().Add(requestTime)
	if o.kind == opGet {
		a.asked = r.node.BeginBarrier(deadline)
	} else {
		a.asked = r.node.Begin(w.history.command(a), deadline)
	}
	c.open = a
	r.pending = append(r.pending, a)
	if w.tracing() {
		w.trace("client %d asks node %d: %s %s, attempt %d", c.index, r.id, o.kind, w.history.keys[o.keys[0]].name, a.number)
	}
	c.sleep(patience)
	r.soon(evTurn)
}

// command is what an attempt asks of the ledger. Its principal names the attempt, so that the ledger tells in the end
// what came of each.
func (h *history) command(a *attempt) *ledger.Command {
	o := &h.ops[a.op]
	cmd := &ledger.Command{Principal: strconv.Itoa(int(a.number)), Ops: make([]ledger.WriteOp, o.keyCount)}
	if o.idem {
		cmd.IdempotencyKey = "op" + strconv.Itoa(int(a.op))
		cmd.RequestHash = merkle.Hash{byte(a.op), byte(a.op >> 8), byte(a.op >> 16), 1}
	}
	for i := range cmd.Ops {
		w := &cmd.Ops[i]
		w.Op, w.Key = tlog.OpPut, h.keys[o.keys[i]].name
		if o.kind == opDelete {
			w.Op = tlog.OpDelete
		} else {
			w.Value = h.value(nil, a.op, i)
		}
	}
	switch o.condition {
	case ifAbsent:
		cmd.Ops[0].Conditions = []ledger.Condition{{Kind: ledger.IfNoneMatch, Any: true}}
	case ifSeq:
		cmd.Ops[0].Conditions = []ledger.Condition{{Kind: ledger.IfMatch, Seqs: []uint64{o.expect}}}
	}
	return cmd
}

// answer gives the clients that wait at a node what has come for them.
func (r *replica) answer() {
	for i := 0; i < len(r.pending); {
		a := r.pending[i]
		receipt, err, done := a.asked.Outcome()
		if !done {
			i++
			continue
		}
		r.pending = append(r.pending[:i], r.pending[i+1:]...)
		a.client.answered(a, receipt, err)
	}
}

func (r *replica) forget(a *attempt) {
	for i := range r.pending {
		if r.pending[i] == a {
			r.pending = append(r.pending[:i], r.pending[i+1:]...)
			return
		}
	}
}

// hangUp tells the client that the connection has broken.
func (a *attempt) hangUp() { a.client.settle(a, attemptUnknown) }

// answered takes the answer of a node.
func (c *client) answered(a *attempt, receipt ledger.Receipt, err error) {
	w := c.w
	o := &w.history.ops[a.op]
	if w.tracing() {
		w.trace("client %d hears of attempt %d: %+v, %v", c.index, a.number, receipt, err)
	}
	var refused *node.Unavailable
	var failed *ledger.PreconditionError
	var missing *ledger.NotFoundError
	var damaged *vfs.CorruptError
	switch {
	case err == nil && o.kind == opGet:
		a.state, c.open = attemptAnswered, nil
		c.read(a.at)
	case err == nil:
		o.seq = receipt.FirstSeq
		w.history.wrote(w, a, o, receipt)
		c.finish(a, opDone)
	case errors.As(err, &failed):
		o.found, o.seq = failed.Exists, failed.Seq
		c.finish(a, opNotMet)
	case errors.As(err, &missing):
		o.found, o.gone, o.seq = missing.Tombstone, missing.Tombstone, missing.Seq
		c.finish(a, opNotMet)
	case errors.As(err, &refused) && refused.Reason == node.OutcomeUnknown:
		c.settle(a, attemptUnknown)
	case errors.As(err, &refused):
		if refused.Reason == node.DiskFull {
			w.stats.NoSpace++
		}
		c.settle(a, attemptRefused)
	case errors.As(err, &damaged) && a.at.rotten, w.bucket.excuses(err):
		if w.bucket.excuses(err) {
			w.stats.Unavailable++
		}
		c.settle(a, attemptRefused) // nothing was appended (node.Write)
	default:
		w.violated("attempt %d of a %s of client %d at node %d: %w", a.number, o.kind, c.index, a.at.id, err)
	}
}

// wrote checks a receipt against what others were told before.
func (h *history) wrote(w *World, a *attempt, o *operation, receipt ledger.Receipt) {
	if receipt.Count != uint64(o.keyCount) {
		w.violated("attempt %d wrote %d keys, and its receipt counts %d", a.number, o.keyCount, receipt.Count)
	}
	if receipt.FirstSeq < o.floor {
		w.violated("attempt %d got seq %d, and before it began somebody knew of %d entries", a.number, receipt.FirstSeq,
			o.floor)
	}
	if receipt.Replayed && !o.idem {
		w.violated("attempt %d has no idempotency key, and its receipt is a replay", a.number)
	}
	h.floor = max(h.floor, receipt.FirstSeq+receipt.Count)
	for i := range o.keyCount {
		k := &h.keys[o.keys[i]]
		k.last = max(k.last, receipt.FirstSeq+uint64(i)+1)
	}
}

// read reads the operation's key at a node as it is now.
func (c *client) read(r *replica) {
	w := c.w
	h := &w.history
	o := &h.ops[c.op]
	key := &h.keys[o.keys[0]]
	l := r.node.Ledger()
	o.view = l.NextSeq()
	requests := w.stats.Requests
	e, err := l.Get(key.name, ledger.Selector{})
	if w.stats.Requests > requests {
		w.stats.ColdReads++
	}
	var missing *ledger.NotFoundError
	switch {
	case err == nil:
		o.found, o.seq = true, e.Seq
		h.checkRead(w, o, e)
	case errors.As(err, &missing):
		o.gone, o.seq = missing.Tombstone, missing.Seq
	case w.bucket.excuses(err):
		w.stats.Unavailable++
		c.sleep(w.about(backoff))
		return
	case r.rotten:
		c.sleep(w.about(backoff))
		return
	default:
		w.violated("read of %s at node %d: %w", key.name, r.id, err)
	}
	if o.kind == opGet {
		if o.view < o.floor {
			w.violated("node %d answered a linearizable read of client %d from %d entries, and before it began somebody "+
				"knew of %d", r.id, c.index, o.view, o.floor)
		}
		h.floor = max(h.floor, o.view)
		if o.found || o.gone {
			key.last = max(key.last, o.seq+1)
		}
	}
	if w.tracing() {
		w.trace("client %d reads %s at node %d: entry %d of %d, found %t", c.index, key.name, r.id, o.seq, o.view, o.found)
	}
	c.finish(nil, opDone)
}

// settle takes note that an attempt has ended without an answer, and goes on.
func (c *client) settle(a *attempt, state attemptState) {
	a.state, c.open = state, nil
	w := c.w
	o := &w.history.ops[a.op]
	if state == attemptUnknown {
		w.stats.Unknown++
		if o.kind != opGet && (!o.idem || w.rand.IntN(4) == 0) {
			c.giveUp(opUncertain)
			return
		}
		o.uncertain = o.kind != opGet
	} else {
		w.stats.Refused++
	}
	c.sleep(w.about(backoff))
}

// giveUp ends the operation without success.
func (c *client) giveUp(state opState) {
	if c.w.history.ops[c.op].uncertain {
		state = opUncertain
	}
	c.finish(nil, state)
}

func (c *client) finish(a *attempt, state opState) {
	w := c.w
	if a != nil {
		a.state = attemptAnswered
	}
	o := &w.history.ops[c.op]
	o.state, o.end = state, w.now
	w.stats.Operations[state]++
	w.note(uint64(c.op)<<8|uint64(state), o.seq)
	c.open, c.op = nil, -1
	if w.faults {
		c.sleep(w.about(w.plan.Think))
	} else {
		c.call++
	}
}
