package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/readonly/buckettest"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// shelf is a folder in which a ledger of three segments was published, twice, and the command, which has no other file.
type shelf struct {
	*command
	dir    string
	url    string
	store  tier.Store
	writer *buckettest.Writer
	*archive.Published
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{command: &command{t: t, fs: vfs.NewMem()}, dir: t.TempDir()}
	s.url = "dir:" + s.dir
	var err error
	if s.store, err = tier.NewDir(vfs.NewOS(), s.dir, tier.DirOptions{}); err != nil {
		t.Fatal(err)
	}
	s.writer = buckettest.New(t, s.store, buckettest.Options{})
	s.writer.Fill(300)
	s.writer.Publish()
	s.writer.Put("greeting", []byte("hello"))
	s.writer.Fill(200)
	s.writer.Seal()
	s.writer.Delete("greeting")
	s.writer.Put("large", s.writer.Noise(40<<10))
	s.Published = s.writer.Publish()
	if len(s.State.Segments) != 3 {
		t.Fatalf("%d segments", len(s.State.Segments))
	}
	return s
}

// lines is the output of a command line by line, each one decoded.
func (s *shelf) lines(args ...string) (kinds []string, docs []json.RawMessage) {
	s.t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(s.ok(append(args, "--json")...)), "\n") {
		var doc struct{ Kind string }
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
		kinds, docs = append(kinds, doc.Kind), append(docs, json.RawMessage(line))
	}
	return kinds, docs
}

// TestInspectBucket: what is published is shown, with the figures of the ledger that published it and of the objects.
func TestInspectBucket(t *testing.T) {
	s := newShelf(t)
	kinds, docs := s.lines("inspect", "--bucket", s.url)
	if !slices.Equal(kinds, []string{"archive", "manifest"}) {
		t.Fatal(kinds)
	}
	var a archiveJSON
	var m manifestJSON
	for i, to := range []any{&a, &m} {
		if err := json.Unmarshal(docs[i], to); err != nil {
			t.Fatal(err)
		}
	}
	l := s.writer.Node.Ledger()
	size := s.State.Segments[2].LastSeq + 1
	root, err := l.RootAt(size)
	must(t, err)
	note, _, err := tier.ReadAll(t.Context(), s.store, tier.CheckpointName, tlog.MaxCheckpointBytes)
	must(t, err)
	sealed, _, err := tier.ReadAll(t.Context(), s.store, a.Manifest, 1<<20)
	must(t, err)
	id := s.writer.Node.Status().ClusterID
	if want := (archiveJSON{Kind: "archive", Store: s.url, LedgerID: id, Origin: "scribe/" + id, Version: 2,
		Manifest: s.Name, ManifestSHA256: merkle.Hash(sha256.Sum256(sealed)).String(), CheckpointSize: size,
		CheckpointRoot: root.String(), Checkpoint: string(note)}); a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
	if m.File != s.url+"/"+s.Name || m.ClusterID != id || m.TreeSize != size || m.Root != root.String() ||
		len(m.Members) != 1 || m.Members[0].RaftAddr != "127.0.0.1:9001" || len(m.Segments) != 3 {
		t.Fatalf("%+v", m)
	}
	text := s.ok("inspect", "--bucket", s.url)
	if !strings.Contains(text, "owner          nobody\n") {
		t.Errorf("%s names an owner", text)
	}
	taken, err := archive.TakeOver(t.Context(), s.store, func(archive.Latest) string { return id })
	must(t, err)
	if owned := s.ok("inspect", "--bucket", s.url); taken.Version != 3 ||
		!strings.Contains(owned, fmt.Sprintf("owner          cluster %s, since version 3\n", id)) {
		t.Errorf("%s lacks the owner", owned)
	}
	if _, docs := s.lines("inspect", "--bucket", s.url); !strings.Contains(string(docs[0]), `"cluster":"`+id+`","cluster_since":3`) {
		t.Errorf("%s lacks the owner", docs[0])
	}
	for _, want := range []string{
		fmt.Sprintf("archive        %s, ledger %s\n", s.url, id),
		fmt.Sprintf("published      version 2, manifest of SHA-256 %s\n", a.ManifestSHA256),
		fmt.Sprintf("checkpoint     %d entries, root %s\n", size, root),
		fmt.Sprintf("manifest       %s/%s, version %d\n", s.url, s.Name, s.State.Version),
		fmt.Sprintf("ledger         %d entries in 3 segments, root %s\n", size, root),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
	next := uint64(0)
	for i, g := range m.Segments {
		o, err := s.store.Head(t.Context(), g.Object)
		must(t, err)
		meta, err := tier.ParseSegmentMetadata(o.Metadata)
		must(t, err)
		if g.FirstSeq != next || g.LastSeq != meta.LastSeq || g.Entries != g.LastSeq-g.FirstSeq+1 ||
			g.Root != meta.Root.String() || g.ObjectBytes != uint64(o.Size) || g.ObjectSHA256 != fmt.Sprintf("%x", o.SHA256) ||
			g.ID != tlog.SegmentID(next, meta.LastSeq) || g.Tier != "cold" {
			t.Errorf("segment %d: %+v, the object is %+v", i, g, meta)
		}
		row := fmt.Sprintf("%d to %d %d %d %s %s", g.FirstSeq, g.LastSeq, g.Entries, o.Size, g.Object, meta.Root)
		if !slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool {
			return strings.Join(strings.Fields(line), " ") == row
		}) {
			t.Errorf("%s lacks %s", text, row)
		}
		next = g.LastSeq + 1
	}
}

