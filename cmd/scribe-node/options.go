package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/httpapi"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// nodeOptions are the configuration as the node takes it.
func nodeOptions(c config.Config, a *addresses, logger *slog.Logger, registry prometheus.Registerer) node.Options {
	opts := node.Options{
		FS: vfs.NewOS(), Dir: c.Node.DataDir, NodeID: c.Node.ID, RaftAddr: a.tellRaft, HTTPAddr: a.tellHTTP,
		Bootstrap: c.Cluster.Bootstrap,
		Heartbeat: c.Raft.Heartbeat,
		WAL:       wal.Options{FileBytes: c.Storage.WALFileBytes, Method: wal.ByPwrite},
		Ledger: ledger.Options{SealBytes: c.Storage.SealBytes, SealAge: c.Storage.SealAge,
			BlockCacheBytes: orNone(c.Storage.BlockCacheBytes), BlockBytes: int(c.Storage.BlockBytes),
			CompactFanIn: c.Storage.CompactFanIn, CompactMaxBytes: c.Storage.CompactMaxBytes,
			CompactBytesPerSecond: orNone(c.Storage.CompactBytesPerSecond)},
		KeepLogBytes: orNone(c.Storage.KeepLogBytes), KeepLogAge: orNone(c.Storage.KeepLogAge),
		DiskReserveBytes:       c.Storage.DiskReserveBytes,
		SnapshotBytesPerSecond: orNone(c.Raft.SnapshotBytesPerSecond),
		ScrubBytesPerSecond:    orNone(c.Tier.ScrubBytesPerSecond),
		ScrubInterval:          c.Tier.ScrubInterval,
		Logger:                 logger, Registerer: registry,
	}
	opts.ElectionTicks, opts.ElectionMaxTicks = electionTicks(c.Raft)
	for _, p := range c.Cluster.Initial {
		opts.Initial = append(opts.Initial, node.Founder{NodeID: p.ID, RaftAddr: p.RaftAddr})
	}
	opts.Ledger.SealAge = orNone(opts.Ledger.SealAge)
	opts.Ledger.CompactFanIn = orNone(opts.Ledger.CompactFanIn)
	if c.Storage.WALAppend == "stores" {
		opts.WAL.Method = wal.ByStores
	}
	switch c.Storage.Compression {
	case "none":
		opts.Ledger.Compression = segfile.NoCompression
	case "s2":
		opts.Ledger.Compression = segfile.S2
	case "zstd":
		opts.Ledger.Compression = segfile.Zstd
	}
	return opts
}

// electionTicks are the election timeouts in heartbeats, rounded up; there are always two to draw from.
func electionTicks(c config.Raft) (least, most int) {
	up := func(d time.Duration) int { return int((d + c.Heartbeat - 1) / c.Heartbeat) }
	least = up(c.ElectionMin)
	return least, max(up(c.ElectionMax), least+2)
}

// orNone is v where options take a negative value for none, and zero for their default.
func orNone[T ~int | ~int64](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

// apiOptions are the configuration as the HTTP layer takes it.
func apiOptions(c config.Config, backend httpapi.Backend, logger *slog.Logger, registry *prometheus.Registry,
) httpapi.Options {
	return httpapi.Options{
		Backend: backend, Logger: logger, Registerer: registry, Gatherer: registry, Version: version(),
		MaxKeyBytes: int(c.Limits.MaxKeyBytes), MaxValueBytes: int(c.Limits.MaxValueBytes),
		MaxBatchOps: c.Limits.MaxBatchOps, MaxBatchBytes: int(c.Limits.MaxBatchBytes),
		MaxInflightBytes: c.Limits.MaxInflightBytes, MaxHeaderBytes: int(c.Limits.MaxHeaderBytes),
		BodyTimeout: c.HTTP.BodyTimeout, RequestTimeout: c.HTTP.RequestTimeout, HeaderTimeout: c.HTTP.ReadHeaderTimeout,
		IdleTimeout: c.HTTP.IdleTimeout,
	}
}

// explain says what to do about an error of the start, in one line.
func explain(c config.Config, err error) error {
	var refused *node.RefusedError
	var corrupt *vfs.CorruptError
	switch {
	case errors.Is(err, vfs.ErrLocked):
		return fmt.Errorf("data directory %s is in use: %w; stop that process, or use another --data-dir", c.Node.DataDir, err)
	case errors.As(err, &refused):
		return err
	case errors.As(err, &corrupt):
		return fmt.Errorf("refusing to start on damaged data: %w", err)
	case vfs.IsNoSpace(err):
		return fmt.Errorf("the disk of data directory %s is full: %w; free space and start again", c.Node.DataDir, err)
	}
	return fmt.Errorf("cannot open data directory %s: %w", c.Node.DataDir, err)
}
