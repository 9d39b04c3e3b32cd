package config

import (
	"log/slog"
	"time"
)

// Config is everything a node is told at its start. Load is the only way to make a valid one; Default is a valid one
// too.
type Config struct {
	Node    Node
	Network Network
	Cluster Cluster
	Log     Log
	Limits  Limits
	Storage Storage
	Raft    Raft
	Tier    Tier
	Archive Archive
	HTTP    HTTP

	// Mode is what the command line asks for. For ShowHelp and ShowVersion nothing else was read or validated.
	Mode Mode
	// File is the path of the TOML file that was read; empty for none. SIGHUP reads it again.
	File string
}

// Mode is what the process shall do.
type Mode uint8

const (
	Run         Mode = iota // run a node
	CheckConfig             // --check-config: say that the configuration is good, and exit
	ShowVersion             // --version
	ShowHelp                // --help
)

// Node says who this node is.
type Node struct {
	ID      uint64 // at least 1
	DataDir string
}

// Network says where the node listens. Addresses are host:port; an empty host is every interface, port 0 any free port.
type Network struct {
	ListenAddr string // HTTP
	RaftAddr   string // where raft listens; unless set, what Cluster.Initial says of this node
	// What the other members are told; empty is what is listened on. A founding node's raft address is the one in
	// Cluster.Initial.
	AdvertiseHTTP string
	AdvertiseRaft string
}

// Cluster says how the node finds its cluster. At most one of Initial, Bootstrap and Join is set; none of them is a
// one-node ledger.
type Cluster struct {
	Initial   []Peer // founding members, this node among them, in ascending order of ID
	Bootstrap bool   // found a one-node cluster that others join
	Join      string // HTTP address of any member: host:port, or a URL
	Learner   bool   // stay a learner after joining
}

// Peer is one founding member.
type Peer struct {
	ID       uint64
	RaftAddr string
}

// Log says what is logged and where to.
type Log struct {
	Level      string // "trace", "debug", "info", "warn" or "error"
	Format     string // "text" or "json"
	File       string // empty for standard error
	MaxSizeMB  int    // a log file is rotated at this size, in units of 1,000,000 bytes
	MaxAgeDays int    // rotated files older than this are deleted; 0 keeps them
	MaxBackups int    // this many rotated files are kept; 0 keeps all
	Compress   bool   // gzip rotated files
}

// LevelTrace is the slog level of "trace", below slog.LevelDebug.
const LevelTrace = slog.LevelDebug - 4

