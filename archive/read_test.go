package archive_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// TestReadNamesWhatIsDamaged: whatever is missing, damaged, older, or of another ledger, the error is about that object and
// says what to do; and it is never taken for an archive in which nothing was published.
func TestReadNamesWhatIsDamaged(t *testing.T) {
	h := newHistory().grow(700, 0)
	fill := func() *tier.Mem {
		s := claimed(t, tier.MemOptions{})
		must(t, h.publish(s, 500, 300))
		must(t, h.publish(s, 600, 500))
		return s
	}
	latest, err := archive.ReadLatest(t.Context(), fill())
	must(t, err)
	body := func(s tier.Store, name string) []byte {
		b, _, err := tier.ReadAll(t.Context(), s, name, 1<<20)
		must(t, err)
		return b
	}
	other := tier.NewMem(tier.MemOptions{})
	must(t, archive.Claim(t.Context(), other, archive.Identity{LedgerID: "other", Origin: "scribe/other"}))
	older := body(fillTo(t, h, 500), tier.LatestName)
	for _, name := range []string{tier.LedgerName, tier.LatestName, latest.Manifest, tier.CheckpointNameAt(600)} {
		changes := map[string]func([]byte) []byte{
			"a flipped bit": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"cut":           func(b []byte) []byte { return b[:len(b)/2] },
			"empty":         func([]byte) []byte { return nil },
			"longer":        func(b []byte) []byte { return append(b, 'x') },
			"much longer":   func(b []byte) []byte { return append(b, make([]byte, 70<<10)...) },
		}
		switch name {
		case tier.LedgerName:
			changes["another ledger's"] = func([]byte) []byte { return body(other, tier.LedgerName) }
		case tier.CheckpointNameAt(600):
			changes["of another size"] = func([]byte) []byte { return body(fill(), tier.CheckpointNameAt(500)) }
			changes["of another origin"] = func(b []byte) []byte { return bytes.Replace(b, []byte("scribe/"), []byte("scr1be/"), 1) }
		case latest.Manifest:
			changes["another state"] = func([]byte) []byte { return h.state(600, 400).Encode() }
		}
		for what, change := range changes {
			for _, sealed := range []bool{false, true} { // with the SHA-256 that the store had, or with its own
				s := fill()
				if sealed {
					b := change(body(s, name))
					must(t, s.Delete(t.Context(), name))
					_, err := s.Put(t.Context(), name, tier.BytesBody(b), tier.PutOptions{})
					must(t, err)
				} else if !s.Tamper(name, change) {
					t.Fatal("there is no", name)
				}
				p, err := archive.Read(t.Context(), s)
				corrupt := (*vfs.CorruptError)(nil)
				if !errors.As(err, &corrupt) {
					t.Errorf("%s of %s: %+v, %v", what, name, p, err)
					continue
				}
				// What was put so on purpose may show only where it meets the others.
				if corrupt.File != "mem/"+name && !sealed || !strings.Contains(corrupt.Reason, ";") {
					t.Errorf("%s of %s: %v", what, name, err)
				}
			}
		}
		s := fill()
		must(t, s.Delete(t.Context(), name))
		_, err := archive.Read(t.Context(), s)
		if corrupt := (*vfs.CorruptError)(nil); name == tier.LatestName {
			if !errors.Is(err, archive.ErrNothingPublished) {
				t.Errorf("without %s: %v", name, err)
			}
		} else if !errors.As(err, &corrupt) || corrupt.File != "mem/"+name {
			t.Errorf("without %s: %v", name, err)
		}
	}
	// An older version of latest is an older archive: what it names is still there.
	s := fill()
	s.Tamper(tier.LatestName, func([]byte) []byte { return older })
	if _, err := archive.Read(t.Context(), s); err == nil {
		t.Error("bytes that the store did not announce were read")
	}
	must(t, s.Delete(t.Context(), tier.LatestName))
	_, err = s.Put(t.Context(), tier.LatestName, tier.BytesBody(older), tier.PutOptions{})
	must(t, err)
	if got := mustRead(t, s); got != 500 {
		t.Error(got)
	}
}

func fillTo(t *testing.T, h *history, size uint64) *tier.Mem {
	s := claimed(t, tier.MemOptions{})
	must(t, h.publish(s, size, 300))
	return s
}

// TestReadOfAStoreThatFails: what the store refuses, or does not answer, is no damage, and nothing that is not there.
func TestReadOfAStoreThatFails(t *testing.T) {
	h := newHistory().grow(700, 0)
	for _, kind := range []tier.FaultKind{tier.Overloaded, tier.Refused, tier.Cut, tier.AnswerLost} {
		for at := int64(0); at < 4; at++ {
			var faults func(tier.Request) tier.Fault
			s := claimed(t, tier.MemOptions{Faults: func(q tier.Request) tier.Fault {
				if faults == nil {
					return tier.Fault{}
				}
				return faults(q)
			}})
			must(t, h.publish(s, 700))
			from := requests(s)
			faults = func(q tier.Request) tier.Fault {
				if q.N == from+at {
					return tier.Fault{Kind: kind, At: 10}
				}
				return tier.Fault{}
			}
			_, err := archive.Read(t.Context(), s)
			var corrupt *vfs.CorruptError
			var failed *tier.Error
			if !errors.As(err, &failed) || errors.As(err, &corrupt) || errors.Is(err, archive.ErrNothingPublished) ||
				errors.Is(err, tier.ErrNotFound) {
				t.Errorf("fault %d at %d: %v", kind, at, err)
			}
		}
	}
}

// TestPublishMends: a pointer to the checkpoint and a manifest that are damaged stand in nobody's way.
func TestPublishMends(t *testing.T) {
	h := newHistory().grow(900, 0)
	for _, name := range []string{tier.CheckpointName, ""} {
		s := claimed(t, tier.MemOptions{})
		must(t, h.publish(s, 500))
		if name == "" {
			latest, err := archive.ReadLatest(t.Context(), s)
			must(t, err)
			name = latest.Manifest
		}
		for _, change := range []func([]byte) []byte{
			func(b []byte) []byte { b[3] ^= 4; return b }, func([]byte) []byte { return make([]byte, 100<<10) },
		} {
			if !s.Tamper(name, change) {
				t.Fatal("there is no", name)
			}
			must(t, h.publish(s, 900, 500))
			if got := mustRead(t, s); got != 900 {
				t.Fatal(got)
			}
			checkPointer(t, s, 900)
		}
	}
}
