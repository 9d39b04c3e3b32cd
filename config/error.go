package config

import (
	"slices"
	"strings"
)

// Error says why a configuration was refused. Its text is one line. A process that meets it exits with status 2.
type Error struct {
	Source  string // "scribe.toml:12", "environment", "command line"
	Key     string // the key, variable or flag at fault; empty when the source as a whole is
	Problem string // what is wrong and what would be right; never holds a secret
}

func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	for _, s := range []string{e.Source, e.Key, e.Problem} {
		if s != "" {
			parts = append(parts, strings.Join(strings.Fields(s), " "))
		}
	}
	return strings.Join(parts, ": ")
}

// maxCompared bounds what nearest looks at: no name that is right is nearly as long.
const maxCompared = 80

// nearest is the candidate with the fewest edits from name. It looks at the last part of a dotted name too, so that
// a right key in the wrong section finds its section.
func nearest(name string, candidates []string) string {
	name = strings.ToLower(name)
	if len(name) > maxCompared {
		name = name[:maxCompared]
	}
	best, bestCost := "", 1<<30
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		cost := distance(name, strings.ToLower(c))
		if lastPart(name) != lastPart(c) {
			cost += 2 * maxCompared // behind all that have the right last part, of which the one with the fewest edits wins
		}
		if cost < bestCost {
			best, bestCost = c, cost
		}
	}
	return best
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// distance is the Levenshtein distance of a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
