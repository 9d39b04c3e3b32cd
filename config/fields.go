package config

import (
	"math"
	"strings"
	"time"
)

// field is one setting: where it stands and how it is called.
type field struct {
	key   string // TOML, dotted
	short string // short form of the variable, beside the general one; empty for none
	flag  string // without the dashes; empty for none
	to    value
	help  string
}

// env is the general variable: SCRIBE_SECTION_KEY.
func (f *field) env() string { return envPrefix + strings.ToUpper(strings.ReplaceAll(f.key, ".", "_")) }

const (
	envPrefix = "SCRIBE_"
	unbounded = math.MaxInt64
	century   = 100 * 365 * 24 * time.Hour
)

// fields is the schema, with the places in c that the settings go to.
func fields(c *Config) []field {
	var all []field
	for _, part := range [][]field{
		identityFields(c), logFields(&c.Log), limitFields(&c.Limits), storageFields(&c.Storage),
		raftFields(&c.Raft), tierFields(&c.Tier), storeFields(&c.Tier.S3), policyFields(&c.Tier.Policy),
		archiveFields(&c.Archive), httpFields(&c.HTTP),
	} {
		all = append(all, part...)
	}
	return all
}

func identityFields(c *Config) []field {
	return []field{
		{key: "node.id", flag: "node-id", to: idValue{&c.Node.ID},
			help: "number of this node; it stays with the data directory"},
		{key: "node.data_dir", short: "SCRIBE_DATA_DIR", flag: "data-dir",
			to:   textValue{&c.Node.DataDir, true, "the path of a directory"},
			help: "directory of the log, the segments and the manifest"},
		{key: "network.listen_addr", short: "SCRIBE_LISTEN_ADDR", flag: "listen",
			to: addrValue{&c.Network.ListenAddr}, help: "address the HTTP API listens on"},
		{key: "network.raft_addr", short: "SCRIBE_RAFT_ADDR", flag: "raft-listen",
			to: addrValue{&c.Network.RaftAddr}, help: "address raft listens on; unless set, this node's in cluster.initial"},
		{key: "network.advertise_http", to: advertiseValue{&c.Network.AdvertiseHTTP},
			help: "where others reach the HTTP API; empty is the address it listens on"},
		{key: "network.advertise_raft", to: advertiseValue{&c.Network.AdvertiseRaft},
			help: "where other members reach raft; empty is this node's in cluster.initial, else the address it listens on"},
		{key: "cluster.initial", short: "SCRIBE_INITIAL_CLUSTER", flag: "initial-cluster",
			to:   peersValue{&c.Cluster.Initial},
			help: "raft addresses of all founding nodes, the same list on each of them"},
		{key: "cluster.bootstrap", short: "SCRIBE_BOOTSTRAP", flag: "bootstrap",
			to: boolValue{&c.Cluster.Bootstrap}, help: "found a one-node cluster that others join"},
		{key: "cluster.join", short: "SCRIBE_JOIN", flag: "join",
			to: joinValue{&c.Cluster.Join}, help: "HTTP address of any member of the cluster to join"},
		{key: "cluster.learner", to: boolValue{&c.Cluster.Learner}, help: "stay a learner, without a vote, after joining"},
	}
}

func logFields(c *Log) []field {
	return []field{
		{key: "log.level", flag: "log-level",
			to:   choiceValue{&c.Level, []string{"trace", "debug", "info", "warn", "error"}},
			help: "least severe level that is logged"},
		{key: "log.format", to: choiceValue{&c.Format, []string{"text", "json"}}, help: "form of a log line"},
		{key: "log.file", to: textValue{&c.File, false, "the path of a file"},
			help: "log file, rotated; empty logs to standard error"},
		{key: "log.max_size_mb", to: countValue{&c.MaxSizeMB, 1, 1_000_000},
			help: "size at which the log file is rotated, in MB"},
		{key: "log.max_age_days", to: countValue{&c.MaxAgeDays, 0, 36_500},
			help: "days after which a rotated log file is deleted; 0 keeps it"},
		{key: "log.max_backups", to: countValue{&c.MaxBackups, 0, 100_000},
			help: "rotated log files that are kept; 0 keeps all"},
		{key: "log.compress", to: boolValue{&c.Compress}, help: "compress rotated log files"},
	}
}

