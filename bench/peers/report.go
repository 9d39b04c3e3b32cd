package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// summary is the medians of one driver's runs of one kind.
type summary struct {
	driver               string
	rate                 float64
	lowest, highest      float64
	p50, p99             time.Duration
	serverCPU, clientCPU float64 // microseconds a request
	strangers            float64 // of a core
	errors               int     // in all
}

// summarize goes by driver, in the order in which they first ran.
func summarize(samples []sample, k kind) []summary {
	var names []string
	by := make(map[string][]sample)
	for _, s := range samples {
		if s.kind != k {
			continue
		}
		if by[s.driver] == nil {
			names = append(names, s.driver)
		}
		by[s.driver] = append(by[s.driver], s)
	}
	var out []summary
	for _, name := range names {
		of := by[name]
		sum := summary{driver: name, rate: median(of, sample.rate),
			p50:       time.Duration(median(of, func(s sample) float64 { return float64(s.p50) })),
			p99:       time.Duration(median(of, func(s sample) float64 { return float64(s.p99) })),
			serverCPU: median(of, func(s sample) float64 { return s.perOp(s.serverCPU) }),
			clientCPU: median(of, func(s sample) float64 { return s.perOp(s.clientCPU) }),
			strangers: median(of, sample.strangers)}
		for i, s := range of {
			sum.errors += s.errors
			if i == 0 || s.rate() < sum.lowest {
				sum.lowest = s.rate()
			}
			sum.highest = max(sum.highest, s.rate())
		}
		out = append(out, sum)
	}
	return out
}

// median of an even number is the mean of the two in the middle.
func median(samples []sample, of func(sample) float64) float64 {
	var v []float64
	for _, s := range samples {
		v = append(v, of(s))
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// fastest is the best that the system did by any of its drivers.
func fastest(sums []summary, system string) (best summary, ok bool) {
	for _, s := range sums {
		if systemOf(s.driver) == system && s.rate > best.rate {
			best, ok = s, true
		}
	}
	return best, ok
}

// report prints the table, how the best of Scribe's compares with each of etcd's, and last with the best of etcd's.
func report(out io.Writer, samples []sample) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "load\tclient\trequests/s\tlowest\thighest\tp50\tp99\tserver CPU/op\tclient CPU/op\tothers\terrors\t")
	for _, k := range []kind{put, get} {
		for _, s := range summarize(samples, k) {
			fmt.Fprintf(table, "%s\t%s\t%.0f\t%.0f\t%.0f\t%v\t%v\t%.1f µs\t%.1f µs\t%.0f %%\t%d\t\n", k, s.driver, s.rate, s.lowest,
				s.highest, s.p50, s.p99, s.serverCPU, s.clientCPU, 100*s.strangers, s.errors)
		}
	}
	table.Flush()
	for _, k := range []kind{put, get} {
		sums := summarize(samples, k)
		best, ok := fastest(sums, "scribe")
		for _, s := range sums {
			if ok && systemOf(s.driver) == "etcd" {
				fmt.Fprintf(out, "%s: %s has %.2f times the rate of %s (medians), and a request takes 1/%.2f of its server CPU\n", k,
					best.driver, best.rate/s.rate, s.driver, s.serverCPU/max(best.serverCPU, 0.001))
			}
		}
	}
	for _, k := range []kind{put, get} {
		sums := summarize(samples, k)
		scribe, ok := fastest(sums, "scribe")
		if etcd, both := fastest(sums, "etcd"); ok && both {
			fmt.Fprintf(out, "%s ratio: %.2f\n", k, scribe.rate/etcd.rate)
		}
	}
}
