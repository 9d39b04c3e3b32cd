package wal

import (
	"errors"
	"fmt"
	"sync"

	"github.com/scribe-ledger/scribe/raft"
)

var (
	// ErrPoisoned is in every error of a log in which a write or sync failed. Nothing more is accepted; the process
	// should end, and Open verifies the files anew.
	ErrPoisoned = errors.New("wal: the log is poisoned by an earlier failure")
	// ErrClosed is returned by a log after Close.
	ErrClosed = errors.New("wal: the log is closed")
	// ErrOrder says that a batch does not continue the log: a gap, a term that goes back, a vote that changes within
	// its term, or an index that was trimmed. The caller is wrong; the log is unchanged and usable.
	ErrOrder = errors.New("wal: the batch does not continue the log")
)

// Log is an open log. One goroutine appends; all methods may be called from any number of others meanwhile.
//
// Locks are taken in the order appendMu, trimMu, mu and prepareMu, mu. The pool's own is taken last of all.
type Log struct {
	opts    Options
	metrics *metrics
	spares  pool
	owner   Owner // set by Open

	prepareMu sync.Mutex // one Prepare at a time
	appendMu  sync.Mutex // held through Append, Reset and Close; owns buf, marks
	buf       []byte
	marks     []pending  // positions of the batch's entries
	trimMu    sync.Mutex // held through Trim; whoever takes files out of line.files holds it. Owns origin
	origin    origin     // what the origin file says; id 0 when there is none

	mu     sync.RWMutex // guards what follows; never held across I/O
	line   timeline
	err    error
	closed bool
}

// active is the file that is appended to, nil before the first. The caller holds mu or appendMu.
func (l *Log) active() *logFile {
	if n := len(l.line.files); n > 0 {
		return l.line.files[n-1]
	}
	return nil
}

// usable returns why the log takes no more, or nil.
func (l *Log) usable() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return ErrClosed
	}
	return l.err
}

// Err returns the error that poisoned the log, or nil.
func (l *Log) Err() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.err
}

// poison makes err the answer of every later Append, unless there is one already, and returns it.
func (l *Log) poison(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = fmt.Errorf("%w: %w", ErrPoisoned, err)
		l.opts.Logger.Error("write-ahead log poisoned", "dir", l.opts.Dir, "error", err)
	}
	return l.err
}

// HardState returns the last hard state that is durable.
func (l *Log) HardState() raft.HardState {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.line.hard
}

// FirstIndex is the index of the first entry held, LastIndex()+1 when there is none.
func (l *Log) FirstIndex() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.line.first()
}

// LastIndex is the index of the last entry held, or the one before the first that may come.
func (l *Log) LastIndex() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.line.next - 1
}

// Room is how large a batch, in BatchBytes, can be appended without making a new file: into the rest of the file, or
// into a spare that is ready, whichever holds more.
func (l *Log) Room() int64 { return max(l.spares.largest()-headerSize, l.Rest()) }

// Rest is how large a batch, in BatchBytes, can be appended to the file that is appended to now.
func (l *Log) Rest() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if f := l.active(); f != nil && !f.sealed {
		return max(int64(len(f.buf))-f.end, 0)
	}
	return 0
}

// DiskBytes is what the log files and the spares that are ready take on disk.
func (l *Log) DiskBytes() int64 {
	sum := l.spares.bytes()
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, f := range l.line.files {
		sum += int64(len(f.buf))
	}
	return sum
}

// FileBytes is the length of a log file. A batch that does not fit into one gets a file of its own length.
func (l *Log) FileBytes() int64 { return l.opts.FileBytes }

// Close makes the last note durable and lets go of the files once no reader holds them. It returns the error that
// poisoned the log, if one did. Later calls return nil.
func (l *Log) Close() error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	err, f := l.err, l.active()
	l.mu.Unlock()
	if err == nil && f != nil && f.end > f.good {
		if serr := f.sync(l.opts.Method, f.good, f.end-f.good); serr != nil {
			err = l.poison(fmt.Errorf("sync %s: %w", f.path, serr))
		}
	}
	l.letGo()
	return err
}

// letGo gives up the files and the metrics. The log is closed, or was never open.
func (l *Log) letGo() {
	l.trimMu.Lock()
	defer l.trimMu.Unlock()
	l.mu.RLock()
	files := l.line.files
	l.mu.RUnlock()
	for _, f := range files {
		f.release()
	}
	l.metrics.unregister()
}
