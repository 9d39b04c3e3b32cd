package mutations

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

func read(file string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	return string(b), err
}

// TestEditsApply: the code that each mutation changes still stands where it says, and what comes out is Go.
func TestEditsApply(t *testing.T) {
	for _, m := range All() {
		files, err := m.Files(read)
		if err != nil {
			t.Error(err)
			continue
		}
		for name, source := range files {
			if _, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution); err != nil {
				t.Errorf("mutation %s: %v", m.Name, err)
			}
		}
	}
}

// TestEveryBugIsCovered: each bug of the list has a mutation or a reason, and each mutation what it needs.
func TestEveryBugIsCovered(t *testing.T) {
	planted := make(map[int]int)
	names := make(map[string]bool)
	for _, m := range All() {
		planted[m.Bug]++
		if names[m.Name] {
			t.Errorf("two mutations are called %s", m.Name)
		}
		names[m.Name] = true
		if m.Name == "" || m.What == "" || len(m.Edits) == 0 || len(m.Tests) == 0 {
			t.Errorf("mutation %q of bug %d lacks something", m.Name, m.Bug)
		}
		for _, pkg := range m.Tests {
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(pkg))); err != nil {
				t.Errorf("mutation %s: %v", m.Name, err)
			}
		}
	}
	for i, b := range Bugs() {
		if b.Number != i+1 || b.What == "" {
			t.Errorf("bug %d stands at place %d", b.Number, i+1)
		}
		if (planted[b.Number] > 0) == (b.Nowhere != "") {
			t.Errorf("bug %d has %d mutations, and as a reason for none: %q", b.Number, planted[b.Number], b.Nowhere)
		}
		delete(planted, b.Number)
	}
	for number := range planted {
		t.Errorf("bug %d is not in the list", number)
	}
}

func TestApplyFindsOneText(t *testing.T) {
	const source = "package p\n\nfunc a() {\n\tx()\n}\n\nfunc b() { x() }\n\nfunc c() {\n\tx()\n\tx()\n}\n"
	for _, c := range []struct {
		in, old string
		want    string // empty: an error
	}{
		{"func a(", "x()", "func a() {\n\ty()\n}"},
		{"func b(", "x()", "func b() { y() }"},
		{"func c(", "x()", ""},
		{"func c(", "x()\n\tx()", "func c() {\n\ty()\n}"},
		{"func a(", "b()", ""},
		{"func a(", "", ""},
		{"func ", "x()", ""},
		{"func d(", "x()", ""},
		{"", "x()", ""},
		{"", "package p", "y()\n\nfunc a"},
	} {
		got, err := (&Edit{In: c.in, Old: c.old, New: "y()"}).Apply(source)
		if (err == nil) != (c.want != "") || !strings.Contains(got, c.want) {
			t.Errorf("in %q, %q: %v, %q", c.in, c.old, err, got)
		}
	}
}
