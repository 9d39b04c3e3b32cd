package mutations

import (
	"fmt"
	"slices"
	"strings"
)

// Mutation is one way to make one of the bugs.
type Mutation struct {
	Bug   int    // its number in Bugs
	Name  string // short, unique
	What  string // what the program then does wrong
	Edits []Edit
	Tests []string // packages whose tests may notice, the likeliest first

	// Unseen says why the simulator cannot notice; it then gets no seeds. Empty: it may.
	Unseen string
	// Hangs: it may show as something that never ends. Else a run that does not end is a mistake of the catalogue.
	Hangs bool
}

// Edit replaces a text that stands exactly once in a function, or in the whole file when In is empty.
type Edit struct {
	File string // from the root of the module
	In   string // how the function's first line begins: func (c *Core) onVote(
	Old  string
	New  string
}

// Apply returns the source with the edit made.
func (e *Edit) Apply(source string) (string, error) {
	from, to := 0, len(source)
	if e.In != "" {
		at := "\n" + e.In
		if n := strings.Count(source, at); n != 1 {
			return "", fmt.Errorf("%s: %q begins %d functions, not one", e.File, e.In, n)
		}
		from = strings.Index(source, at)
		body := source[from+1:]
		length := strings.Index(body, "\n}\n")
		if line := strings.Index(body, "\n"); length < 0 || strings.HasSuffix(body[:line], "}") { // all in one line
			length = line
		}
		to = from + 1 + length + 1
	}
	if n := strings.Count(source[from:to], e.Old); n != 1 || e.Old == "" {
		return "", fmt.Errorf("%s: %s: the text stands there %d times, not once: %q", e.File, e.In, n, e.Old)
	}
	at := from + strings.Index(source[from:to], e.Old)
	return source[:at] + e.New + source[at+len(e.Old):], nil
}

// Files returns the files that the mutation changes, as they are with it; read gives them as they are.
func (m *Mutation) Files(read func(file string) (string, error)) (map[string]string, error) {
	out := make(map[string]string)
	for i := range m.Edits {
		e := &m.Edits[i]
		source, ok := out[e.File]
		if !ok {
			var err error
			if source, err = read(e.File); err != nil {
				return nil, err
			}
		}
		changed, err := e.Apply(source)
		if err != nil {
			return nil, fmt.Errorf("mutation %s: %w", m.Name, err)
		}
		out[e.File] = changed
	}
	return out, nil
}

// All is the catalogue, by bug.
func All() []Mutation {
	return slices.Concat(elections(), replication(), members(), snapshots(), reads(), clients(), bounds(), mappedLog(),
		proofs(), segments(), objectStore())
}
