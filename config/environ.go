package config

import (
	"maps"
	"slices"
	"strings"
)

const configEnv = "SCRIBE_CONFIG"

// clientEnv is read by the scribe command. A node that runs in the same environment leaves it alone.
const clientEnv = "SCRIBE_ENDPOINT"

// parseEnviron picks the SCRIBE_ variables out of environ and refuses those that do not exist. A variable set to the
// empty text counts as not set, as compose files write it.
func (l *loader) parseEnviron(environ []string) (map[string]string, error) {
	known := []string{configEnv, clientEnv}
	for i := range l.fields {
		f := &l.fields[i]
		known = append(known, f.env())
		if f.short != "" {
			known = append(known, f.short)
		}
	}
	vars := make(map[string]string)
	for _, item := range environ {
		name, text, _ := strings.Cut(item, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		vars[name] = text
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !slices.Contains(known, name) {
			return nil, &Error{Source: "environment", Key: name,
				Problem: "there is no such variable; the nearest is " + nearest(name, known)}
		}
	}
	maps.DeleteFunc(vars, func(_, text string) bool { return text == "" })
	return vars, nil
}

func (l *loader) applyEnviron(vars map[string]string) error {
	for i := range l.fields {
		f := &l.fields[i]
		short, hasShort := vars[f.short]
		if hasShort {
			if err := l.set(f, short, origin{"environment", f.short}); err != nil {
				return err
			}
		}
		general, ok := vars[f.env()]
		if !ok {
			continue
		}
		before := f.to.text()
		if err := l.set(f, general, origin{"environment", f.env()}); err != nil {
			return err
		}
		if hasShort && before != f.to.text() {
			return &Error{Source: "environment", Key: f.short,
				Problem: "says " + before + ", but " + f.env() + " says " + f.to.text() + "; set only one of them"}
		}
	}
	return nil
}
