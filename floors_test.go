package scribe_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/scribe-ledger/scribe/"

// floors says which of our packages each one may import. An import goes down: to a package of a lower floor, and only to
// one named here. docs/architecture.md shows the same table with the reasons.
var floors = map[string]struct {
	floor int
	may   []string
}{
	"merkle": {0, nil},
	"raft":   {0, nil},
	"vfs":    {0, nil},

	"wal":      {1, []string{"raft", "vfs"}},
	"segfile":  {1, []string{"vfs"}},
	"tlog":     {1, []string{"merkle"}},
	"manifest": {1, []string{"merkle"}},

	"sstable": {2, []string{"segfile", "tlog", "merkle", "vfs"}},
	"tier":    {2, []string{"segfile", "manifest", "tlog", "merkle", "vfs"}},

	"archive":      {3, []string{"tier", "manifest", "tlog", "merkle", "vfs"}},
	"tier/s3store": {3, []string{"tier"}},

	"ledger": {3, []string{"sstable", "segfile", "tlog", "manifest", "merkle", "vfs"}},

	"config":    {4, nil},
	"transport": {4, []string{"raft"}},
	"node":      {4, []string{"raft", "wal", "ledger", "archive", "sstable", "segfile", "tier", "manifest", "tlog", "merkle", "vfs"}},

	"httpapi":   {5, []string{"ledger", "node", "tier", "tlog", "merkle", "vfs"}},
	"client":    {5, []string{"merkle", "tlog"}},
	"tier/open": {5, []string{"config", "tier", "tier/s3store", "vfs"}},
	"fsck":      {5, []string{"ledger", "node", "archive", "tier", "manifest", "sstable", "wal", "tlog", "raft", "merkle", "vfs"}},
	"readonly":  {5, []string{"ledger", "node", "archive", "tier", "segfile", "manifest", "merkle", "vfs"}},

	"cmd/scribe-node":    {6, []string{"archive", "client", "config", "httpapi", "ledger", "merkle", "node", "raft", "readonly", "segfile", "tier", "tier/open", "transport", "vfs", "wal"}},
	"cmd/scribe":         {6, []string{"archive", "client", "config", "fsck", "httpapi", "ledger", "manifest", "merkle", "node", "raft", "readonly", "segfile", "sstable", "tier", "tier/open", "tlog", "vfs", "wal"}},
	"cmd/scribe-demo":    {6, []string{"client", "tlog", "merkle"}},
	"cmd/scribe-cluster": {6, []string{"client"}},
}

// testKits help the tests of other packages: any test, and any unbound package, may import them; nothing else may.
var testKits = []string{"tier/storetest", "tier/s3test", "tier/s3test/run", "readonly/buckettest"}

// unbound packages may import anything and are imported by nothing.
var unbound = []string{"sim", "bench", "e2e"}

func TestImportsGoDown(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range goFiles(t) {
		pkg := filepath.ToSlash(filepath.Dir(name))
		if pkg == "." || isUnbound(pkg) || contains(testKits, pkg) || strings.HasPrefix(pkg, "tools") {
			continue
		}
		own, known := floors[pkg]
		if !known {
			t.Errorf("%s: package %s has no floor; give it one here and in docs/architecture.md", name, pkg)
			continue
		}
		seen[pkg] = true
		for _, to := range ourImports(t, name) {
			switch {
			case contains(testKits, to) && strings.HasSuffix(name, "_test.go"):
			case strings.HasSuffix(name, "_test.go") && known && floors[to].floor == own.floor && floors[to].floor > 0:
				// A test may look at its package through a neighbour.
			case isUnbound(to) || contains(testKits, to):
				t.Errorf("%s imports %s, which nothing may import", name, to)
			case !contains(own.may, to) && !(strings.HasSuffix(name, "_test.go") && floors[to].floor < own.floor):
				t.Errorf("%s imports %s, which %s may not", name, to, pkg)
			case floors[to].floor >= own.floor:
				t.Errorf("%s (floor %d) imports %s (floor %d): imports go down", name, own.floor, to, floors[to].floor)
			}
		}
	}
	for pkg := range floors {
		if !seen[pkg] {
			t.Errorf("package %s has a floor and no files", pkg)
		}
	}
}

// TestOnlyVFSTouchesFiles: the packages that hold data make no file system calls of their own.
func TestOnlyVFSTouchesFiles(t *testing.T) {
	for _, name := range goFiles(t) {
		pkg := filepath.ToSlash(filepath.Dir(name))
		if f, ok := floors[pkg]; !ok || f.floor > 4 || pkg == "vfs" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, imp := range imports(t, name) {
			if imp == "os" || imp == "golang.org/x/sys/unix" || imp == "syscall" {
				t.Errorf("%s imports %s: file system calls belong to vfs", name, imp)
			}
		}
	}
}

// TestOneImporterOfTheAWSSDK: nobody else is tied to it, nor pays for compiling it.
func TestOneImporterOfTheAWSSDK(t *testing.T) {
	for _, name := range goFiles(t) {
		pkg := filepath.ToSlash(filepath.Dir(name))
		if pkg == "tier/s3store" || contains(testKits, pkg) || isUnbound(pkg) {
			continue
		}
		for _, imp := range imports(t, name) {
			if strings.HasPrefix(imp, "github.com/aws/") {
				t.Errorf("%s imports %s: only tier/s3store does", name, imp)
			}
		}
	}
}

// TestPureCores: the protocol, the trees and the codecs know no clock and no network, and start no goroutine.
func TestPureCores(t *testing.T) {
	for _, name := range goFiles(t) {
		pkg := filepath.ToSlash(filepath.Dir(name))
		switch pkg {
		case "raft", "merkle", "tlog", "manifest":
		default:
			continue
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, imp := range imports(t, name) {
			switch imp {
			case "os", "net", "time", "log/slog", "context", "golang.org/x/sys/unix":
				t.Errorf("%s imports %s: %s is pure", name, imp, pkg)
			}
		}
	}
}

func goFiles(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "tools") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("no Go files found")
	}
	return out
}

func imports(t *testing.T, name string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// ourImports are the packages of this module that a file imports. A test may import its own package, the file systems of
// vfs, and whatever lies below.
func ourImports(t *testing.T, name string) []string {
	var out []string
	test := strings.HasSuffix(name, "_test.go")
	pkg := filepath.ToSlash(filepath.Dir(name))
	for _, p := range imports(t, name) {
		p, ours := strings.CutPrefix(p, module)
		if !ours || (test && (p == pkg || p == "vfs")) {
			continue
		}
		out = append(out, p)
	}
	return out
}

func isUnbound(pkg string) bool {
	for _, u := range unbound {
		if pkg == u || strings.HasPrefix(pkg, u+"/") {
			return true
		}
	}
	return false
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
