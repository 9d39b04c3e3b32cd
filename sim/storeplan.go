package sim

import (
	"math/rand/v2"
	"time"
)

// StorePlan is what a seed draws about the object store: whether there is one, what the nodes do with it, and which of
// its faults strike, but for those that Plan.Rate has.
type StorePlan struct {
	On bool

	// Of every node. Where objects are damaged at rest, every second node evicts nothing.
	MaxLocalBytes int64
	MinAge        time.Duration
	Interval      time.Duration
	DeleteAfter   time.Duration
	FetchReads    int

	// Of the store.
	PartBytes int64         // larger objects go up in parts
	Retention time.Duration // Object Lock; 0: none
	Timeout   time.Duration // of a request that stalls
	Skew      float64       // its clock runs faster or slower by up to this part

	// How long a node takes to read all its files again, and the leader all objects. 0: they are not read again.
	ScrubFiles, ScrubObjects time.Duration
}

// drawStore draws what concerns the store, from a source of its own: seeds without one are what they would be if there were
// no stores.
func drawStore(r *rand.Rand, p *Plan) {
	if r.IntN(2) == 0 {
		return
	}
	p.Store = StorePlan{On: true,
		MinAge:      pickMillis(r, 0, 0, 1000, 5000),
		Interval:    pickMillis(r, 1000, 2000, 5000),
		DeleteAfter: pick(r, time.Hour, time.Hour, 20*time.Second),
		FetchReads:  pick(r, -1, 5, 20),
		PartBytes:   pick(r, int64(8<<10), 64<<10, 8<<20),
		Timeout:     pickMillis(r, 500, 5000),
		Skew:        pick(r, 0, 0.001, 0.05),
	}
	s := &p.Store
	if r.IntN(5) > 0 {
		s.MaxLocalBytes = pick(r, int64(1), 1, 16<<10, 64<<10)
	}
	if r.IntN(4) == 0 {
		s.Retention = pick(r, 10*time.Minute, 40*time.Minute)
	}
	if r.IntN(2) == 0 {
		s.ScrubFiles = time.Duration(50+r.IntN(200)) * time.Second
	}
	often := func(c Class, probability, most float64) {
		if r.Float64() < probability {
			p.Rate[c] = most * (0.1 + 0.9*r.Float64())
		}
	}
	often(StoreOverload, 0.5, 0.2)
	often(StoreStall, 0.4, 0.05)
	often(StoreAnswerLost, 0.5, 0.15)
	often(StoreSlow, 0.3, 0.1)
	often(StoreCut, 0.5, 0.15)
	often(StoreFlip, 0.5, 0.1)
	often(StoreRefusal, 0.3, 0.05)
	often(StoreOutage, 0.5, 0.06)
	often(StoreParted, 0.4, 0.06)
	often(StoreSpoils, 0.4, 0.3)
	often(Tiering, 0.5, 0.2)
	often(StoreRot, 0.4, 0.3)
	if p.Rate[StoreRot] > 0 {
		s.ScrubObjects = time.Duration(20+r.IntN(60)) * time.Second
	}
	if p.Nodes == 1 { // there is no other copy to repair it from
		p.Rate[StoreRot] = 0
	}
}
