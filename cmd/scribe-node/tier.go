package main

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/open"
	"github.com/scribe-ledger/scribe/vfs"
)

// coldTier is the object store of the process, with what reads it: for all lives of its node, and closed behind the last.
type coldTier struct {
	store  tier.Store
	ranges *tier.Ranges
	cache  *tier.RangeCache // nil for none
	lock   io.Closer        // of the cache's folder; nil without a cache
}

// openTier opens the store that the configuration names, without a word to it; nil for none. What is wrong with the
// store shows later, and costs nothing but what is in it.
func openTier(c config.Config, logger *slog.Logger, registry prometheus.Registerer) (*coldTier, error) {
	if c.Tier.Private() && !mayKeepFolder(c) {
		logger.Info("this member of a cluster has no cold tier: name a store all members reach: tier.backend, tier.dir or tier.s3")
		return nil, nil
	}
	store, err := open.Store(c.Tier, open.Options{DataDir: c.Node.DataDir,
		Found: c.Archive.ReadOnly || c.Archive.RestoreFrom != ""}) // an archive is not where there is no folder
	if err != nil {
		return nil, &config.Error{Source: "configuration", Key: "tier." + c.Tier.Backend, Problem: err.Error()}
	}
	if store == nil {
		return nil, nil
	}
	t := &coldTier{store: store}
	if c.Tier.CacheBytes > 0 {
		if err := t.openCache(c, logger, registry); err != nil {
			logger.Warn("what is read of the object store is not kept on disk", "error", err)
		}
	}
	t.ranges = tier.NewRanges(store, tier.RangesOptions{Deadline: c.Tier.ReadTimeout, Cache: t.cache, Registerer: registry})
	return t, nil
}

// mayKeepFolder says whether a node may have the folder in its data directory for a cold tier: one that founded its ledger
// alone; what comes of that when others join is the node's affair. A node that has the folder keeps it, since it may have
// segments nowhere else.
func mayKeepFolder(c config.Config) bool {
	fsys := vfs.NewOS()
	if _, err := fsys.Stat(open.ColdDir(c.Node.DataDir)); !errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if founders, known, err := node.Founders(fsys, c.Node.DataDir); err == nil && known {
		return founders == 1
	} // what is wrong with an identity shows when the node is opened
	return len(c.Cluster.Initial) <= 1 && c.Cluster.Join == ""
}

// openCache opens the folder for ranges of objects. It has a lock of its own, because it is opened before the node takes
// that of the data directory, which another process may have.
func (t *coldTier) openCache(c config.Config, logger *slog.Logger, registry prometheus.Registerer) error {
	dir, fsys := filepath.Join(c.Node.DataDir, "cache"), vfs.NewOS()
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	lock, err := fsys.Lock(filepath.Join(dir, "LOCK"))
	if err != nil {
		return err
	}
	cache, err := tier.OpenRangeCache(tier.RangeCacheOptions{FS: fsys, Dir: dir, MaxBytes: c.Tier.CacheBytes,
		ReserveBytes: func() int64 { return cacheReserve(c, fsys) }, Logger: logger, Registerer: registry})
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	t.cache, t.lock = cache, lock
	return nil
}

// cacheReserve is the disk space that the cache leaves free: twice what the node keeps for itself, and what the memtables
// will take, so that no write is ever refused for the sake of the cache.
func cacheReserve(c config.Config, fsys vfs.FS) int64 {
	reserve := c.Storage.DiskReserveBytes
	if reserve == 0 {
		if space, err := fsys.Space(c.Node.DataDir); err == nil {
			reserve = int64(min(space.Total/100, 1<<30))
		}
		reserve = max(reserve, 16<<20+c.Storage.WALFileBytes)
	}
	return 2*reserve + 4*c.Storage.SealBytes
}

// options are the tier's, as the node takes them.
func (t *coldTier) options(c config.Config) *node.TierOptions {
	if t == nil {
		return nil
	}
	o := &node.TierOptions{Store: t.store, Ranges: t.ranges, Private: c.Tier.Private(), MinAge: c.Tier.Policy.MinAge,
		MaxLocalBytes: c.Tier.Policy.MaxLocalBytes, Interval: c.Tier.Policy.Interval, DeleteAfter: c.Tier.Policy.DeleteAfter,
		UploadBytesPerSecond: c.Tier.UploadBytesPerSecond, Uploads: c.Tier.Uploads,
		FetchReads: orNone(c.Tier.Policy.FetchReads), LockWanted: c.Tier.Backend == "s3" && c.Tier.S3.ObjectLock}
	for _, prefix := range c.Tier.Policy.Pins {
		o.Pins = append(o.Pins, []byte(prefix))
	}
	return o
}

// close ends the reads that are left, then gives the cache and the store up. The node is closed before.
func (t *coldTier) close() error {
	if t == nil {
		return nil
	}
	err := errors.Join(t.ranges.Close(), t.cache.Close())
	if t.lock != nil {
		err = errors.Join(err, t.lock.Close())
	}
	return errors.Join(err, open.Close(t.store))
}
