package tier_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/scribe-ledger/scribe/tier"
	"pgregory.net/rapid"
)

// Property: delays are between half of the doubled base and all of it, never above the maximum but for what the store
// asks, and never below that.
func TestBackoffDelay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := tier.Backoff{
			Base: time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "base")),
			Max:  time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "max")),
		}
		n := rapid.IntRange(1, 1000).Draw(t, "failures")
		after := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "after"))
		random := rapid.Float64Range(0, 0.999999).Draw(t, "random")
		full := b.Base
		for range n - 1 {
			full = min(2*full, b.Max) // at most two hours: it cannot overflow
		}
		full = min(full, b.Max)
		d := b.Delay(n, after, random)
		if d < after || d < full/2 || d > max(full, after) {
			t.Fatalf("delay %v, full %v, after %v", d, full, after)
		}
		if d0 := b.Delay(n, 0, 0); d0 > b.Delay(n, 0, random) || b.Delay(n+1, 0, 0) < d0 {
			t.Fatalf("delay %v is not monotonous", d0)
		}
	})
}

func TestRetry(t *testing.T) {
	temporary := &tier.Error{Op: "get", Temporary: true, RetryAfter: 3 * time.Second, Err: errors.New("busy")}
	final := &tier.Error{Op: "get", Err: tier.ErrRefused}
	for _, c := range []struct {
		what   string
		answer []error // of each call; the last one again and again
		tries  int
		budget float64
		calls  int
		want   error
	}{
		{"at once", []error{nil}, 3, 9, 1, nil},
		{"the third time", []error{temporary, temporary, nil}, 3, 9, 3, nil},
		{"never", []error{temporary}, 4, 9, 4, temporary},
		{"for good", []error{temporary, final}, 4, 9, 2, final},
		{"no budget", []error{temporary}, 4, 1, 2, temporary},
		{"not ours", []error{errors.ErrUnsupported}, 4, 9, 1, errors.ErrUnsupported},
	} {
		calls, slept := 0, time.Duration(0)
		budget := tier.NewBudget(c.budget, 0.1)
		r := tier.Retry{Tries: c.tries, Budget: budget, Random: func() float64 { return 0 },
			Sleep: func(_ context.Context, d time.Duration) error { slept += d; return nil }}
		err := r.Do(t.Context(), func(context.Context) error {
			calls++
			return c.answer[min(calls, len(c.answer))-1]
		})
		if err != c.want || calls != c.calls || slept != time.Duration(calls-1)*3*time.Second {
			t.Errorf("%s: %v after %d calls and %v", c.what, err, calls, slept)
		}
	}
}

// When the context ends while it waits, the last failure is what is told, and there is no further call.
func TestRetryEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	busy := &tier.Error{Temporary: true, Err: errors.New("busy")}
	err := tier.Retry{Tries: 5, Sleep: func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }}.Do(ctx,
		func(context.Context) error { calls++; return busy })
	if err != busy || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// Property: of many calls, the retries are at most the budget and the share of the successes that refills it.
func TestBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most, refill := float64(rapid.IntRange(0, 20).Draw(t, "most")), rapid.Float64Range(0, 1).Draw(t, "refill")
		b := tier.NewBudget(most, refill)
		taken, succeeded := 0.0, 0.0
		for _, ok := range rapid.SliceOf(rapid.Bool()).Draw(t, "calls") {
			if ok {
				b.Succeeded()
				succeeded++
			} else if b.Take() {
				taken++
			}
			if taken > most+succeeded*refill+1e-9 {
				t.Fatalf("%v retries of %v, after %v successes", taken, most, succeeded)
			}
		}
	})
}
