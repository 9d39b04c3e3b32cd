package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// action is what an operation of the metamorphic test does.
type action uint8

const (
	doWrite   action = iota
	doSeal           // seals what is in memory, in every log
	doFlush          // some steps of flushing, of the subjects of who
	doCompact        // some steps of merging
	doTrim           // drops log files
	doPrepare        // makes a log file ready
	doRestart        // closes and opens
	doCrash          // cuts the power in the middle of its work
	doGet
	doPeek
	doExists
	doTime
	doScan
	doHistory
	doEntries
	doProve
	doConsistency
	doDrain // reads iterators to their end that an earlier operation left open
	doAll   // reads everything in every way
	actions
)

func (a action) String() string {
	return [...]string{"write", "seal", "flush", "compact", "trim", "prepare", "restart", "crash", "get", "peek", "exists", "time", "scan",
		"history", "entries", "prove", "consistency", "drain", "all"}[a]
}

// weights are how often the actions come.
var weights = [actions]int{doWrite: 80, doSeal: 3, doFlush: 24, doCompact: 16, doTrim: 5, doPrepare: 2, doRestart: 3, doCrash: 3, doGet: 26,
	doPeek: 4, doExists: 3, doTime: 5, doScan: 14, doHistory: 8, doEntries: 6, doProve: 8, doConsistency: 5, doDrain: 3, doAll: 1}

// metaOp is one operation. What it draws of the ledger (seqs, times, sizes) it draws as a number, which each log
// resolves among the entries that it has then; so an operation means something whatever stands before it.
type metaOp struct {
	do   action
	cmd  *ledger.Command // doWrite; the seqs of its conditions are draws
	run  bool            // doWrite: apply it at once, and not together with the next ones
	who  uint64          // doFlush to doCrash: the subjects, one bit each
	keep vfs.Keep        // doCrash

	key, end        []byte
	prefix          bool   // doScan: of what begins with key, and no end
	seek            []byte // doScan: where to go on after some entries; nil to go on where the scan is
	kind            ledger.SelectorKind
	a, b            uint64 // draws
	reverse, values bool
	hold            bool // leave the iterator open until doDrain
}

func (o metaOp) String() string {
	switch o.do {
	case doWrite:
		var b strings.Builder
		fmt.Fprintf(&b, "write (run %v, idempotency %q)", o.run, o.cmd.IdempotencyKey)
		for _, op := range o.cmd.Ops {
			fmt.Fprintf(&b, " %d %q %d bytes %d conditions,", op.Op, op.Key, len(op.Value), len(op.Conditions))
		}
		return b.String()
	case doSeal, doDrain, doAll:
		return o.do.String()
	case doFlush, doCompact, doTrim, doPrepare, doRestart, doCrash:
		return fmt.Sprintf("%v of %b (%d, keep %d)", o.do, o.who, o.a, o.keep)
	}
	return fmt.Sprintf("%v of %q to %q, prefix %v, seek %q, selector %d, %d, %d, reverse %v, values %v, hold %v", o.do, o.key, o.end,
		o.prefix, o.seek, o.kind, o.a, o.b, o.reverse, o.values, o.hold)
}

// planner draws operations. The first n operations of a seed are the same whatever n is.
type planner struct{ r *rand.Rand }

func plan(seed uint64, n int) []metaOp {
	p := planner{rand.New(rand.NewPCG(seed, 17))}
	ops := make([]metaOp, n)
	for i := range ops {
		ops[i] = p.next()
	}
	return ops
}

