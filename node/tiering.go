package node

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/tier"
)

// tiering is the daemon that moves sealed segments into the object store. The leader uploads them, has the log say so,
// publishes the archive and sweeps; every node gives up its own files, and brings them back, by its own policy.
//
// step decides what to do next and begins it; it is for one goroutine, runTier, or the owner's. What it begins runs in a
// goroutine of its own, which Close joins, so that a store that stalls holds up nothing but what waits for it; with
// Options.Manual it runs inline. The raft loop learns from verified what is to be recorded, and waits for nothing here.
type tiering struct {
	n        *Node
	opts     TierOptions
	cold     *Cold
	uploader *tier.Uploader
	retry    tier.Retry // of requests
	metrics  *tierMetrics
	wake     chan struct{}   // capacity 1
	ctx      context.Context // of all that is begun; ends with the node
	cancel   context.CancelFunc

	// For the raft loop: the uploads that the log is to record, and what this node has published, as a leader. What they
	// point to never changes.
	verified atomic.Pointer[[]*upload]
	shown    atomic.Pointer[published]
	// fenced says that the archive is not this cluster's; for those who do not hold mu.
	fenced atomic.Bool
	// seen is what was published when it was last found that this ledger begins with it. What it points to never changes.
	seen atomic.Pointer[archive.Latest]

	mu      sync.Mutex // guards everything below; never held while the store or the disk is asked
	rand    *rand.Rand
	busy    [tierJobs]int // pieces of work under way
	roundAt time.Time     // when the next round begins
	opening opening
	lost    string           // whose the archive is, as the log was told; empty: this cluster's, as far as it is known
	trouble [tierJobs]string // what the last piece of work of each kind met; empty when it went well

	uploads    map[string]*upload // by the name of the object
	uploadsDue bool               // there may be something to upload
	paused     pause              // of uploads
	failures   uint64             // uploads that have failed

	heat      heat
	evictions []placement // to give up, in this order
	fetches   []placement // to bring back, in this order

	archive archiving
	sweep   sweeping

	rounds []*tierRound // that somebody waits for, here or on another node
	asked  uint64       // number of the last one that another node was asked for
}

// tierJob is a kind of work.
type tierJob uint8

const (
	jobOpen tierJob = iota
	jobUpload
	jobEvict
	jobFetch
	jobPublish
	jobSweep
	jobLook
	tierJobs
)

// tierJobNames is read only.
var tierJobNames = [tierJobs]string{"open", "upload", "evict", "fetch", "publish", "sweep", "look"}

func (j tierJob) String() string { return tierJobNames[j] }

// tierWork is a piece of work. do runs without mu.
type tierWork struct {
	job tierJob
	do  func(context.Context)
}

// tierRetries are how many retries may be spent at once after a quiet time, and tierRetryShare what a success gives back.
const (
	tierRetries    = 20
	tierRetryShare = 0.2
)

// newTiering makes the daemon of a node that has Options.Tier. It asks nothing of the store yet.
func newTiering(n *Node, opts TierOptions) *tiering {
	t := &tiering{n: n, opts: opts.withDefaults(), cold: NewCold(opts.Store, opts.Ranges), wake: make(chan struct{}, 1),
		rand: rand.New(rand.NewPCG(n.draw.Uint64(), n.draw.Uint64())), uploads: make(map[string]*upload)}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.retry = tier.Retry{Tries: 6, Budget: tier.NewBudget(tierRetries, tierRetryShare), Random: t.random}
	if n.opts.Manual { // time does not pass meanwhile
		t.retry.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	up := tier.UploaderOptions{Retry: t.retry, CheckOther: t.checkOther}
	if opts.UploadBytesPerSecond > 0 && !n.opts.Manual {
		burst := max(tier.LimiterBytes, int(min(opts.UploadBytesPerSecond/8, 8<<20)))
		up.Sent = rate.NewLimiter(rate.Limit(opts.UploadBytesPerSecond), burst)
		up.Received = rate.NewLimiter(rate.Limit(opts.UploadBytesPerSecond), burst)
	}
	t.uploader = tier.NewUploader(opts.Store, up)
	t.heat = newHeat()
	return t
}

// random draws from [0, 1).
func (t *tiering) random() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rand.Float64()
}

