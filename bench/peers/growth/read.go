package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// figures are the rates, in 1/s, whose growth is looked at, by the names that the benchmark gives them.
var figures = []struct {
	name, short string
	points      bool // a point read, and so not to grow faster than the logarithm
}{
	{"point reads, present, hot cache, reads/s", "present", true},
	{"point reads, absent, reads/s", "absent", true},
	{"point reads, cache a tenth, reads/s", "cache a tenth", true},
	{"short scans of 100, scans/s", "short scan", false},
	{"forward scan, entries/s", "forward", false},
	{"reverse scan, entries/s", "reverse", false},
}

// size is what was measured with one number of entries.
type size struct {
	entries        int
	pebble, scribe map[string]float64 // by name
}

func readFile(name string) (size, error) {
	f, err := os.Open(name)
	if err != nil {
		return size{}, err
	}
	defer f.Close()
	return read(f)
}

// read finds the benchmark's table.
func read(r io.Reader) (size, error) {
	s := size{pebble: map[string]float64{}, scribe: map[string]float64{}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if before, _, ok := strings.Cut(line, " entries, "); ok && s.entries == 0 {
			s.entries, _ = strconv.Atoi(before)
		}
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		name := strings.TrimSpace(cells[1])
		for _, f := range figures {
			if f.name != name {
				continue
			}
			var err1, err2 error
			s.pebble[name], err1 = number(cells[2])
			s.scribe[name], err2 = number(cells[3])
			if err := errors.Join(err1, err2); err != nil {
				return s, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return s, err
	}
	if s.entries == 0 || len(s.scribe) != len(figures) {
		return s, errors.New("it does not hold the benchmark's table, with all reads of both sides")
	}
	return s, nil
}

func number(cell string) (float64, error) {
	return strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(cell), ",", ""), 64)
}

func sortSizes(sizes []size) {
	slices.SortFunc(sizes, func(a, b size) int { return cmp.Compare(a.entries, b.entries) })
}

// table writes, for either side, what each read costs with each number of entries.
func table(w io.Writer, sizes []size) {
	fmt.Fprint(w, "| µs |")
	for _, s := range sizes {
		fmt.Fprintf(w, " %s |", millions(s.entries))
	}
	fmt.Fprint(w, "\n|---|", strings.Repeat("---|", len(sizes)), "\n")
	for _, f := range figures {
		if f.points || f.short == "short scan" {
			line(w, f.short+", Pebble", sizes, func(s size) string { return fmt.Sprintf("%.2f", 1e6/s.pebble[f.name]) })
			line(w, f.short+", Scribe", sizes, func(s size) string { return fmt.Sprintf("%.2f", 1e6/s.scribe[f.name]) })
		}
	}
	fmt.Fprintln(w)
	fmt.Fprint(w, "| million entries/s |")
	for _, s := range sizes {
		fmt.Fprintf(w, " %s |", millions(s.entries))
	}
	fmt.Fprint(w, "\n|---|", strings.Repeat("---|", len(sizes)), "\n")
	for _, f := range figures {
		if !f.points && f.short != "short scan" {
			line(w, f.short+", Pebble", sizes, func(s size) string { return fmt.Sprintf("%.2f", s.pebble[f.name]/1e6) })
			line(w, f.short+", Scribe", sizes, func(s size) string { return fmt.Sprintf("%.2f", s.scribe[f.name]/1e6) })
		}
	}
}

func line(w io.Writer, name string, sizes []size, cell func(size) string) {
	fmt.Fprintf(w, "| %s |", name)
	for _, s := range sizes {
		fmt.Fprintf(w, " %s |", cell(s))
	}
	fmt.Fprintln(w)
}

func millions(n int) string { return strconv.FormatFloat(float64(n)/1e6, 'f', -1, 64) + " M" }
