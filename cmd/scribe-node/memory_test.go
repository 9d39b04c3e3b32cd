package main

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/scribe-ledger/scribe/config"
)

// TestCollectorHasRoom: what is live beyond the limit moves the limit, and no longer than it lives.
func TestCollectorHasRoom(t *testing.T) {
	runtime.GC()
	least := 2*needed() + 16<<20 // other tests may have left something
	big := 4 * least
	before := debug.SetMemoryLimit(least)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	leaveRoom(least)
	if got := debug.SetMemoryLimit(-1); got != least {
		t.Errorf("with little that is live the limit is %d MiB, not %d", got>>20, least>>20)
	}
	live := make([]byte, big)
	runtime.GC()
	leaveRoom(least)
	if got := debug.SetMemoryLimit(-1); got < big/4*5 || got > big/4*5+least {
		t.Errorf("with %d MiB that are live the limit is %d MiB", big>>20, got>>20)
	}
	runtime.KeepAlive(live)
	live = nil
	runtime.GC()
	leaveRoom(least)
	if got := debug.SetMemoryLimit(-1); got != least {
		t.Errorf("once it is gone the limit is %d MiB, not %d", got>>20, least>>20)
	}
}

// TestCollectorIsTuned: for the sizes that are configured, unless the runtime's own variables say otherwise.
func TestCollectorIsTuned(t *testing.T) {
	limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	t.Cleanup(func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	})
	c := config.Default()
	variables := map[string]string{"GOGC": "50", "GOMEMLIMIT": "1GiB"}
	tuneCollector(c, func(name string) string { return variables[name] })()
	if l, p := debug.SetMemoryLimit(-1), debug.SetGCPercent(100); l != limit || p != 100 {
		t.Errorf("the variables do not win: limit %d, percent %d", l, p)
	}
	tuneCollector(c, func(string) string { return "" })()
	if l, p := debug.SetMemoryLimit(-1), debug.SetGCPercent(100); l != memoryLimit(c) || p != collectorPercent {
		t.Errorf("limit %d, percent %d", l, p)
	}
}
