package ledger

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/merkle"
)

func TestMemoryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.IntRange(1, 6).Draw(t, "window")
		m := newMemory(window)
		var all []*remembered
		keys := rapid.SliceOfNDistinct(rapid.StringN(1, 16, MaxIdempotencyBytes), 0, 12, rapid.ID).Draw(t, "keys")
		for i, key := range keys {
			r := &remembered{key: key, request: merkle.Hash{byte(i)}, firstSeq: rapid.Uint64().Draw(t, "seq"),
				count: rapid.Uint64().Draw(t, "count"), time: rapid.Int64().Draw(t, "time"), leaf: merkle.Hash{1, byte(i)}}
			m.add(r)
			all = append(all, r)
		}
		kept := all[max(0, len(all)-window):]
		for i, r := range all {
			if found := m.find(r.key); (found != nil) != (i >= len(all)-len(kept)) {
				t.Fatalf("of %d keys in a window of %d, key %d is found: %v", len(all), window, i, found)
			}
		}
		back, err := decodeMemory(encodeMemory(m.snapshot()), window)
		if err != nil {
			t.Fatal(err)
		}
		if len(back.order) != len(kept) || len(back.byKey) != len(kept) {
			t.Fatalf("%d keys come back, want %d", len(back.order), len(kept))
		}
		for i, r := range kept {
			if !reflect.DeepEqual(back.order[i], r) || back.find(r.key) != back.order[i] {
				t.Fatalf("key %d comes back as %+v, want %+v", i, back.order[i], r)
			}
		}
		if len(kept) == window {
			if _, err := decodeMemory(encodeMemory(kept), window-1); err == nil {
				t.Fatal("more keys than the window holds are taken")
			}
		}
	})
}

func FuzzDecodeMemory(f *testing.F) {
	one := &remembered{key: "one", firstSeq: 1, count: 2, time: 3, leaf: merkle.Hash{4}}
	two := &remembered{key: "two", request: merkle.Hash{5}}
	f.Add([]byte{})
	f.Add(encodeMemory([]*remembered{one}))
	f.Add(encodeMemory([]*remembered{one, two}))
	f.Add(encodeMemory([]*remembered{one, one}))
	f.Add(encodeMemory([]*remembered{{}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m *memory
		var err error
		// A write takes at least 97 bytes of the input and some more in memory, with its place in a map.
		if n := allocated(func() { m, err = decodeMemory(b, idempotencyWindow) }); n > 8*uint64(len(b))+1<<20 {
			t.Fatalf("%d bytes allocated for %d", n, len(b))
		}
		if err == nil && !bytes.Equal(encodeMemory(m.snapshot()), b) {
			t.Fatalf("%x decodes to what encodes as %x", b, encodeMemory(m.snapshot()))
		}
	})
}
