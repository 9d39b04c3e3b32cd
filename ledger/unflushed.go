package ledger

// UnflushedBytes is about what the segments of the entries in memory will take on disk, and not less: what a memtable
// counts for an entry is more than a segment stores of it.
func (l *Ledger) UnflushedBytes() int64 {
	v := l.peek()
	_, sum, _, _ := v.active.size()
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	for _, s := range v.sealed {
		if s.built == nil {
			_, size, _, _ := s.mem.size()
			sum += size
		}
	}
	return sum
}
