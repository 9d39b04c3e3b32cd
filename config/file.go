package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// applyFile sets what the TOML document data says.
func (l *loader) applyFile(name string, data []byte) error {
	var document map[string]any
	if err := toml.Unmarshal(data, &document); err != nil {
		return syntaxError(name, err)
	}
	lines := keyLines(data)
	at := func(key string) origin {
		if line, ok := lines[key]; ok {
			return origin{name + ":" + strconv.Itoa(line), key}
		}
		return origin{name, key}
	}
	found := make(map[string]any)
	flatten("", document, found)
	// In the file's order, so that the first mistake is the one that is named.
	keys := slices.SortedFunc(maps.Keys(found), func(a, b string) int {
		if lines[a] != lines[b] {
			return lines[a] - lines[b]
		}
		return strings.Compare(a, b)
	})
	for _, key := range keys {
		f := l.byKey[key]
		if f == nil {
			if _, table := found[key].(map[string]any); table && l.isSection(key) {
				continue
			}
			return l.unknownKey(key, at(key))
		}
		if !f.to.accepts(found[key]) {
			return l.wrong(f, fmt.Sprint(found[key]), at(key))
		}
		if err := l.set(f, fmt.Sprint(found[key]), at(key)); err != nil {
			return err
		}
	}
	return nil
}

// flatten writes the values of a document under their dotted keys, and empty tables too: one with an unknown name is
// a mistake as well.
func flatten(prefix string, table map[string]any, into map[string]any) {
	for name, v := range table {
		key := prefix + name
		if sub, ok := v.(map[string]any); ok && len(sub) > 0 {
			flatten(key+".", sub, into)
			continue
		}
		into[key] = v
	}
}

func (l *loader) isSection(key string) bool {
	return slices.ContainsFunc(l.fields, func(f field) bool { return strings.HasPrefix(f.key, key+".") })
}

func (l *loader) unknownKey(key string, o origin) error {
	if l.isSection(key) {
		return &Error{Source: o.source, Key: key, Problem: "is a section, so it must be a table: [" + key + "]"}
	}
	return &Error{Source: o.source, Key: key,
		Problem: "there is no such key; the nearest is " + nearest(key, slices.Collect(maps.Keys(l.byKey)))}
}

func syntaxError(name string, err error) error {
	var decode *toml.DecodeError
	if !errors.As(err, &decode) {
		return &Error{Source: name, Problem: "is not TOML: " + err.Error()}
	}
	line, column := decode.Position()
	return &Error{Source: fmt.Sprintf("%s:%d:%d", name, line, column), Key: strings.Join(decode.Key(), "."),
		Problem: "is not TOML: " + strings.TrimPrefix(decode.Error(), "toml: ")}
}

// keyLines finds the line of every key of a document that decodes. The decoder itself tells positions only of the
// mistakes it finds, and which keys are mistakes is known to the field table alone.
func keyLines(data []byte) map[string]int {
	lines := make(map[string]int)
	var p unstable.Parser
	p.Reset(data)
	prefix := ""
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			key := noteKey(&p, "", e, lines)
			prefix = key + "."
		case unstable.KeyValue:
			noteValue(&p, prefix, e, lines)
		}
	}
	return lines
}

func noteValue(p *unstable.Parser, prefix string, e *unstable.Node, lines map[string]int) {
	key := noteKey(p, prefix, e, lines)
	if v := e.Value(); v.Kind == unstable.InlineTable {
		for items := v.Children(); items.Next(); {
			noteValue(p, key+".", items.Node(), lines)
		}
	}
}

func noteKey(p *unstable.Parser, prefix string, e *unstable.Node, lines map[string]int) string {
	var parts []string
	line := 0
	for it := e.Key(); it.Next(); {
		if n := it.Node(); line == 0 {
			line = p.Shape(n.Raw).Start.Line
		}
		parts = append(parts, string(it.Node().Data))
	}
	key := prefix + strings.Join(parts, ".")
	lines[key] = line
	return key
}
