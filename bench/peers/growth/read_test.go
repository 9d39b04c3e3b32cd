package main

import (
	"strings"
	"testing"
)

const printed = `round 1  hot  scribe  9.0s  point reads, present, hot cache, reads/s=2.5e+05

10000000 entries, 1 rounds

| | Pebble | Scribe | ratio | ratio by CPU time | goal |
|---|---|---|---|---|---|
| open, ms | 51.2 | 139 | 2.72 | 6.73 | ≤ 1000 ms |
| point reads, present, hot cache, reads/s | 100,000 | 200,000 | 2.00 | 2.00 | ≥ 1.0 |
| point reads, absent, reads/s | 125,000 | 1,000,000 | 8.00 | 8.00 | ≥ 1.0 |
| forward scan, entries/s | 3,491,664 | 4,347,359 | 1.25 | 1.36 | ≥ 1.0 |
| reverse scan, entries/s | 2,788,735 | 3,305,672 | 1.19 | 1.25 | ≥ 1.0 |
| short scans of 100, scans/s | 20,000 | 25,000 | 1.25 | 1.03 | ≥ 0.8 |
| point reads, cache a tenth, reads/s | 50,000 | 80,000 | 1.60 | 1.22 | ≥ 1.0 |
PASS
`

func TestTable(t *testing.T) {
	large, err := read(strings.NewReader(printed))
	if err != nil {
		t.Fatal(err)
	}
	small := large
	small.entries = 1_000_000
	sizes := []size{large, small}
	sortSizes(sizes)
	var out strings.Builder
	table(&out, sizes)
	for _, want := range []string{"| µs | 1 M | 10 M |\n", "| present, Pebble | 10.00 | 10.00 |\n",
		"| present, Scribe | 5.00 | 5.00 |\n", "| short scan, Scribe | 40.00 | 40.00 |\n", "| forward, Scribe | 4.35 | 4.35 |\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// What was cut off before its table was whole is refused.
func TestReadRefuses(t *testing.T) {
	for _, cut := range []string{"round 1", "10000000 entries", "| reverse", "| 50,000"} {
		if s, err := read(strings.NewReader(printed[:strings.Index(printed, cut)])); err == nil {
			t.Errorf("cut before %q: %+v", cut, s)
		}
	}
}
