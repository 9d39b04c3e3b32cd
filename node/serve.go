package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// maxServeQueue and maxServeOfPeer bound the requests that wait; more are dropped, and asked again.
	maxServeQueue  = 256
	maxServeOfPeer = 32
	// maxKeptManifests is how many encoded manifests are kept for those who have begun to copy them, and
	// keepManifestFor for how long after the last request.
	maxKeptManifests = 2
	keepManifestFor  = time.Minute
	// servePoll is the least pause between two attempts. Pauses are short, so that what is sent is spread: a burst is
	// hashed and stored in one go at the other end, and in the way of everything else there.
	servePoll = time.Millisecond
)

// server answers the members that copy a snapshot from this node: pieces of its manifest and of its segment files, at a
// bounded rate. step is for one goroutine; the others put requests in.
type server struct {
	ledger  *ledger.Ledger
	send    func(to uint64, payload []byte) bool
	now     func() time.Time
	log     *slog.Logger
	metrics *snapshotMetrics
	bucket  bucket
	// private says that the others do not reach the store that this member's evicted segments are in: they are given, too.
	private bool

	mu    sync.Mutex
	queue []serveRequest // guarded by mu

	kept []keptManifest // newest last
}

type serveRequest struct {
	from  uint64
	frame bulkFrame
	since time.Time
}

// keptManifest is a manifest that somebody copies. Its segments stay here while he does, also when they are merged.
type keptManifest struct {
	index   uint64
	sum     uint64
	encoded []byte
	used    time.Time
	held    *ledger.Held
}

// add queues a request, if there is room. For any goroutine.
func (s *server) add(from uint64, f bulkFrame) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := 0
	for i := range s.queue {
		if s.queue[i].from == from {
			of++
		}
	}
	if len(s.queue) >= maxServeQueue || of >= maxServeOfPeer {
		return false
	}
	s.queue = append(s.queue, serveRequest{from, f, s.now()})
	return true
}

// wait is how long it is until the rate may allow the oldest request, and a moment if the network is in the way; 0 when
// there is none.
func (s *server) wait() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return 0
	}
	return max(s.bucket.wait(), servePoll)
}

func (s *server) pop() {
	s.mu.Lock()
	s.queue[0] = serveRequest{}
	s.queue = s.queue[1:]
	s.mu.Unlock()
}

// step answers the oldest request, unless the rate or the network says not yet.
func (s *server) step() (worked bool) {
	now := s.now()
	s.forget(func(k *keptManifest) bool { return now.Sub(k.used) > keepManifestFor })
	s.mu.Lock()
	if len(s.queue) == 0 {
		s.mu.Unlock()
		return false
	}
	r := s.queue[0]
	s.mu.Unlock()
	if !s.bucket.has(now) {
		return false
	}
	payload, bytes, err := s.answer(r.frame, now)
	if err != nil {
		if !errors.Is(err, ledger.ErrNoSegment) && !errors.Is(err, ledger.ErrRebuilding) {
			s.log.Warn("a request for a part of a snapshot cannot be answered", "from", r.from, "error", err)
		}
		refusal := bulkFrame{kind: bulkRefusal, id: r.frame.id}
		payload = refusal.encode()
	}
	s.pop()
	if !s.send(r.from, payload) {
		// The queue to that peer is full, or it is gone. Others need not wait for it.
		if now.Sub(r.since) < fetchTimeout/2 {
			s.mu.Lock()
			s.queue = append(s.queue, r)
			s.mu.Unlock()
		} else {
			s.metrics.unsent.Inc()
		}
		return false
	}
	s.bucket.take(int64(len(payload)))
	s.metrics.servedBytes.Add(float64(bytes))
	return true
}

// answer returns the frame that answers a request, and how many bytes of the snapshot are in it.
func (s *server) answer(f bulkFrame, now time.Time) (payload []byte, bytes int, err error) {
	if f.kind == bulkManifestRequest {
		piece, err := s.manifest(f, now)
		if err != nil {
			return nil, 0, err
		}
		piece.id = f.id
		return piece.encode(), len(piece.data), nil
	}
	file, err := s.segment(f.part, now)
	if s.private && errors.Is(err, ledger.ErrNoSegment) {
		return s.evicted(f)
	}
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	payload, data := chunkRoom(f.id, f.offset, f.length)
	n, err := file.ReadAt(data, int64(f.offset))
	if n < len(data) {
		if err == nil || errors.Is(err, io.EOF) {
			err = &vfs.CorruptError{File: file.Name(), Offset: int64(f.offset) + int64(n), Reason: "the file ends early"}
		}
		return nil, 0, fmt.Errorf("read segment: %w", err)
	}
	return payload, len(data), nil
}

