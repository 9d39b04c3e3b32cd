package ledger

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/manifest"
)

func partsOfSizes(sizes ...uint64) (parts []planned) {
	for i, n := range sizes {
		parts = append(parts, planned{manifest.Range{FirstSeq: uint64(i) * 10, LastSeq: uint64(i)*10 + 9}, n, true})
	}
	return parts
}

func TestPlan(t *testing.T) {
	limits := planLimits{fanIn: 4, maxFanIn: 8, maxBytes: 1000, maxEntries: 1 << 20}
	for _, c := range []struct {
		name  string
		sizes []uint64
		from  int
		n     int
	}{
		{"too few", []uint64{10, 10, 10}, 0, 0},
		{"four alike", []uint64{10, 10, 10, 10}, 0, 4},
		{"as many as may be", []uint64{10, 10, 10, 10, 10, 10, 10, 10, 10}, 0, 8},
		{"not the large one", []uint64{100, 10, 12, 9, 10}, 1, 4},
		{"a large one beside small ones", []uint64{100, 1, 1, 1}, 0, 0},
		{"the small ones first", []uint64{90, 100, 80, 90, 10, 11, 12, 10}, 4, 4},
		{"small ones between", []uint64{100, 1, 100, 1, 90, 2, 100}, 0, 7},
		{"no more than the limit", []uint64{300, 300, 300, 300}, 0, 0},
	} {
		got := planMerges(partsOfSizes(c.sizes...), limits, 1)
		want := []manifest.Range{}
		if c.n > 0 {
			want = append(want, manifest.Range{FirstSeq: uint64(c.from) * 10, LastSeq: uint64(c.from+c.n)*10 - 1})
		}
		if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
	}
}

// TestPlanSettles: with segments of any sizes coming in, merging all that is planned leaves few segments, writes no entry
// more often than the logarithm of the whole, and never merges what is not free, or into more than the limit.
func TestPlanSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fanIn := rapid.IntRange(2, 5).Draw(t, "fan-in")
		limits := planLimits{fanIn: fanIn, maxFanIn: maxMergeInputs, maxBytes: 1 << 30, maxEntries: 1 << 40}
		var parts []planned
		var stored, written uint64
		for i := range rapid.IntRange(1, 300).Draw(t, "segments") {
			size := rapid.Uint64Range(1, 1000).Draw(t, "size")
			parts = append(parts, planned{manifest.Range{FirstSeq: uint64(i), LastSeq: uint64(i)}, size, true})
			stored += size
			limits := limits
			if rapid.Bool().Draw(t, "fast") {
				limits.fanIn *= busyFanIn
			}
			for {
				merges := planMerges(parts, limits, 4)
				if len(merges) == 0 {
					break
				}
				for _, r := range merges {
					from, to := placeOfSeq(parts, r.FirstSeq), placeOfSeq(parts, r.LastSeq)
					whole := planned{Range: r, free: true}
					for _, p := range parts[from : to+1] {
						whole.bytes += p.bytes
					}
					if n := to - from + 1; n < limits.fanIn || n > limits.maxFanIn || whole.bytes > limits.maxBytes {
						t.Fatalf("%d segments of %d bytes are merged", n, whole.bytes)
					}
					written += whole.bytes
					parts = append(append(parts[:from:from], whole), parts[to+1:]...)
				}
			}
		}
		log := 1
		for n := stored; n > 1; n /= 2 {
			log++
		}
		if len(parts) > maxMergeInputs || written > uint64(4*log)*stored {
			t.Fatalf("%d segments are left, %d bytes written for %d", len(parts), written, stored)
		}
		if left := planAll(parts, planLimits{maxFanIn: 64, maxBytes: 1 << 40, maxEntries: 1 << 40}, 4); len(parts) > 1 &&
			len(left) == 0 {
			t.Fatalf("of %d segments nothing is left to merge", len(parts))
		}
	})
}

func placeOfSeq(parts []planned, seq uint64) int {
	for i := range parts {
		if parts[i].LastSeq >= seq {
			return i
		}
	}
	return -1
}

// TestPlanUnderLoad: what docs/architecture.md says of memtables of one size that are flushed one after the other, with
// the wide merges of a load and those that follow when it ends.
func TestPlanUnderLoad(t *testing.T) {
	for _, c := range []struct {
		flushes          int
		load, all, plain float64 // times an entry is merged: under load, by the end, and by the end without wide merges
		most, plainMost  int     // segments at a time
	}{
		{5, 0, 1, 0.8, 5, 3},
		{48, 1, 1, 2.6, 17, 7},
		{145, 1, 2, 3.4, 23, 9},
		{480, 1.8, 2, 4.3, 27, 11},
	} {
		load, all, most := mergesOfLoad(c.flushes, busyFanIn*defaultFanIn)
		_, plain, plainMost := mergesOfLoad(c.flushes, defaultFanIn)
		if math.Abs(load-c.load)+math.Abs(all-c.all)+math.Abs(plain-c.plain) > 0.15 || most != c.most || plainMost != c.plainMost {
			t.Errorf("%d flushes: merged %.2f times under load and %.2f in all, at most %d segments; without wide merges %.2f, %d",
				c.flushes, load, all, most, plain, plainMost)
		}
	}
}

// mergesOfLoad says how often each entry is merged when so many segments of one size come in, until then and with the
// merges that are left for rest, and how many segments there are at most.
func mergesOfLoad(flushes, fanIn int) (load, all float64, most int) {
	const size = 35 << 20
	var parts []planned
	written := uint64(0)
	merge := func(fanIn int) {
		limits := planLimits{fanIn: fanIn, maxFanIn: maxMergeInputs, maxBytes: 1 << 40, maxEntries: 1 << 40}
		for {
			merges := planMerges(parts, limits, 1)
			if len(merges) == 0 {
				return
			}
			from, to := placeOfSeq(parts, merges[0].FirstSeq), placeOfSeq(parts, merges[0].LastSeq)
			whole := planned{Range: merges[0], free: true}
			whole.bytes = (whole.LastSeq - whole.FirstSeq + 1) * size
			written += whole.bytes
			parts = append(append(parts[:from:from], whole), parts[to+1:]...)
		}
	}
	for i := range uint64(flushes) {
		parts = append(parts, planned{manifest.Range{FirstSeq: i, LastSeq: i}, size, true})
		merge(fanIn)
		most = max(most, len(parts))
	}
	stored := float64(flushes * size)
	load = float64(written) / stored
	merge(defaultFanIn)
	return load, float64(written) / stored, most
}
