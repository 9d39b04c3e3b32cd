package fsck

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/vfs"
)

// evict makes segment i of a directory one that is in an object store alone, and returns the file of its meta tail.
func evict(t *testing.T, mem *vfs.Mem, i int) string {
	t.Helper()
	name := list(t, mem, "segments", segmentSuffix)[i]
	file := read(t, mem, name)
	r, err := segfile.Open(segfile.NewBytesSource(name, file))
	must(t, err)
	restate(t, mem, func(s *manifest.State) {
		s.Segments[i].Tier = manifest.Cold
		s.Segments[i].Object = manifest.Object{Name: name, Bytes: uint64(len(file)), SHA256: sha256.Sum256(file),
			MetaOffset: r.MetaOffset()}
	})
	meta := name[:len(name)-len(segmentSuffix)] + metaSuffix
	write(t, mem, meta, file[r.MetaOffset():])
	remove(t, mem, name)
	return meta
}

// TestCold: a segment that is in the object store alone is no damage, and its meta tail still proves the roots. Damage to
// the tail is named.
func TestCold(t *testing.T) {
	d := makeDirectory(t, "", nil)
	mem := clone(d.mem)
	last := evict(t, mem, 1)
	first := evict(t, mem, 0)
	r := check(t, mem)
	if !r.Clean || r.Root != d.root || !r.has(Notice, KindNotChecked, first) || !r.has(Notice, KindNotChecked, last) {
		t.Fatalf("clean: %v, root %s, want %s:%s", r.Clean, r.Root, d.root, r.text())
	}
	size := int64(len(read(t, mem, first)))
	for at := int64(0); at < size; at += 97 {
		bad := clone(mem)
		flip(t, bad, first, at)
		if r := check(t, bad); !r.has(Damage, KindSegmentDamaged, first) {
			t.Errorf("a flipped bit at %d of %d:%s", at, size, r.text())
		}
	}
	for name, plant := range map[string]struct {
		do   func(*vfs.Mem)
		kind string
	}{
		"missing":   {func(m *vfs.Mem) { remove(t, m, first) }, KindSegmentMissing},
		"truncated": {func(m *vfs.Mem) { truncate(t, m, first, size-1) }, KindSegmentSize},
		"another's": {func(m *vfs.Mem) { write(t, m, first, bytes.Repeat([]byte{7}, int(size))) }, KindSegmentDamaged},
	} {
		bad := clone(mem)
		plant.do(bad)
		if r := check(t, bad); !r.has(Damage, plant.kind, first) {
			t.Errorf("%s:%s", name, r.text())
		}
	}
	// Beside the segment's file the tail is of no use, and no harm.
	write(t, mem, list(t, d.mem, "segments", segmentSuffix)[0], read(t, d.mem, list(t, d.mem, "segments", segmentSuffix)[0]))
	if r := check(t, mem); !r.Clean || !r.has(Notice, KindLeftOver, first) {
		t.Errorf("with both:%s", r.text())
	}
}
