package sim

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// replica is a machine: its disk, its clock, and the node that runs on it, if it does. It moves the node by its steps,
// as the goroutines of a process would, each after a time that chance and the plan give.
type replica struct {
	w     *World
	index int    // of World.nodes
	id    uint64 // of the node
	disk  disk
	port  port
	node  *node.Node // nil while it is down
	life  uint32     // counts the starts and ends of the process

	wiped   bool           // its disk was replaced, and the cluster does not take it back as it is
	founder bool           // starts with the list of founders
	join    *node.JoinInfo // set for one that joins
	excused time.Duration  // until then it may fail: a call of its disk has failed
	rotten  bool           // a bit of its disk has flipped, and it has not been rebuilt since

	scheduled   [lastEvent + 1]bool // step events that are under way
	pausedUntil time.Duration
	parted      time.Duration // until then it does not reach the object store
	rate        float64       // of its clock
	offset      time.Duration // of its clock
	bulk        int           // bulk frames under way from it
	pending     []*attempt    // what clients wait for here
	observed    observed      // what the checks saw of this life
}

// addReplica makes a machine for a node with this id, on an empty disk. It reuses one that is out of use.
func (w *World) addReplica(id uint64) *replica {
	var r *replica
	for _, x := range w.nodes {
		if x.id == 0 {
			r = x
		}
	}
	if r == nil {
		r = &replica{w: w, index: len(w.nodes)}
		w.nodes = append(w.nodes, r)
	}
	life := r.life + 1
	rate := 1 + w.plan.Skew*(2*w.rand.Float64()-1)
	*r = replica{w: w, index: r.index, id: id, life: life, rate: rate, offset: w.upTo(time.Second)}
	r.port.r = r
	r.disk = newDisk(w, r)
	return r
}

// replica returns the machine of a node; nil when there is none.
func (w *World) replica(id uint64) *replica {
	for _, r := range w.nodes {
		if r.id == id {
			return r
		}
	}
	return nil
}

// clock is the time that the node's machine shows.
func (r *replica) clock() time.Time {
	return time.Unix(0, int64(epoch+r.offset+time.Duration(float64(r.w.now)*r.rate)))
}

func (r *replica) options() node.Options {
	p := &r.w.plan
	o := node.Options{
		FS: r.disk.fs(), Dir: "data", NodeID: r.id, RaftAddr: address(r.id, "raft"), HTTPAddr: address(r.id, "http"),
		Network: &r.port, Manual: true, ElectionTicks: p.Election, Seed: r.w.rand.Uint64() | 1, Now: r.clock, Join: r.join,
		WAL: wal.Options{FileBytes: p.LogBytes, SpareFiles: 1},
		Ledger: ledger.Options{SealBytes: p.SealBytes, SealAge: 20 * time.Second, BlockBytes: 4 << 10,
			BlockCacheBytes: 256 << 10, Compression: segfile.S2, CompactFanIn: p.FanIn},
		KeepLogBytes: p.KeepLog, KeepLogAge: 20 * time.Second, DiskReserveBytes: p.Reserve,
	}
	if r.w.tracing() {
		o.Logger = r.logger()
	}
	if r.w.bucket != nil {
		r.w.bucket.options(r, &o)
	}
	if r.founder {
		for i := range p.Nodes {
			o.Initial = append(o.Initial, node.Founder{NodeID: uint64(i + 1), RaftAddr: address(uint64(i+1), "raft")})
		}
	}
	return o
}

// logger writes the node's log into the trace.
func (r *replica) logger() *slog.Logger {
	drop := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	return slog.New(slog.NewTextHandler(logLines{r}, &slog.HandlerOptions{ReplaceAttr: drop}))
}

type logLines struct{ r *replica }

