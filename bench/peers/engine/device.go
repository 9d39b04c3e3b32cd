package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/scribe-ledger/scribe/bench/dataset"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// groupEvery is how far apart groups begin at least: what an engine does with a group beside syncing it.
	groupEvery = 750 * time.Microsecond
	// tablesPerLog is how many bytes go into tables for one in the log.
	tablesPerLog   = 3
	deviceLogBytes = 64 << 20
	deviceLogs     = 4
	tablePiece     = 1 << 20
	tableSync      = 4 << 20
	tableBytes     = 64 << 20
	tablesKept     = 8
)

var errNotOfDevice = errors.New("the device alone takes durable writes, and nothing else")

// deviceStore is no store: it does to the device what one does for durable writes, in the least time. Groups of all that
// is waiting are written into a log of files that are filled already, and synced; beside that, tables are written, in
// pieces that are sent on their way at once, and removed. How long writes wait for it, no engine can be below.
type deviceStore struct {
	dir     string
	logs    []vfs.File
	at      int64 // in all log files, one behind the other
	queue   chan deviceWrite
	owed    chan int64 // bytes that are to go into tables
	failed  chan struct{}
	failure error
	fail    sync.Once
	done    sync.WaitGroup
}

type deviceWrite struct {
	bytes int
	done  chan struct{}
}

func openDevice(dir string) (store, error) {
	s := &deviceStore{dir: dir, queue: make(chan deviceWrite, 4096), owed: make(chan int64, 1<<16), failed: make(chan struct{})}
	zeros := make([]byte, 1<<20)
	for i := range deviceLogs {
		f, err := vfs.NewOS().Create(filepath.Join(dir, fmt.Sprintf("log-%d", i)))
		if err != nil {
			return nil, err
		}
		s.logs = append(s.logs, f)
		for off := int64(0); off < deviceLogBytes; off += int64(len(zeros)) {
			if _, err := f.WriteAt(zeros, off); err != nil {
				return nil, err
			}
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
	}
	s.done.Go(s.writeLog)
	s.done.Go(s.writeTables)
	return s, nil
}

func (s *deviceStore) failWith(err error) {
	s.fail.Do(func() {
		s.failure = err
		close(s.failed)
	})
}

func (s *deviceStore) Write(key, value []byte) error {
	w := deviceWrite{len(key) + len(value), make(chan struct{})}
	s.queue <- w
	select {
	case <-w.done:
		return nil
	case <-s.failed:
		return s.failure
	}
}

func (s *deviceStore) writeLog() {
	defer close(s.owed)
	var group []deviceWrite
	buf := make([]byte, 0, 1<<20)
	for first := range s.queue {
		began := time.Now()
		group, buf = append(group[:0], first), buf[:first.bytes]
		for n := len(s.queue); n > 0; n-- {
			w := <-s.queue
			group, buf = append(group, w), append(buf, make([]byte, w.bytes)...)
		}
		f := s.logs[s.at/deviceLogBytes%deviceLogs]
		if off := s.at % deviceLogBytes; off+int64(len(buf)) > deviceLogBytes {
			s.at += deviceLogBytes - off
			f = s.logs[s.at/deviceLogBytes%deviceLogs]
		}
		for i := 0; i < len(buf); i += dataset.EntryBytes {
			buf[i] = byte(s.at >> 8) // not what stood there
		}
		_, err := f.WriteAt(buf, s.at%deviceLogBytes)
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			s.failWith(err)
			return
		}
		s.at += int64(len(buf))
		for _, w := range group {
			close(w.done)
		}
		s.owed <- int64(len(buf)) * tablesPerLog
		time.Sleep(time.Until(began.Add(groupEvery)))
	}
}

func (s *deviceStore) writeTables() {
	piece, owed := make([]byte, tablePiece), int64(0)
	var f vfs.File
	var off int64
	table := func(n int) string { return filepath.Join(s.dir, fmt.Sprintf("table-%d", n)) }
	for n := 0; ; {
		for owed < tablePiece {
			more, ok := <-s.owed
			if !ok {
				return
			}
			owed += more
		}
		owed -= tablePiece
		var err error
		if f == nil {
			if f, err = vfs.NewOS().Create(table(n)); err != nil {
				s.failWith(err)
				return
			}
		}
		if _, err = f.WriteAt(piece, off); err == nil {
			err = f.StartSync(off, tablePiece)
		}
		if off += tablePiece; err == nil && off%tableSync == 0 {
			err = f.Sync()
		}
		if err == nil && off == tableBytes {
			err, f, off, n = f.Close(), nil, 0, n+1
			if err == nil && n > tablesKept {
				err = vfs.NewOS().Remove(table(n - tablesKept - 1))
			}
		}
		if err != nil {
			s.failWith(err)
			return
		}
	}
}

func (s *deviceStore) Settle() error { return nil }

func (s *deviceStore) Close() error {
	close(s.queue)
	s.done.Wait()
	for _, f := range s.logs {
		s.failure = errors.Join(s.failure, f.Close())
	}
	return s.failure
}

func (s *deviceStore) Load(int, int) error                 { return errNotOfDevice }
func (s *deviceStore) Sync() error                         { return errNotOfDevice }
func (s *deviceStore) Get([]byte, []byte) (bool, error)    { return false, errNotOfDevice }
func (s *deviceStore) Scan([]byte, bool, int) (int, error) { return 0, errNotOfDevice }
func (s *deviceStore) Count() int                          { return -1 }
