package fsck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/readonly/buckettest"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// bucket is an archive that was published several times.
type bucket struct {
	store tier.Store
	was   map[string][]byte // objects, as they were before the last publication
	*archive.Published
}

// makeBucket publishes three times: of the second time a segment is merged away in the third.
func makeBucket(t testing.TB, store tier.Store, ledger uint64) *bucket {
	t.Helper()
	w := buckettest.New(t, store, buckettest.Options{ClusterSeed: ledger})
	w.Fill(150)
	w.Put("large/1", w.Noise(40<<10))
	w.Publish()
	w.Delete("large/1")
	w.Put("large/2", w.Noise(40<<10))
	w.Fill(300)
	w.Publish()
	was := dump(t, store)
	w.Fill(150)
	return &bucket{store: store, was: was, Published: w.Publish()}
}

// dump reads all objects of a store.
func dump(t testing.TB, store tier.Store) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for after := ""; ; {
		page, err := store.List(context.Background(), "", after, 0)
		must(t, err)
		for _, o := range page.Objects {
			all[o.Key], _, err = tier.ReadAll(context.Background(), store, o.Key, 1<<30)
			must(t, err)
		}
		if after = page.Next; after == "" {
			return all
		}
	}
}

// copyTo makes a copy of objects in another store, to be damaged.
func copyTo(t testing.TB, store tier.Store, objects map[string][]byte) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		put(t, store, key, objects[key])
	}
}

// put makes a store hold an object, whatever stood there.
func put(t testing.TB, store tier.Store, key string, data []byte) {
	t.Helper()
	must(t, store.Delete(context.Background(), key))
	_, err := store.Put(context.Background(), key, tier.BytesBody(data), tier.PutOptions{})
	must(t, err)
}

func drop(t testing.TB, store tier.Store, key string) {
	t.Helper()
	must(t, store.Delete(context.Background(), key))
}

func checkStore(t testing.TB, store tier.Store) *Report {
	t.Helper()
	var last, total int64
	r, err := CheckBucket(context.Background(), BucketOptions{Store: store, Progress: func(done, of int64) {
		if done < last || done > of {
			t.Errorf("progress goes from %d to %d of %d", last, done, of)
		}
		last, total = done, of
	}})
	must(t, err)
	if r.Clean && last != total {
		t.Errorf("progress ends at %d of %d", last, total)
	}
	if r.Damaged+r.Notices+r.Unread != len(r.Findings)+r.Omitted || r.Clean != (r.Damaged+r.Unread == 0) {
		t.Errorf("the report contradicts itself: %+v", r)
	}
	for _, f := range r.Findings {
		if f.Problem == "" || f.File == "" || f.Severity == Damage && f.Do == "" {
			t.Errorf("a finding does not say what, where or what to do: %+v", f)
		}
	}
	return r
}

func TestCleanBucket(t *testing.T) {
	b := makeBucket(t, tier.NewMem(tier.MemOptions{PartBytes: 1 << 20}), 1)
	r := checkStore(t, b.store)
	if !r.Clean || r.Root != b.Checkpoint.Root.String() || r.Entries != b.Checkpoint.Size || r.Checked.Entries != r.Entries ||
		r.ClusterID != b.Identity.LedgerID || r.Archive.Manifest != b.Name || r.Archive.CheckpointRoot != r.Root ||
		r.Checked.Segments != len(b.State.Segments) || r.Archive.Manifests != 3 || r.Archive.Checkpoints != 4 {
		t.Errorf("%+v %+v%s", r, r.Archive, r.text())
	}
	if r.Notices != 0 {
		t.Errorf("notices:%s", r.text())
	}
}

// sections are where the parts of a segment's file are.
func sections(t testing.TB, file []byte, entries uint64) map[string]int {
	t.Helper()
	src := segfile.NewBytesSource("segment", file)
	at := map[string]int{}
	for i := 0; i < len(file); i += 16 {
		if name := sstable.Part(src, entries, uint64(i)); at[name] == 0 {
			at[name] = i + 8 // not in the header of a block, for what is in one
		}
	}
	return at
}

