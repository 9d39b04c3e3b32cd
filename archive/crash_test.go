package archive_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/tier"
)

// broken is a store that refuses every change after an object was made.
type broken struct {
	tier.Store
	after string
	done  bool
}

func (b *broken) Put(ctx context.Context, key string, body tier.Body, o tier.PutOptions) (tier.Object, error) {
	if b.done {
		return tier.Object{}, &tier.Error{Op: "put", Key: key, Err: tier.ErrRefused}
	}
	b.done = key == b.after
	return b.Store.Put(ctx, key, body, o)
}

func (b *broken) Replace(ctx context.Context, key string, body tier.Body, m string, o tier.PutOptions) (tier.Object, error) {
	if b.done {
		return tier.Object{}, &tier.Error{Op: "replace", Key: key, Err: tier.ErrRefused}
	}
	return b.Store.Replace(ctx, key, body, m, o)
}

// TestCrashAtEveryRequest ends a publisher at each of its requests, with what that was to do done or not done. What is
// published is the state before or the new one, whole, and the next call publishes the new one.
func TestCrashAtEveryRequest(t *testing.T) {
	h := newHistory().grow(1000, 0)
	for _, from := range []uint64{0, 600} {
		for _, lost := range []bool{false, true} {
			for at := int64(0); ; at++ {
				end, died := int64(-1), false
				s := claimed(t, tier.MemOptions{Faults: func(q tier.Request) tier.Fault {
					switch {
					case end < 0 || q.N < end:
						return tier.Fault{}
					case q.N == end && lost:
						died = true
						return tier.Fault{Kind: tier.AnswerLost}
					}
					died = true
					return tier.Fault{Kind: tier.Refused}
				}})
				if from > 0 {
					must(t, h.publish(s, from, 300))
				}
				end = requests(s) + at
				err := h.publish(s, 1000, from, 800)
				end = -1
				if !died {
					must(t, err)
					if at < 10 {
						t.Fatalf("only %d requests", at)
					}
					break
				}
				if got := mustRead(t, s); got != from && got != 1000 {
					t.Fatalf("request %d: published are %d entries", at, got)
				}
				must(t, h.publish(s, 1000, from, 800))
				if got := mustRead(t, s); got != 1000 {
					t.Fatalf("request %d: published are %d entries at last", at, got)
				}
				checkPointer(t, s, 1000)
			}
		}
	}
}

// requests is how many requests a store has answered.
func requests(s *tier.Mem) (n int64) {
	for op := tier.OpPut; op <= tier.OpAbort; op++ {
		n += s.Count(op)
	}
	return n
}

func checkPointer(t testing.TB, s tier.Store, size uint64) {
	t.Helper()
	now, _, err := tier.ReadAll(context.Background(), s, tier.CheckpointName, 1000)
	must(t, err)
	want, _, err := tier.ReadAll(context.Background(), s, tier.CheckpointNameAt(size), 1000)
	must(t, err)
	if string(now) != string(want) {
		t.Fatalf("the newest checkpoint is %q, want %q", now, want)
	}
}

// TestFaultyStore publishes a growing ledger through a store that fails in every way it can: what is published is whole
// and never shrinks, and all of it is once the store is well.
func TestFaultyStore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		mix := tier.FaultMix{Overloaded: 0.1, AnswerLost: 0.1, Cut: 0.05, Flipped: 0.05, Refused: 0.02}.
			Draw(rapid.Uint64().Draw(rt, "seed"))
		ill := false
		s := claimed(t, tier.MemOptions{Faults: func(q tier.Request) tier.Fault {
			if ill {
				return mix(q)
			}
			return tier.Fault{}
		}})
		h, published := newHistory(), uint64(0)
		for size := uint64(200); size < 1500; size += 230 {
			h.grow(size, 0)
			ill = true
			err := h.publish(s, size, 200, size-100)
			ill = false
			got := mustRead(t, s)
			if got < published || err == nil && got != size {
				rt.Fatalf("published are %d entries, %d before, %d last: %v", got, published, size, err)
			}
			published = got
		}
		must(t, h.publish(s, uint64(len(h.leaves)), 200))
		checkPointer(t, s, uint64(len(h.leaves)))
	})
}

