package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options say what is measured. Zero means the default given.
type Options struct {
	Rounds   int           // 5
	Measured time.Duration // of each run; 10 s
	Warm     time.Duration // before each run, not counted; 1 s
	Settle   time.Duration // before each run, for the other cluster to come to rest; 1 s
	Conns    int           // callers of each run; 256
	Members  int           // of each cluster; 3
	Keys     int           // different keys; 100,000
	// EtcdConns is how many gRPC connections the callers of etcd share; 12.
	EtcdConns int
	Drivers   []string // names out of the table below; "etcd", "etcd-clientv3" and "scribe"
	// EtcdMember and ScribeNode are the programs to run; empty: built here.
	EtcdMember, ScribeNode string
	Dir                    string    // where the temporary data goes; the system's temporary directory
	Log                    io.Writer // a line for each run; none
}

func (o Options) withDefaults() Options {
	o.Rounds, o.Conns, o.Members = or(o.Rounds, 5), or(o.Conns, 256), or(o.Members, 3)
	o.Keys, o.EtcdConns = or(o.Keys, 100_000), or(o.EtcdConns, 12)
	o.Measured, o.Warm, o.Settle = or(o.Measured, 10*time.Second), or(o.Warm, time.Second), or(o.Settle, time.Second)
	if len(o.Drivers) == 0 {
		o.Drivers = []string{"etcd", "etcd-clientv3", "scribe"}
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// driverNamed says which clients there are. The name begins with the system that it drives; for those that speak gRPC
// it may end with a number of connections, as in etcd:48.
func driverNamed(name string, o Options, dir string) (driver, error) {
	name, conns, given := strings.Cut(name, ":")
	if given {
		var err error
		if o.EtcdConns, err = strconv.Atoi(conns); err != nil || o.EtcdConns < 1 {
			return nil, fmt.Errorf("%s:%s: not a number of connections", name, conns)
		}
	}
	switch name {
	case "etcd":
		return lean{conns: o.EtcdConns, dial: dialGRPC}, nil
	case "etcd-clientv3":
		return etcdGo{conns: o.EtcdConns}, nil
	case "etcd-stubs":
		return etcdGo{conns: o.EtcdConns, stubs: true}, nil
	case "etcd-gateway":
		return wrk{dir: dir, gateway: true}, nil
	case "scribe":
		return lean{dial: dialHTTP1}, nil
	case "scribe-wrk":
		return wrk{dir: dir}, nil
	}
	return nil, fmt.Errorf("no driver %q: there are etcd, etcd-clientv3, etcd-stubs, etcd-gateway, scribe, scribe-wrk", name)
}

func systemOf(driver string) string {
	system, _, _ := strings.Cut(driver, ":")
	system, _, _ = strings.Cut(system, "-")
	return system
}

// sample is one run of one driver.
type sample struct {
	outcome
	round  int
	kind   kind
	driver string
	// What was taken while the run was measured: by the cluster under load, by this process and its children, by the
	// cluster that is not under load, and by the whole machine.
	serverCPU, clientCPU, idleCPU, machineCPU time.Duration
}

// strangers is the part of one core that neither cluster and no client took. Some of it is the kernel's, for the network;
// a part that differs much between runs means that something else was running.
func (s sample) strangers() float64 {
	return max(0, (s.machineCPU-s.serverCPU-s.clientCPU-s.idleCPU).Seconds()/s.elapsed.Seconds())
}

func (s sample) rate() float64 { return float64(s.ops) / s.elapsed.Seconds() }

// perOp is in microseconds.
func (s sample) perOp(d time.Duration) float64 {
	return float64(d.Microseconds()) / float64(max(s.ops, 1))
}

// Run starts the clusters, writes every key, measures and stops the clusters.
func Run(ctx context.Context, opts Options) ([]sample, error) {
	o := opts.withDefaults()
	dir, err := os.MkdirTemp(o.Dir, "peers-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b := &bench{Options: o, dir: dir, clusters: make(map[string]*cluster)}
	defer func() {
		for _, c := range b.clusters {
			c.stop()
		}
	}()
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	return b.rounds(ctx)
}

// bench is one Run.
type bench struct {
	Options
	dir      string
	clusters map[string]*cluster
}

func (b *bench) start(ctx context.Context) error {
	for _, name := range b.Drivers {
		system := systemOf(name)
		d, err := driverNamed(name, b.Options, b.dir)
		if err != nil {
			return err
		}
		if _, ok := d.(wrk); ok {
			if _, err := exec.LookPath("wrk"); err != nil {
				return fmt.Errorf("%s needs wrk: install the Debian package wrk", name)
			}
		}
		if b.clusters[system] != nil {
			continue
		}
		start, program, module, pkg := startEtcd, b.EtcdMember, ".", "./etcd-member"
		if system == "scribe" {
			start, program, module, pkg = startScribe, b.ScribeNode, "../..", "./cmd/scribe-node"
		}
		if program == "" {
			program = filepath.Join(b.dir, system)
			if out, err := exec.CommandContext(ctx, "go", "build", "-C", module, "-mod=readonly", "-o", program, pkg).
				CombinedOutput(); err != nil {
				return fmt.Errorf("build %s (from bench/peers): %w: %s", pkg, err, out)
			}
		}
		c, err := start(program, b.dir, b.Members)
		if err != nil {
			return err
		}
		b.clusters[system] = c
		fmt.Fprintf(b.Log, "%s: processes %v, clients at %v\n", system, c.pids(), c.addrs)
		if err := b.fill(system); err != nil {
			return err
		}
	}
	return nil
}

// fill writes every key once.
func (b *bench) fill(system string) error {
	d, err := driverNamed(system, b.Options, b.dir)
	if err != nil {
		return err
	}
	got, err := d.run(load{kind: put, addrs: b.clusters[system].addrs, conns: b.Conns, keys: b.Keys, fill: true})
	if err == nil && got.errors > 0 {
		err = fmt.Errorf("%d of %d writes failed, the first with: %s", got.errors, b.Keys, got.firstError)
	}
	if err != nil {
		return fmt.Errorf("%s: fill: %w", system, err)
	}
	fmt.Fprintf(b.Log, "%s: %d keys written in %v\n", system, got.ops, got.elapsed.Round(time.Millisecond))
	return nil
}

// rounds has the drivers take turns, the other way round in every second round.
func (b *bench) rounds(ctx context.Context) ([]sample, error) {
	var samples []sample
	order := slices.Clone(b.Drivers)
	for round := range b.Rounds {
		for _, k := range []kind{put, get} {
			for _, name := range order {
				select {
				case <-ctx.Done():
					return samples, ctx.Err()
				case <-time.After(b.Settle):
				}
				s, err := b.measure(round, k, name)
				if err != nil {
					return samples, fmt.Errorf("%s of %s: %w", k, name, err)
				}
				samples = append(samples, s)
				fmt.Fprintf(b.Log, "%d %s %-14s %8.0f/s  p50 %8v  p99 %8v  CPU/op server %5.1f µs client %5.1f µs  "+
					"others %3.0f %% of a core  errors %d\n", round+1, k, name, s.rate(), s.p50, s.p99, s.perOp(s.serverCPU),
					s.perOp(s.clientCPU), 100*(s.strangers()+s.idleCPU.Seconds()/s.elapsed.Seconds()), s.errors)
				if s.errors > 0 {
					fmt.Fprintf(b.Log, "  the first: %s\n", s.firstError)
				}
			}
		}
		slices.Reverse(order)
	}
	return samples, nil
}

// measure reads the processes' CPU times as the measured time begins and as it ends.
func (b *bench) measure(round int, k kind, name string) (sample, error) {
	d, err := driverNamed(name, b.Options, b.dir)
	if err != nil {
		return sample{}, err
	}
	s := sample{round: round, kind: k, driver: name}
	var readErr error
	sign := time.Duration(-1)
	edge := func() {
		machine, err := machineTime()
		if err != nil {
			readErr = err
		}
		s.machineCPU += sign * machine
		s.clientCPU += sign * ownTime()
		for system, c := range b.clusters {
			t, err := c.cpu()
			if err != nil {
				readErr = err
			}
			if system == systemOf(name) {
				s.serverCPU += sign * t
			} else {
				s.idleCPU += sign * t
			}
		}
		sign = 1
	}
	s.outcome, err = d.run(load{kind: k, addrs: b.clusters[systemOf(name)].addrs, conns: b.Conns, keys: b.Keys,
		warm: b.Warm, measured: b.Measured, edge: edge, seed: uint64(round + 1)})
	if err == nil {
		err = readErr
	}
	for _, c := range b.clusters {
		if ended := c.alive(); ended != nil {
			err = ended
		}
	}
	return s, err
}