// TestBucketDamages plants every kind of damage, one at a time, in a store in memory and in a folder, and wants it named: as
// what it is, in the object and the part of it that it is in.
func TestBucketDamages(t *testing.T) {
	b := makeBucket(t, tier.NewMem(tier.MemOptions{PartBytes: 1 << 20}), 1)
	whole := dump(t, b.store)
	other := makeBucket(t, tier.NewMem(tier.MemOptions{PartBytes: 1 << 20}), 2)
	foreign := dump(t, other.store)
	g := b.State.Segments[1] // of the second publication: with everything in it
	object := g.Object.Name
	at := sections(t, whole[object], g.Entries)
	type damage struct {
		plant         func(t *testing.T, s tier.Store)
		kind          string
		file, section string
		lost, problem string // parts of what is said
	}
	flipIn := func(name string, offset int) func(*testing.T, tier.Store) {
		return func(t *testing.T, s tier.Store) {
			data := bytes.Clone(whole[name])
			data[offset] ^= 1 << (offset % 8)
			if m, ok := s.(*tier.Mem); ok { // as damage at rest is: with the SHA-256 that it had
				m.Tamper(name, func([]byte) []byte { return data })
				return
			}
			put(t, s, name, data)
		}
	}
	replace := func(name string, data []byte) func(*testing.T, tier.Store) {
		return func(t *testing.T, s tier.Store) { put(t, s, name, data) }
	}
	remove := func(name string) func(*testing.T, tier.Store) {
		return func(t *testing.T, s tier.Store) { drop(t, s, name) }
	}
	damages := map[string]damage{
		"segment missing": {remove(object), KindSegmentMissing, object, "", "the entries", "missing"},
		"segment truncated": {replace(object, whole[object][:len(whole[object])-5000]), KindSegmentSize, object, "",
			"the entries", "bytes, the manifest says"},
		"segment grown": {replace(object, append(bytes.Clone(whole[object]), 0)), KindSegmentSize, object, "", "", ""},
		"segments swapped": {func(t *testing.T, s tier.Store) {
			first := b.State.Segments[0].Object.Name
			put(t, s, first, whole[object])
			put(t, s, object, whole[first])
		}, KindSegmentWrong, object, "", "the entries", "it holds segment " + idOf(&b.State.Segments[0])},
		"segment of another ledger": {replace(object, foreign[other.State.Segments[1].Object.Name]), KindSegmentWrong,
			object, "",
			"the entries", ""},
		"foreign object": {replace("segments/backup.tar", []byte("x")), KindForeign, "segments/backup.tar", "", "", ""},
		"foreign segment": {replace(other.State.Segments[0].Object.Name,
			foreign[other.State.Segments[0].Object.Name]), KindForeign,
			other.State.Segments[0].Object.Name, "", "", "another ledger"},
		"segment under another name": {replace(tier.SegmentName(0, 9, merkle.Hash{1}), whole[object]), KindForeign,
			tier.SegmentName(0, 9, merkle.Hash{1}), "", "", "not what it is named after"},
		"stale latest": {replace("latest", b.was["latest"]), KindStale, "latest", "", "the entries from", "older"},
		"stale latest and checkpoint": {func(t *testing.T, s tier.Store) {
			put(t, s, "latest", b.was["latest"])
			put(t, s, "checkpoint", b.was["checkpoint"])
		}, KindStale, "latest", "", "the entries from", ""},
		"stale checkpoint": {replace("checkpoint", b.was["checkpoint"]), KindStale, "checkpoint", "", "", ""},
		"latest miscounts": {replace("latest", regexp.MustCompile(`"manifest_bytes": \d+`).ReplaceAll(whole["latest"],
			[]byte(`"manifest_bytes": 536870912`))), KindPointer, "latest", "", "", "536870912 bytes"},
		"latest missing":   {remove("latest"), KindPointer, "latest", "", "", ""},
		"latest damaged":   {flipIn("latest", 30), KindPointer, "latest", "", "", ""},
		"manifest damaged": {flipIn(b.Name, 200), KindManifest, b.Name, "", "which segments", ""},
		"manifest missing": {remove(b.Name), KindManifest, b.Name, "", "which segments", "missing"},
		"manifest replaced": {replace(b.Name, rewritten(t, whole[b.Name])), KindManifest, b.Name, "", "",
			"SHA-256"},
		"manifest of another ledger": {replace(b.Name, foreign[other.Name]), KindManifest, b.Name, "", "", ""},
		"tile missing":               {remove("tiles/tile/0/001"), KindTile, "tiles/tile/0/001", "", "proofs", "missing"},
		"tile flipped":               {flipIn("tiles/tile/0/001", 777), KindTile, "tiles/tile/0/001", "", "proofs", ""},
		"upper tile missing": {remove(partialOf(t, whole, b.Checkpoint.Size, 1)), KindTile,
			partialOf(t, whole, b.Checkpoint.Size, 1), "", "", ""},
		"old tile flipped": {flipIn(oldPartial(t, b, whole), 40), KindTile, oldPartial(t, b, whole), "", "",
			"beginning"},
		"checkpoint wrong":   {replace("checkpoint", foreign["checkpoint"]), KindCheckpoint, "checkpoint", "", "", ""},
		"checkpoint missing": {remove("checkpoint"), KindCheckpoint, "checkpoint", "", "", "missing"},
		"checkpoint's copy missing": {remove(tier.CheckpointNameAt(b.Checkpoint.Size)), KindCheckpoint,
			tier.CheckpointNameAt(b.Checkpoint.Size), "", "", "missing"},
		"old checkpoint missing": {remove(firstCheckpoint(whole)), KindCheckpoint, firstCheckpoint(whole), "", "", "missing"},
		"old checkpoint wrong": {replace(firstCheckpoint(whole), reroot(whole[firstCheckpoint(whole)])), KindCheckpoint,
			firstCheckpoint(whole), "", "", "have the root"},
		"old checkpoint flipped": {flipIn(firstCheckpoint(whole), len(whole[firstCheckpoint(whole)])-10), KindCheckpoint,
			firstCheckpoint(whole), "", "", ""},
		"identity damaged": {flipIn("ledger.json", 2), KindIdentity, "ledger.json", "", "", ""},
		"identity missing": {remove("ledger.json"), KindIdentity, "ledger.json", "", "", ""},
		"identity of another": {replace("ledger.json", foreign["ledger.json"]), KindManifest, b.Name, "", "",
			"it is of ledger"},
		"strange manifest":          {replace("manifests/x", nil), KindForeign, "manifests/x", "", "", ""},
		"strange checkpoint":        {replace("checkpoints/x", nil), KindForeign, "checkpoints/x", "", "", ""},
		"strange tile":              {replace("tiles/x", nil), KindForeign, "tiles/x", "", "", ""},
		"SHA-256 of another writer": {rehashed(b, object), KindSegmentHash, object, "", "nothing", "SHA-256"},
	}
	for _, section := range []string{"data", "large value", "leaf hashes", "seq index", "index", "filter", "upper tree",
		"ledger nodes", "properties", "section table", "footer"} {
		if at[section] == 0 {
			t.Fatalf("the segment has no %s: %v", section, at)
		}
		damages["flipped bit, "+section] = damage{flipIn(object, at[section]), KindSegmentDamaged, object, section,
			"", ""}
	}
	for name, d := range damages {
		t.Run(name, func(t *testing.T) {
			mem := tier.NewMem(tier.MemOptions{})
			copyTo(t, mem, whole)
			stores := []tier.Store{mem}
			if d.section == "" || d.section == "data" { // the rest is read of a folder as it is of memory
				dir, err := tier.NewDir(vfs.NewMem(), "/bucket", tier.DirOptions{})
				must(t, err)
				copyTo(t, dir, whole)
				stores = append(stores, dir)
			}
			for _, s := range stores {
				d.plant(t, s)
				r := checkStore(t, s)
				if !slices.ContainsFunc(r.Findings, func(f Finding) bool {
					return f.Severity == Damage && f.Kind == d.kind && f.File == d.file && f.Section == d.section &&
						strings.Contains(f.Lost, d.lost) && strings.Contains(f.Problem, d.problem)
				}) {
					t.Errorf("%s: want %s of %s (%s), lost %q, %q:%s", s.Name(), d.kind, d.file, d.section, d.lost,
						d.problem, r.text())
				}
			}
		})
	}
}

