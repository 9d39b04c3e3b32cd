package tier_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/tier"
)

// faulty is a Mem in virtual time whose next faults the test sets.
type faulty struct {
	*tier.Mem
	next   func(tier.Request) tier.Fault
	passed time.Duration
}

func newFaulty() *faulty {
	f := &faulty{}
	f.Mem = tier.NewMem(tier.MemOptions{
		PartBytes: 1000,
		Faults: func(q tier.Request) tier.Fault {
			if f.next == nil {
				return tier.Fault{}
			}
			return f.next(q)
		},
		Sleep: func(ctx context.Context, d time.Duration) error { f.passed += d; return ctx.Err() },
	})
	return f
}

func always(x tier.Fault) func(tier.Request) tier.Fault {
	return func(tier.Request) tier.Fault { return x }
}

// Each kind of fault is what it says, to a read and to a put.
func TestMemFaults(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 500)
	for _, c := range []struct {
		fault    tier.Fault
		readFail bool // a read fails, temporarily
		made     bool // a put has done its work all the same
		putFail  bool
		want     error // of both, if they fail; nil: whatever
		passed   time.Duration
	}{
		{tier.Fault{}, false, true, false, nil, 0},
		{tier.Fault{Delay: time.Second}, false, true, false, nil, time.Second},
		{tier.Fault{Delay: time.Hour}, true, false, true, context.DeadlineExceeded, 30 * time.Second},
		{tier.Fault{Kind: tier.Overloaded, RetryAfter: time.Minute}, true, false, true, nil, 0},
		{tier.Fault{Kind: tier.Stalled}, true, false, true, context.DeadlineExceeded, 30 * time.Second},
		{tier.Fault{Kind: tier.AnswerLost}, true, true, true, context.DeadlineExceeded, 0},
		{tier.Fault{Kind: tier.Slow, BytesPerSecond: 50}, false, true, false, nil, 10 * time.Second},
		{tier.Fault{Kind: tier.Cut, At: 77}, true, false, true, io.ErrUnexpectedEOF, 0},
	} {
		f := newFaulty()
		if _, err := f.Put(t.Context(), "k", tier.BytesBody(data), tier.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		f.next = always(c.fault)
		p := make([]byte, 500)
		err := tier.ReadAt(t.Context(), f, "k", p, 0)
		after, again := tier.Temporary(err)
		if (err != nil) != c.readFail || again != c.readFail || c.readFail && c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%+v: read: %v", c.fault, err)
		}
		if err == nil && !bytes.Equal(p, data) || after != c.fault.RetryAfter || f.passed != c.passed {
			t.Errorf("%+v: read right: %v, wait %v, %v passed", c.fault, bytes.Equal(p, data), after, f.passed)
		}
		_, err = f.Put(t.Context(), "new", tier.BytesBody(data), tier.PutOptions{})
		if _, again := tier.Temporary(err); (err != nil) != c.putFail || again != c.putFail {
			t.Errorf("%+v: put: %v", c.fault, err)
		}
		f.next = nil
		if _, err := f.Head(t.Context(), "new"); (err == nil) != c.made {
			t.Errorf("%+v: after a put: %v", c.fault, err)
		}
	}
}

