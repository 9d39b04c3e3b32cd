package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

func tierConfig(t *testing.T) config.Config {
	c := config.Default()
	c.Node.DataDir = filepath.Join(t.TempDir(), "data")
	return c
}

func TestTierOptions(t *testing.T) {
	c := tierConfig(t)
	c.Tier.Policy = config.Policy{MinAge: time.Minute, MaxLocalBytes: 5, Interval: time.Second, DeleteAfter: 2 * time.Minute,
		Pins: []string{"a/", "b"}, FetchReads: 7}
	c.Tier.Uploads, c.Tier.UploadBytesPerSecond = 3, 9
	store := tier.NewMem(tier.MemOptions{})
	cold := &coldTier{store: store}
	want := &node.TierOptions{Store: store, Private: true, MinAge: time.Minute, MaxLocalBytes: 5, Interval: time.Second,
		DeleteAfter: 2 * time.Minute, Pins: [][]byte{[]byte("a/"), []byte("b")}, FetchReads: 7, Uploads: 3, UploadBytesPerSecond: 9}
	if got := cold.options(c); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	// What a configuration says with 0 is no default, and Object Lock is wanted of S3 alone.
	c.Tier.Policy.FetchReads, c.Tier.S3.ObjectLock = 0, true
	if got := cold.options(c); got.FetchReads >= 0 || got.LockWanted {
		t.Errorf("%+v", got)
	}
	c.Tier.Backend = "s3"
	if got := cold.options(c); !got.LockWanted || got.Private {
		t.Errorf("%+v", got)
	}
	if got := (*coldTier)(nil).options(c); got != nil {
		t.Errorf("a node without a tier: %+v", got)
	}
}

