package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("peers: ")
	o := Options{Log: os.Stderr}
	flag.IntVar(&o.Rounds, "rounds", 5, "rounds; the medians over them are compared")
	seconds := flag.Int("seconds", 10, "of each run")
	flag.DurationVar(&o.Warm, "warm", time.Second, "before each run, not counted")
	flag.IntVar(&o.Conns, "conns", 256, "callers, each with one request in flight; over HTTP/1.1 a connection each")
	flag.IntVar(&o.Members, "members", 3, "of each cluster")
	flag.IntVar(&o.Keys, "keys", 100_000, "different keys")
	flag.IntVar(&o.EtcdConns, "etcd-conns", 12, "gRPC connections that the callers of etcd share")
	drivers := flag.String("drivers", "etcd,etcd-clientv3,scribe",
		"`names` of: etcd, etcd-clientv3, etcd-stubs, etcd-gateway, scribe, scribe-wrk; etcd:48 has 48 connections")
	flag.StringVar(&o.EtcdMember, "etcd-member", "", "the etcd-member `program` (default: built from ./etcd-member)")
	flag.StringVar(&o.ScribeNode, "scribe-node", "", "the scribe-node `program` (default: built from ../../cmd/scribe-node)")
	flag.StringVar(&o.Dir, "data", "", "`directory` for the members' data (default: the temporary one)")
	flag.Parse()
	o.Measured, o.Drivers = time.Duration(*seconds)*time.Second, strings.Split(*drivers, ",")

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	samples, err := Run(ctx, o)
	if len(samples) > 0 {
		fmt.Printf("%d members each, %d callers, %v a run, %d rounds, 16-byte keys of %d, 256-byte values\n", o.Members, o.Conns,
			o.Measured, o.Rounds, o.Keys)
		report(os.Stdout, samples)
	}
	if err != nil {
		log.Fatal(err)
	}
}