func TestMemRefusesAndFlips(t *testing.T) {
	f := newFaulty()
	data := bytes.Repeat([]byte("x"), 500)
	if _, err := f.Put(t.Context(), "k", tier.BytesBody(data), tier.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	f.next = always(tier.Fault{Kind: tier.Refused})
	_, err := f.Head(t.Context(), "k")
	if _, again := tier.Temporary(err); !errors.Is(err, tier.ErrRefused) || again {
		t.Errorf("refused: %v", err)
	}
	f.next = always(tier.Fault{Kind: tier.Flipped, At: 8*123 + 2})
	p := make([]byte, 500)
	if err := tier.ReadAt(t.Context(), f, "k", p, 0); err != nil {
		t.Error(err)
	}
	want := bytes.Clone(data)
	want[123] ^= 4
	if !bytes.Equal(p, want) {
		t.Error("not the bit that was to be flipped")
	}
	if _, _, err := tier.ReadAll(t.Context(), f, "k", 1000); !errors.Is(err, tier.ErrMismatch) {
		t.Errorf("a whole read of flipped bits: %v", err)
	}
	if _, err := f.Put(t.Context(), "new", tier.BytesBody(data), tier.PutOptions{}); !errors.Is(err, tier.ErrMismatch) {
		t.Errorf("a put of flipped bits: %v", err)
	}
	f.next = nil
	f.Tamper("k", func(b []byte) []byte { return b[:100] })
	if _, _, err := tier.ReadAll(t.Context(), f, "k", 1000); !errors.Is(err, tier.ErrMismatch) {
		t.Errorf("a truncated object: %v", err)
	}
}

// An upload whose abort fails too is left, found, and ended later.
func TestMemAbandonedUpload(t *testing.T) {
	f := newFaulty()
	f.next = func(q tier.Request) tier.Fault {
		if q.Op == tier.OpAbort || q.Op == tier.OpPart && q.Off > 0 {
			return tier.Fault{Kind: tier.Overloaded}
		}
		return tier.Fault{}
	}
	if _, err := f.Put(t.Context(), "k", tier.BytesBody(make([]byte, 2500)), tier.PutOptions{}); err == nil {
		t.Fatal("it succeeded")
	}
	f.next = nil
	page, err := f.Uploads(t.Context(), "", tier.Upload{}, 0)
	if err != nil || len(page.Uploads) != 1 || page.Uploads[0].Key != "k" {
		t.Fatalf("%+v, %v", page, err)
	}
	if err := f.AbortUpload(t.Context(), page.Uploads[0]); err != nil {
		t.Fatal(err)
	}
	if page, _ = f.Uploads(t.Context(), "", tier.Upload{}, 0); len(page.Uploads) != 0 {
		t.Errorf("left: %+v", page)
	}
	if n := f.Count(tier.OpPart); n != 2 {
		t.Errorf("%d parts were sent", n)
	}
}

// One seed is one history, and its shares come true.
func TestFaultMixIsDetermined(t *testing.T) {
	mix := tier.FaultMix{Overloaded: .1, Stalled: .1, AnswerLost: .1, Slow: .1, Cut: .1, Flipped: .1, Refused: .1,
		MaxDelay: time.Second}
	a, b, other := mix.Draw(7), mix.Draw(7), mix.Draw(8)
	counts, differ := map[tier.FaultKind]int{}, false
	for n := range int64(2000) {
		q := tier.Request{N: n, Op: tier.OpGet, Key: "k", Len: 100}
		x, y := a(q), b(q)
		if x != y {
			t.Fatalf("request %d: %+v and %+v", n, x, y)
		}
		if x.Kind == tier.Cut && x.At >= q.Len {
			t.Fatalf("%+v cuts nothing", x)
		}
		differ = differ || x != other(q)
		counts[x.Kind]++
	}
	if !differ {
		t.Error("another seed is the same history")
	}
	for kind := tier.NoFault; kind <= tier.Refused; kind++ {
		want := 200
		if kind == tier.NoFault {
			want = 600
		}
		if n := counts[kind]; n < want*7/10 || n > want*13/10 {
			t.Errorf("kind %d came %d times of 2,000, expected about %d", kind, n, want)
		}
	}
}

// lacking is a store that breaks one promise.
type lacking struct {
	*tier.Mem
	overwrites, laxMatch, longer, hides, raced bool
}

func (l *lacking) Put(ctx context.Context, key string, b tier.Body, o tier.PutOptions) (tier.Object, error) {
	if l.overwrites {
		return l.Mem.Replace(ctx, key, b, "", o)
	}
	x, err := l.Mem.Put(ctx, key, b, o)
	if l.raced && bytes.Contains([]byte(key), []byte("race")) {
		return x, nil // everybody is told that he won
	}
	return x, err
}

func (l *lacking) Replace(ctx context.Context, key string, b tier.Body, m string, o tier.PutOptions) (tier.Object, error) {
	if l.laxMatch {
		m = ""
	}
	return l.Mem.Replace(ctx, key, b, m, o)
}

func (l *lacking) Get(ctx context.Context, key string, off, n int64) (*tier.Reader, error) {
	if l.longer && n != tier.Rest {
		off = 0
	}
	return l.Mem.Get(ctx, key, off, n)
}

func (l *lacking) List(ctx context.Context, prefix, after string, limit int) (tier.Page, error) {
	if l.hides {
		return tier.Page{}, nil
	}
	return l.Mem.List(ctx, prefix, after, limit)
}

func TestPreflightFindsWhatIsLacking(t *testing.T) {
	for _, c := range []struct {
		store  lacking
		want   string
		usable bool
	}{
		{lacking{}, "lacks Object Lock", false},
		{lacking{overwrites: true}, "lacks conditional puts, conditional completion of uploads, Object Lock", false},
		{lacking{raced: true}, "lacks conditional puts, conditional completion of uploads, Object Lock", false},
		{lacking{laxMatch: true}, "lacks conditional overwrites, Object Lock", false},
		{lacking{longer: true}, "lacks exact range reads, Object Lock", false},
		{lacking{hides: true}, "lacks listings of what was just put, Object Lock", false},
	} {
		c.store.Mem = tier.NewMem(tier.MemOptions{})
		r, err := tier.Preflight(t.Context(), &c.store, "n", true)
		if err != nil || r.String() != "mem "+c.want || r.Usable() != c.usable {
			t.Errorf("%+v: %s, usable %v, %v", c.store, r, r.Usable(), err)
		}
		if page, err := c.store.Mem.List(t.Context(), "", "", 0); err != nil || len(page.Objects) > 0 {
			t.Errorf("it left %v", page.Objects)
		}
	}
	locked := tier.NewMem(tier.MemOptions{Retention: time.Hour})
	if r, err := tier.Preflight(t.Context(), locked, "n", true); err != nil || !r.Usable() || len(r.Lacks()) > 0 {
		t.Errorf("%s, %v", r, err)
	}
	for _, kind := range []tier.FaultKind{tier.Refused, tier.Overloaded, tier.Stalled} {
		f := newFaulty()
		f.next = always(tier.Fault{Kind: kind})
		if r, err := tier.Preflight(t.Context(), f, "n", false); err == nil {
			t.Errorf("fault %d: %s", kind, r)
		}
	}
	_, err := tier.Preflight(t.Context(), newFaulty(), "../n", false)
	if !errors.Is(err, tier.ErrInvalid) {
		t.Error(fmt.Errorf("a token that leads elsewhere: %w", err))
	}
}
