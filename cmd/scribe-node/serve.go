package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/httpapi"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/segfile"
	"github.com/scribe-ledger/scribe/vfs"
	"github.com/scribe-ledger/scribe/wal"
)

// backend joins the node's writes and barriers with the ledger's reads.
type backend struct {
	httpapi.Reader
	*node.Node
}

// serve runs a node until a signal ends it or it fails.
func serve(c config.Config, stderr io.Writer) error {
	if len(c.Cluster.Initial) > 1 || c.Cluster.Join != "" {
		return &config.Error{Source: "configuration", Key: "cluster", Problem: "this version runs one-node ledgers only; " +
			"leave cluster.initial and cluster.join away"}
	}
	logs, err := newLogging(c.Log, stderr)
	if err != nil {
		return err
	}
	defer logs.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	tuneCollector(c, os.Getenv)
	// From here on no signal ends the process by itself; one that comes before the node is open waits in the channel.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	// The address is taken before the data is opened: a busy port should not cost a recovery.
	listener, err := net.Listen("tcp", c.Network.ListenAddr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s (network.listen_addr): %w", c.Network.ListenAddr, err)
	}
	defer listener.Close()
	n, err := node.Open(nodeOptions(c, listener.Addr().String(), logs.Logger, registry))
	if err != nil {
		return explain(c, err)
	}
	api := httpapi.New(httpapi.Options{
		Backend: backend{n.Ledger(), n}, Logger: logs.Logger, Registerer: registry, Gatherer: registry, Version: version(),
		MaxKeyBytes: int(c.Limits.MaxKeyBytes), MaxValueBytes: int(c.Limits.MaxValueBytes),
		MaxBatchOps: c.Limits.MaxBatchOps, MaxBatchBytes: int(c.Limits.MaxBatchBytes),
		MaxInflightBytes: c.Limits.MaxInflightBytes, MaxHeaderBytes: int(c.Limits.MaxHeaderBytes),
		BodyTimeout: c.HTTP.BodyTimeout, RequestTimeout: c.HTTP.RequestTimeout, HeaderTimeout: c.HTTP.ReadHeaderTimeout,
		IdleTimeout: c.HTTP.IdleTimeout,
	})
	server := api.Server()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	logs.Info("serving", "url", "http://"+listener.Addr().String(), "node_id", c.Node.ID, "data_dir", c.Node.DataDir,
		"version", version())
	err = wait(c, n, logs, signals, served, func() { banner(stderr, c, listener.Addr().String()) })
	return errors.Join(err, shutdown(c, server, n, logs.Logger))
}

// wait returns when the process should end: nil for a signal. It calls ready once the node is.
func wait(c config.Config, n *node.Node, logs *logging, signals <-chan os.Signal, served <-chan error,
	ready func()) error {
	becameReady := n.Ready()
	for {
		select {
		case <-becameReady:
			becameReady = nil
			ready()
		case s := <-signals:
			if s == syscall.SIGHUP {
				logs.reload(c)
				continue
			}
			logs.Info("stopping", "signal", s.String())
			return nil
		case <-n.Failed():
			return n.Err()
		case err := <-served:
			return fmt.Errorf("the HTTP server stopped: %w", err)
		}
	}
}

// shutdown ends requests first, then the node.
func shutdown(c config.Config, server *http.Server, n *node.Node, logger *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.HTTP.ShutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		logger.Warn("requests in flight were cut off", "error", err)
		server.Close()
	}
	if err := n.Close(); err != nil {
		return fmt.Errorf("close the data directory: %w", err)
	}
	logger.Info("stopped")
	return nil
}

func nodeOptions(c config.Config, httpAddr string, logger *slog.Logger, registry prometheus.Registerer) node.Options {
	opts := node.Options{
		FS: vfs.NewOS(), Dir: c.Node.DataDir, NodeID: c.Node.ID, RaftAddr: c.Network.RaftAddr, HTTPAddr: httpAddr,
		Heartbeat: c.Raft.Heartbeat, ElectionTicks: int((c.Raft.ElectionMin + c.Raft.Heartbeat - 1) / c.Raft.Heartbeat),
		WAL: wal.Options{FileBytes: c.Storage.WALFileBytes, Method: wal.ByPwrite},
		Ledger: ledger.Options{SealBytes: c.Storage.SealBytes, SealAge: c.Storage.SealAge,
			BlockCacheBytes: c.Storage.BlockCacheBytes, BlockBytes: int(c.Storage.BlockBytes)},
		Logger: logger, Registerer: registry,
	}
	for _, p := range c.Cluster.Initial {
		opts.Initial = append(opts.Initial, node.Founder{NodeID: p.ID, RaftAddr: p.RaftAddr})
		if p.ID == c.Node.ID {
			opts.RaftAddr = p.RaftAddr // the address that the members know it by
		}
	}
	if c.Storage.SealAge == 0 {
		opts.Ledger.SealAge = -1
	}
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

// banner tells a person at a terminal where things are and what to try.
func banner(w io.Writer, c config.Config, addr string) {
	fmt.Fprintf(w, `
  Scribe Ledger, node %d
  API      http://%s/
  metrics  http://%[2]s/metrics
  data     %s

  Try:
    curl -X PUT --data 'hello, ledger' http://%[2]s/v1/kv/greeting
    curl http://%[2]s/v1/kv/greeting

`, c.Node.ID, addr, c.Node.DataDir)
}
