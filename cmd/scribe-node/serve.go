package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/httpapi"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/readonly"
	"github.com/scribe-ledger/scribe/vfs"
)

// process is the life of one scribe-node.
type process struct {
	config   config.Config
	logs     *logging
	stderr   io.Writer
	registry *prometheus.Registry
	signals  <-chan os.Signal
	addrs    *addresses
	slot     *slot
	server   *http.Server
	served   chan error        // what Serve returned
	member   *member           // nil while there is none
	reader   *readonly.Archive // in place of a member, of a process that reads an archive
	tier     *coldTier         // nil for none
}

// errStop ends the process by a signal.
var errStop = errors.New("stopped by a signal")

// serve runs a node until a signal ends it or it fails.
func serve(c config.Config, stderr io.Writer) error {
	logs, err := newLogging(c.Log, stderr)
	if err != nil {
		return err
	}
	defer logs.Close()
	p := &process{config: c, logs: logs, stderr: stderr, registry: prometheus.NewRegistry(), slot: newSlot(c.Node.ID),
		served: make(chan error, 1)}
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer tuneCollector(c, os.Getenv)()
	// From here on no signal ends the process by itself; one that comes before the node is open waits in the channel.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	p.signals = signals

	if p.addrs, err = listen(c); err != nil {
		return err
	}
	defer p.addrs.close()
	if host := p.addrs.raft.Addr().String(); raftByDefault(c) && host != c.Network.RaftAddr {
		logs.Warn("the raft port is taken, so another one is used; set network.raft_addr where others are to join",
			"taken", c.Network.RaftAddr, "used", host)
	}
	join, err := p.prepareJoin()
	if err != nil {
		return err
	}
	if p.tier, err = openTier(c, logs.Logger, p.registry); err != nil {
		return err
	}
	p.server = httpapi.New(apiOptions(c, p.slot, logs.Logger, p.registry)).Server()
	go func() { p.served <- p.server.Serve(p.addrs.http) }()
	if err = p.run(join); errors.Is(err, errStop) {
		err = nil
	}
	if err != nil {
		p.slot.empty(&occupant{why: err.Error(), failed: true}) // what failed answers nothing more, if it should be asked
	}
	return errors.Join(err, p.shutdown())
}

// prepareJoin returns what asks for membership, or nil when none is to be asked for: a directory that has an identity is
// somebody already, and must be of the cluster that is to be joined, as far as that can be told.
func (p *process) prepareJoin() (*joiner, error) {
	if p.config.Cluster.Join == "" {
		return nil, nil
	}
	cluster, err := node.ClusterOf(vfs.NewOS(), p.config.Node.DataDir)
	if err != nil {
		return nil, err
	}
	if cluster != "" {
		return nil, checkJoined(p.config, cluster)
	}
	return newJoiner(p.config, p.addrs, p.logs.Logger)
}

