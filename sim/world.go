package sim

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// Config of a run.
type Config struct {
	Seed     uint64
	Duration time.Duration // under faults, before the heal; default 100 s
	Trace    io.Writer     // takes a line for every event; nil takes none
	Alter    func(*Plan)   // changes what the seed drew; nil leaves it
}

// World is a cluster under one seed: nodes, their disks, the network, clients, an operator, and faults. Everything
// happens in one goroutine, at times of a clock of its own. A World runs once.
type World struct {
	cfg  Config
	plan Plan
	now  time.Duration
	agenda
	rand *rand.Rand

	nodes   []*replica // by index; those that left stay, without a node
	frames  frames
	links   [maxReplicas][maxReplicas]link
	clients []client
	admin   operator
	history history
	raft    raftCheck
	bucket  *bucket // nil: there is no object store
	stats   Stats
	laters  []func() // what ends by itself, each once

	faults bool   // they strike; off in the heal
	hash   uint64 // of all that happened
	failed error  // the first violation: the run ends
}

// maxReplicas bounds the nodes that run at one time.
const maxReplicas = 10

// epoch is where the clocks of the nodes begin.
const epoch = 1_700_000_000 * time.Second

// Result is what a run came to.
type Result struct {
	Seed  uint64
	Plan  Plan
	Stats Stats
	Hash  uint64 // of every event: two runs of one seed have the same
}

// Run runs a seed. The error says what was violated, and when.
func Run(cfg Config) (Result, error) {
	if cfg.Duration == 0 {
		cfg.Duration = 100 * time.Second
	}
	w := &World{cfg: cfg, rand: rand.New(rand.NewPCG(cfg.Seed, 0x5c71be)), faults: true}
	w.plan = drawPlan(w.rand)
	drawStore(rand.New(rand.NewPCG(cfg.Seed, 0x0b1ec7)), &w.plan)
	if cfg.Alter != nil {
		cfg.Alter(&w.plan)
	}
	w.begin()
	w.run(func() bool { return w.now >= cfg.Duration })
	w.heal()
	for _, r := range w.nodes {
		r.end()
	}
	w.stats.Simulated = w.now
	w.raft.report(&w.stats)
	out := Result{Seed: cfg.Seed, Plan: w.plan, Stats: w.stats, Hash: w.hash}
	if w.failed != nil {
		return out, fmt.Errorf("seed %d at %v: %w", cfg.Seed, w.now, w.failed)
	}
	return out, nil
}

// begin founds the cluster.
func (w *World) begin() {
	w.raft.begin()
	if w.plan.Store.On {
		w.bucket = newBucket(w)
	}
	for i := range w.plan.Nodes {
		w.addReplica(uint64(i + 1))
	}
	for _, r := range w.nodes {
		r.founder = true
		w.at(w.upTo(100*time.Millisecond), evStart, r, 0)
	}
	w.beginClients()
	w.beginNemesis()
}

// run goes on until the end is reached, or a violation.
func (w *World) run(end func() bool) {
	for w.failed == nil && len(w.heap) > 0 && !end() {
		e := w.next()
		w.now = e.at
		var r *replica
		if e.node >= 0 {
			if r = w.nodes[e.node]; r.life != e.life && e.kind != evDeliver {
				continue
			}
			if r.pausedUntil > w.now {
				e.at = r.pausedUntil // events keep their order, as they are taken and added in it
				w.add(e)
				continue
			}
		}
		w.stats.Events++
		w.note(uint64(e.kind)<<32|uint64(uint32(e.arg)), uint64(e.at)<<8|uint64(uint8(e.node)))
		w.happen(e, r)
	}
}

func (w *World) happen(e event, r *replica) {
	switch e.kind {
	case evDeliver:
		w.deliver(e.arg, r)
	case evTick, evTurn, evPersist, evApply, evKeep, evFetch, evServe, evTier:
		r.step(e.kind)
	case evStart:
		r.start()
	case evClient:
		w.clients[e.arg].wake(e.life)
	case evNemesis:
		w.strike(Class(e.arg))
	case evAdmin:
		w.admin.look()
	case evLater:
		w.laters[e.arg]()
		w.laters[e.arg] = nil
	}
}

// at schedules an event for a node in its present life, or for none.
func (w *World) at(after time.Duration, kind eventKind, r *replica, arg int32) {
	e := event{at: w.now + after, kind: kind, arg: arg, node: -1}
	if r != nil {
		e.node, e.life = int8(r.index), r.life
	}
	w.add(e)
}

// upTo draws a time below limit.
func (w *World) upTo(limit time.Duration) time.Duration {
	return time.Duration(w.rand.Float64() * float64(limit))
}

// about draws a time with this mean, mostly near it or below, now and then several times as long.
func (w *World) about(mean time.Duration) time.Duration {
	return time.Duration(w.rand.ExpFloat64() * float64(mean))
}

// chance is true with that probability.
func (w *World) chance(p float64) bool { return p > 0 && w.rand.Float64() < p }

// note takes two numbers into the hash of the run.
func (w *World) note(a, b uint64) {
	const prime = 0x9e3779b97f4a7c15
	h := (w.hash ^ a) * prime
	h ^= h >> 29
	h = (h ^ b) * prime
	w.hash = h ^ h>>32
}

// tracing says whether somebody reads along. Callers ask before they make a line.
func (w *World) tracing() bool { return w.cfg.Trace != nil }

func (w *World) trace(format string, args ...any) {
	fmt.Fprintf(w.cfg.Trace, "%12.6f  ", w.now.Seconds())
	fmt.Fprintf(w.cfg.Trace, format, args...)
	fmt.Fprintln(w.cfg.Trace)
}

// ErrViolation is what Run's error wraps: the cluster has broken a promise.
var ErrViolation = errors.New("violation")

// violated ends the run. The first violation counts.
func (w *World) violated(format string, args ...any) {
	if w.failed == nil {
		w.failed = fmt.Errorf("%w: %w", ErrViolation, fmt.Errorf(format, args...))
		if w.tracing() {
			w.trace("%v", w.failed)
		}
	}
}

// fault counts an injected fault.
func (w *World) fault(c Class) { w.stats.Faults[c]++ }
