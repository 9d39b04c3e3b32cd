package tier_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/tier"
)

// shelf is a store with one object of 4 MiB, whose gets a test can bend.
type shelf struct {
	*tier.Mem
	data   []byte
	object tier.SealedObject

	mu     sync.Mutex
	gets   int                                               // guarded by mu, as is all below
	flying int                                               // gets under way
	most   int                                               // of flying
	bend   func(ctx context.Context, n int, off int64) error // called with the number of the get, from 1 on; nil: nothing
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{Mem: tier.NewMem(tier.MemOptions{}), data: make([]byte, 4<<20)}
	rand.NewChaCha8([32]byte{9}).Read(s.data)
	s.object = tier.SealedObject{Name: "segments/x", Bytes: int64(len(s.data)), SHA256: sha256.Sum256(s.data),
		MetaOffset: 3 << 20}
	if _, err := s.Put(t.Context(), s.object.Name, tier.BytesBody(s.data), tier.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shelf) Get(ctx context.Context, key string, off, n int64) (*tier.Reader, error) {
	s.mu.Lock()
	s.gets++
	number, bend := s.gets, s.bend
	s.flying++
	s.most = max(s.most, s.flying)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.flying--
		s.mu.Unlock()
	}()
	if bend != nil {
		if err := bend(ctx, number, off); err != nil {
			return nil, err
		}
	}
	return s.Mem.Get(ctx, key, off, n)
}

func (s *shelf) setBend(bend func(ctx context.Context, n int, off int64) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bend, s.gets = bend, 0
}

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gets
}

func (s *shelf) open(t *testing.T, opts tier.RangesOptions) (*tier.Ranges, *tier.Cold) {
	t.Helper()
	r := tier.NewRanges(s, opts)
	cold, err := r.Open(s.object, bytes.NewReader(s.data[s.object.MetaOffset:]))
	if err != nil {
		t.Fatal(err)
	}
	return r, cold
}

// read reads n bytes at off, and fails if they are wrong.
func (s *shelf) read(t *testing.T, cold *tier.Cold, off, n int64) error {
	p := make([]byte, n)
	got, err := cold.ReadAt(p, off)
	if err == nil && (int64(got) != n || !bytes.Equal(p, s.data[off:off+n])) {
		t.Errorf("wrong bytes at %d", off)
	}
	return err
}

func overloaded() error { return &tier.Error{Op: "get", Temporary: true, Err: errors.New("503")} }

// after waits in the bubble's time, as a store does that answers late.
func after(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return tier.Ended("get", "", ctx.Err())
	}
}

func TestColdBoundary(t *testing.T) {
	s := newShelf(t)
	r, cold := s.open(t, tier.RangesOptions{})
	defer r.Close()
	at := s.object.MetaOffset
	for _, c := range []struct{ off, n, requests int64 }{
		{0, 10, 1}, {at - 10, 10, 1}, {at - 10, 20, 1}, {at, 10, 0},
		{int64(len(s.data)) - 1, 1, 0}, {0, int64(len(s.data)), 1},
	} {
		s.setBend(nil)
		if err := s.read(t, cold, c.off, c.n); err != nil || int64(s.count()) != c.requests {
			t.Fatalf("%+v: %v, %d requests", c, err, s.count())
		}
	}
	if n, err := cold.ReadAt(make([]byte, 10), int64(len(s.data))-3); n != 3 || err == nil {
		t.Fatal(n, err)
	}
	if n, err := cold.ReadAt(make([]byte, 10), int64(len(s.data))); n != 0 || err == nil {
		t.Fatal(n, err)
	}
	remote, err := r.Open(s.object, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.read(t, remote, at-5, 100); err != nil {
		t.Fatal(err)
	}
}

func TestSingleFlight(t *testing.T) {
	s := newShelf(t)
	synctest.Test(t, func(t *testing.T) {
		r, cold := s.open(t, tier.RangesOptions{})
		defer r.Close()
		s.setBend(func(ctx context.Context, _ int, _ int64) error { return after(ctx, time.Second) })
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := s.read(t, cold, 4096, 16<<10); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if s.count() != 1 {
			t.Fatalf("%d requests for one range", s.count())
		}
	})
}

// TestJoinedDeadline: who waits for the request of a read whose time runs out has its own time.
func TestJoinedDeadline(t *testing.T) {
	s := newShelf(t)
	synctest.Test(t, func(t *testing.T) {
		r, cold := s.open(t, tier.RangesOptions{})
		defer r.Close()
		s.setBend(func(ctx context.Context, n int, _ int64) error {
			if n == 1 {
				return after(ctx, time.Hour)
			}
			return nil
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			var u *tier.UnavailableError
			if err := s.read(t, cold, 0, 100); !errors.As(err, &u) || !u.Timeout {
				t.Error(err)
			}
		})
		time.Sleep(8 * time.Second)
		begun := time.Now()
		if err := s.read(t, cold, 0, 100); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 3*time.Second {
			t.Error("took", took)
		}
		wg.Wait()
	})
}

// TestDeadline: a store that answers nobody, and one that does not even notice that it is given up, cost a reader its
// deadline and no more.
func TestDeadline(t *testing.T) {
	for name, deaf := range map[string]bool{"stalls": false, "deaf": true} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			synctest.Test(t, func(t *testing.T) {
				r, cold := s.open(t, tier.RangesOptions{Deadline: 3 * time.Second, InFlight: 4})
				s.setBend(func(ctx context.Context, _ int, _ int64) error {
					if deaf {
						time.Sleep(time.Minute)
						return nil
					}
					return after(ctx, time.Hour)
				})
				var wg sync.WaitGroup
				for i := range int64(20) { // more than may be under way: waiting counts
					wg.Go(func() {
						begun := time.Now()
						err := s.read(t, cold, i*100, 100)
						var u *tier.UnavailableError
						if !errors.As(err, &u) || !u.Timeout || u.Object != s.object.Name || !errors.Is(err, context.DeadlineExceeded) {
							t.Error(err)
						}
						if took := time.Since(begun); took != 3*time.Second {
							t.Error("took", took)
						}
					})
				}
				wg.Wait()
				r.Close()
				if s.most > 4 {
					t.Errorf("%d requests at one time", s.most)
				}
			})
		})
	}
}