// between is a store that does something else once, before one of its requests.
type between struct {
	tier.Store
	at int
	do func()
}

func (b *between) step() {
	if b.at--; b.at == -1 {
		b.do()
	}
}

func (b *between) Put(ctx context.Context, key string, body tier.Body, o tier.PutOptions) (tier.Object, error) {
	b.step()
	return b.Store.Put(ctx, key, body, o)
}

func (b *between) Replace(ctx context.Context, key string, body tier.Body, m string, o tier.PutOptions) (tier.Object, error) {
	b.step()
	return b.Store.Replace(ctx, key, body, m, o)
}

func (b *between) Get(ctx context.Context, key string, off, n int64) (*tier.Reader, error) {
	b.step()
	return b.Store.Get(ctx, key, off, n)
}

func (b *between) Head(ctx context.Context, key string) (tier.Object, error) {
	b.step()
	return b.Store.Head(ctx, key)
}

// TestTwoPublishers lets another publisher do all of its work between any two requests of one: of the same ledger, further
// or merged, and of one that has parted from it. What is published never shrinks, and is of one of the two.
func TestTwoPublishers(t *testing.T) {
	for _, begun := range []uint64{0, 400} {
		for name, second := range map[string]func(h *history, s tier.Store) error{
			"further": func(h *history, s tier.Store) error { return h.publish(s, 1000, 400, 700) },
			"behind":  func(h *history, s tier.Store) error { return h.publish(s, 500, 400) },
			"merged":  func(h *history, s tier.Store) error { return h.publish(s, 800) },
			"finer":   func(h *history, s tier.Store) error { return h.publish(s, 800, 100, 400, 600) },
			"same":    func(h *history, s tier.Store) error { return h.publish(s, 800, 400, 600) },
			"parted":  func(h *history, s tier.Store) error { return h.fork(400).grow(1000, 1).publish(s, 900, 400) },
		} {
			t.Run(fmt.Sprintf("%s from %d", name, begun), func(t *testing.T) {
				for at := 0; ; at++ {
					h := newHistory().grow(1000, 0)
					s := claimed(t, tier.MemOptions{})
					if begun > 0 {
						must(t, h.publish(s, begun))
					}
					before, other := uint64(0), error(nil)
					b := &between{Store: s, at: at}
					b.do = func() {
						other = second(h, s)
						before = mustRead(t, s)
					}
					err := h.publish(b, 800, 400, 600)
					if b.at >= 0 {
						if at < 10 {
							t.Fatalf("only %d requests", at)
						}
						return
					}
					after := mustRead(t, s)
					var conflict *archive.ConflictError
					switch {
					case after < before || after < begun:
						t.Fatalf("at %d: %d entries are published, and were %d: %v, %v", at, after, before, err, other)
					case name == "parted" && (err == nil) == (other == nil):
						t.Fatalf("at %d: both or neither: %v, %v", at, err, other)
					case name == "parted":
						if !errors.As(errors.Join(err, other), &conflict) {
							t.Fatalf("at %d: %v, %v", at, err, other)
						}
					case err != nil && !errors.Is(err, archive.ErrBehind), other != nil && !errors.Is(other, archive.ErrBehind):
						t.Fatalf("at %d: %v, %v", at, err, other)
					case err == nil && after < 800:
						t.Fatalf("at %d: %d entries are published", at, after)
					}
					if name == "merged" {
						if p, err := archive.Read(t.Context(), s); err != nil || len(p.State.Segments) != 1 {
							t.Fatalf("at %d: what was merged is published as %v, %v", at, p, err)
						}
					}
				}
			})
		}
	}
}