// TestFolderOfItsOwn: the folder in its data directory is the cold tier of a node that founds its ledger alone, whatever it
// is told later, and of one that has it; other members have none, unless a store is named.
func TestFolderOfItsOwn(t *testing.T) {
	peers := []config.Peer{{ID: 1, RaftAddr: "127.0.0.1:9001"}, {ID: 2, RaftAddr: "127.0.0.1:9002"}}
	identity := func(founders string) func(*config.Config) {
		return func(c *config.Config) {
			text := `{"format":1,"node_id":1,"cluster_id":"000102030405060708090a0b0c0d0e0f","instance":"0000000000000001",` +
				`"founding_members":[` + founders + `]}`
			if err := os.MkdirAll(c.Node.DataDir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(c.Node.DataDir, "IDENTITY"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	founded, joined := identity(`{"node_id":1}`), identity("")
	for what, tc := range map[string]struct {
		change func(*config.Config)
		has    bool
	}{
		"alone":                              {func(*config.Config) {}, true},
		"founder":                            {func(c *config.Config) { c.Cluster.Initial = peers }, false},
		"joins":                              {func(c *config.Config) { c.Cluster.Join = "127.0.0.1:8001" }, false},
		"shared":                             {func(c *config.Config) { c.Cluster.Initial, c.Tier.Dir = peers, t.TempDir() }, true},
		"in S3":                              {func(c *config.Config) { c.Cluster.Initial, c.Tier.Backend, c.Tier.S3.Bucket = peers, "s3", "b" }, true},
		"no tier":                            {func(c *config.Config) { c.Tier.Backend = "none" }, false},
		"list of 1":                          {func(c *config.Config) { c.Cluster.Initial = peers[:1] }, true},
		"bootstrap":                          {func(c *config.Config) { c.Cluster.Bootstrap = true }, true},
		"founded alone, the flag is ignored": {func(c *config.Config) { founded(c); c.Cluster.Join = "127.0.0.1:8001" }, true},
		"joined, the flag is gone":           {joined, false},
		"founded with others":                {identity(`{"node_id":1},{"node_id":2}`), false},
		"has one": {func(c *config.Config) {
			joined(c)
			if err := os.Mkdir(filepath.Join(c.Node.DataDir, "cold"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		c := tierConfig(t)
		tc.change(&c)
		var log bytes.Buffer
		cold, err := openTier(c, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		if (cold != nil) != tc.has {
			t.Errorf("%s: %v", what, cold)
		}
		said := strings.Count(log.String(), "\n") == 1 && strings.Contains(log.String(), "level=INFO") &&
			strings.Contains(log.String(), "tier.dir")
		if want := !tc.has && c.Tier.Backend == "dir"; said != want || !said && log.Len() > 0 {
			t.Errorf("%s: it said %s", what, &log)
		}
		if err := cold.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestArchiveIsNotMade: whoever reads an archive that is not there leaves no folder behind.
func TestArchiveIsNotMade(t *testing.T) {
	for _, flag := range []string{"--bucket", "--restore-from"} {
		dir := filepath.Join(t.TempDir(), "archive")
		args := []string{flag, dir}
		if flag == "--bucket" {
			args = append(args, "--read-only")
		}
		c, err := config.Load(args, nil, os.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		c.Node.DataDir = filepath.Join(t.TempDir(), "data")
		cold, err := openTier(c, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Read(t.Context(), cold.store); !errors.Is(err, tier.ErrNoBucket) {
			t.Errorf("%s: %v", flag, err)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: %v", flag, err)
		}
		if err := cold.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOpenTier: nothing is asked of the store and nothing but the cache is made; what can never work is a mistake in the
// configuration; the metrics go with the tier.
func TestOpenTier(t *testing.T) {
	c := tierConfig(t)
	registry := prometheus.NewRegistry()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for range 2 {
		cold, err := openTier(c, logger, registry)
		if err != nil {
			t.Fatal(err)
		}
		names, err := os.ReadDir(c.Node.DataDir)
		if err != nil || len(names) != 1 || names[0].Name() != "cache" || cold.cache == nil {
			t.Errorf("opening made %v, %v", names, err)
		}
		families, err := registry.Gather()
		if err != nil || len(families) == 0 {
			t.Errorf("%d metrics, %v", len(families), err)
		}
		if err := cold.close(); err != nil {
			t.Error(err)
		}
		if families, err = registry.Gather(); err != nil || len(families) != 0 {
			t.Errorf("behind its end the tier has %d metrics, %v", len(families), err)
		}
	}
	c.Tier.Backend, c.Tier.S3.Bucket, c.Tier.S3.Prefix = "s3", "b", "a//b"
	var wrong *config.Error
	if _, err := openTier(c, logger, registry); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "a//b") {
		t.Errorf("%v", err)
	}
	c.Tier.Backend = "none"
	if cold, err := openTier(c, logger, registry); cold != nil || err != nil || cold.close() != nil {
		t.Errorf("%v, %v", cold, err)
	}
	if log.Len() > 0 {
		t.Errorf("it said %s", &log)
	}
}

// TestCacheOfAnother: the cache of a directory that another process uses is left alone, and none is needed.
func TestCacheOfAnother(t *testing.T) {
	c := tierConfig(t)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	first, err := openTier(c, logger, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	second, err := openTier(c, logger, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if second.cache != nil || !strings.Contains(log.String(), "not kept on disk") {
		t.Errorf("cache %v; it said %s", second.cache, &log)
	}
	if err := second.close(); err != nil {
		t.Error(err)
	}
	c.Tier.CacheBytes = 0
	none, err := openTier(c, logger, prometheus.NewRegistry())
	if err != nil || none.cache != nil || none.close() != nil {
		t.Errorf("%+v, %v", none, err)
	}
}

func TestCacheReserve(t *testing.T) {
	c := tierConfig(t)
	c.Storage.DiskReserveBytes, c.Storage.SealBytes = 100, 10
	if got := cacheReserve(c, vfs.NewMem()); got != 240 {
		t.Errorf("%d", got)
	}
	c.Storage.DiskReserveBytes = 0
	if got := cacheReserve(c, vfs.NewMem()); got < 2*(16<<20+c.Storage.WALFileBytes)+40 {
		t.Errorf("%d", got)
	}
}

// flaky is a store that fails at first.
type flaky struct {
	tier.Store
	errs []error
}

func (f *flaky) Get(ctx context.Context, key string, off, n int64) (*tier.Reader, error) {
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return nil, err
	}
	return f.Store.Get(ctx, key, off, n)
}

// TestTakeArchive: a store that is away is asked again, and what it says is passed on once; what no waiting mends is not.
func TestTakeArchive(t *testing.T) {
	away := &tier.Error{Op: "get", Key: "latest", Temporary: true, Err: errors.New("slow down")}
	told := 0
	store := &flaky{Store: tier.NewMem(tier.MemOptions{}), errs: []error{away, away}}
	take := func(ctx context.Context, retry func(error)) error {
		return takeArchive(ctx, &node.Options{Tier: &node.TierOptions{Store: store}}, retry)
	}
	err := take(t.Context(), func(error) { told++ })
	if !errors.Is(err, archive.ErrNothingPublished) || told != 1 || len(store.errs) != 0 {
		t.Errorf("%v, told %d times", err, told)
	}
	store.errs = []error{&tier.Error{Op: "get", Key: "latest", Err: tier.ErrRefused}}
	if err := take(t.Context(), func(error) { told++ }); !errors.Is(err, tier.ErrRefused) || told != 1 {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	store.errs = []error{away}
	if err := take(ctx, func(error) { cancel(errStop) }); !errors.Is(err, errStop) {
		t.Errorf("%v", err)
	}
}
