package httpapi

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// latency counts durations in buckets that grow by a sixteenth of a power of two, so that a quantile is known to about
// 6 %. One atomic add counts a request; the Prometheus histogram and the JSON digest are both read from it.
type latency struct {
	sum     atomic.Int64 // nanoseconds
	buckets [latencyBuckets]atomic.Uint64
}

const (
	latencyMin     = 12 // 2^12 ns ≈ 4 µs: bucket 0 is all below
	latencyMax     = 36 // 2^36 ns ≈ 69 s: the last bucket is all from there
	latencySteps   = 16 // buckets to a power of two
	latencyBuckets = (latencyMax-latencyMin)*latencySteps + 2

	// The Prometheus histogram has a bucket for every second power of two from 2^14 ns ≈ 16 µs to 2^34 ns ≈ 17 s.
	histogramMin = 14
	histogramMax = 34
)

func (l *latency) observe(d time.Duration) {
	l.sum.Add(int64(max(d, 0)))
	l.buckets[latencyBucket(d)].Add(1)
}

// latencyBucket returns the bucket that holds d.
func latencyBucket(d time.Duration) int {
	switch {
	case d < 1<<latencyMin:
		return 0
	case d >= 1<<latencyMax:
		return latencyBuckets - 1
	}
	exp := bits.Len64(uint64(d)) - 1
	step := int(uint64(d)>>(exp-4)) & (latencySteps - 1)
	return 1 + (exp-latencyMin)*latencySteps + step
}

// latencyUpper returns the duration that all of a bucket is below; for the last one its lower end.
func latencyUpper(bucket int) time.Duration {
	switch bucket {
	case 0:
		return 1 << latencyMin
	case latencyBuckets - 1:
		return 1 << latencyMax
	}
	exp, step := (bucket-1)/latencySteps+latencyMin, (bucket-1)%latencySteps
	return time.Duration(latencySteps+step+1) << (exp - 4)
}

// quantiles returns the count and, for each q of qs, a duration that a share q of the requests stayed below.
func (l *latency) quantiles(qs ...float64) (count uint64, at []time.Duration) {
	var counts [latencyBuckets]uint64
	for i := range counts {
		counts[i] = l.buckets[i].Load()
		count += counts[i]
	}
	at = make([]time.Duration, len(qs))
	for i, q := range qs {
		rank := max(uint64(q*float64(count)+0.5), 1)
		var seen uint64
		for b, n := range counts {
			if seen += n; seen >= rank {
				at[i] = latencyUpper(b)
				break
			}
		}
	}
	return count, at
}

// histogram makes the Prometheus form. Its bounds are bounds of the fine buckets, so it is exact.
func (l *latency) histogram(desc *prometheus.Desc, label string) (prometheus.Metric, error) {
	cumulative := make(map[float64]uint64, (histogramMax-histogramMin)/2+1)
	var count uint64
	exp := histogramMin
	for b := range latencyBuckets {
		count += l.buckets[b].Load()
		if exp <= histogramMax && latencyUpper(b) == 1<<exp && b < latencyBuckets-1 {
			cumulative[time.Duration(1<<exp).Seconds()] = count
			exp += 2
		}
	}
	sum := time.Duration(l.sum.Load()).Seconds()
	return prometheus.NewConstHistogram(desc, count, sum, cumulative, label)
}
