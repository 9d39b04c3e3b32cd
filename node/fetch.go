package node

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// fetchTimeout is how long an answer may take, and fetchPause how long a peer, or a disk, that failed is left alone.
	fetchTimeout = 2 * time.Second
	fetchPause   = time.Second
	// fetchWindow is how many requests to one peer are under way at once, and fetchSegments how many segments.
	fetchWindow   = 4
	fetchSegments = 4
	// readDiscount is by how much it is cheaper, for all who share the machine, to read a segment's file that is here than
	// to fetch it: nothing is sent, written or synced.
	readDiscount = 8
	// maxAttempts is how often a segment's file is copied anew after it turned out damaged, before the manifest is asked
	// for again.
	maxAttempts = 3
	// maxFetchInbox bounds the answers that wait. What is under way at once is less, so only what nobody asked for, or
	// what comes twice, can fill it.
	maxFetchInbox = 256
)

// goal is what the fetcher is after: a snapshot as of index or later.
type goal struct {
	from  uint64 // who offers it; the first to be asked for the manifest
	index uint64
	peers []uint64 // who may have parts of it, by ascending id, without this node

	repair bool // it is this node's own state, some of whose segment files are damaged
	beyond bool // it is a state behind the entry that this node cannot apply
}

// snapshots is what this node does about snapshots: it fetches one when it is offered, and serves its own.
type snapshots struct {
	server server
	fetchOptions
	wakeFetch, wakeServe chan struct{} // capacity 1, into the goroutines that call the steps

	mu    sync.Mutex // guards what follows up to the blank line: what other goroutines put in and take out
	goal  *goal      // the newest; nil for none
	inbox []bulkAnswer
	// complete is what has come whole, as the snapshot completeAs; handed to the core, and claimed by it. It is installed
	// or given up next.
	complete        *ledger.Staging
	completeAs      raft.Snapshot
	handed, claimed bool
	installedAt     uint64
	note            string          // how far the fetcher is, for people
	doubt           map[string]bool // segments of this node whose files were found damaged

	// State of the fetcher, whose step one goroutine calls.
	phase    phase
	now      goal // what is being fetched
	nextID   uint64
	asked    []*pieceRequest // under way, oldest first
	givers   []*giver
	manifest manifestCopy
	staging  *ledger.Staging
	segments []*segmentCopy    // missing, by ascending seq
	fetched  uint64            // bytes of segments that came
	origins  map[string]string // where segments came from, of a repair; by id
	bucket   bucket            // of what is asked for, and read
	pause    time.Time         // nothing is tried before
	// storeAfter is when the object store is to be asked again after it failed.
	storeAfter time.Time
}

type fetchOptions struct {
	ledger  *ledger.Ledger
	send    func(to uint64, payload []byte) bool
	clock   func() time.Time
	log     *slog.Logger
	metrics *snapshotMetrics
	// minIndex is the least index that a snapshot must have to be of use: more than what this node has, or what its log
	// goes on from.
	minIndex func() uint64
	// peers returns who may have what this node lacks.
	peers func() []uint64
	// irreparable is told that no other member has the files that are damaged here, nor the store.
	irreparable func(error)
	// repaired is told of a segment whose file came in the place of a damaged one, and where from; an empty from says that
	// the file proved whole when it was read again. forlorn is told of one whose object is damaged that no member has a
	// file of it that the object could be made of. Defaults do nothing.
	repaired func(id, from string)
	forlorn  func(id string)
	// stuck says that this node cannot apply what comes next, and has not been able to for long; see ledger.ApplyStuck.
	stuck func() bool
	// staged is told that a snapshot is complete.
	staged func()

	// localBytes and keep are ledger.StageOptions' of snapshots: what this node would evict again does not come.
	localBytes uint64
	keep       func(*manifest.Segment) bool
	private    bool // the server's

	chunkBytes uint32 // of one request; maxChunkBytes
	// idsFrom is where request ids begin, at random: answers to an earlier life of this node are nobody's.
	idsFrom uint64
}

type phase uint8

const (
	idle      phase = iota
	asking          // for the manifest
	examining       // what is here of its segments
	copying         // the others
	whole           // it waits for the core, or for the apply loop
)

// manifestCopy is a manifest that is coming.
type manifestCopy struct {
	from       *giver
	index, sum uint64
	total      uint64
	data       []byte
}

// newSnapshots takes the bytes per second that are served at most and, by themselves, fetched; negative is no bound.
func newSnapshots(o fetchOptions, perSecond int64, r prometheus.Registerer) *snapshots {
	if o.stuck == nil {
		o.stuck = func() bool { return false }
	}
	if o.repaired == nil {
		o.repaired = func(string, string) {}
	}
	if o.forlorn == nil {
		o.forlorn = func(string) {}
	}
	s := &snapshots{fetchOptions: o, wakeFetch: make(chan struct{}, 1), wakeServe: make(chan struct{}, 1),
		nextID: o.idsFrom, bucket: bucket{rate: perSecond}}
	s.metrics = newSnapshotMetrics(s, r)
	s.server = server{ledger: o.ledger, send: o.send, now: o.clock, log: o.log, metrics: s.metrics,
		bucket: bucket{rate: perSecond}, private: o.private}
	return s
}

