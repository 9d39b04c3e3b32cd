package main

import (
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/tier"
)

// collectorPercent lets the heap grow to five times what is live before the collector runs, as long as that stays below
// the limit. A request leaves a few kilobytes of garbage and nothing else, so it is the frequency that costs.
const collectorPercent = 400

// tuneCollector sets the garbage collector for the configured sizes, and sees to it that it has room, until stop is called.
// The Go runtime's own variables win.
func tuneCollector(c config.Config, getenv func(string) string) (stop func()) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(collectorPercent)
	}
	if getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	least := memoryLimit(c)
	debug.SetMemoryLimit(least)
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				leaveRoom(least)
			case <-stopped:
				return
			}
		}
	}()
	return func() {
		close(stopped)
		<-ended
	}
}

// memoryLimit is where the garbage collector begins to work harder, rather than let the heap grow to a multiple of what
// is live: five memtables, the cache, what is read ahead of the object store, and a part of what requests may hold, which
// they seldom do all at once, or what a node has besides. It is a soft limit and refuses nothing.
func memoryLimit(c config.Config) int64 {
	return 5*c.Storage.SealBytes + c.Storage.BlockCacheBytes + tier.ReadAheadBytes + max(c.Limits.MaxInflightBytes/4, 64<<20)
}

// leaveRoom sets the limit to least, or so far above what is live that the collector can rest: with a limit at what is
// live or below it, it would run all the time and take up to half of the processors, to free nothing.
func leaveRoom(least int64) {
	limit := max(least, needed()/4*5)
	// A little more or less is not worth a new pace of the collector.
	if now := debug.SetMemoryLimit(-1); limit > now || limit == least || limit < now-now/8 {
		debug.SetMemoryLimit(limit)
	}
}

// needed is what was live when the collector ran last, and what the runtime has besides the heap.
func needed() int64 {
	const live, total = "/gc/heap/live:bytes", "/memory/classes/total:bytes"
	heap := []string{"/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes",
		"/memory/classes/heap/free:bytes", "/memory/classes/heap/released:bytes"}
	samples := []metrics.Sample{{Name: live}, {Name: total}}
	for _, name := range heap {
		samples = append(samples, metrics.Sample{Name: name})
	}
	metrics.Read(samples)
	sum := int64(samples[0].Value.Uint64() + samples[1].Value.Uint64())
	for _, s := range samples[2:] {
		sum -= int64(s.Value.Uint64())
	}
	return sum
}
