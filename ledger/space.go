package ledger

import (
	"fmt"

	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// mergeMarginBytes is what a merge leaves free beside what the entries in memory will take, for the log and the manifest.
	mergeMarginBytes = 16 << 20
	// mergeScratchBytes is what a merge's scratch file takes for an entry, rounded up.
	mergeScratchBytes = 64
)

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

// roomToMerge says why a merge of these segments must wait: it is of no use to anybody before it is done, and what it
// writes until then must not take the space that flushes need. It may take what clients' writes are refused for. An error
// is one of vfs.IsNoSpace; a file system that does not tell its free space is tried.
func (l *Ledger) roomToMerge(inputs []*table) error {
	var need int64
	for _, t := range inputs {
		info := t.Info()
		need += int64(info.Bytes) + mergeScratchBytes*int64(info.Entries)
	}
	space, err := l.opts.FS.Space(l.opts.Dir)
	leave := mergeMarginBytes + l.UnflushedBytes()
	if err != nil || space.Free >= uint64(need+leave) {
		return nil
	}
	return fmt.Errorf("%w: %d bytes to write, and %d to leave for the entries in memory, do not fit into %d",
		vfs.ErrReserved, need, leave, space.Free)
}
