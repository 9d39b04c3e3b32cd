package node

import (
	"context"
	"time"

	"github.com/scribe-ledger/scribe/tier"
)

// TierOptions say what becomes of sealed segments. Zero fields mean the default named beside them.
type TierOptions struct {
	Store  tier.Store   // required; the caller's
	Ranges *tier.Ranges // reads of cold segments; required; the caller's, who closes it after Node.Close
	// Private says that no other member reaches the store, as a folder in this node's directory. It is used while the ledger
	// has one member only. While it has more, nothing is uploaded, published, swept or given up; what is in it is read as
	// before, and given to members that fetch it. Default: all members have the same store.
	Private bool

	// MinAge is how old a segment's newest entry is when it is uploaded, and when its file may go. Default 0: at once.
	MinAge time.Duration
	// MaxLocalBytes is how much the files of segments may take. Beyond it those that have objects go, the least read ones
	// first. Default 0: none goes by itself.
	MaxLocalBytes int64
	// Interval between two rounds of the daemon. Default 10 s.
	Interval time.Duration
	// DeleteAfter is how old, by the store's clock, what a sweep deletes must be. Default 1 h.
	DeleteAfter time.Duration
	// Pins are prefixes of keys. The files of segments whose range of keys meets one of them stay.
	Pins [][]byte
	// UploadBytesPerSecond bounds what is sent, and likewise what is read back. Default 0: no bound. With Options.Manual
	// there is none.
	UploadBytesPerSecond int64
	// Uploads at a time. Default 2.
	Uploads int
	// FetchReads is how many reads of a cold segment within ten minutes bring its file back, if there is room.
	// Default 1,000; negative: none do.
	FetchReads int
	// LockWanted says that Object Lock is wanted: without it the store is not used.
	LockWanted bool
}

func (o TierOptions) withDefaults() TierOptions {
	if o.Interval <= 0 {
		o.Interval = 10 * time.Second
	}
	if o.DeleteAfter <= 0 {
		o.DeleteAfter = time.Hour
	}
	if o.Uploads <= 0 {
		o.Uploads = 2
	}
	if o.FetchReads == 0 {
		o.FetchReads = 1000
	}
	return o
}

// TierResult says what a round of tiering did.
type TierResult struct {
	Uploaded      []string // ids of the segments that got their objects, in seq order
	UploadedBytes uint64
	Evicted       []string // ids of the segments whose files went here
	EvictedBytes  uint64
	Published     uint64 // size of the tree of the newest published state of the archive; 0: none
	Waiting       int    // segments that have no object yet
}

// TierStatus is a node's view of its cold tier.
type TierStatus struct {
	Store   string // its name
	Report  string // what the preflight found, in one line; empty before
	Usable  bool   // the preflight went well, and the store is this ledger's
	Problem string // why nothing is uploaded or evicted now, or read from the store; empty when all is well

	// The segments without objects that are old enough to be uploaded, and how long the oldest has been that.
	Waiting      int
	WaitingBytes uint64
	WaitingAge   time.Duration

	LocalBytes, ColdBytes       uint64
	LocalSegments, ColdSegments int

	Published   uint64    // size of the tree of the newest published state of the archive, as far as this node knows
	PublishedAt time.Time // when it was published, or found; zero when none is known
}

// TierError says why the cold tier is not used at present. It matches tier.ErrUnavailable.
type TierError struct {
	Problem string
	Err     error // the cause, where it is one of this node's
}

func (e *TierError) Error() string { return "the cold tier is not used at present: " + e.Problem }

// Unwrap is the cause.
func (e *TierError) Unwrap() error { return e.Err }

// Is makes every TierError match tier.ErrUnavailable.
func (e *TierError) Is(target error) bool { return target == tier.ErrUnavailable }

// Tier has the leader upload every recorded segment that has no object, whatever its age, and publish the archive; with
// evict set, this node then gives up every file that it may. It waits for that as long as the context lasts.
//
// Errors: ledger.ErrNoCold without Options.Tier, *TierError, *Unavailable, and what an eviction met. What was done until
// then stands in the result, and what was begun goes on.
func (n *Node) Tier(ctx context.Context, evict bool) (TierResult, error) {
	deadline, _ := ctx.Deadline()
	return n.BeginTier(evict, deadline).wait(ctx)
}

// TierStatus says how this node sees its cold tier; the zero TierStatus without Options.Tier. It waits for nothing.
func (n *Node) TierStatus() TierStatus {
	t := n.tiering
	if t == nil {
		return TierStatus{}
	}
	out := TierStatus{Store: t.opts.Store.Name()}
	now := n.opts.Now()
	t.mu.Lock()
	out.Report, out.Usable, out.Problem = t.opening.report, t.opening.done, t.problem()
	out.Published, out.PublishedAt = t.archive.published.size, t.archive.published.at
	t.mu.Unlock()
	if err := t.opts.Ranges.Failing(); err != nil && out.Problem == "" {
		out.Problem = "read: " + oneLine(err.Error())
	}
	if n.restoring.Load() {
		return out
	}
	for _, g := range n.ledger.Untiered() {
		if age := now.Sub(time.UnixMicro(g.LastTime).Add(t.opts.MinAge)); age >= 0 {
			out.Waiting++
			out.WaitingBytes += g.Bytes
			out.WaitingAge = max(out.WaitingAge, age)
		}
	}
	for _, p := range n.ledger.Placed() {
		if p.Cold {
			out.ColdSegments++
			out.ColdBytes += p.Bytes
		} else {
			out.LocalSegments++
			out.LocalBytes += p.Bytes
		}
	}
	return out
}