// rewritten is a manifest with a right checksum that says something else.
func rewritten(t testing.TB, data []byte) []byte {
	s, err := manifest.Decode(data)
	must(t, err)
	s.AppliedIndex++
	return s.Encode()
}

// rehashed has the manifest name an object with another SHA-256, as a replica's file of the same entries would have.
func rehashed(b *bucket, object string) func(*testing.T, tier.Store) {
	return func(t *testing.T, s tier.Store) {
		state := *b.State
		state.Segments = slices.Clone(state.Segments)
		for i := range state.Segments {
			if state.Segments[i].Object.Name == object {
				state.Segments[i].Object.SHA256[3] ^= 1
			}
		}
		for i := range state.Recorded {
			state.Recorded[i].Object = manifest.Object{}
		}
		republish(t, s, &state, b)
	}
}

// republish has latest name another manifest.
func republish(t *testing.T, s tier.Store, state *manifest.State, b *bucket) {
	t.Helper()
	data := state.Encode()
	sum := tier.BytesBody(data).SHA256
	name := tier.ManifestName(state.TreeSize, merkle.Hash(sum))
	put(t, s, name, data)
	old, _, err := tier.ReadAll(context.Background(), s, tier.LatestName, 1<<20)
	must(t, err)
	text := strings.ReplaceAll(string(old), b.Name, name)
	text = strings.ReplaceAll(text, b.SHA256.String(), merkle.Hash(sum).String())
	put(t, s, tier.LatestName, []byte(text))
	drop(t, s, b.Name)
}

