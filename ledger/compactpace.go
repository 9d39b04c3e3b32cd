package ledger

import "time"

const (
	// giveWayFrom is how many memtables must wait for the flusher before merges give way to it, and giveWayPause for how
	// long a merge then rests after each lookEvery entries. It goes on at about a quarter of its speed, and never stops.
	giveWayFrom  = 2
	giveWayPause = 5 * time.Millisecond
	// hurryFrom is at how many segments the bound on a merge's rate has doubled: reads have to look at all of them.
	hurryFrom = 32
)

// giveWay rests while the flusher is behind: what it does lets writes go on, what a merge does lets reads be faster. It
// gives ErrClosed when the ledger is being closed.
func (l *Ledger) giveWay() error {
	rest := time.Duration(0)
	if l.unbuilt() >= giveWayFrom {
		rest = giveWayPause
	}
	return l.rest(rest)
}

// unbuilt is how many memtables wait for the flusher, or are with it.
func (l *Ledger) unbuilt() (n int) {
	v := l.peek()
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	for _, s := range v.sealed {
		if s.built == nil {
			n++
		}
	}
	return n
}

// rest waits, but not when the owner does the steps: then it has the say. It gives ErrClosed when the ledger is being
// closed.
func (l *Ledger) rest(d time.Duration) error {
	var rested <-chan time.Time
	if d > 0 && !l.opts.Manual {
		rested = l.opts.After(d)
	}
	select {
	case <-l.stop:
		return ErrClosed
	default:
	}
	if rested == nil {
		return nil
	}
	select {
	case <-rested:
		return nil
	case <-l.stop:
		return ErrClosed
	}
}

// paced writes the file of a merge at a bounded rate, and syncs it now and then.
type paced struct {
	ledger   *Ledger
	to       appender
	next     time.Time // when the next write may begin
	unsynced int
}

// Write waits first, so that the merge gets on with the next entries in what time the bytes are given. What time it does
// not use is lost: it never catches up by a burst.
func (p *paced) Write(b []byte) (int, error) {
	if rate := p.ledger.compactRate(); rate > 0 {
		now := p.ledger.opts.Now()
		if ahead := p.next.Sub(now); ahead > time.Millisecond {
			if err := p.ledger.rest(ahead); err != nil {
				return 0, err
			}
		} else if ahead < 0 {
			p.next = now
		}
		p.next = p.next.Add(time.Duration(float64(len(b)) / rate * float64(time.Second)))
	}
	n, err := p.to.Write(b)
	if err != nil {
		return n, err
	}
	if p.unsynced += n; p.unsynced >= compactSyncBytes {
		p.unsynced = 0
		err = p.to.f.Sync()
	}
	return n, err
}

// compactRate is how many bytes a merge may write in a second at present; 0 is no bound.
func (l *Ledger) compactRate() float64 {
	if l.opts.CompactBytesPerSecond <= 0 {
		return 0
	}
	return float64(l.opts.CompactBytesPerSecond) * (1 + float64(len(l.peek().tables)/hurryFrom))
}