func limitFields(c *Limits) []field {
	return []field{
		{key: "limits.max_key_bytes", to: sizeValue{&c.MaxKeyBytes, 1, 4096}, help: "longest key"},
		{key: "limits.max_value_bytes", to: sizeValue{&c.MaxValueBytes, 1, 64 << 20}, help: "largest value"},
		{key: "limits.max_batch_bytes", to: sizeValue{&c.MaxBatchBytes, 1, 64 << 20},
			help: "largest body of a batch; unless set, at most limits.max_inflight_bytes"},
		{key: "limits.max_batch_ops", to: countValue{&c.MaxBatchOps, 1, 10_000}, help: "most operations in a batch"},
		{key: "limits.max_inflight_bytes", to: sizeValue{&c.MaxInflightBytes, 4 << 10, unbounded},
			help: "values held in memory for all requests together; at least the largest value and batch"},
		{key: "limits.max_header_bytes", to: sizeValue{&c.MaxHeaderBytes, 16 << 10, 1 << 20},
			help: "request line and headers; the longest key takes 12 KiB percent-encoded"},
	}
}

func storageFields(c *Storage) []field {
	return []field{
		{key: "storage.seal_bytes", to: sizeValue{&c.SealBytes, 4 << 10, 4 << 30},
			help: "size at which the entries in memory are sealed into a segment"},
		{key: "storage.seal_age", to: durationValue{&c.SealAge, 0, century},
			help: "age at which they are sealed; 0 seals by size alone"},
		{key: "storage.wal_file_bytes", to: sizeValue{&c.WALFileBytes, 1 << 20, 1 << 30}, help: "size of one log file"},
		{key: "storage.wal_append", to: choiceValue{&c.WALAppend, []string{"pwrite", "stores"}},
			help: "how the log is written: pwrite and fdatasync, or stores into the mapping and msync"},
		{key: "storage.block_bytes", to: sizeValue{&c.BlockBytes, 1 << 10, 1 << 20},
			help: "size of a segment's data blocks before compression"},
		{key: "storage.block_cache_bytes", to: sizeValue{&c.BlockCacheBytes, 0, unbounded},
			help: "memory for decompressed blocks; 0 keeps none"},
		{key: "storage.compression", to: choiceValue{&c.Compression, []string{"zstd", "s2", "none"}},
			help: "compression of segment blocks, where it pays"},
		{key: "storage.keep_log_bytes", to: sizeValue{&c.KeepLogBytes, 0, unbounded},
			help: "log kept for members that are behind though it is in segments; 0 keeps none"},
		{key: "storage.keep_log_age", to: durationValue{&c.KeepLogAge, 0, century},
			help: "how long it is kept; 0 keeps none"},
		{key: "storage.disk_reserve_bytes", to: sizeValue{&c.DiskReserveBytes, 0, unbounded},
			help: "free space below which writes are refused, beside what the entries in memory will take; 0 is a hundredth " +
				"of the file system, at most 1 GiB, at least a log file and 16 MiB"},
		{key: "storage.compact_fan_in", to: countValue{&c.CompactFanIn, 0, 32},
			help: "fewest neighbouring segments that are merged into one, four times as many while writes come fast; " +
				"0 merges only when asked to"},
		{key: "storage.compact_max_bytes", to: sizeValue{&c.CompactMaxBytes, 64 << 10, 16 << 30},
			help: "largest segment that merging makes"},
		{key: "storage.compact_bytes_per_second", to: sizeValue{&c.CompactBytesPerSecond, 0, unbounded},
			help: "how fast merged segments are written, faster from 32 segments on; 0 is as fast as the disk goes"},
	}
}