// SlogLevel is Level as slog counts it.
func (l Log) SlogLevel() slog.Level {
	switch l.Level {
	case "trace":
		return LevelTrace
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

// Limits bound what a client may send. All are bytes but MaxBatchOps.
type Limits struct {
	MaxKeyBytes      int64
	MaxValueBytes    int64
	MaxBatchBytes    int64
	MaxBatchOps      int
	MaxInflightBytes int64 // values of requests in flight, taken together
	MaxHeaderBytes   int64
}

// Storage tunes the log and the segments.
type Storage struct {
	SealBytes       int64         // a memtable this large is sealed
	SealAge         time.Duration // and one whose oldest client entry is this old; 0 never seals by age
	WALFileBytes    int64
	WALAppend       string // "pwrite" or "stores"
	BlockBytes      int64  // of a segment's data blocks, before compression
	BlockCacheBytes int64
	Compression     string // "zstd", "s2" or "none"
	// The log keeps what is in segments already for members that are behind: at most this much, and as long.
	KeepLogBytes int64
	KeepLogAge   time.Duration
	// DiskReserveBytes is the free space below which writes are refused; 0 lets the node choose.
	DiskReserveBytes int64
	// Neighbouring segments are merged: at least so many at a time, 0 for none by itself; into segments of at most so many
	// bytes; written at most so fast, 0 for as fast as the disk goes.
	CompactFanIn          int
	CompactMaxBytes       int64
	CompactBytesPerSecond int64
}

// Raft holds the consensus timers.
type Raft struct {
	Heartbeat   time.Duration
	ElectionMin time.Duration // an election timeout is drawn from [ElectionMin, ElectionMax)
	ElectionMax time.Duration

	SnapshotBytesPerSecond int64 // sent to all members that fetch segments, taken together, and fetched; 0 is no limit
}

// Tier says where sealed segments go, and how they are read there.
type Tier struct {
	Backend string // "dir", "s3" or "none"
	Dir     string // of backend "dir"; empty is the folder cold in the data directory, of a node on its own (Private)
	S3      S3
	Policy  Policy

	ReadTimeout          time.Duration // of one read of a segment that is in the store only
	CacheBytes           int64         // ranges of objects on disk, in the folder cache of the data directory; 0 keeps none
	Uploads              int           // segments on their way at a time
	UploadBytesPerSecond int64         // all of them together; 0 is no limit
	ScrubBytesPerSecond  int64         // that the scrubber reads again; 0 never scrubs by itself
	ScrubInterval        time.Duration // that it takes at least for all files; seven times as long for objects
}

// S3 names an object store.
type S3 struct {
	Bucket          string
	Region          string
	Endpoint        string // URL; empty is AWS
	AccessKeyID     string // empty, as SecretAccessKey, is the SDK's own chain of credentials
	SecretAccessKey Secret
	PathStyle       bool
	Prefix          string
	StorageClass    string

	// Files that hold the credentials; Load reads them into AccessKeyID and SecretAccessKey.
	AccessKeyIDFile     string
	SecretAccessKeyFile string

	ObjectLock          bool
	ObjectLockMode      string        // "governance" or "compliance"
	ObjectLockRetention time.Duration // from the upload on
	SSE                 string        // "", "AES256" or "aws:kms"
	SSEKMSKeyID         string
	PartBytes           int64 // of uploads in parts
}

// Policy says when a segment is uploaded and when its local file may go.
type Policy struct {
	MinAge        time.Duration // a segment younger than this stays local only
	MaxLocalBytes int64         // local segments beyond this may be evicted, the least read first; 0 evicts none
	Interval      time.Duration // between two rounds of the daemon
	DeleteAfter   time.Duration // what nobody names any more goes at this age
	Pins          []string      // segments with keys under one of these prefixes stay local
	FetchReads    int           // reads of an evicted segment that bring its file back; 0 never does
}

// Archive says what is read from a bucket: the ledger that a new node begins with, or all that a reader serves.
type Archive struct {
	RestoreFrom  string // URL; see Tier.At
	RestoreFetch bool   // fetch every segment before serving
	ReadOnly     bool   // serve Bucket, and take no writes
	Bucket       string // URL
	Refresh      time.Duration
}

// HTTP holds the timeouts of the HTTP server.
type HTTP struct {
	ReadHeaderTimeout time.Duration
	BodyTimeout       time.Duration // a request body must make progress within this
	RequestTimeout    time.Duration // a write or a barrier waits this long
	IdleTimeout       time.Duration
	ShutdownTimeout   time.Duration
}

// Default is the configuration of a node that is told nothing.
func Default() Config {
	return Config{
		Node:    Node{ID: 1, DataDir: "./scribe-data"},
		Network: Network{ListenAddr: "127.0.0.1:8001", RaftAddr: "127.0.0.1:9001"},
		Log:     Log{Level: "info", Format: "text", MaxSizeMB: 100, MaxAgeDays: 30, MaxBackups: 10, Compress: true},
		Limits: Limits{MaxKeyBytes: 4096, MaxValueBytes: 32 << 20, MaxBatchBytes: 64 << 20, MaxBatchOps: 10_000,
			MaxInflightBytes: 256 << 20, MaxHeaderBytes: 64 << 10},
		Storage: Storage{SealBytes: 64 << 20, SealAge: 5 * time.Minute, WALFileBytes: 32 << 20, WALAppend: "pwrite",
			BlockBytes: 16 << 10, BlockCacheBytes: 128 << 20, Compression: "s2",
			KeepLogBytes: 256 << 20, KeepLogAge: 10 * time.Minute,
			CompactFanIn: 4, CompactMaxBytes: 16 << 30, CompactBytesPerSecond: 64 << 20},
		Raft: Raft{Heartbeat: 100 * time.Millisecond, ElectionMin: 500 * time.Millisecond, ElectionMax: time.Second,
			SnapshotBytesPerSecond: 32 << 20},
		Tier: Tier{Backend: "dir",
			S3: S3{Region: "us-east-1", ObjectLockMode: "governance", ObjectLockRetention: 30 * 24 * time.Hour,
				PartBytes: 8 << 20},
			Policy:      Policy{MinAge: time.Hour, Interval: 30 * time.Second, DeleteAfter: time.Hour, FetchReads: 1000},
			ReadTimeout: 10 * time.Second, CacheBytes: 1 << 30, Uploads: 2, ScrubBytesPerSecond: 4 << 20,
			ScrubInterval: 24 * time.Hour},
		Archive: Archive{Refresh: 10 * time.Second},
		HTTP: HTTP{ReadHeaderTimeout: 10 * time.Second, BodyTimeout: 30 * time.Second,
			RequestTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, ShutdownTimeout: 10 * time.Second},
	}
}