// partialOf is the tile at the right edge of a level.
func partialOf(t testing.TB, objects map[string][]byte, size uint64, level int) string {
	n := size >> (8 * level)
	name := tier.TileName(merkle.Tile{Level: level, Index: n / 256, Width: int(n % 256)})
	if objects[name] == nil {
		t.Fatalf("there is no %s in a tree of %d", name, size)
	}
	return name
}

// oldPartial is a tile of an earlier publication.
func oldPartial(t testing.TB, b *bucket, objects map[string][]byte) string {
	for _, name := range slices.Sorted(maps.Keys(b.was)) {
		tile, err := tier.ParseTileName(name)
		if err == nil && tile.Level == 0 && tile.Width < merkle.TileWidthAt(0, tile.Index, b.Checkpoint.Size) {
			return name
		}
	}
	t.Fatal("no tile was partial")
	return ""
}

func firstCheckpoint(objects map[string][]byte) string {
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		if strings.HasPrefix(name, tier.CheckpointPrefix) {
			return name
		}
	}
	return ""
}

// reroot is a checkpoint that parses, of another root.
func reroot(note []byte) []byte {
	out := bytes.Clone(note)
	i := bytes.LastIndexByte(out[:len(out)-1], '\n') + 1
	if out[i] == 'A' {
		out[i] = 'B'
	} else {
		out[i] = 'A'
	}
	return out
}