func TestHedge(t *testing.T) {
	s := newShelf(t)
	synctest.Test(t, func(t *testing.T) {
		r, cold := s.open(t, tier.RangesOptions{})
		defer r.Close()
		var cancelled, extra atomic.Int64
		slow := func(n int) bool { return n%10 == 7 }
		s.setBend(func(ctx context.Context, n int, _ int64) error {
			if n > 200 && slow(n) {
				err := after(ctx, time.Hour)
				if errors.Is(ctx.Err(), context.Canceled) {
					cancelled.Add(1)
				}
				return err // of the loser: nobody must see it
			}
			return after(ctx, 30*time.Millisecond)
		})
		for i := range int64(200) {
			if err := s.read(t, cold, i*1000, 1000); err != nil {
				t.Fatal(err)
			}
		}
		if s.count() != 200 {
			t.Fatalf("%d requests for 200 reads that are all as quick", s.count())
		}
		failed := 0
		for i := range int64(100) {
			before, begun := s.count(), time.Now()
			err := s.read(t, cold, (1000+i)*1000, 1000)
			extra.Add(int64(s.count() - before - 1))
			var u *tier.UnavailableError
			switch {
			case err == nil && time.Since(begun) > 200*time.Millisecond:
				t.Fatal("took", time.Since(begun))
			case err != nil && (!errors.As(err, &u) || !u.Timeout):
				t.Fatal(err)
			case err != nil:
				failed++ // the allowance for second requests is used up
			}
		}
		synctest.Wait()
		if extra.Load() < 4 || extra.Load() > 4+5+1 {
			t.Fatalf("%d second requests for 100 reads", extra.Load())
		}
		if cancelled.Load() != extra.Load() || failed > 6 {
			t.Fatalf("%d losers were cancelled, of %d; %d reads failed", cancelled.Load(), extra.Load(), failed)
		}
	})
}

// TestHedgeError: when the second request fails first, the first one's answer counts, and the other way round.
func TestHedgeError(t *testing.T) {
	for name, bad := range map[string]int{"the second fails": 1, "the first fails": 0} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			synctest.Test(t, func(t *testing.T) {
				r, cold := s.open(t, tier.RangesOptions{Attempts: 1})
				defer r.Close()
				for i := range int64(100) {
					if err := s.read(t, cold, i*1000, 1000); err != nil {
						t.Fatal(err)
					}
				}
				s.setBend(func(ctx context.Context, n int, _ int64) error {
					if n-1 == bad {
						if err := after(ctx, time.Second/10); err != nil {
							return err
						}
						return overloaded()
					}
					return after(ctx, time.Second)
				})
				if err := s.read(t, cold, 0, 1000); err != nil || s.count() != 2 {
					t.Fatal(err, s.count())
				}
			})
		})
	}
}

