package ledger

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestWorkerPauses: what fails is tried again after pauses that double up to a bound, however often the worker is poked
// meanwhile; and after a step that went well the first pause is short again.
func TestWorkerPauses(t *testing.T) {
	const wrong = 8 // steps in a row, which take 16 s
	synctest.Test(t, func(t *testing.T) {
		l := &Ledger{opts: Options{}.withDefaults(), stop: make(chan struct{}), changed: make(chan struct{})}
		began, failure := time.Now(), errors.New("disk full")
		var at []time.Duration
		w := l.newWorker(func() (bool, error) {
			at = append(at, time.Since(began))
			switch n := len(at); {
			case n <= wrong, n == wrong+2:
				return true, failure
			case n == wrong+1:
				return true, nil
			}
			return false, nil
		})
		failures := prometheus.NewCounter(prometheus.CounterOpts{Name: "failures"})
		go w.run(failures)
		w.poke()
		// The pokes come at moments of their own, so that a step they caused would show in at.
		for range 100 {
			time.Sleep(33 * time.Millisecond)
			w.poke()
			if err := w.lastError(); !errors.Is(err, failure) {
				t.Fatalf("after %v: the last step met %v", time.Since(began), err)
			}
		}
		time.Sleep(time.Minute)
		close(l.stop)
		<-w.done
		want := []time.Duration{0}
		for _, pause := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000, 0, 100} {
			want = append(want, want[len(want)-1]+pause*time.Millisecond)
		}
		if len(at) < len(want) || !slices.Equal(at[:len(want)], want) {
			t.Errorf("steps at %v, want %v", at, want)
		}
		if err := w.lastError(); err != nil {
			t.Errorf("after a step that went well: %v", err)
		}
	})
}