// TestTilesInstead: where a segment is lost, the tiles have its leaves, and all behind it is checked.
func TestTilesInstead(t *testing.T) {
	b := makeBucket(t, tier.NewMem(tier.MemOptions{PartBytes: 1 << 20}), 1)
	lost, behind := b.State.Segments[1].Object.Name, tier.TileName(merkle.Tile{Index: 0, Width: 256})
	drop(t, b.store, lost)
	r := checkStore(t, b.store)
	if r.Damaged != 1 || !r.has(Damage, KindSegmentMissing, lost) || r.Root != b.Checkpoint.Root.String() ||
		!r.has(Notice, KindNotChecked, lost) {
		t.Errorf("root %s, want %s:%s", r.Root, b.Checkpoint.Root, r.text())
	}
	above := partialOf(t, dump(t, b.store), b.Checkpoint.Size, 1)
	was, _, err := tier.ReadAll(context.Background(), b.store, above, 1<<20)
	must(t, err)
	drop(t, b.store, above)
	if r := checkStore(t, b.store); r.Damaged != 2 || !r.has(Damage, KindTile, above) || r.Root != b.Checkpoint.Root.String() {
		t.Errorf("without the tile above: root %s%s", r.Root, r.text())
	}
	put(t, b.store, above, was)
	b.store.(*tier.Mem).Tamper(behind, func(data []byte) []byte { data[len(data)-1] ^= 1; return data })
	if r := checkStore(t, b.store); !r.has(Damage, KindTile, behind) || r.Root != "" {
		t.Errorf("with a wrong tile:%s", r.text())
	}
	drop(t, b.store, behind)
	if r := checkStore(t, b.store); r.Root != "" || !r.has(Damage, KindSegmentMissing, lost) {
		t.Errorf("without the tile: root %s%s", r.Root, r.text())
	}
}

// meanwhile is a store on which something else happens before a segment is read for the first time.
type meanwhile struct {
	tier.Store
	once sync.Once
	do   func()
}

func (m *meanwhile) Get(ctx context.Context, key string, off, n int64) (*tier.Reader, error) {
	if strings.HasPrefix(key, tier.SegmentPrefix) {
		m.once.Do(m.do)
	}
	return m.Store.Get(ctx, key, off, n)
}

// TestMergedMeanwhile: a cluster that merges segments, publishes that, and deletes them while they are checked does no
// damage; one that only publishes does not excuse what is missing.
func TestMergedMeanwhile(t *testing.T) {
	for _, merges := range []bool{true, false} {
		mem := tier.NewMem(tier.MemOptions{PartBytes: 1 << 20})
		w := buckettest.New(t, mem, buckettest.Options{})
		for range 3 {
			w.Fill(300)
			w.Publish()
		}
		old := w.Publish().State.Segments
		r := checkStore(t, &meanwhile{Store: mem, do: func() {
			if merges {
				w.Merge()
			}
			w.Fill(50)
			w.Publish()
			for _, g := range old[:2] {
				drop(t, mem, g.Object.Name)
			}
		}})
		if r.Clean != merges || r.has(Notice, KindNotChecked, tier.SegmentPrefix) != merges {
			t.Errorf("merged %v: clean %v:%s", merges, r.Clean, r.text())
		}
		if r := checkStore(t, mem); r.Clean != merges {
			t.Errorf("merged %v: clean %v afterwards:%s", merges, r.Clean, r.text())
		}
	}
}

// TestSweptMeanwhile: what no manifest names may be deleted while the rest is checked.
func TestSweptMeanwhile(t *testing.T) {
	mem := tier.NewMem(tier.MemOptions{PartBytes: 1 << 20})
	w := buckettest.New(t, mem, buckettest.Options{})
	w.Fill(300)
	first := w.Publish()
	w.Fill(300)
	w.Publish()
	w.Merge()
	w.Publish()
	r := checkStore(t, &meanwhile{Store: mem, do: func() { drop(t, mem, first.State.Segments[0].Object.Name) }})
	if !r.Clean {
		t.Error(r.text())
	}
}

