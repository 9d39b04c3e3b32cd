package sim

import (
	"math/rand/v2"
	"time"
)

// Class is a class of faults. A seed switches each on or off.
type Class uint8

// The classes. The first ones strike single messages and writes, the last ones single requests to the object store, the
// others strike every now and then.
const (
	Loss      Class = iota // a message is lost
	Duplicate              // a message arrives twice
	Reorder                // a message is overtaken by later ones
	Delay                  // a message is long under way, perhaps seconds
	Cut                    // a message is lost at a partition
	SlowSync               // a write to the log takes long
	LateApply              // applying falls behind
	Partition              // some nodes are cut off from the others, in both directions or in one, for good or flapping
	SlowLink               // all messages of a link take long
	Pause                  // a node takes no step for a while, and then all at once
	Crash                  // a node's power is cut, and with it what was not synced
	Restart                // a node's process ends and starts again, nothing is lost
	DiskError              // a sync or another call of the disk fails: the node may end, and its disk keeps what it likes
	FullDisk               // a disk is full for a while
	Rot                    // a bit of a segment file flips at rest
	Wipe                   // a node's disk is replaced by an empty one
	ClockJump              // a node's clock jumps
	Members                // the operator adds, promotes, removes or replaces a member
	Transfer               // the operator moves the leadership

	// Those of the object store.
	Tiering         // the operator asks a node for a round of tiering
	StoreOutage     // the object store fails for a while, in one way, for all
	StoreParted     // a node does not reach it for a while
	StoreRot        // a bit of an object flips at rest
	StoreSpoils     // an object is damaged as it is put, and the store says that all is well
	StoreOverload   // a request is refused with 503
	StoreStall      // a request is not answered, and nothing was done
	StoreAnswerLost // a request is done and not answered
	StoreSlow       // a body takes long
	StoreCut        // a body ends early
	StoreFlip       // a bit of a body flips on the way
	StoreRefusal    // a request is refused for want of permission
	classes
)

// struckByNemesis ends the classes that strike every now and then. The first of them is Partition.
const struckByNemesis = StoreSpoils

// String names the class in the report.
func (c Class) String() string {
	return [...]string{"lost", "duplicated", "reordered", "delayed", "cut off", "slow syncs", "late applies", "partitions",
		"slow links", "pauses", "crashes", "restarts", "disk errors", "full disks", "bits rotted", "wipes", "clock jumps",
		"member changes", "transfers", "rounds of tiering", "outages of the store", "nodes parted from the store", "objects rotted",
		"objects spoiled", "requests overloaded", "stalled", "unanswered", "slow", "cut", "flipped", "forbidden"}[min(c, classes-1)]
}

// Plan is what a seed draws before the first step: which faults strike and how often, how large the cluster is, and how
// small its files are.
type Plan struct {
	Nodes int // founders
	// Rate is, for the classes up to LateApply, the probability for a message or a write, and for those from StoreSpoils on
	// for a request; for the others the mean number of strikes in a simulated second. 0: the class is off.
	Rate [classes]float64

	Clients   int
	Think     time.Duration // mean pause of a client between two operations
	Keys      int           // that clients write to at a time
	LargeSize int           // bytes of the values that fill log files and segments quickly
	LogBytes  int64         // of a log file
	SealBytes int64
	FanIn     int   // fewest segments that are merged
	KeepLog   int64 // bytes of the flushed log kept for members that lag
	// Reserve of disk space, where disks get full. With the default, 0, writes are refused as soon as one does; with a small
	// one a disk is used up, and what is in the log already waits for space.
	Reserve   int64
	Latency   time.Duration
	Election  int // ticks of the shortest election timeout: few make candidates collide
	SyncTime  time.Duration
	ApplyTime time.Duration
	Skew      float64 // clocks run faster or slower by up to this part
	Store     StorePlan
}

// drawPlan draws the plan of a seed.
func drawPlan(r *rand.Rand) Plan {
	p := Plan{
		Nodes:     pick(r, 3, 3, 3, 3, 3, 3, 3, 5, 5, 5, 1),
		Clients:   13 + r.IntN(16),
		Think:     pickMillis(r, 5, 20, 50),
		Keys:      3 + r.IntN(12),
		LargeSize: pick(r, 1<<10, 3<<10, 6<<10),
		LogBytes:  pick(r, int64(8<<10), 16<<10, 64<<10),
		SealBytes: pick(r, int64(12<<10), 32<<10, 96<<10),
		KeepLog:   pick(r, int64(-1), 16<<10, 64<<10, 1<<20),
		Latency:   pickMicros(r, 100, 500, 2000, 10_000),
		Election:  pick(r, 5, 5, 5, 3, 2),
		SyncTime:  pickMicros(r, 100, 500, 3000),
		ApplyTime: pickMicros(r, 20, 100),
		Skew:      pick(r, 0, 0.001, 0.05),
	}
	p.FanIn = pick(r, 2, 2, 3, 4)
	// Messages are always hit, by drawn parts of one total: it is they that make up the number of faults.
	total := 0.55 + 0.3*r.Float64()
	share := [4]float64{0.3 * r.Float64(), r.Float64(), r.Float64(), r.Float64()}
	sum := share[0] + share[1] + share[2] + share[3]
	for i, s := range share {
		p.Rate[i] = total * s / sum
	}
	often := func(c Class, probability, most float64) {
		if r.Float64() < probability {
			p.Rate[c] = most * (0.1 + 0.9*r.Float64())
		}
	}
	often(SlowSync, 0.7, 0.2)
	often(LateApply, 0.5, 0.1)
	often(Partition, 0.6, 0.4)
	often(SlowLink, 0.4, 0.1)
	often(Pause, 0.5, 0.25)
	often(Crash, 0.7, 0.3)
	often(Restart, 0.4, 0.2)
	often(DiskError, 0.4, 0.1)
	often(FullDisk, 0.3, 0.05)
	if p.Rate[FullDisk] > 0 {
		p.Reserve = pick(r, int64(0), 1, 4<<10, 32<<10)
	}
	often(Rot, 0.3, 0.1)
	often(Wipe, 0.3, 0.1)
	often(ClockJump, 0.4, 0.1)
	often(Members, 0.5, 0.2)
	often(Transfer, 0.5, 0.3)
	if p.Nodes == 1 {
		// What only the others could make good is left out, and so is growing: half of these seeds stay alone.
		for _, c := range []Class{Rot, Wipe} {
			p.Rate[c] = 0
		}
		if r.IntN(2) == 0 {
			p.Rate[Members] = 0
		}
	}
	return p
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func pickMillis(r *rand.Rand, of ...int) time.Duration {
	return time.Duration(pick(r, of...)) * time.Millisecond
}

func pickMicros(r *rand.Rand, of ...int) time.Duration {
	return time.Duration(pick(r, of...)) * time.Microsecond
}