// TestInspectBucketSegment: a segment in the store, by any of its names, shows what a file of the same bytes does.
func TestInspectBucketSegment(t *testing.T) {
	s := newShelf(t)
	for i := range s.State.Segments {
		g := &s.State.Segments[i]
		id := tlog.SegmentID(g.FirstSeq, g.LastSeq)
		file := id + ".seg"
		data, _, err := tier.ReadAll(t.Context(), s.store, g.Object.Name, 1<<30)
		must(t, err)
		f, err := s.fs.Create(file)
		must(t, err)
		if _, err := f.WriteAt(data, 0); err != nil {
			t.Fatal(err)
		}
		f.Close()
		object := fmt.Sprintf("object         %s, SHA-256 %s\n", g.Object.Name, g.Object.SHA256)
		for _, flags := range [][]string{nil, {"--entries"}, {"--blocks"}, {"--entries", "--limit", "3"}, {"--key", "greeting"}} {
			want := s.ok(append([]string{"inspect", file}, flags...)...)
			_, wantDocs := s.lines(append([]string{"inspect", file}, flags...)...)
			for _, name := range []string{id, g.Object.Name, path.Base(g.Object.Name), s.url + "/" + g.Object.Name} {
				args := append([]string{"inspect", "--bucket", s.url, name}, flags...)
				got := strings.Replace(s.ok(args...), object, "", 1)
				if got = strings.Replace(got, s.url+"/"+g.Object.Name, file, 1); got != want {
					t.Errorf("%v:\n%s\nwant\n%s", args, got, want)
				}
				_, docs := s.lines(args...)
				var doc segmentJSON
				if err := json.Unmarshal(docs[0], &doc); err != nil {
					t.Fatal(err)
				}
				if doc.Object != g.Object.Name || doc.ObjectBytes != g.Object.Bytes || doc.File != s.url+"/"+g.Object.Name ||
					doc.ObjectSHA256 != g.Object.SHA256.String() || doc.Tier != "cold" {
					t.Errorf("%+v", doc)
				}
				doc.File, doc.Tier, doc.Object, doc.ObjectBytes, doc.ObjectSHA256 = file, "", "", 0, ""
				if docs[0], err = json.Marshal(doc); err != nil {
					t.Fatal(err)
				}
				if !slices.EqualFunc(docs, wantDocs, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
					t.Errorf("%v:\n%s\nwant\n%s", args, docs, wantDocs)
				}
			}
		}
	}
	kinds, _ := s.lines("inspect", "--bucket", s.url, "--entries", "--limit", "2")
	if got := strings.Join(kinds, " "); got != "archive manifest"+strings.Repeat(" segment entry entry", 3) {
		t.Error(got)
	}
}

