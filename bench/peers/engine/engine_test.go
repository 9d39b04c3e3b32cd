package engine

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/bench/dataset"
	"github.com/scribe-ledger/scribe/bench/phase"
)

var (
	childPlan = flag.String("child", "", "run one phase of this `plan` and print its figures; for the benchmark itself")
	entries   = flag.Int("entries", 1_000_000, "entries loaded")
	rounds    = flag.Int("rounds", 3, "rounds of either side; the medians over them are compared")
	cache     = flag.Int64("cache", 0, "`bytes` of the hot block cache; 0: twice the keys and values")
	batch     = flag.Int("batch", 1000, "entries in a batch of the bulk load")
	writers   = flag.Int("writers", 256, "goroutines that write durably")
	logBytes  = flag.Int64("log", 256<<20, "`bytes` of keys and values in the log that is recovered")
	durable   = flag.Int("durable", 0, "entries written durably; 0: a fifth of all, at least 500,000")
	soak      = flag.Duration("soak", 0, "how long either side takes durable writes, in place of -durable: 10m for the tail")
	zstd      = flag.Bool("zstd", false, "zstd on both sides in place of Snappy and S2")
	only      = flag.String("phases", "", "`names` out of durable, bulk, open, hot, tenth, crash, recover; empty: all")
	sides     = flag.String("sides", "pebble,scribe", "which sides are measured; device: the disk alone, for -phases durable")
	data      = flag.String("data", "", "`directory` for temporary data (default: the temporary one)")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *childPlan != "" {
		if err := phase.Answer(*childPlan, os.Stdout, runPhase); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0) // what is open stays so, as after a crash
	}
	os.Exit(m.Run())
}

func BenchmarkEngine(b *testing.B) {
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	o := Options{Entries: *entries, Rounds: *rounds, CacheBytes: *cache, Batch: *batch, Writers: *writers, Durable: *durable, Soak: *soak,
		LogBytes: *logBytes, Zstd: *zstd, Dir: *data, Program: program, Log: os.Stderr, Sides: strings.Split(*sides, ",")}
	if *only != "" {
		o.Phases = strings.Split(*only, ",")
	}
	r, err := Run(b.Context(), o)
	if len(r) > 0 {
		fmt.Printf("\n%d entries, %d rounds\n\n", *entries, *rounds)
		report(os.Stdout, r)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

// TestBothSidesAnswerAlike runs every phase on a few entries; the phases check what they read.
func TestBothSidesAnswerAlike(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), Options{Entries: 3000, Rounds: 1, Writers: 16, Durable: 3000, LogBytes: 1 << 20, Dir: t.TempDir(), Program: program})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range rows(r) {
		if x.scribe == 0 && x.pebble == 0 && !strings.Contains(x.name, "read at open") {
			t.Errorf("%s: nothing was measured", x.name)
		}
	}
}

// TestDeviceAlone has the floor under durable writes measured, through more than one table and once around the log.
func TestDeviceAlone(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const writes = 1_100_000
	r, err := Run(t.Context(), Options{Entries: 1, Rounds: 1, Writers: 256, Durable: writes, Phases: []string{"durable"}, Sides: []string{"device"},
		Dir: t.TempDir(), Program: program})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	report(&out, r)
	if !strings.Contains(out.String(), "| the device alone |") || !strings.Contains(out.String(), "durable writes, p99.9, ms") {
		t.Fatal(out.String())
	}
}

func TestKeysDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for i := range uint64(100_000) {
		for _, n := range []uint64{i, absentFrom + i} {
			key := string(dataset.AppendKey(nil, n))
			if len(key) != dataset.KeyBytes || seen[key] {
				t.Fatalf("key %d is %q", n, key)
			}
			seen[key] = true
		}
	}
	v := dataset.AppendValue([]byte("x"), 7)[1:]
	if len(v) != dataset.ValueBytes || !bytes.Equal(v[:dataset.ValueBytes/2], v[dataset.ValueBytes/2:]) || bytes.Equal(v, dataset.AppendValue(nil, 8)) {
		t.Fatal("a value is not as described")
	}
}

func TestLatencies(t *testing.T) {
	for ns := uint64(1); ns < 1<<40; ns += ns/50 + 1 {
		got := uint64(floor(bucket(ns)))
		if got > ns || ns-got > ns/64 {
			t.Fatalf("%d is counted as %d", ns, got)
		}
	}
	l := newLatencies()
	for i := range 1000 {
		l.add(time.Duration(i+1) * time.Microsecond)
	}
	if p := l.quantile(0.5); p < 490*time.Microsecond || p > 502*time.Microsecond {
		t.Fatalf("p50 is %v", p)
	}
	if l.most.Load() != int64(time.Millisecond) {
		t.Fatal(l.most.Load())
	}
}

func TestReportComparesMedians(t *testing.T) {
	const name = "forward scan, entries/s"
	r := results{}
	for _, v := range []float64{1, 9, 2} {
		r["pebble"] = append(r["pebble"], figures{{name, v, v}})
		r["scribe"] = append(r["scribe"], figures{{name, 1500 * v, 3 * v}})
	}
	var out bytes.Buffer
	report(&out, r)
	if want := "| forward scan, entries/s | 2 | 3,000 | 1500.00 | 3.00 | ≥ 1.0 |\n"; !strings.Contains(out.String(), want) {
		t.Fatalf("no %q in:\n%s", want, out.String())
	}
}
