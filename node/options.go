package node

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// Options of Open. Zero fields mean the default named beside them; FS, Dir and NodeID have none.
type Options struct {
	FS       vfs.FS
	Dir      string // data directory: IDENTITY, LOCK, wal/, MANIFEST, segments/
	NodeID   uint64
	RaftAddr string // what the other members are to dial
	HTTPAddr string // what clients are to dial

	// What a new directory becomes: a founder of the cluster that Initial lists, a member-to-be of the cluster that Join
	// names, or, with neither, the only founder of a new cluster. A directory that was founded by others than Initial
	// lists is refused; empty is not compared. A directory that has an identity ignores Join and Bootstrap.
	Initial   []Founder
	Join      *JoinInfo
	Bootstrap bool // says in so many words that a new cluster is wanted; excludes the other two

	// Restore is what a new directory begins with: a published state, in place of an empty ledger. The cluster is a new one,
	// that of Initial, whose founders must all begin with the same state. It excludes Join, and needs Tier, or Ledger.Cold
	// for a node that adds nothing to the archive. With Tier the archive in it becomes the new cluster's, once it has a
	// leader; TakeArchive sees to that before. A directory that has an identity ignores it.
	Restore *archive.Published
	// FoundAs is the id of the cluster that a new directory founds alone. Default: drawn.
	FoundAs string

	// Network carries messages between members. Default none, until Connect.
	Network Network

	// Manual starts no goroutines: the owner calls Tick, Turn, PersistStep and the other steps, and Begin in place of
	// Write. All calls then come from one goroutine.
	Manual bool
	// Seed of everything random: election timeouts, ids. 0 draws it at random. Two lives of one node get different ones.
	Seed uint64

	Heartbeat     time.Duration // one tick; default 100 ms
	ElectionTicks int           // default 5: a timeout is drawn from that many ticks up
	// ElectionMaxTicks ends what it is drawn from; default twice ElectionTicks.
	ElectionMaxTicks int

	// Tier is the object store that sealed segments go to. nil: they stay here. Once a segment has gone, the node does not
	// open without it.
	Tier *TierOptions

	WAL    wal.Options    // FileBytes, Method, SpareFiles; the rest is filled in
	Ledger ledger.Options // sizes and ages; the rest is filled in

	MaxQueue      int   // writes, and as many reads, that wait here; default 8192
	MaxQueueBytes int64 // bytes of those writes; default 256 MiB
	MaxInbox      int   // messages and requests of peers that wait here; default 8192
	MaxInboxBytes int64 // their bytes; default 256 MiB

	// KeepLogBytes and KeepLogAge bound the flushed part of the log that is kept for members that lag. Default 256 MiB and
	// 10 min; negative keeps none.
	KeepLogBytes int64
	KeepLogAge   time.Duration
	// DiskReserveBytes is the disk space below which clients' writes are refused (space). Default: a hundredth of the file
	// system, at most 1 GiB, at least a log file and 16 MiB. What the segments of the entries in memory will take comes
	// on top.
	DiskReserveBytes int64
	// SnapshotBytesPerSecond bounds what this node serves of its segments to members that lag, and, by itself, what it
	// fetches when it lags. Default 32 MiB; negative is no bound.
	SnapshotBytesPerSecond int64

	// ScrubBytesPerSecond bounds what the scrubber reads again of this node's files and, while it leads, of objects. Default
	// 4 MiB; negative: nothing is read again but by Scrub.
	ScrubBytesPerSecond int64
	// ScrubInterval is how long the scrubber takes, at least, for all files of this node; default 24 h. ScrubObjectsInterval
	// is the same of objects, which may cost money to read; default seven times ScrubInterval, negative never.
	ScrubInterval        time.Duration
	ScrubObjectsInterval time.Duration

	Now        func() time.Time      // default time.Now
	Logger     *slog.Logger          // default discards
	Registerer prometheus.Registerer // default none
}

func (o Options) withDefaults() Options {
	setInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	setBytes := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	setTime := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	setTime(&o.Heartbeat, 100*time.Millisecond)
	setInt(&o.ElectionTicks, 5)
	setInt(&o.ElectionMaxTicks, 2*o.ElectionTicks)
	setBytes(&o.Ledger.SealBytes, 64<<20) // the ledger's own default; the reserve of disk space goes by it
	setInt(&o.MaxQueue, 8192)
	setBytes(&o.MaxQueueBytes, 256<<20)
	setInt(&o.MaxInbox, 8192)
	setBytes(&o.MaxInboxBytes, 256<<20)
	setBytes(&o.KeepLogBytes, 256<<20)
	setTime(&o.KeepLogAge, 10*time.Minute)
	setBytes(&o.SnapshotBytesPerSecond, 32<<20)
	setBytes(&o.ScrubBytesPerSecond, 4<<20)
	setTime(&o.ScrubInterval, 24*time.Hour)
	setTime(&o.ScrubObjectsInterval, 7*o.ScrubInterval)
	if o.Network == nil {
		o.Network = noNetwork{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Founder is one founding member of a cluster.
type Founder struct {
	NodeID   uint64
	RaftAddr string
}

// JoinInfo is what a node that is to join must know of the cluster: what Join answered on a member.
type JoinInfo struct {
	ClusterID string
	LedgerID  string   // empty is ClusterID
	Members   []Member // NodeID and RaftAddr are used: whom to answer before the log has told who the members are
}