// TestInspectBucketDamaged: damage is met where it is read, named, and passed over.
func TestInspectBucketDamaged(t *testing.T) {
	s := newShelf(t)
	g := s.State.Segments[0]
	name := filepath.Join(s.dir, g.Object.Name)
	good, err := os.ReadFile(name)
	must(t, err)
	change := func(file string, data []byte) {
		t.Helper()
		must(t, os.Chmod(file, 0o600))
		must(t, os.WriteFile(file, data, 0o600))
	}
	flipped := slices.Clone(good)
	flipped[100] ^= 4 // within the first block
	change(name, flipped)
	s.ok("inspect", "--bucket", s.url, g.Object.Name) // which needs no block
	code, out, stderr := s.run("inspect", "--bucket", s.url, "--entries")
	if code != exitFailure || strings.Count(out, "DAMAGE") != 1 || !strings.Contains(out, "DAMAGE  "+s.url+"/"+g.Object.Name) ||
		!strings.Contains(out, "lost: the entries at ordinals 0 to ") || !strings.Contains(stderr, "1 damage;") ||
		strings.Count(out, "ORDINAL") != 3 {
		t.Errorf("exit %d, %s, %s", code, out, stderr)
	}
	must(t, os.Remove(name))
	code, out, stderr = s.run("inspect", "--bucket", s.url, g.Object.Name)
	if code != exitFailure || !strings.Contains(out, "missing") || !strings.Contains(stderr, "1 damage;") {
		t.Errorf("without its object: exit %d, %s, %s", code, out, stderr)
	}
	// The segment of other entries in its place.
	other, err := os.ReadFile(filepath.Join(s.dir, s.State.Segments[1].Object.Name))
	must(t, err)
	must(t, os.WriteFile(name, other, 0o600))
	if code, out, _ := s.run("inspect", "--bucket", s.url, g.Object.Name); code != exitFailure || !strings.Contains(out, "DAMAGE") {
		t.Errorf("another object: exit %d, %s", code, out)
	}
	change(filepath.Join(s.dir, s.Name), []byte("no manifest"))
	if code, out, _ := s.run("inspect", "--bucket", s.url); code != exitFailure || !strings.Contains(out, s.url+"/"+s.Name) {
		t.Errorf("without its manifest: exit %d, %s", code, out)
	}
}

func TestInspectBucketRefuses(t *testing.T) {
	s := newShelf(t)
	empty := t.TempDir()
	for what, c := range map[string]struct {
		args string
		code int
		says string
	}{
		"nothing":        {"", exitUsage, "--bucket"},
		"no bucket":      {"--bucket dir:" + s.dir + "/nowhere", exitFailure, "no such bucket; name another"},
		"not published":  {"--bucket dir:" + empty, exitFailure, "has no object latest; name another bucket, or have scribe tier"},
		"no segment":     {"--bucket " + s.url + " 0000000000000000-0000000000000001", exitFailure, "0000000000000001: the archive " + s.url + " names no such segment"},
		"not a bucket":   {"--bucket gs://b", exitUsage, "gs://b"},
		"the log's part": {"--bucket " + s.url + " --records", exitUsage, "--records"},
	} {
		if code, out, stderr := s.run(append([]string{"inspect"}, strings.Fields(c.args)...)...); code != c.code || out != "" ||
			!strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit %d, %s, %s", what, code, out, stderr)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