// run joins, opens and watches the node, and opens it anew when it has to be rebuilt. It returns errStop for a signal.
func (p *process) run(join *joiner) error {
	opts := nodeOptions(p.config, p.addrs, p.logs.Logger, p.registry)
	opts.Tier = p.tier.options(p.config)
	if err := p.prepareRestore(&opts); err != nil {
		return err
	}
	if join != nil {
		p.slot.empty(&occupant{why: "this node is joining the cluster at " + join.endpoint})
		err := p.during(func(ctx context.Context) (err error) {
			opts.Join, err = join.join(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	wait := rebuildMinWait / 2
	for first := true; ; first = false {
		var err error
		if p.member, err = openMember(opts, p.addrs.raft, p.logs.Logger, p.registry); err != nil {
			return explain(p.config, err)
		}
		if first && opts.Restore != nil && p.config.Archive.RestoreFetch {
			if err := p.during(p.fetchAll); err != nil {
				return err
			}
		}
		if first {
			p.slot.fill(p.member.Node)
			p.logs.Info("serving", "url", "http://"+p.addrs.http.Addr().String(), "node_id", p.config.Node.ID,
				"data_dir", p.config.Node.DataDir, "raft_addr", p.addrs.tellRaft, "version", version())
		}
		opened := time.Now()
		if err = p.watch(first); !p.member.WantsRebuild() {
			return err
		}
		if wait = min(2*wait, rebuildMaxWait); time.Since(opened) > rebuildMaxWait {
			wait = rebuildMinWait
		}
		if err := p.takeOut(err, wait); err != nil {
			return err
		}
	}
}

// The waits before a node that failed is opened again; a first failure is followed by the least.
const (
	rebuildMinWait = 250 * time.Millisecond
	rebuildMaxWait = 30 * time.Second
)

// watch returns when the node's work ends: errStop for a signal, or why it failed. It tells when the node is ready; one
// that is not the first of the process serves from then on.
func (p *process) watch(first bool) error {
	if !first {
		p.slot.empty(&occupant{why: "this node is being rebuilt from the other members", failed: true, rebuilt: p.member.Node})
	}
	ready := p.member.Ready()
	for {
		select {
		case <-ready:
			ready = nil
			if first {
				banner(p.stderr, p.config, p.addrs.http.Addr().String())
				continue
			}
			p.slot.fill(p.member.Node)
			p.logs.Info("rebuilt: serving again")
		case s := <-p.signals:
			if err := p.signalled(s); err != nil {
				return err
			}
		case <-p.member.Failed():
			return p.member.Err()
		case err := <-p.served:
			return fmt.Errorf("the HTTP server stopped: %w", err)
		}
	}
}

// takeOut closes a node that has failed and is to be opened again, after a wait.
func (p *process) takeOut(why error, wait time.Duration) error {
	p.logs.Error("this node is taken out and rebuilt from the other members", "reason", why)
	p.slot.empty(&occupant{why: why.Error(), failed: true})
	m := p.member
	p.member = nil
	if err := m.close(); err != nil {
		p.logs.Warn("closing what failed", "error", err)
	}
	err := p.during(func(ctx context.Context) error { return pause(ctx, wait) })
	if err != nil {
		return err
	}
	return p.addrs.relistenRaft()
}

// during does work that may take long, while signals are heard. A signal that ends the process ends the work first.
func (p *process) during(work func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- work(ctx) }()
	for {
		select {
		case err := <-done:
			return err
		case s := <-p.signals:
			if err := p.signalled(s); err != nil {
				cancel(err)
				return errors.Join(err, <-done)
			}
		case err := <-p.served:
			cancel(err)
			<-done
			return fmt.Errorf("the HTTP server stopped: %w", err)
		}
	}
}

// signalled handles a signal: a reload, or errStop.
func (p *process) signalled(s os.Signal) error {
	if s == syscall.SIGHUP {
		p.logs.reload(p.config)
		return nil
	}
	p.logs.Info("stopping", "signal", s.String())
	return errStop
}

// oneSignal is how long signals count as one: some senders signal both a process and its group.
const oneSignal = time.Second

// shutdown hands the leadership over, ends the requests, then the node. A second signal ends the waits.
func (p *process) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), p.config.HTTP.ShutdownTimeout)
	defer cancel()
	began := time.Now()
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case s := <-p.signals:
				if s != syscall.SIGHUP && time.Since(began) > oneSignal {
					p.logs.Warn("stopping at once", "signal", s.String())
					cancel()
				}
			case <-over:
				return
			}
		}
	}()
	if p.member != nil {
		p.member.Retire(ctx)
	}
	if err := p.server.Shutdown(ctx); err != nil {
		p.logs.Warn("requests in flight were cut off", "error", err)
		p.server.Close()
	}
	if p.member != nil {
		if err := p.member.close(); err != nil {
			return fmt.Errorf("close the data directory: %w", err)
		}
	}
	if p.reader != nil {
		if err := p.reader.Close(); err != nil {
			p.logs.Warn("closing the archive", "error", err)
		}
	}
	if err := p.tier.close(); err != nil {
		p.logs.Warn("closing the cold tier", "error", err)
	}
	p.logs.Info("stopped")
	return nil
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
