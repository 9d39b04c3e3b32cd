package ledger

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// retryMin and retryMax bound the pause after a step that failed, on a full disk above all. It doubles with each
	// failure in a row.
	retryMin = 100 * time.Millisecond
	retryMax = 5 * time.Second
)

// worker does one kind of background work, step by step, whenever it is poked: there are two, the flusher and the
// compactor. What failed is tried again after a pause, and not sooner because something else happens meanwhile. A worker
// that finds that the replica has diverged tries no more: it waits for the ledger's end.
type worker struct {
	// step does the next piece of work and says whether there was one. After an error the next call tries the same again.
	step     func() (worked bool, err error)
	note     func() // told when err has changed; called with mu held
	notify   func() // told of divergence
	after    func(time.Duration) <-chan time.Time
	logger   *slog.Logger
	failed   string // what is logged when a step fails
	diverged string // what is logged when it finds divergence

	mu  *sync.Mutex // the ledger's flushMu, since err is read together with what it guards
	err error       // what the last step met; guarded by mu

	poked chan struct{} // capacity 1
	stop  <-chan struct{}
	done  chan struct{} // closed when run has ended
}

// newFlusher returns the worker that flushes.
func (l *Ledger) newFlusher() *worker {
	w := l.newWorker(l.FlushStep)
	w.failed = "flush failed; the data is safe in the log, and the flush is tried again"
	w.diverged = "flush found that this replica has diverged; nothing is flushed any more"
	return w
}

// newCompactor returns the worker that compacts.
func (l *Ledger) newCompactor() *worker {
	w := l.newWorker(l.CompactStep)
	w.failed = "compaction failed; the segments stay as they are, and it is tried again"
	w.diverged = "a merge found that this replica has diverged; nothing is merged any more"
	return w
}

func (l *Ledger) newWorker(step func() (worked bool, err error)) *worker {
	return &worker{
		step:   step,
		note:   l.broadcast,
		notify: l.notify,
		after:  l.opts.After,
		logger: l.opts.Logger,
		mu:     &l.flushMu,
		poked:  make(chan struct{}, 1),
		stop:   l.stop,
		done:   make(chan struct{}),
	}
}

// poke says that there may be work. From any goroutine; it never blocks.
func (w *worker) poke() {
	select {
	case w.poked <- struct{}{}:
	default:
	}
}

// lastError is what the last step met; nil when it went well.
func (w *worker) lastError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// run is the worker's goroutine, until stop.
func (w *worker) run(failures prometheus.Counter) {
	defer close(w.done)
	pause := time.Duration(0)
	for {
		if pause > 0 {
			select {
			case <-w.stop:
				return
			case <-w.after(pause):
			}
		} else {
			select {
			case <-w.stop:
				return
			case <-w.poked:
			}
		}
		pause = w.drain(pause, failures)
	}
}

// drain works until nothing is left (it returns 0), the ledger closes, or a step fails: then it returns how long to wait
// before the next try.
func (w *worker) drain(lastPause time.Duration, failures prometheus.Counter) time.Duration {
	for {
		select {
		case <-w.stop:
			return 0
		default:
		}
		before := w.lastError()
		worked, err := w.step()
		if errors.Is(err, ErrClosed) {
			return 0
		}
		w.setError(err)
		if diverged := (*DivergedError)(nil); errors.As(err, &diverged) {
			w.logger.Error(w.diverged, "error", err)
			w.notify()
			<-w.stop
			return 0
		}
		if err != nil {
			pause := min(max(2*lastPause, retryMin), retryMax)
			failures.Inc()
			if !waits(err) || !waits(before) {
				w.logger.Error(w.failed, "error", err, "retry_in", pause)
			}
			return pause
		}
		if !worked {
			return 0
		}
		lastPause = 0
	}
}

// waits says that a step waits for space that is left free for others, or for the object store. It may be for long, and is
// logged once.
func waits(err error) bool {
	var cold *ColdError
	var corrupt *vfs.CorruptError
	return errors.Is(err, vfs.ErrReserved) || errors.As(err, &cold) && !errors.As(err, &corrupt)
}

func (w *worker) setError(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || w.err != nil {
		w.err = err
		w.note()
	}
}