func (p *planner) next() metaOp {
	o := metaOp{do: p.action(), who: p.r.Uint64() & p.r.Uint64(), a: p.r.Uint64(), b: p.r.Uint64(), run: p.r.IntN(3) > 0,
		reverse: p.r.IntN(2) == 0, values: p.r.IntN(2) == 0, hold: p.r.IntN(8) == 0,
		kind: ledger.SelectorKind(p.r.IntN(4)), keep: vfs.Keep(p.r.IntN(3))}
	switch o.do {
	case doWrite:
		o.cmd = p.command()
	case doScan:
		o.key, o.end = p.bounds()
		if o.prefix = p.r.IntN(4) == 0; o.prefix {
			o.key, o.end = p.key(), nil
			o.key = o.key[:p.r.IntN(len(o.key)+1)]
		}
		if p.r.IntN(3) == 0 {
			o.seek = p.key()
		}
	default:
		o.key = p.key()
	}
	return o
}

func (p *planner) action() action {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	at := p.r.IntN(sum)
	for a, w := range weights {
		if at -= w; at < 0 {
			return action(a)
		}
	}
	return doAll
}

// key draws one of few keys, some of them prefixes of others or hard to order, or one of many.
func (p *planner) key() []byte {
	odd := []string{"a", "a\x00", "a/", "a/b", "ab", "\x00", "\xff", "\xff\xff", "a/\xff", strings.Repeat("long/", 300)}
	switch p.r.IntN(4) {
	case 0:
		return []byte(odd[p.r.IntN(len(odd))])
	case 1:
		return fmt.Appendf(nil, "a/%d", p.r.IntN(8))
	default:
		return fmt.Appendf(nil, "k/%d/%d", p.r.IntN(5), p.r.IntN(40))
	}
}

// bounds draws those of a scan: everything, a prefix, or from a key on, perhaps to another.
func (p *planner) bounds() (start, end []byte) {
	switch p.r.IntN(4) {
	case 0:
		return nil, nil
	case 1:
		return []byte("a/"), []byte("a0")
	case 2:
		return p.key(), nil
	}
	return p.key(), p.key() // in the wrong order half of the time: then nothing is between them
}

func (p *planner) command() *ledger.Command {
	cmd := &ledger.Command{Principal: []string{"", "app", "someone"}[p.r.IntN(3)]}
	if p.r.IntN(6) == 0 {
		cmd.IdempotencyKey = fmt.Sprint("i", p.r.IntN(30))
		cmd.RequestHash = merkle.Hash{byte(p.r.IntN(2))}
	}
	n := 1
	switch p.r.IntN(40) {
	case 0, 1, 2, 3:
		n += p.r.IntN(6)
	case 4:
		n += p.r.IntN(300)
	}
	for range n {
		cmd.Ops = append(cmd.Ops, p.op(n > 8))
	}
	return cmd
}

func (p *planner) op(small bool) ledger.WriteOp {
	op := ledger.WriteOp{Op: tlog.OpPut, Key: p.key()}
	if !small && p.r.IntN(6) == 0 {
		op.Op = tlog.OpDelete
	} else {
		op.ContentType = []string{"", "text/plain"}[p.r.IntN(2)]
		op.Value = p.value(small)
	}
	if small || p.r.IntN(4) > 0 {
		return op
	}
	c := ledger.Condition{Kind: ledger.ConditionKind(1 + p.r.IntN(2)), Any: p.r.IntN(2) == 0}
	for range p.r.IntN(3) {
		c.Seqs = append(c.Seqs, p.r.Uint64())
	}
	op.Conditions = []ledger.Condition{c}
	return op
}

// value draws one that compresses by half: most are small, some take a data block, few blocks of their own.
func (p *planner) value(small bool) []byte {
	size := p.r.IntN(200)
	switch draw := p.r.IntN(200); {
	case small:
		size = p.r.IntN(40)
	case draw < 2:
		size = 30<<10 + p.r.IntN(170<<10)
	case draw < 20:
		size = p.r.IntN(8 << 10)
	}
	b := make([]byte, size)
	fill := p.r.Uint64()
	for i := range b {
		if i%64 < 32 {
			fill = fill*6364136223846793005 + 1442695040888963407
			b[i] = byte(fill >> 56)
		}
	}
	return b
}
