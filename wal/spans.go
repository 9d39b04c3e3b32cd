package wal

// Span is what one log file holds, as whoever decides about Trim looks at it.
type Span struct {
	Last  uint64 // index of the last live entry in this file or before it; 0 when there is none
	Bytes int64  // of the file
}

// Spans returns the files of the log, oldest first. The last one is appended to, and Trim never takes it.
func (l *Log) Spans() []Span {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make([]Span, len(l.line.files))
	last := uint64(0)
	for i, f := range l.line.files {
		if !f.span.empty() {
			last = f.span.after() - 1
		}
		out[i] = Span{Last: last, Bytes: int64(len(f.buf))}
	}
	return out
}