// aim sets a new goal: a leader wants this node to install a snapshot, or the node has lost its own state. For the raft
// loop, or before it runs.
func (s *snapshots) aim(g goal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.complete != nil && s.handed && !s.claimed {
		// The core did not want it any more, since it offers another one.
		s.handed = false
		s.complete.Close()
		s.complete = nil
	}
	s.goal = &g
	wake(s.wakeFetch)
}

// close lets go of everything. No step may run any more.
func (s *snapshots) close() {
	s.drop()
	s.server.close()
	if s.complete != nil {
		s.complete.Close()
		s.complete = nil
	}
	s.metrics.unregister()
}

// receive takes a bulk frame of a peer. It does not block; what makes no sense or has no room is dropped and counted.
func (s *snapshots) receive(from uint64, payload []byte) {
	f, err := parseBulk(payload)
	if err != nil {
		s.metrics.dropped.WithLabelValues("malformed").Inc()
		return
	}
	if f.kind == bulkManifestRequest || f.kind == bulkChunkRequest {
		if !s.server.add(from, f) {
			s.metrics.dropped.WithLabelValues("too many requests").Inc()
		}
		wake(s.wakeServe)
		return
	}
	s.mu.Lock()
	room := len(s.inbox) < maxFetchInbox
	if room {
		s.inbox = append(s.inbox, bulkAnswer{from, f})
	}
	s.mu.Unlock()
	if !room {
		s.metrics.dropped.WithLabelValues("too many answers").Inc()
	}
	wake(s.wakeFetch)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// busy says whether time alone may give the fetcher something to do.
func (s *snapshots) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase != idle && s.phase != whole || s.phase == idle && (len(s.doubt) > 0 || s.stuck())
}

// wait is how long the fetcher has nothing to do unless something comes; 0 for until then.
func (s *snapshots) wait() time.Duration {
	switch {
	case !s.busy():
		return 0
	case s.phase == examining || s.phase == copying:
		if d := s.bucket.wait(); d > 0 {
			return min(max(d, servePoll), fetchPoll)
		}
	}
	return fetchPoll
}

// progress says how far a snapshot is; empty when none is being fetched.
func (s *snapshots) progress() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.note
}

// step does the next piece of fetching and says whether there was one.
func (s *snapshots) step() (worked bool) {
	if s.takeAnswer() {
		return true
	}
	now := s.clock()
	worked = s.expire(now)
	if now.Before(s.pause) {
		return worked
	}
	var err error
	switch s.phase {
	case idle:
		return s.begin() || worked
	case asking:
		return s.askManifest(now) || worked
	case examining:
		if !s.bucket.has(now) {
			return worked
		}
		err = s.examine()
		worked = true
	case copying:
		var some bool
		some, err = s.copy(now)
		worked = some || worked
	case whole:
		return s.settle() || worked
	}
	if err != nil {
		// The disk, most likely, and perhaps full. What is here stays; nothing of this node depends on the rest yet.
		s.log.Warn("fetching a snapshot failed; it is tried again", "error", err, "retry_in", fetchPause)
		s.forgetAnswers()
		s.pause = now.Add(fetchPause)
	}
	return worked
}

// begin takes up the goal, if it is still of use.
func (s *snapshots) begin() bool {
	s.mu.Lock()
	g, doubt := s.goal, s.doubt
	s.goal = nil
	s.mu.Unlock()
	switch {
	case g != nil:
	case len(doubt) > 0 && !s.clock().Before(s.pause):
		return s.beginRepair()
	case s.stuck():
		g = s.aimBeyond()
	}
	if g == nil || g.index < s.minIndex() {
		return g != nil
	}
	s.take(*g)
	s.restart()
	s.log.Info("fetching a snapshot", "offered_by", g.from, "index", g.index)
	return true
}

// aimBeyond is the goal of a node that is stuck: any member's state that is beyond its own.
func (s *snapshots) aimBeyond() *goal {
	g := &goal{index: s.minIndex(), peers: s.peers(), beyond: true}
	if len(g.peers) == 0 {
		return nil
	}
	g.from = g.peers[s.nextID%uint64(len(g.peers))]
	return g
}

func (s *snapshots) take(g goal) {
	s.now = g
	s.givers = s.givers[:0]
	for _, id := range g.peers {
		s.givers = append(s.givers, &giver{id: id})
	}
}

// restart asks for a manifest, from the beginning. What has come of segments stays on disk.
func (s *snapshots) restart() {
	s.drop()
	s.phase = asking
	s.tell("asking for the manifest")
}

// drop gives up what is under way.
func (s *snapshots) drop() {
	if s.staging != nil {
		s.staging.Close()
	}
	s.phase, s.staging, s.segments, s.manifest = idle, nil, nil, manifestCopy{}
	s.forgetAnswers()
	s.tell("")
}

func (s *snapshots) tell(note string) {
	s.mu.Lock()
	s.note = note
	s.mu.Unlock()
}

func isCorrupt(err error) bool {
	var corrupt *vfs.CorruptError
	return errors.As(err, &corrupt)
}
