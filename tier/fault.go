package tier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// Op is a kind of request to a Mem.
type Op uint8

// The kinds of requests.
const (
	OpPut Op = iota + 1
	OpReplace
	OpBegin // an upload in parts
	OpPart
	OpComplete
	OpGet
	OpHead
	OpList
	OpDelete
	OpUploads
	OpAbort
	opEnd
)

// opNames is read only.
var opNames = [opEnd]string{
	OpPut: "put", OpReplace: "replace", OpBegin: "begin upload", OpPart: "upload part", OpComplete: "complete upload",
	OpGet: "get", OpHead: "head", OpList: "list", OpDelete: "delete", OpUploads: "list uploads", OpAbort: "abort upload",
}

func (o Op) String() string {
	if o > 0 && o < opEnd {
		return opNames[o]
	}
	return fmt.Sprintf("operation %d", uint8(o))
}

// Request is one request about to be answered.
type Request struct {
	N        int64 // how many came before it
	Op       Op
	Key      string // or prefix
	Off, Len int64  // of a Get, of a part; the size of a Put
}

// FaultKind is what goes wrong with a request.
type FaultKind uint8

// The kinds of faults.
const (
	NoFault    FaultKind = iota
	Overloaded           // 503 SlowDown, nothing done
	Stalled              // no answer before the timeout, nothing done
	AnswerLost           // the work is done, the caller hears a timeout
	Slow                 // bodies come at Fault.BytesPerSecond
	Cut                  // a body ends after Fault.At bytes; a put is cut off before it does anything
	Flipped              // bit Fault.At of a body, modulo its length, is flipped; the store refuses a put
	Refused              // 403, nothing done
	faultKinds           // how many there are
)

// Fault is what becomes of a request. The zero Fault lets it be.
type Fault struct {
	Kind           FaultKind
	Delay          time.Duration // before anything is done, whatever the kind
	RetryAfter     time.Duration // of Overloaded
	At             int64         // of Cut and Flipped
	BytesPerSecond int64         // of Slow; default 10,240
}

// FaultMix draws faults: each field is how probable its kind is, between 0 and 1; together at most 1.
type FaultMix struct {
	Overloaded, Stalled, AnswerLost, Slow, Cut, Flipped, Refused float64
	MaxDelay                                                     time.Duration // each request waits up to this
}

// Draw returns a function for MemOptions.Faults that is determined by the seed and the order of requests.
func (x FaultMix) Draw(seed uint64) func(Request) Fault {
	r := rand.New(rand.NewPCG(seed, 0x7469657200000000))
	shares := [faultKinds]float64{
		Overloaded: x.Overloaded, Stalled: x.Stalled, AnswerLost: x.AnswerLost, Slow: x.Slow, Cut: x.Cut,
		Flipped: x.Flipped, Refused: x.Refused,
	}
	return func(q Request) Fault {
		var f Fault
		if x.MaxDelay > 0 {
			f.Delay = time.Duration(r.Int64N(int64(x.MaxDelay) + 1))
		}
		at := r.Float64()
		for kind, share := range shares {
			if at < share {
				f.Kind = FaultKind(kind)
				break
			}
			at -= share
		}
		f.At = r.Int64N(1 << 20)
		if f.Kind == Cut && q.Len > 0 {
			f.At %= q.Len
		}
		return f
	}
}

// errOverloaded is the cause of a 503 that a Mem made up.
var errOverloaded = errors.New("503 SlowDown")

// do answers a request: it checks, numbers and counts it, lets its fault happen, and does the work under mu.
func (m *Mem) do(ctx context.Context, q Request, invalid error, work func() error) (Fault, error) {
	op := q.Op.String()
	if invalid != nil {
		return Fault{}, failed(op, q.Key, invalid)
	}
	m.mu.Lock()
	q.N = m.requests
	m.requests++
	m.counts[q.Op]++
	var f Fault
	if m.opts.Faults != nil {
		f = m.opts.Faults(q)
	}
	m.mu.Unlock()
	if f.Kind == Stalled {
		f.Delay = m.opts.Timeout
	}
	if f.Delay > 0 {
		if err := m.opts.Sleep(ctx, min(f.Delay, m.opts.Timeout)); err != nil {
			return f, Ended(op, q.Key, err)
		}
	}
	if f.Delay >= m.opts.Timeout {
		return f, Ended(op, q.Key, context.DeadlineExceeded)
	}
	if err := ctx.Err(); err != nil {
		return f, Ended(op, q.Key, err)
	}
	if err := f.refuse(q); err != nil {
		return f, err
	}
	m.mu.Lock()
	err := work()
	m.mu.Unlock()
	switch {
	case f.Kind == AnswerLost:
		return f, Ended(op, q.Key, context.DeadlineExceeded)
	case err != nil:
		return f, failed(op, q.Key, err)
	}
	return f, nil
}

// refuse is the error of a request to which the fault leaves nothing to do.
func (f Fault) refuse(q Request) error {
	e := &Error{Op: q.Op.String(), Key: q.Key, Temporary: true}
	sends := q.Op == OpPut || q.Op == OpReplace || q.Op == OpPart
	switch {
	case f.Kind == Overloaded:
		e.RetryAfter, e.Err = f.RetryAfter, errOverloaded
	case f.Kind == Refused:
		e.Temporary, e.Err = false, ErrRefused
	case f.Kind == Cut && sends:
		e.Err = io.ErrUnexpectedEOF
	case f.Kind == Flipped && sends:
		e.Err = ErrMismatch
	default:
		return nil
	}
	return e
}

// spoil puts the faults of bodies into a reader.
func (m *Mem) spoil(ctx context.Context, r *Reader, f Fault) {
	if f.Kind != Slow && f.Kind != Cut && f.Kind != Flipped {
		return
	}
	x := r.ReadCloser.(*exact)
	b := &spoiledBody{ctx: ctx, mem: m, body: x.body, fault: f}
	if b.fault.BytesPerSecond <= 0 {
		b.fault.BytesPerSecond = 10 << 10
	}
	if r.Length > 0 {
		b.flip = f.At % (r.Length * 8)
	}
	x.body = b
}

// spoiledBody is the body of an answer that has a fault.
type spoiledBody struct {
	ctx   context.Context
	mem   *Mem
	body  io.ReadCloser
	fault Fault
	flip  int64 // which bit of the body is flipped
	off   int64 // bytes given
}

func (b *spoiledBody) Read(p []byte) (int, error) {
	switch b.fault.Kind {
	case Cut:
		if b.off >= b.fault.At {
			return 0, io.EOF
		}
		p = p[:min(int64(len(p)), b.fault.At-b.off)]
	case Slow:
		p = p[:min(len(p), 64<<10)]
	}
	n, err := b.body.Read(p)
	if at := b.flip/8 - b.off; b.fault.Kind == Flipped && at >= 0 && at < int64(n) {
		p[at] ^= 1 << (b.flip % 8)
	}
	b.off += int64(n)
	if b.fault.Kind == Slow && n > 0 {
		d := time.Duration(int64(n) * int64(time.Second) / b.fault.BytesPerSecond)
		if serr := b.mem.opts.Sleep(b.ctx, d); serr != nil {
			return 0, Ended("get", "", serr)
		}
	}
	return n, err
}

func (b *spoiledBody) Close() error { return b.body.Close() }
