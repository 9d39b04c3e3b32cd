package wal

import (
	"errors"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// builder puts a log file together by hand.
type builder struct {
	encoder
	hdr header
}

func newBuilder(id uint64) *builder {
	h := header{id: id, prevID: id - 1, fileBytes: 4096, first: 1}
	b := &builder{}
	b.buf = h.encode()
	b.hdr, b.id, b.origin, b.prev = h, h.id, h.sum, h.sum
	return b
}

// batch adds a batch of n entries from index on and returns where it stands.
func (b *builder) batch(begin int64, index uint64, n int) (from, to int64) {
	from = b.at()
	for _, e := range run(index, n, 1, 40) {
		b.entry(&e)
	}
	b.marker(begin, index, index+uint64(n)-1)
	return from, b.at()
}

func (b *builder) bytes() []byte {
	return append(append([]byte(nil), b.buf...), make([]byte, 4096-len(b.buf))...)
}

// TestTails has every state in which a crash or damage can leave the end of the last file.
func TestTails(t *testing.T) {
	b := newBuilder(3)
	_, good1 := b.batch(headerSize, 1, 2)
	b.note(good1, 2)
	note1 := b.at()
	_, good2 := b.batch(good1, 3, 2)
	b.note(good2, 4)
	note2 := b.at()
	_, good3 := b.batch(good2, 5, 1)
	whole := b.bytes()
	old := newBuilder(2)
	for i := uint64(1); i < 20; i++ {
		old.batch(int64(len(old.buf)), i, 1)
	}
	lose := func(b []byte, ranges ...int64) []byte {
		b = append([]byte(nil), b...)
		for i := 0; i < len(ranges); i += 2 {
			clear(b[ranges[i]:ranges[i+1]])
		}
		return b
	}
	const marker = markerSize
	for _, c := range []struct {
		name  string
		bytes []byte
		last  uint64 // index found to be the last; 0 when damage must be found
		clean bool
		says  string
	}{
		{"whole", whole, 5, true, ""},
		{"nothing after the header", lose(whole, headerSize, 4096), 0 + 1<<32, true, ""},
		{"the last batch did not arrive", lose(whole, note2, 4096), 4, true, ""},
		{"nor did the note before it", lose(whole, good2, 4096), 4, true, ""},
		{"the note did not, the batch did", lose(whole, good2, note2), 4, false, ""},
		{"the batch's marker did not", lose(whole, good3-marker, good3), 4, false, ""},
		{"only the batch's marker did", lose(whole, note2, good3-marker), 4, false, ""},
		{"only half a record did", lose(whole, note2+20, 4096), 4, false, ""},
		{"stale bytes follow", append(lose(whole, good3, 4096)[:good3], old.bytes()[good3:]...), 5, false, ""},
		{"the batch before is damaged", lose(whole, note1, note1+8), 0, false, "entries 3 to 5 cannot be read"},
		{"so is its marker", lose(whole, good2-marker, good2), 0, false, "entries 3 to 5 cannot be read"},
		{"all up to the last marker", lose(whole, headerSize, good3-marker), 0, false, "entries 1 to 5 cannot be read"},
		{"the first note is damaged", lose(whole, good1, note1), 0, false, "entries 3 to 5 cannot be read"},
		{"the last batch, its note is there", lose(whole, note1, note1+8, note2, 4096), 0, false,
			"entries 3 to 4 cannot be read"},
	} {
		f, sc, err := replayBytes(t, c.bytes)
		if c.last == 0 {
			var corrupt *vfs.CorruptError
			if !errors.As(err, &corrupt) || !strings.Contains(corrupt.Reason, c.says) ||
				!strings.Contains(corrupt.Reason, remedy) {
				t.Errorf("%s: %v, want damage: %s", c.name, err, c.says)
			}
			continue
		}
		if c.last == 1<<32 {
			c.last = 0
		}
		if err != nil || uint64(len(f.span.units)) != c.last || sc.clean != c.clean {
			t.Errorf("%s: %v, entries up to %d, clean %v", c.name, err, len(f.span.units), sc.clean)
		}
	}
}

// TestMisshapen has records whose checksums hold and that no log ever wrote. They are damage, also at the very end.
func TestMisshapen(t *testing.T) {
	for name, add := range map[string]func(*builder){
		"unknown type":      func(b *builder) { s := b.open(9, 0, 8); b.u64(1); b.seal(s) },
		"short entry":       func(b *builder) { s := b.open(typeEntry, 1, 8); b.u64(1); b.seal(s) },
		"short hard state":  func(b *builder) { s := b.open(typeHard, 0, 8); b.u64(1); b.seal(s) },
		"hard state, kind":  func(b *builder) { s := b.open(typeHard, 1, 24); b.u64(1); b.u64(1); b.u64(1); b.seal(s) },
		"index zero":        func(b *builder) { b.entry(&raft.Entry{Index: 0, Term: 1}) },
		"a gap":             func(b *builder) { b.entry(&raft.Entry{Index: 4, Term: 1}) },
		"the largest index": func(b *builder) { b.entry(&raft.Entry{Index: ^uint64(0), Term: 1}) },
		"marker, false self": func(b *builder) {
			s := b.open(typeMarker, 0, markerBytes)
			for range 4 {
				b.u64(1)
			}
			b.seal(s)
		},
		"marker, start": func(b *builder) { b.marker(headerSize, 0, 2) },
		"marker, first": func(b *builder) { b.marker(b.at(), 1, 2) },
		"marker, last":  func(b *builder) { b.marker(b.at(), 0, 3) },
		"note, through": func(b *builder) { b.note(headerSize, 2) },
		"note, twice":   func(b *builder) { at := b.at(); b.note(at, 2); b.note(at, 2) },
	} {
		b := newBuilder(1)
		b.batch(headerSize, 1, 2)
		add(b)
		_, _, err := replayBytes(t, b.bytes())
		var corrupt *vfs.CorruptError
		if !errors.As(err, &corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestZeroLengthNeverVerifies(t *testing.T) {
	b := newBuilder(1)
	b.seal(b.open(typeEntry, 1, 0))
	if _, why := recordAt(b.bytes(), 1, headerSize, b.origin); why == "" {
		t.Error("a record without length verifies, by a checksum made for it")
	}
	if _, why := recordAt(make([]byte, 4096), 1, headerSize, b.origin); why == "" {
		t.Error("zeros verify")
	}
}

func TestHeaderRefusals(t *testing.T) {
	good := header{id: 2, prevID: 1, fileBytes: 4096, first: 1}
	for name, change := range map[string]func(*header){
		"id zero":       func(h *header) { h.id, h.prevID = 0, ^uint64(0) },
		"first zero":    func(h *header) { h.first = 0 },
		"not its heir":  func(h *header) { h.prevID = 5 },
		"odd length":    func(h *header) { h.fileBytes = 4001 },
		"tiny":          func(h *header) { h.fileBytes = 64 },
		"longer":        func(h *header) { h.fileBytes = 8192 },
		"negative":      func(h *header) { h.fileBytes = -4096 },
		"negative end":  func(h *header) { h.prevEnd = -1 },
		"other version": nil,
	} {
		h := good
		if change != nil {
			change(&h)
		}
		b := append(h.encode(), make([]byte, 4096-headerSize)...)
		if change == nil {
			b[8]++
		}
		if _, err := decodeHeader("f", b); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			mustBeCorrupt(t, err)
		}
	}
}
