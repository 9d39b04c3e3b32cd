package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/httpapi"
	"github.com/scribe-ledger/scribe/readonly"
)

// serveArchive runs a reader until a signal ends it: what is published in a bucket, over HTTP. It is no member of a
// cluster and has no data directory. Ranges that it keeps on disk are in one that it was given, or in a temporary one.
func serveArchive(c config.Config, stderr io.Writer) error {
	logs, err := newLogging(c.Log, stderr)
	if err != nil {
		return err
	}
	defer logs.Close()
	p := &process{config: c, logs: logs, stderr: stderr, registry: prometheus.NewRegistry(), slot: newSlot(0),
		served: make(chan error, 1)}
	p.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer tuneCollector(c, os.Getenv)()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	p.signals = signals

	listener, err := net.Listen("tcp", c.Network.ListenAddr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s (network.listen_addr): %w", c.Network.ListenAddr, err)
	}
	defer listener.Close()
	remove, err := p.placeCache()
	if err != nil {
		return err
	}
	defer remove()
	if p.tier, err = openTier(p.config, logs.Logger, p.registry); err != nil {
		return err
	}
	p.server = httpapi.New(apiOptions(c, p.slot, logs.Logger, p.registry)).Server()
	go func() { p.served <- p.server.Serve(listener) }()
	if err = p.read(listener.Addr().String()); errors.Is(err, errStop) {
		err = nil
	}
	return errors.Join(err, p.shutdown())
}

// placeCache makes a temporary directory for the cache when no directory was named.
func (p *process) placeCache() (remove func(), err error) {
	if p.config.Node.DataDir != config.Default().Node.DataDir || p.config.Tier.CacheBytes == 0 {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "scribe-reader-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the cache: %w; name one with --data-dir, or set tier.cache_bytes = 0", err)
	}
	p.config.Node.DataDir = dir
	return func() { _ = os.RemoveAll(dir) }, nil // of use to nobody, and temporary by its place
}

// read opens the archive, as often as it takes, and serves it until a signal comes.
func (p *process) read(addr string) error {
	err := p.during(func(ctx context.Context) (err error) {
		p.reader, err = p.openArchive(ctx)
		return err
	})
	if err != nil {
		return err
	}
	p.slot.now.Store(&occupant{Backend: p.reader})
	at := p.reader.Published()
	p.logs.Info("serving an archive", "url", "http://"+addr, "store", p.tier.store.Name(), "ledger", at.Identity.LedgerID,
		"entries", at.Checkpoint.Size, "root", at.Checkpoint.Root, "version", version())
	fmt.Fprintf(p.stderr, "\n  Scribe Ledger, reader of %s\n  API      http://%s/\n  entries  %d, root %s\n\n",
		p.tier.store.Name(), addr, at.Checkpoint.Size, at.Checkpoint.Root)
	for {
		select {
		case s := <-p.signals:
			if err := p.signalled(s); err != nil {
				return err
			}
		case err := <-p.served:
			return fmt.Errorf("the HTTP server stopped: %w", err)
		}
	}
}

// openArchive opens the archive. While that fails, /health says why: the store may be away, or nothing published yet.
func (p *process) openArchive(ctx context.Context) (*readonly.Archive, error) {
	told := ""
	for {
		a, err := readonly.Open(ctx, p.tier.store, readonly.Options{Interval: p.config.Archive.Refresh, Ranges: p.tier.ranges,
			BlockCacheBytes: orNone(p.config.Storage.BlockCacheBytes), Logger: p.logs.Logger, Registerer: p.registry})
		if err == nil || ctx.Err() != nil {
			return a, errors.Join(err, context.Cause(ctx))
		}
		if told != err.Error() {
			told = err.Error()
			p.logs.Error("the archive cannot be served; it is tried again", "store", p.tier.store.Name(), "error", err)
		}
		p.slot.empty(&occupant{why: "the archive cannot be served: " + told})
		if err := pause(ctx, max(p.config.Archive.Refresh, time.Second)); err != nil {
			return nil, err
		}
	}
}