// poke has the daemon look whether there is something to do. From any goroutine; there may be no daemon.
func (t *tiering) poke() {
	if t != nil {
		t.n.poke(t.wake)
	}
}

// end ends what is under way.
func (t *tiering) end() {
	if t != nil {
		t.cancel()
	}
}

// runTier is the tier daemon.
func (n *Node) runTier() { n.runSteps(n.TierStep, n.tiering.wake, n.tiering.wait) }

// TierStep begins the next piece of the tier daemon's work, and with Options.Manual does it.
func (n *Node) TierStep() (worked bool, err error) {
	if err := n.Err(); err != nil {
		return false, err
	}
	if n.tiering == nil || n.restoring.Load() {
		return false, nil
	}
	return n.tiering.step(), nil
}

// tierPoll is how often the daemon looks at what has a time, while nothing wakes it.
const tierPoll = time.Second

// wait is how long the daemon may sleep when nothing wakes it.
func (t *tiering) wait() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rounds) > 0 {
		return t.n.opts.Heartbeat
	}
	return min(t.opts.Interval, tierPoll)
}

func (t *tiering) step() (worked bool) {
	t.mu.Lock()
	w := t.next(t.n.opts.Now())
	if w != nil {
		t.busy[w.job]++
	}
	t.mu.Unlock()
	switch {
	case w == nil:
		return false
	case t.n.opts.Manual:
		t.run(w)
	default:
		t.n.goroutines.Go(func() { t.run(w) })
	}
	return true
}

func (t *tiering) run(w *tierWork) {
	w.do(t.ctx)
	t.mu.Lock()
	t.busy[w.job]--
	t.mu.Unlock()
	t.poke()
}

// next is the next piece of work; nil when there is none for now. The caller holds mu, as that of all that it calls.
func (t *tiering) next(now time.Time) *tierWork {
	t.settleUploads()
	t.withhold()
	t.turnRounds(now)
	if !t.opening.done {
		return t.nextOpening(now)
	}
	if !now.Before(t.roundAt) && t.busy[jobLook] == 0 {
		t.roundAt = now.Add(t.opts.Interval)
		return &tierWork{jobLook, t.look}
	}
	for _, find := range [...]func(time.Time) *tierWork{t.nextUpload, t.nextEviction, t.nextFetch, t.nextPublication,
		t.nextSweep} {
		if w := find(now); w != nil {
			return w
		}
	}
	return nil
}

// beginRound looks at everything anew: what is due to be uploaded, what is to go from the disk here, what to come back.
func (t *tiering) beginRound(now time.Time) {
	t.uploadsDue, t.archive.due = true, true
	t.planMoves(now)
}

// leads says whether this node leads, and has applied all that earlier leaders had committed: so it knows every
// segment, and every object, that is recorded.
func (t *tiering) leads() bool {
	st := t.n.status.Load()
	return st.Role == raft.Leader && t.n.applier.term.Load() == st.Term
}

// met notes what a piece of work has met; nil when it went well. The caller holds mu.
func (t *tiering) met(job tierJob, err error) {
	if err == nil {
		t.trouble[job] = ""
		return
	}
	t.trouble[job] = oneLine(err.Error())
	t.metrics.errors[job].Inc()
}

// problem is why nothing is uploaded or evicted now; empty when all is well. The caller holds mu.
func (t *tiering) problem() string {
	if !t.opening.done {
		return t.opening.problem
	}
	for _, job := range [...]tierJob{jobUpload, jobEvict, jobPublish, jobFetch, jobLook} {
		if p := t.trouble[job]; p != "" {
			return job.String() + ": " + p
		}
	}
	return ""
}

// pause is that of work which has failed.
type pause struct {
	failures int // in a row
	until    time.Time
}

// tierBackoff is that between tries of what the daemon does, each of which is a few tries already.
func tierBackoff() tier.Backoff { return tier.Backoff{Base: time.Second, Max: time.Minute} }

// failed makes the pause longer, and says how long it is.
func (p *pause) failed(now time.Time, err error, random float64) time.Duration {
	p.failures++
	after, _ := tier.Temporary(err)
	d := tierBackoff().Delay(p.failures, min(after, time.Hour), random)
	p.until = now.Add(d)
	return d
}