func TestCircuit(t *testing.T) {
	s := newShelf(t)
	synctest.Test(t, func(t *testing.T) {
		r, cold := s.open(t, tier.RangesOptions{})
		defer r.Close()
		s.setBend(func(context.Context, int, int64) error { return overloaded() })
		var longest time.Duration
		begun, last := time.Now(), 0
		for i := int64(0); time.Since(begun) < 5*time.Minute; i++ { // a read every 10 ms for five minutes
			at := time.Now()
			err := s.read(t, cold, i%3000*1000, 1000)
			if !errors.Is(err, tier.ErrUnavailable) {
				t.Fatal(err)
			}
			if s.count() == last {
				longest = max(longest, time.Since(at))
			}
			last = s.count()
			time.Sleep(10 * time.Millisecond)
		}
		if s.count() > 150 {
			t.Errorf("%d requests to a store that is down for five minutes", s.count())
		}
		if longest > 0 {
			t.Errorf("failing at once took %v", longest)
		}
		if err := r.Failing(); err == nil {
			t.Error("it is not said that reads fail")
		}
		s.setBend(nil)
		back := time.Now()
		for s.read(t, cold, 0, 1000) != nil {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(back); took > 4*time.Second {
			t.Errorf("reads came back %v after the store", took)
		}
		for i := range int64(100) {
			if err := s.read(t, cold, i*1000, 1000); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Failing(); err != nil {
			t.Errorf("reads work, and it is said that they fail: %v", err)
		}
		s.setBend(func(context.Context, int, int64) error { return overloaded() })
		for range 5 {
			_ = s.read(t, cold, 0, 1000)
		}
		fails := r.Failing() != nil
		if time.Sleep(2 * time.Minute); !fails || r.Failing() != nil {
			t.Errorf("reads that failed long ago: %v, then %v", fails, r.Failing())
		}
	})
}

// TestReadsRetryWithinABudget: a store that fails twice for each time that it answers is not asked three times by every
// read; no failure in a row opens the circuit.
func TestReadsRetryWithinABudget(t *testing.T) {
	s := newShelf(t)
	synctest.Test(t, func(t *testing.T) {
		r, cold := s.open(t, tier.RangesOptions{HedgeShare: -1})
		defer r.Close()
		s.setBend(func(_ context.Context, n int, _ int64) error {
			if n%3 == 0 {
				return nil
			}
			return overloaded()
		})
		const reads = 600
		came := 0
		for i := range int64(reads) {
			if s.read(t, cold, i*1000, 1000) == nil {
				came++
			}
		}
		// Ten at once, and one for every ten that succeed.
		if most := reads + 10 + came/10 + 1; s.count() > most || came < reads/4 {
			t.Errorf("%d requests for %d reads, %d of which succeeded; at most %d", s.count(), reads, came, most)
		}
	})
}

// TestCircuitProbeStalls: a probe that is not answered does not keep reads from a store that is back.
func TestCircuitProbeStalls(t *testing.T) {
	s := newShelf(t)
	synctest.Test(t, func(t *testing.T) {
		r, cold := s.open(t, tier.RangesOptions{Attempts: 1})
		defer r.Close()
		s.setBend(func(context.Context, int, int64) error { return overloaded() })
		for range 5 {
			_ = s.read(t, cold, 0, 1000)
		}
		time.Sleep(time.Second)
		s.setBend(func(ctx context.Context, n int, _ int64) error {
			if n == 1 {
				return after(ctx, time.Hour)
			}
			return nil
		})
		go s.read(t, cold, 0, 1000)
		synctest.Wait()
		begun := time.Now()
		for s.read(t, cold, 5000, 1000) != nil {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(begun); took > time.Second {
			t.Fatal("took", took)
		}
	})
}

func TestRetries(t *testing.T) {
	s := newShelf(t)
	synctest.Test(t, func(t *testing.T) {
		r, cold := s.open(t, tier.RangesOptions{})
		defer r.Close()
		s.setBend(func(_ context.Context, n int, _ int64) error {
			if n < 3 {
				return overloaded()
			}
			return nil
		})
		if err := s.read(t, cold, 0, 1000); err != nil || s.count() != 3 {
			t.Fatal(err, s.count())
		}
		s.setBend(func(context.Context, int, int64) error { return &tier.Error{Err: tier.ErrRefused} })
		err := s.read(t, cold, 0, 1000)
		if !errors.Is(err, tier.ErrRefused) || !errors.Is(err, tier.ErrUnavailable) || s.count() != 1 {
			t.Fatal(err, s.count())
		}
	})
}

func TestAhead(t *testing.T) {
	s := newShelf(t)
	synctest.Test(t, func(t *testing.T) {
		r, cold := s.open(t, tier.RangesOptions{AheadBytes: 2 << 20})
		defer r.Close()
		s.setBend(func(ctx context.Context, n int, _ int64) error { return after(ctx, 100*time.Millisecond) })
		begun := time.Now()
		cold.Prefetch(0, 3<<20) // a piece more than there is room for
		for off := int64(0); off < 2<<20; off += 10_000 {
			if err := s.read(t, cold, off, min(10_000, 2<<20-off)); err != nil {
				t.Fatal(err)
			}
		}
		if s.count() != 2 || time.Since(begun) != 100*time.Millisecond {
			t.Fatalf("%d requests, %v", s.count(), time.Since(begun))
		}
		if err := s.read(t, cold, 2<<20, 1000); err != nil || s.count() != 3 {
			t.Fatal(err, s.count())
		}
		cold.Prefetch(2<<20, 1<<20) // what was read makes room at once
		synctest.Wait()
		if s.count() != 4 {
			t.Fatal(s.count())
		}
		// Pieces that fail, or stall, leave the reader its own request.
		time.Sleep(time.Minute)
		s.setBend(func(ctx context.Context, n int, _ int64) error {
			switch n {
			case 1:
				return overloaded()
			case 2:
				return after(ctx, time.Hour)
			}
			return nil
		})
		cold.Prefetch(0, 1000)
		synctest.Wait()
		cold.Prefetch(5000, 1000)
		synctest.Wait()
		begun = time.Now()
		if err := s.read(t, cold, 0, 1000); err != nil || time.Since(begun) != 0 {
			t.Fatal(err, time.Since(begun))
		}
		if err := s.read(t, cold, 5000, 1000); err != nil || time.Since(begun) > 6*time.Second {
			t.Fatal(err, time.Since(begun))
		}
	})
}

// TestAheadMemory: the memory of a piece that was read serves the next one, once nobody looks at it any more.
func TestAheadMemory(t *testing.T) {
	s := newShelf(t)
	synctest.Test(t, func(t *testing.T) {
		r, cold := s.open(t, tier.RangesOptions{AheadBytes: 2 << 20})
		defer r.Close()
		lend := func(at int64) ([]byte, segfile.Loan) {
			t.Helper()
			if !cold.Prefetch(at, 1<<20) {
				t.Fatal("no room")
			}
			synctest.Wait()
			b, loan := cold.Lend(at, 1<<20)
			if loan == nil || !bytes.Equal(b, s.data[at:at+1<<20]) {
				t.Fatalf("at %d: %d bytes, %v", at, len(b), loan)
			}
			return b, loan
		}
		if b, loan := cold.Lend(0, 10); loan != nil {
			t.Fatal("lent what nobody has read", len(b))
		}
		first, loan := lend(0)
		second, other := lend(1 << 20)
		third, last := lend(2 << 20) // the first piece goes; its bytes are still looked at
		if !bytes.Equal(first, s.data[:1<<20]) || &third[0] == &first[0] {
			t.Fatal("what is lent was written over")
		}
		loan.Return()
		other.Return()
		last.Return()
		again, loan := lend(0)
		defer loan.Return()
		if &again[0] != &first[0] && &again[0] != &second[0] {
			t.Error("the memory of pieces that are gone is not used again")
		}
		if b, loan := cold.Lend(0, 1<<20+1); loan != nil {
			t.Error("lent from two pieces", len(b))
		}
	})
}

// TestCloseRanges: Close ends what is under way, and reads after it fail.
func TestCloseRanges(t *testing.T) {
	s := newShelf(t)
	synctest.Test(t, func(t *testing.T) {
		r, cold := s.open(t, tier.RangesOptions{})
		s.setBend(func(ctx context.Context, _ int, _ int64) error { return after(ctx, time.Hour) })
		begun := time.Now()
		cold.Prefetch(1<<20, 1<<20)
		var wg sync.WaitGroup
		for i := range int64(10) {
			wg.Go(func() {
				at := i / 2 * 100
				if i == 9 {
					at = 1<<20 + 5 // waits for what is read ahead
				}
				if err := s.read(t, cold, at, 100); !errors.Is(err, tier.ErrUnavailable) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		r.Close()
		wg.Wait()
		if err := s.read(t, cold, 0, 100); !errors.Is(err, tier.ErrUnavailable) {
			t.Error(err)
		}
		cold.Prefetch(0, 100)
		if time.Since(begun) != 0 {
			t.Error("took", time.Since(begun))
		}
	})
}
