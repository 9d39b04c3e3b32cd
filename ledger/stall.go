package ledger

import "time"

const (
	// maxWriteDelay is how long a small write waits when memory is all but full; a large one waits up to twice that.
	maxWriteDelay = 100 * time.Millisecond
	// delayedBytes is a small write. A larger one waits longer, in proportion: it fills as much memory as many small ones.
	delayedBytes = 16 << 10
)

// WriteDelay is how long whoever has a write of so many bytes should wait before it proposes it, as the flusher is falling
// behind: nothing as long as memtables go as fast as they come, then ever more, until Backlog refuses writes. So the
// writers settle at the pace of the flusher, instead of running into a wall and all stopping for the time of a flush.
func (l *Ledger) WriteDelay(bytes int) time.Duration {
	d := l.delay()
	if d == 0 {
		return 0
	}
	if bytes > delayedBytes {
		d = time.Duration(float64(d) * float64(bytes) / delayedBytes)
	}
	d = min(d, 2*maxWriteDelay)
	l.metrics.writeDelays.Inc()
	l.metrics.delaySeconds.Add(d.Seconds())
	return d
}

// delay is that of a small write. It grows with the cube of what is filled between two bounds: the lower one is not
// reached while one memtable fills up and another one is flushed, and at the upper one there are MaxSealed.
func (l *Ledger) delay() time.Duration {
	from, full := l.opts.SealBytes*int64(l.opts.MaxSealed+1)/2, l.opts.SealBytes*int64(l.opts.MaxSealed)
	over := l.memoryBytes() - from
	if over <= 0 || from >= full {
		return 0
	}
	filled := min(1, float64(over)/float64(full-from))
	return time.Duration(filled * filled * filled * float64(maxWriteDelay))
}

// memoryBytes is what all memtables hold.
func (l *Ledger) memoryBytes() int64 {
	v := l.peek()
	sum := v.active.bytes.Load()
	for _, s := range v.sealed {
		sum += s.mem.bytes.Load()
	}
	return sum
}
