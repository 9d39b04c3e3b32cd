package wal

import (
	"path"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/vfs"
)

func TestReaderOutlivesTrim(t *testing.T) {
	methods(t, func(t *testing.T, m AppendMethod) {
		l := open(t, vfs.NewMem(), m)
		defer l.Close()
		for i := uint64(1); i <= 12; i++ {
			mustAppend(t, l, nil, run(i, 1, 1, 1000))
		}
		pieces, err := l.snapshot(1, 4) // a reader that has found its entries and not copied them yet
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Trim(12); err != nil {
			t.Fatal(err)
		}
		for i := uint64(13); i <= 40; i++ { // would write into the trimmed files, were they free
			mustAppend(t, l, nil, run(i, 1, 1, 1000))
			if i%4 == 0 {
				if err := l.Trim(i); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, p := range pieces {
			for i := range p.units {
				if _, err := p.read(i); err != nil {
					t.Fatal(err)
				}
			}
			p.file.release()
		}
	})
}

func TestReaderOutlivesTruncation(t *testing.T) {
	l := open(t, vfs.NewMem(), ByPwrite)
	defer l.Close()
	mustAppend(t, l, nil, run(1, 9, 1, 100))
	pieces, err := l.snapshot(1, 10)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, nil, run(4, 3, 2, 100))
	for _, p := range pieces {
		for i := range p.units {
			if rec, err := p.read(i); err != nil || rec.u64(1) != 1 {
				t.Fatalf("a reader from before the truncation finds term %d, %v", rec.u64(1), err)
			}
		}
		p.file.release()
	}
}

func TestRecycling(t *testing.T) {
	fs := vfs.NewMem()
	reg := prometheus.NewRegistry()
	l, err := Open(Options{FS: fs, Dir: testDir, Owner: testOwner, FileBytes: 4096, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i <= 100; i++ {
		mustAppend(t, l, nil, run(i, 1, 1, 1000))
		if err := l.Trim(i); err != nil {
			t.Fatal(err)
		}
		names, err := fs.List(testDir)
		if err != nil || len(names) > 5 { // active, its predecessor, two spares, origin
			t.Fatalf("files %v, %v", names, err)
		}
	}
	got := metric(t, reg, "scribe_wal_recycled_total")
	if got < 25 {
		t.Fatalf("%v files recycled in 100 appends of a quarter file", got)
	}
	// Every file has lived before and is full of valid records of its former lives; only the live one counts.
	want, err := all(l)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = open(t, fs, ByPwrite)
	defer l.Close()
	found, err := all(l)
	if err == nil {
		err = sameEntries(found, want)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{FS: vfs.NewMem(), Dir: "x", Registerer: reg}); err != nil {
		t.Fatalf("metrics outlived Close: %v", err)
	}
}

// TestSpareIsNamedFirst: a trimmed file is written to only under a name that is durable. A file system may show it under both
// names after a crash otherwise, and what is no longer part of the log is overwritten.
func TestSpareIsNamedFirst(t *testing.T) {
	methods(t, func(t *testing.T, m AppendMethod) {
		unsynced, reused := map[string]bool{}, 0
		fs := vfs.NewInject(vfs.NewMem(), vfs.OnOp(func(op vfs.Op) {
			switch {
			case op.Kind == vfs.OpRename && strings.HasPrefix(path.Base(op.NewName), "spare-"):
				unsynced[op.NewName] = true
			case op.Kind == vfs.OpSyncDir:
				clear(unsynced)
			case op.Kind == vfs.OpOpenRW && strings.HasPrefix(path.Base(op.Name), "spare-"):
				if reused++; unsynced[op.Name] {
					t.Errorf("%s is used before its name is durable", op.Name)
				}
			}
		}))
		l, err := Open(Options{FS: fs, Dir: testDir, FileBytes: 4096, Method: m})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for i := uint64(1); i <= 40; i++ {
			mustAppend(t, l, nil, run(i, 1, 1, 1000))
			if err := l.Trim(i); err != nil {
				t.Fatal(err)
			}
		}
		if reused < 5 {
			t.Errorf("%d files were used again", reused)
		}
	})
}

func metric(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
