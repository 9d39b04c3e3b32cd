package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// bucket is the object store of a world: a store in memory, with a clock of its own. Its faults are drawn request by
// request; an outage makes all requests fail. A request passes no time for the others: what it waits delays only
// the next step of the loop that has made it.
type bucket struct {
	w     *World
	mem   *tier.Mem
	rand  *rand.Rand    // of its faults alone: the order of requests decides them
	rate  float64       // of its clock
	ahead time.Duration // its clock is

	quiet   bool            // it is the simulator that asks
	waited  time.Duration   // by requests of the step under way
	until   time.Duration   // of an outage
	how     tier.FaultKind  // of what kind the outage is
	healed  time.Duration   // when all faults ended
	rotten  map[string]bool // recorded objects that were damaged at rest
	spoiled map[string]bool // objects that were damaged as they were put
	watch   storeWatch
}

// newBucket makes an empty store.
func newBucket(w *World) *bucket {
	p := &w.plan.Store
	b := &bucket{w: w, rand: rand.New(rand.NewPCG(w.cfg.Seed, 0x0b1ec75)), rotten: make(map[string]bool),
		spoiled: make(map[string]bool)}
	b.rate, b.ahead = 1+p.Skew*(2*b.rand.Float64()-1), time.Duration(b.rand.Int64N(int64(time.Minute)))
	b.mem = tier.NewMem(tier.MemOptions{PartBytes: p.PartBytes, Retention: p.Retention, Timeout: p.Timeout,
		Faults: b.fault, Now: b.clock, Sleep: b.sleep})
	b.watch.begin(b)
	return b
}

func (b *bucket) clock() time.Time {
	return time.Unix(0, int64(epoch+b.ahead+time.Duration(float64(b.w.now)*b.rate)))
}

// sleep is how requests, and tries of requests, wait.
func (b *bucket) sleep(ctx context.Context, d time.Duration) error {
	b.waited += d
	return ctx.Err()
}

// slept is how long the requests of a step have waited. Without a store it is nothing.
func (b *bucket) slept() time.Duration {
	if b == nil {
		return 0
	}
	d := min(b.waited, 10*time.Second) // a loop that waits for longer is no more of a test
	b.waited = 0
	return d
}

// options has a node use the store.
func (b *bucket) options(r *replica, o *node.Options) {
	p := &b.w.plan.Store
	up := &uplink{b: b, r: r, life: r.life}
	local := p.MaxLocalBytes
	if b.hoards(r) {
		local = 0
	}
	draw := rand.New(rand.NewPCG(b.rand.Uint64(), r.id))
	o.Tier = &node.TierOptions{Store: up, MinAge: p.MinAge, MaxLocalBytes: local, Interval: p.Interval,
		DeleteAfter: p.DeleteAfter, FetchReads: p.FetchReads, LockWanted: p.Retention > 0, Ranges: b.ranges(up, r.clock, draw)}
	o.Ledger.ColdTimeout = 24 * time.Hour // of the wall clock
	o.ScrubBytesPerSecond, o.ScrubObjectsInterval = -1, -1
	if p.ScrubFiles+p.ScrubObjects > 0 {
		o.ScrubBytesPerSecond = 4 << 20
		if o.ScrubInterval = p.ScrubFiles; o.ScrubInterval == 0 {
			o.ScrubInterval = 24 * time.Hour
		}
		if p.ScrubObjects > 0 {
			o.ScrubObjectsInterval = p.ScrubObjects
		}
	}
}

// ranges reads cold segments, in the goroutine of its caller.
func (b *bucket) ranges(s tier.Store, clock func() time.Time, draw *rand.Rand) *tier.Ranges {
	return tier.NewRanges(s, tier.RangesOptions{Inline: true, HedgeShare: -1, AheadBytes: -1,
		Deadline: 24 * time.Hour, // of the wall clock
		Now:      clock, Sleep: b.sleep, Random: draw.Float64})
}

// hoards says that a node gives up no file: objects may be damaged then, and some file must be left to repair them from.
func (b *bucket) hoards(r *replica) bool { return b.w.plan.Rate[StoreRot] > 0 && r.id%2 == 1 }

// raw lets the simulator ask the store, without faults and unseen.
func (b *bucket) raw(do func(s tier.Store)) {
	b.quiet = true
	do(b.mem)
	b.quiet = false
}

// isRace says of a key that a preflight puts it from several goroutines at a time. Nothing may depend on their order.
func isRace(key string) bool {
	return strings.HasPrefix(key, tier.ScratchPrefix) && strings.Contains(key, "-race-")
}

