package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tlog"
)

// latest has the seq of the newest acknowledged put of each of the test's keys.
type latest [37]atomic.Uint64

// TestReadersBesideWriter reads in every way while entries come in, memtables are sealed and flushed by the flusher, and
// the ledger is closed in the end. The keys take turns, and each value says at which seq, and by which put, it was written.
func TestReadersBesideWriter(t *testing.T) {
	var acknowledged latest
	readGet := func(l *Ledger, n uint64) error { return readGet(l, n, &acknowledged) }
	defer goleak.VerifyNone(t)
	wake := make(chan struct{}, 1)
	r := newReplica(t, func(o *Options) {
		o.Manual = false
		o.SealBytes = 12_000
		o.Notify = func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		}
	})
	r.l.pending.links.run = 5 // so that keys are linked beside readers and the writer
	var readers sync.WaitGroup
	var reads atomic.Int64
	for i, read := range []func(*Ledger, uint64) error{readGet, readScan, readHistory, readEntries, readProof} {
		readers.Go(func() {
			for n := uint64(i); ; n += 7 {
				err := read(r.l, n)
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("reader %d: %v", i, err)
					return
				}
				reads.Add(1)
			}
		})
	}
	// Some iterators live through everything, the end of the ledger too.
	var long []pinnedIterator
	index, puts := uint64(0), 0
	for r.l.NextSeq() < 2_500 || reads.Load() < 500 {
		var batch []Committed
		seq := r.l.NextSeq()
		for range 1 + puts%(2*hashRun) {
			index++
			at := puts + len(batch)
			batch = append(batch, Committed{index, 1, putCommand(t, fmt.Sprintf("k/%02d", at%37),
				fmt.Appendf(nil, "%d by %d", seq+uint64(len(batch)), at))})
		}
		results, err := r.l.ApplyBatch(batch, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range results {
			seq = result.Receipt.FirstSeq
			acknowledged[puts%37].Store(seq)
			puts++
		}
		for _, w := range r.l.Wanted(time.UnixMicro(0)) {
			index++
			mustApply(t, r.l, index, w.Data)
		}
		if puts >= 37 && len(long) < puts/400 {
			it, err := r.l.Scan(ScanOptions{AsOf: seq, Reverse: len(long)%2 == 0})
			if err != nil {
				t.Fatal(err)
			}
			it.Next() // it stands somewhere
			long = append(long, pinnedIterator{it, seq})
		}
		if t.Failed() {
			break
		}
	}
	mustApply(t, r.l, index+1, SealNow())
	want := r.l.NextSeq()
	for index += 2; !t.Failed(); index++ {
		if through, err := r.l.Installed(); err != nil || through >= want {
			break
		}
		<-wake
		for _, w := range r.l.Wanted(time.UnixMicro(0)) {
			mustApply(t, r.l, index, w.Data)
			index++
		}
	}
	if err := r.l.Close(); err != nil {
		t.Fatal(err)
	}
	readers.Wait()
	for _, p := range long {
		if err := p.check(); err != nil {
			t.Error(err)
		}
	}
}

// pinnedIterator is a scan as of a seq that has moved once.
type pinnedIterator struct {
	it   Iterator
	asOf uint64
}

func (p pinnedIterator) check() error {
	defer p.it.Close()
	n := 1
	for ; p.it.Next(); n++ {
		if err := checkOwnSeq(p.it.Entry()); err != nil {
			return err
		}
		if seq := p.it.Entry().Seq; seq > p.asOf {
			return fmt.Errorf("scan as of %d shows entry %d", p.asOf, seq)
		}
	}
	if p.it.Err() != nil || n != 37 {
		return fmt.Errorf("scan as of %d ends after %d of 37 keys: %w", p.asOf, n, p.it.Err())
	}
	return nil
}

