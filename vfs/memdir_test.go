package vfs_test

import (
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/scribe-ledger/scribe/vfs"
	"pgregory.net/rapid"
)

// listing is a directory's names with what their files hold, as one string.
func listing(t *rapid.T, m *vfs.Mem, dir string) string {
	names, err := m.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var s string
	for _, name := range names {
		data, err := vfs.ReadFile(m, dir+"/"+name, 100)
		if err != nil {
			t.Fatal(err)
		}
		s += fmt.Sprintf("%s=%s ", name, data)
	}
	return s
}

// Property: a directory after a crash is as it was at some moment since its last SyncDir; none and all are the ends.
func TestCrashDirectory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := vfs.NewMem()
		if err := m.MkdirAll("d"); err != nil {
			t.Fatal(err)
		}
		next := 0
		history := []string{""}
		name := rapid.SampledFrom([]string{"d/a", "d/b", "d/c"})
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				f, err := m.Create(name.Draw(t, "name"))
				if err != nil {
					return
				}
				next++
				if _, err := f.WriteAt(fmt.Appendf(nil, "%d", next), 0); err != nil {
					t.Fatal(err)
				}
				if err := f.Sync(); err != nil { // the content is safe; only the name is not
					t.Fatal(err)
				}
			},
			"remove": func(t *rapid.T) { _ = m.Remove(name.Draw(t, "name")) },                     // may not be there
			"rename": func(t *rapid.T) { _ = m.Rename(name.Draw(t, "old"), name.Draw(t, "new")) }, // likewise
			"link":   func(t *rapid.T) { _ = m.Link(name.Draw(t, "old"), name.Draw(t, "new")) },
			"sync": func(t *rapid.T) {
				if err := m.SyncDir("d"); err != nil {
					t.Fatal(err)
				}
				history = history[:0]
			},
			"": func(t *rapid.T) {
				history = append(history, listing(t, m, "d"))
				if got := listing(t, none(m), "d"); got != history[0] {
					t.Fatalf("none: %q, want %q", got, history[0])
				}
				if got := listing(t, all(m), "d"); got != history[len(history)-1] {
					t.Fatalf("all: %q, want %q", got, history[len(history)-1])
				}
				if got := listing(t, some(m, rapid.Uint64().Draw(t, "seed")), "d"); !slices.Contains(history, got) {
					t.Fatalf("random: %q was never so; it was %q", got, history)
				}
			},
		})
	})
}

// Property: files that move between directories may be seen twice after a crash, but are never lost.
func TestCrashMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := vfs.NewMem()
		dirs := []string{"a", "b", "c"}
		files := []string{"1", "2", "3"}
		for _, dir := range dirs {
			if err := m.MkdirAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		where := map[string]string{}
		for _, file := range files {
			f, err := m.Create("a/" + file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte(file), 0); err != nil {
				t.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			where[file] = "a"
		}
		if err := m.SyncDir("a"); err != nil {
			t.Fatal(err)
		}
		t.Repeat(map[string]func(*rapid.T){
			"move": func(t *rapid.T) {
				file := rapid.SampledFrom(files).Draw(t, "file")
				to := rapid.SampledFrom(dirs).Draw(t, "to")
				if err := m.Rename(where[file]+"/"+file, to+"/"+file); err != nil {
					t.Fatal(err)
				}
				where[file] = to
			},
			"sync": func(t *rapid.T) {
				if err := m.SyncDir(rapid.SampledFrom(dirs).Draw(t, "dir")); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				for _, clone := range []*vfs.Mem{none(m), all(m), some(m, rapid.Uint64().Draw(t, "seed"))} {
					for _, file := range files {
						found := 0
						for _, dir := range dirs {
							if data, err := vfs.ReadFile(clone, dir+"/"+file, 10); err == nil && string(data) == file {
								found++
							}
						}
						if found == 0 {
							t.Fatalf("file %s is nowhere", file)
						}
					}
				}
			},
		})
	})
}

func TestRenameUndone(t *testing.T) {
	m := vfs.NewMem()
	for _, name := range []string{"old", "new"} {
		must(t, create(t, m, name, []byte(name)).Sync())
	}
	must(t, m.SyncDir("/"))
	must(t, m.Rename("new", "old"))
	if got := content(t, none(m), "old"); string(got) != "old" {
		t.Errorf("a rename without SyncDir stands: %q", got)
	}
	seen := map[string]bool{}
	for seed := range uint64(50) {
		seen[string(content(t, some(m, seed), "old"))] = true
	}
	if !seen["old"] || !seen["new"] {
		t.Errorf("of random crashes only %v come", seen)
	}
	must(t, m.SyncDir("/"))
	clone := none(m)
	if got := content(t, clone, "old"); string(got) != "new" {
		t.Errorf("a rename with SyncDir is gone: %q", got)
	}
	_, err := clone.Stat("new")
	wantError(t, "Stat of the old name", err, fs.ErrNotExist)
}

func TestFileWithoutNameIsGone(t *testing.T) {
	m := vfs.NewMem()
	must(t, create(t, m, "f", []byte("synced")).Sync())
	_, err := none(m).Stat("f")
	wantError(t, "Stat of a file that no SyncDir named", err, fs.ErrNotExist)
	must(t, m.SyncDir("/"))
	must(t, m.Remove("f"))
	if got := content(t, none(m), "f"); string(got) != "synced" {
		t.Errorf("a removal without SyncDir leaves %q", got)
	}
}