func raftFields(c *Raft) []field {
	return []field{
		{key: "raft.heartbeat", to: durationValue{&c.Heartbeat, time.Millisecond, time.Minute},
			help: "time between two heartbeats of the leader"},
		{key: "raft.election_min", to: durationValue{&c.ElectionMin, 2 * time.Millisecond, time.Hour},
			help: "shortest time without a leader before an election; at least twice the heartbeat"},
		{key: "raft.election_max", to: durationValue{&c.ElectionMax, 2 * time.Millisecond, time.Hour},
			help: "longest such time; more than election_min"},
		{key: "raft.snapshot_bytes_per_second", to: sizeValue{&c.SnapshotBytesPerSecond, 0, unbounded},
			help: "bytes of segments sent each second to members that fetch them, all together, and fetched at most; 0 is no limit"},
	}
}

func tierFields(c *Tier) []field {
	return []field{
		{key: "tier.backend", to: choiceValue{&c.Backend, []string{"dir", "s3", "none"}}, help: "kind of cold tier"},
		{key: "tier.dir", to: textValue{&c.Dir, false, "the path of a directory"},
			help: "directory of backend dir, one for all members; empty is the folder cold in the data directory, of a node " +
				"on its own"},
		{key: "tier.read_timeout", to: durationValue{&c.ReadTimeout, 10 * time.Millisecond, 10 * time.Minute},
			help: "longest wait for bytes of a segment that is in the store only; then it is cold_unavailable"},
		{key: "tier.cache_bytes", to: sizeValue{&c.CacheBytes, 0, unbounded},
			help: "disk space, in the folder cache of the data directory, for what is read of such segments; 0 keeps none"},
		{key: "tier.uploads", to: countValue{&c.Uploads, 1, 64}, help: "segments that are uploaded at a time"},
		{key: "tier.upload_bytes_per_second", to: sizeValue{&c.UploadBytesPerSecond, 0, unbounded},
			help: "how fast they are, all together; 0 is no limit"},
		{key: "tier.scrub_bytes_per_second", to: sizeValue{&c.ScrubBytesPerSecond, 0, unbounded},
			help: "how fast segments, here and in the store, are read again and checked; 0 only when asked to"},
		{key: "tier.scrub_interval", to: durationValue{&c.ScrubInterval, time.Second, century},
			help: "time that it takes at least for all segments here, and seven times as long, on the leader, for those in the store"},
	}
}

func storeFields(c *S3) []field {
	return []field{
		{key: "tier.s3.bucket", to: textValue{&c.Bucket, false, "the name of a bucket"}, help: "bucket of backend s3"},
		{key: "tier.s3.region", to: textValue{&c.Region, false, "a region such as eu-central-1"}, help: "its region"},
		{key: "tier.s3.endpoint", to: urlValue{&c.Endpoint}, help: "URL of the object store; empty is AWS"},
		{key: "tier.s3.access_key_id", to: textValue{&c.AccessKeyID, false, "an access key id"},
			help: "access key; empty, with the secret, asks the AWS SDK's own chain"},
		{key: "tier.s3.secret_access_key", to: secretValue{&c.SecretAccessKey},
			help: "its secret; never logged; better given in the environment or in a file"},
		{key: "tier.s3.access_key_id_file", to: textValue{&c.AccessKeyIDFile, false, "the path of a file"},
			help: "file that holds the access key, in place of access_key_id"},
		{key: "tier.s3.secret_access_key_file", to: textValue{&c.SecretAccessKeyFile, false, "the path of a file"},
			help: "file that holds its secret, in place of secret_access_key"},
		{key: "tier.s3.path_style", to: boolValue{&c.PathStyle}, help: "put the bucket into the path, not the host name"},
		{key: "tier.s3.prefix", to: textValue{&c.Prefix, false, "a text in quotes"},
			help: "put before every object name"},
		{key: "tier.s3.storage_class", to: textValue{&c.StorageClass, false, "a storage class such as STANDARD_IA"},
			help: "storage class of uploaded segments; empty is the bucket's own"},
		{key: "tier.s3.object_lock", to: boolValue{&c.ObjectLock}, help: "ask for Object Lock retention on upload"},
		{key: "tier.s3.object_lock_mode", to: choiceValue{&c.ObjectLockMode, []string{"governance", "compliance"}},
			help: "kind of that retention: compliance cannot be lifted by anybody"},
		{key: "tier.s3.object_lock_retention", to: durationValue{&c.ObjectLockRetention, time.Second, century},
			help: "how long from the upload on"},
		{key: "tier.s3.sse", to: choiceValue{&c.SSE, []string{"", "AES256", "aws:kms"}},
			help: "encryption on the server; empty is the bucket's own"},
		{key: "tier.s3.sse_kms_key_id", to: textValue{&c.SSEKMSKeyID, false, "the id of a key"},
			help: "key of aws:kms; empty is the account's own"},
		{key: "tier.s3.part_bytes", to: sizeValue{&c.PartBytes, 5 << 20, 64 << 20},
			help: "size from which on a segment is uploaded in parts, and of these"},
	}
}