func (l logLines) Write(b []byte) (int, error) {
	l.r.w.trace("node %d: %s", l.r.id, strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

func address(id uint64, kind string) string { return fmt.Sprintf("%s-%d:1", kind, id) }

// start starts the process.
func (r *replica) start() {
	if r.node != nil || r.id == 0 {
		return
	}
	w := r.w
	n, err := node.Open(r.options())
	if err == nil {
		r.node = n
	}
	if r.cut() {
		return
	}
	if err != nil {
		r.refused(err)
		return
	}
	r.observed = observed{}
	w.stats.Starts++
	if w.tracing() {
		w.trace("node %d starts", r.id)
	}
	w.at(w.upTo(100*time.Millisecond), evTick, r, 0)
	r.soon(evTurn)
	r.soon(evKeep)
	r.soon(evFetch)
	r.soon(evTier)
	r.look()
}

// refused deals with a start that failed: it is tried again if something stands in its way that passes.
func (r *replica) refused(err error) {
	w := r.w
	if w.tracing() {
		w.trace("node %d cannot start: %v", r.id, err)
	}
	if vfs.IsNoSpace(err) || errors.Is(err, vfs.ErrInjected) || w.bucket.excuses(err) {
		w.at(time.Second+w.upTo(time.Second), evStart, r, 0)
		return
	}
	w.violated("node %d cannot start: %w", r.id, err)
}

// soon schedules a step of the node, unless it is scheduled already.
func (r *replica) soon(kind eventKind) {
	if r.scheduled[kind] || r.node == nil || kind == evTier && r.w.bucket == nil {
		return
	}
	r.scheduled[kind] = true
	w, p := r.w, &r.w.plan
	var after time.Duration
	switch kind {
	case evTurn, evServe, evFetch:
		after = w.upTo(100 * time.Microsecond)
	case evPersist:
		after = p.SyncTime/2 + w.upTo(p.SyncTime)
		if w.faults && w.chance(p.Rate[SlowSync]) {
			w.fault(SlowSync)
			after += w.about(pickMillis(w.rand, 20, 100, 500))
		}
	case evApply:
		after = w.upTo(p.ApplyTime) + w.bucket.slept()
		if w.faults && w.chance(p.Rate[LateApply]) {
			w.fault(LateApply)
			after += w.about(pickMillis(w.rand, 10, 100, 500))
		}
	case evKeep:
		after = w.upTo(200 * time.Millisecond)
	case evTier:
		after = w.upTo(50*time.Millisecond) + w.bucket.slept()
	}
	w.at(after, kind, r, 0)
}

// step does one step of the node.
func (r *replica) step(kind eventKind) {
	r.scheduled[kind] = false
	if r.node == nil {
		return
	}
	r.w.bucket.slept()
	var worked bool
	var err error
	switch kind {
	case evTick:
		r.scheduled[evTick] = true
		r.w.at(time.Duration(float64(heartbeat)/r.rate), evTick, r, 0)
		err = r.node.Tick()
		r.soon(evTurn)
		r.soon(evFetch)
		r.soon(evKeep)
	case evTurn:
		if worked, err = r.node.Turn(); worked {
			r.soon(evPersist)
			r.soon(evApply)
		}
	case evPersist:
		if worked, err = r.node.PersistStep(); errors.Is(err, node.ErrBlocked) {
			err = nil
			r.w.stats.Waits++
			r.w.at(blockedRetry, evPersist, r, 0)
			r.scheduled[evPersist] = true
		}
	case evApply:
		if worked, err = r.node.ApplyStep(); errors.Is(err, node.ErrBlocked) {
			err = nil
			r.w.stats.Waits++
			r.w.at(blockedRetry, evApply, r, 0)
			r.scheduled[evApply] = true
		}
	case evKeep:
		if worked, err = r.node.KeepStep(); err == nil {
			var flushed bool
			flushed, err = r.node.FlushStep()
			worked = worked || flushed
		}
		if err == nil {
			var compacted bool
			compacted, err = r.node.CompactStep()
			worked = worked || compacted
		}
	case evFetch:
		worked, err = r.node.FetchStep()
	case evServe:
		worked, err = r.node.ServeStep()
	case evTier:
		if worked, err = r.node.TierStep(); err == nil && !worked {
			worked, err = r.node.ScrubStep()
		}
		if !worked && err == nil && r.node != nil && r.disk.left == nil {
			r.scheduled[evTier] = true
			r.w.at(tierPoll/2+r.w.upTo(tierPoll), evTier, r, 0)
		}
	}
	if r.cut() {
		return
	}
	if err != nil {
		r.ended(err)
		return
	}
	if worked && kind != evTurn {
		r.soon(kind)
		r.soon(evTurn)
	}
	if kind == evTurn || kind == evApply || kind == evFetch { // other steps decide nothing
		r.look()
	}
}

const (
	heartbeat    = 100 * time.Millisecond
	excuseTime   = 5 * time.Second // what failed may show later than at once
	blockedRetry = 250 * time.Millisecond
	tierPoll     = 500 * time.Millisecond // about how often the tier daemon looks whether there is something to do
)

// look looks at what the last step has brought: for the checks, and for the clients that wait.
func (r *replica) look() {
	r.w.raft.observe(r.w, r)
	r.answer()
}

// ended deals with an error after which a node must not go on: the process ends and is started again.
func (r *replica) ended(err error) {
	w := r.w
	if w.tracing() {
		w.trace("node %d has failed: %v", r.id, err)
	}
	if !r.rotten && r.excused < w.now && !errors.Is(err, vfs.ErrInjected) && !w.bucket.forlorn(r, err) { // what failed may be met late
		w.violated("node %d has failed, and nothing was done to it: %w", r.id, err)
		return
	}
	w.stats.Failures++
	r.crash(vfs.KeepRandom) // after a sync that failed, its disk holds what it likes
	w.at(w.upTo(3*time.Second), evStart, r, 0)
}

// cut says whether the power was cut in the middle of the step that has just ended. Nothing that came of the step has
// left the machine.
func (r *replica) cut() bool {
	if r.disk.left == nil {
		return false
	}
	r.w.tell("node %d has lost power in the middle of a step", r.id)
	r.crash(vfs.KeepNone) // what is left is there already
	r.w.at(r.w.downtime(), evStart, r, 0)
	return true
}

// crash cuts the power: what the process knew is gone, and of the disk remains what keep says.
func (r *replica) crash(keep vfs.Keep) {
	r.disk.crash(keep)
	r.end()
}

// end ends the process. What it does while it ends goes to a disk that nobody will look at, unless the disk is kept.
func (r *replica) end() {
	r.life++
	if r.life == math.MaxUint32 {
		panic("sim: a machine has had too many lives")
	}
	n := r.node
	if n == nil {
		return
	}
	r.node = nil
	r.port.peers = r.port.peers[:0]
	clear(r.scheduled[:])
	r.pausedUntil = 0
	for _, a := range r.pending {
		a.hangUp()
	}
	r.pending = r.pending[:0]
	if err := n.Close(); err != nil && r.w.tracing() {
		r.w.trace("node %d closes: %v", r.id, err)
	}
	if r.disk.left != nil { // the power was cut while it closed
		r.disk.crash(vfs.KeepNone)
	}
}
