// Command etcd-member runs one etcd member, the embedded server as it comes: every write synced, default quota, snapshot
// count and timing. Only addresses, the data directory and the log level are given.
package main

import (
	"flag"
	"log"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("etcd-member: ")
	name := flag.String("name", "", "of this member in -initial-cluster")
	dir := flag.String("data-dir", "", "`directory` for its data")
	client := flag.String("client", "", "`URL` for clients")
	peer := flag.String("peer", "", "`URL` for the other members")
	cluster := flag.String("initial-cluster", "", "name=URL,…: the peer URLs of all members")
	flag.Parse()
	if err := run(*name, *dir, *client, *peer, *cluster); err != nil {
		log.Fatal(err)
	}
}

func run(name, dir, client, peer, cluster string) error {
	clientURL, err := url.Parse(client)
	if err != nil {
		return err
	}
	peerURL, err := url.Parse(peer)
	if err != nil {
		return err
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialCluster = name, dir, cluster
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*clientURL}, []url.URL{*clientURL}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peerURL}, []url.URL{*peerURL}
	cfg.LogLevel = "error"
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	defer etcd.Close()
	select {
	case <-signals:
		return nil
	case err := <-etcd.Err():
		return err
	}
}