// putOf returns which put wrote an entry, after checking that its value is its own.
func putOf(e *Entry) (put int, err error) {
	var seq uint64
	if _, err := fmt.Sscanf(string(e.Value), "%d by %d", &seq, &put); err != nil || seq != e.Seq {
		return 0, fmt.Errorf("entry %d has value %q", e.Seq, e.Value)
	}
	return put, nil
}

func checkOwnSeq(e *Entry) error {
	if e.Op != tlog.OpPut {
		return nil
	}
	_, err := putOf(e)
	return err
}

func keyOf(n uint64) []byte { return fmt.Appendf(nil, "k/%02d", n%37) }

// readGet sees at least what was acknowledged before it began.
func readGet(l *Ledger, n uint64, acknowledged *latest) error {
	before := acknowledged[n%37].Load()
	e, err := l.Get(keyOf(n), Selector{})
	var absent *NotFoundError
	if errors.As(err, &absent) && before == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if e.Seq < before {
		return fmt.Errorf("the newest version of %q is %d, and %d was acknowledged before", e.Key, e.Seq, before)
	}
	return checkOwnSeq(e)
}

func readScan(l *Ledger, n uint64) error {
	o := ScanOptions{Reverse: n%2 == 0, AsOf: ^uint64(0)}
	if size := l.NextSeq(); n%3 == 0 && size > 0 {
		o.AsOf = n % size
	}
	it, err := l.Scan(o)
	if err != nil {
		return err
	}
	defer it.Close()
	var last []byte
	for it.Next() {
		e := it.Entry()
		if c := bytes.Compare(e.Key, last); last != nil && (c > 0) == o.Reverse || e.Seq > o.AsOf {
			return fmt.Errorf("scan as of %d shows %q of entry %d after %q", o.AsOf, e.Key, e.Seq, last)
		}
		last = bytes.Clone(e.Key)
		if err := checkOwnSeq(e); err != nil {
			return err
		}
	}
	return it.Err()
}

func readHistory(l *Ledger, n uint64) error {
	it, err := l.History(keyOf(n), ^uint64(0), true)
	if err != nil {
		return err
	}
	defer it.Close()
	last := -1
	for it.Next() {
		put, err := putOf(it.Entry())
		if err != nil {
			return err
		}
		if last >= 0 && put != last-37 {
			return fmt.Errorf("the version of put %d follows that of put %d", put, last)
		}
		last = put
	}
	if it.Err() == nil && last >= 37 {
		return fmt.Errorf("the history of %q ends at put %d", keyOf(n), last)
	}
	return it.Err()
}

func readEntries(l *Ledger, n uint64) error {
	size := l.NextSeq()
	from := n * 13 % (size + 1)
	it, err := l.Entries(from, false)
	if err != nil {
		return err
	}
	defer it.Close()
	for ; it.Next(); from++ {
		if it.Entry().Seq != from {
			return fmt.Errorf("entry %d stands at %d", it.Entry().Seq, from)
		}
		if err := checkOwnSeq(it.Entry()); err != nil {
			return err
		}
	}
	if it.Err() == nil && from < size {
		return fmt.Errorf("entries end at %d of %d", from, size)
	}
	return it.Err()
}

func readProof(l *Ledger, n uint64) error {
	p, err := l.Prove(keyOf(n), Selector{})
	var absent *NotFoundError
	if errors.As(err, &absent) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := merkle.VerifyInclusion(p.Leaf, p.Entry.Seq, p.TreeSize, p.Inclusion, p.Root); err != nil {
		return err
	}
	if g := p.Segment; g != nil {
		if err := merkle.VerifyInclusion(p.Leaf, g.Ordinal, g.Entries, g.Inclusion, g.Root); err != nil {
			return err
		}
	}
	from := n % (p.TreeSize + 1)
	old, now, proof, err := l.Consistency(from, p.TreeSize)
	if err != nil {
		return err
	}
	if now != p.Root {
		return fmt.Errorf("two roots of %d entries", p.TreeSize)
	}
	return merkle.VerifyConsistency(from, p.TreeSize, old, now, proof)
}