// evicted is answer for a segment that is in this member's own store only.
func (s *server) evicted(f bulkFrame) (payload []byte, bytes int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	payload, data := chunkRoom(f.id, f.offset, f.length)
	if err := s.ledger.ReadEvicted(ctx, f.part, f.offset, data); err != nil {
		return nil, 0, err
	}
	return payload, len(data), nil
}

// segment opens a segment's file: of a manifest that somebody copies, or of the newest.
func (s *server) segment(part ledger.SegmentPart, now time.Time) (*ledger.SegmentFile, error) {
	for i := len(s.kept) - 1; i >= 0; i-- {
		file, err := s.kept[i].held.OpenSegment(part)
		if !errors.Is(err, ledger.ErrNoSegment) {
			s.kept[i].used = now
			return file, err
		}
	}
	return s.ledger.OpenSegment(part)
}

// forget lets manifests go, and the segments that are held for them.
func (s *server) forget(which func(*keptManifest) bool) {
	s.kept = slices.DeleteFunc(s.kept, func(k keptManifest) bool {
		gone := which(&k)
		if gone {
			k.held.Release()
		}
		return gone
	})
}

// close lets go of all that is held. No step may run any more.
func (s *server) close() { s.forget(func(*keptManifest) bool { return true }) }

// manifest gives a piece of the newest manifest, or of the one whose copying was begun.
func (s *server) manifest(f bulkFrame, now time.Time) (bulkFrame, error) {
	k := s.keptManifest(f.sum)
	if k == nil {
		if f.sum != 0 || f.offset != 0 {
			return bulkFrame{}, fmt.Errorf("manifest %016x: %w", f.sum, ledger.ErrNoSegment)
		}
		// The encoding and what it stands for must be of one moment; installs go on meanwhile.
		held, err := s.ledger.Hold()
		if err != nil {
			return bulkFrame{}, err
		}
		encoded, index := held.Snapshot()
		sum := xxhash.Sum64(encoded)
		if k = s.keptManifest(sum); k != nil {
			held.Release()
		} else {
			if len(s.kept) == maxKeptManifests {
				oldest := s.kept[0].sum
				s.forget(func(k *keptManifest) bool { return k.sum == oldest })
			}
			s.kept = append(s.kept, keptManifest{index: index, sum: sum, encoded: encoded, held: held})
			k = &s.kept[len(s.kept)-1]
		}
	}
	k.used = now
	total := uint64(len(k.encoded))
	if f.offset > total {
		return bulkFrame{}, fmt.Errorf("offset %d in a manifest of %d bytes: %w", f.offset, total, fs.ErrInvalid)
	}
	end := min(total, f.offset+maxChunkBytes)
	return bulkFrame{kind: bulkManifest, index: k.index, sum: k.sum, total: total, offset: f.offset,
		data: k.encoded[f.offset:end]}, nil
}

func (s *server) keptManifest(sum uint64) *keptManifest {
	for i := range s.kept {
		if s.kept[i].sum == sum {
			return &s.kept[i]
		}
	}
	return nil
}

// bucketBurst is the part of a second whose bytes may be sent at once.
const bucketBurst = 32

// bucket bounds a rate: bytes per second, and at once as many as come together in 1/bucketBurst of one.
type bucket struct {
	rate  int64 // 0 for no bound
	left  int64 // below 0 after a piece that was larger than what was left
	since time.Time
}

// has says whether something may be sent now.
func (b *bucket) has(now time.Time) bool {
	if b.rate <= 0 {
		return true
	}
	burst := max(b.rate/bucketBurst, 1)
	if b.since.IsZero() || now.Before(b.since) {
		b.left, b.since = burst, now
	}
	if passed := now.Sub(b.since); passed >= time.Second {
		b.left, b.since = min(burst, b.left+b.rate), now
	} else if more := int64(float64(b.rate) * passed.Seconds()); more > 0 {
		b.left, b.since = min(burst, b.left+more), now
	}
	return b.left > 0
}

// wait is how long it takes, from when it was last asked, until something may be sent.
func (b *bucket) wait() time.Duration {
	if b.rate <= 0 || b.left > 0 {
		return 0
	}
	return time.Duration(float64(1-b.left) / float64(b.rate) * float64(time.Second))
}

func (b *bucket) take(n int64) {
	if b.rate > 0 {
		b.left -= n
	}
}