func policyFields(c *Policy) []field {
	return []field{
		{key: "tier.policy.min_age", to: durationValue{&c.MinAge, 0, century},
			help: "age at which a segment is uploaded"},
		{key: "tier.policy.max_local_bytes", to: sizeValue{&c.MaxLocalBytes, 0, unbounded},
			help: "local segments beyond this are evicted, the least read first, once uploaded; 0 evicts none"},
		{key: "tier.policy.interval", to: durationValue{&c.Interval, 10 * time.Millisecond, 24 * time.Hour},
			help: "time between two rounds of the tier daemon"},
		{key: "tier.policy.delete_after", to: durationValue{&c.DeleteAfter, time.Second, century},
			help: "age at which objects that nothing names any more are deleted"},
		{key: "tier.policy.pins", to: listValue{&c.Pins},
			help: "prefixes of keys: segments that may hold such keys are never evicted"},
		{key: "tier.policy.fetch_reads", to: countValue{&c.FetchReads, 0, 1_000_000_000},
			help: "reads of an evicted segment within ten minutes that bring its file back where there is room; 0 never does"},
	}
}

func archiveFields(c *Archive) []field {
	return []field{
		{key: "archive.restore_from", flag: "restore-from", to: bucketValue{&c.RestoreFrom},
			help: "bucket that an empty data directory is restored from; it is the cold tier, too"},
		{key: "archive.restore_fetch", flag: "restore-fetch", to: boolValue{&c.RestoreFetch},
			help: "fetch every segment before serving; else they are read in the bucket"},
		{key: "archive.read_only", flag: "read-only", to: boolValue{&c.ReadOnly},
			help: "serve reads and proofs from a bucket alone, and take no writes; needs archive.bucket"},
		{key: "archive.bucket", flag: "bucket", to: bucketValue{&c.Bucket}, help: "the bucket that is read"},
		{key: "archive.refresh", to: durationValue{&c.Refresh, 10 * time.Millisecond, 24 * time.Hour},
			help: "time between two looks for what was published since"},
	}
}

func httpFields(c *HTTP) []field {
	return []field{
		{key: "http.read_header_timeout", to: durationValue{&c.ReadHeaderTimeout, time.Millisecond, time.Hour},
			help: "time for a request's headers"},
		{key: "http.body_timeout", to: durationValue{&c.BodyTimeout, time.Millisecond, time.Hour},
			help: "longest pause within a request's body"},
		{key: "http.request_timeout", to: durationValue{&c.RequestTimeout, time.Millisecond, time.Hour},
			help: "longest wait for a write to commit or a read to be confirmed"},
		{key: "http.idle_timeout", to: durationValue{&c.IdleTimeout, time.Millisecond, 24 * time.Hour},
			help: "time an idle connection is kept"},
		{key: "http.shutdown_timeout", to: durationValue{&c.ShutdownTimeout, 0, 10 * time.Second},
			help: "time for requests in flight when the process ends"},
	}
}