// fault decides what becomes of a request.
func (b *bucket) fault(q tier.Request) (f tier.Fault) {
	w := b.w
	if b.quiet || !w.faults || isRace(q.Key) {
		return f
	}
	if w.now < b.until {
		f.Kind = b.how
		w.fault(classOf(b.how))
	} else {
		at := b.rand.Float64()
		for c := StoreOverload; c <= StoreRefusal; c++ {
			if at < w.plan.Rate[c] {
				f.Kind = kindOf(c)
				w.fault(c)
				break
			}
			at -= w.plan.Rate[c]
		}
	}
	switch f.Kind {
	case tier.Overloaded:
		if b.rand.IntN(2) == 0 {
			f.RetryAfter = time.Duration(1+b.rand.IntN(5)) * time.Second
		}
	case tier.Cut, tier.Flipped:
		limit := q.Len
		if limit <= 0 {
			limit = 8 << 10
		}
		f.At = b.rand.Int64N(limit)
		if f.Kind == tier.Flipped {
			f.At *= 8
		}
	case tier.Slow:
		f.BytesPerSecond = 1 << (10 + b.rand.IntN(10))
	}
	return f
}

// kindOf is what strikes a request, of a class.
func kindOf(c Class) tier.FaultKind {
	return [...]tier.FaultKind{tier.Overloaded, tier.Stalled, tier.AnswerLost, tier.Slow, tier.Cut, tier.Flipped,
		tier.Refused}[c-StoreOverload]
}

func classOf(k tier.FaultKind) Class {
	for c := StoreOverload; c < StoreRefusal; c++ {
		if kindOf(c) == k {
			return c
		}
	}
	return StoreRefusal
}

// strike lets a fault of the store strike.
func (b *bucket) strike(c Class, r *replica) {
	w := b.w
	switch c {
	case StoreOutage:
		w.fault(c)
		lasts := w.about(pickMillis(w.rand, 1000, 5000, 20_000, 120_000))
		b.how = pick(w.rand, tier.Overloaded, tier.Stalled, tier.Refused, tier.AnswerLost, tier.Cut)
		b.until = w.now + lasts
		w.tell("the object store fails for %v, in way %d", lasts, b.how)
	case StoreParted:
		w.fault(c)
		lasts := w.about(pickMillis(w.rand, 1000, 5000, 20_000))
		r.parted = w.now + lasts
		w.tell("node %d does not reach the object store for %v", r.id, lasts)
	case StoreRot:
		b.rot()
	case Tiering:
		if b.hoards(r) {
			return
		}
		w.fault(c)
		w.tell("node %d is asked for a round of tiering", r.id)
		r.node.BeginTier(w.rand.IntN(2) == 0, r.clock().Add(10*time.Second))
		r.soon(evTier)
	}
}

// excuses says that an error is about the store, whose faults strike: whatever met it is to be tried again. Without a
// store there is no such error.
func (b *bucket) excuses(err error) bool {
	if b == nil || err == nil {
		return false
	}
	striking := b.w.faults || b.w.now < b.healed+storeGrace
	var damaged *vfs.CorruptError
	if errors.As(err, &damaged) {
		name, ok := strings.CutPrefix(damaged.File, b.mem.Name()+"/")
		return ok && (striking || b.rotten[name]) // it may have been damaged on the way
	}
	// A segment that was merged elsewhere is read from the store until the merge is here, as far as the store has it.
	var cold *ledger.ColdError
	return striking && (errors.Is(err, tier.ErrUnavailable) || errors.As(err, &cold))
}

// forlorn says that an error is damage of an object that nobody but a member which lags behind a merge still needs, so that
// nobody makes it good, or that this member cannot apply what comes next without: it ends, to take the others' state.
func (b *bucket) forlorn(r *replica, err error) bool {
	var damaged *vfs.CorruptError
	if b == nil || !errors.As(err, &damaged) {
		return false
	}
	name, ok := strings.CutPrefix(damaged.File, b.mem.Name()+"/")
	if !ok || b.sound(name) {
		return false
	}
	if l := r.node.Ledger(); l != nil {
		if _, stuck := l.ApplyStuck(); stuck != nil {
			return true
		}
	}
	return !slices.ContainsFunc(b.recorded(), func(r manifest.Recorded) bool { return r.Object.Name == name })
}

// storeGrace is how long after the end of all faults a node may still take the store for down.
const storeGrace = 10 * time.Second