// TestBucketNotices: what is odd and does no harm is told as such.
func TestBucketNotices(t *testing.T) {
	mem := tier.NewMem(tier.MemOptions{PartBytes: 1 << 20})
	w := buckettest.New(t, mem, buckettest.Options{})
	w.Fill(300)
	first := w.Publish()
	w.Fill(300)
	w.Publish()
	w.Merge()
	w.Publish()
	merged := first.State.Segments[0].Object.Name
	w.Fill(50)
	state := w.Seal()
	whole := dump(t, mem)
	w.PublishState(state) // uploads what whole does not name
	ahead := state.Segments[len(state.Segments)-1]
	aheadName := tier.SegmentName(ahead.FirstSeq, ahead.LastSeq, ahead.Root)
	uploaded := dump(t, mem)[aheadName]
	for name, tc := range map[string]struct {
		plant func(t *testing.T, s tier.Store)
		kind  string
		file  string
	}{
		"merged away":     {func(*testing.T, tier.Store) {}, KindLeftOver, merged},
		"not published":   {func(t *testing.T, s tier.Store) { put(t, s, aheadName, uploaded) }, KindLeftOver, aheadName},
		"somebody else's": {func(t *testing.T, s tier.Store) { put(t, s, "README", nil) }, KindForeign, "README"},
		"interrupted": {func(t *testing.T, s tier.Store) {
			name := tier.CheckpointNameAt(state.TreeSize)
			put(t, s, name, dump(t, mem)[name])
		}, KindLeftOver, tier.CheckpointNameAt(state.TreeSize)},
	} {
		t.Run(name, func(t *testing.T) {
			s := tier.NewMem(tier.MemOptions{})
			copyTo(t, s, whole)
			tc.plant(t, s)
			r := checkStore(t, s)
			if !r.Clean || !r.has(Notice, tc.kind, tc.file) {
				t.Errorf("clean %v, want a notice %s of %s:%s", r.Clean, tc.kind, tc.file, r.text())
			}
		})
	}
}

// TestBucketFaults: what the store does not give is unreadable, and no damage; what fails once is read again; what is
// damaged on its way is none.
func TestBucketFaults(t *testing.T) {
	b := makeBucket(t, tier.NewMem(tier.MemOptions{PartBytes: 1 << 20}), 1)
	whole := dump(t, b.store)
	run := func(t *testing.T, faults func(tier.Request) tier.Fault) *Report {
		faulty := false
		s := tier.NewMem(tier.MemOptions{Faults: func(q tier.Request) tier.Fault {
			if !faulty {
				return tier.Fault{}
			}
			return faults(q)
		}})
		copyTo(t, s, whole)
		faulty = true
		r, err := CheckBucket(t.Context(), BucketOptions{Store: s, Retry: tier.Retry{Backoff: tier.Backoff{Base: 1,
			Max: 1}}})
		must(t, err)
		return r
	}
	object := b.State.Segments[1].Object.Name
	if r := run(t, func(q tier.Request) tier.Fault {
		if q.Key == object {
			return tier.Fault{Kind: tier.Refused}
		}
		return tier.Fault{}
	}); r.Damaged > 0 || r.Unread == 0 || r.Clean {
		t.Errorf("refused: %+v%s", r, r.text())
	}
	seen := map[string]bool{}
	once := func(kind tier.FaultKind) func(tier.Request) tier.Fault {
		clear(seen)
		return func(q tier.Request) tier.Fault {
			id := fmt.Sprint(q.Op, q.Key, q.Off)
			if seen[id] || kind == tier.Flipped && !strings.HasPrefix(q.Key, "segments/") {
				return tier.Fault{}
			}
			seen[id] = true
			return tier.Fault{Kind: kind, At: 5000}
		}
	}
	for _, kind := range []tier.FaultKind{tier.Overloaded, tier.Cut} {
		if r := run(t, once(kind)); !r.Clean {
			t.Errorf("fault %d once: %s", kind, r.text())
		}
	}
	if _, err := CheckBucket(t.Context(), BucketOptions{Store: tier.NewMem(tier.MemOptions{})}); !errors.Is(err,
		ErrNoArchive) {
		t.Error(err)
	}
}
