package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/scribe-ledger/scribe/config"
)

// addresses are where this node listens and what it tells others.
type addresses struct {
	http, raft         net.Listener
	tellHTTP, tellRaft string
}

// listen takes both ports, before the data is opened: a busy port should not cost a recovery.
func listen(c config.Config) (*addresses, error) {
	a := &addresses{}
	var err error
	if a.http, err = net.Listen("tcp", c.Network.ListenAddr); err != nil {
		return nil, fmt.Errorf("cannot listen on %s (network.listen_addr): %w", c.Network.ListenAddr, err)
	}
	if a.raft, err = net.Listen("tcp", c.Network.RaftAddr); errors.Is(err, syscall.EADDRINUSE) && raftByDefault(c) {
		a.raft, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		a.http.Close()
		return nil, fmt.Errorf("cannot listen on %s (network.raft_addr): %w", c.Network.RaftAddr, err)
	}
	a.tellHTTP = advertised(c.Network.AdvertiseHTTP, c.Network.ListenAddr, a.http.Addr())
	a.tellRaft = advertised(c.Network.AdvertiseRaft, c.Network.RaftAddr, a.raft.Addr())
	for _, p := range c.Cluster.Initial {
		if p.ID == c.Node.ID {
			a.tellRaft = p.RaftAddr // the address that the members know it by
		}
	}
	return a, nil
}

// raftByDefault says that nobody asked for a raft address, and nobody needs to know it: a second one-node ledger on a
// machine does not fail for a port that it does not use.
func raftByDefault(c config.Config) bool {
	return c.Network.RaftAddr == config.Default().Network.RaftAddr && c.Network.AdvertiseRaft == "" &&
		len(c.Cluster.Initial) == 0 && c.Cluster.Join == "" && !c.Cluster.Bootstrap
}

func (a *addresses) close() {
	a.http.Close()
	a.raft.Close()
}

// relistenRaft takes the raft port again after the transport has closed it.
func (a *addresses) relistenRaft() (err error) {
	a.raft, err = net.Listen("tcp", a.raft.Addr().String())
	return err
}

// advertised is what others are told: what is set, or the host as it was configured with the port that was taken. For
// every interface it is this machine's first address that others may reach.
func advertised(set, configured string, taken net.Addr) string {
	if set != "" {
		return set
	}
	_, port, err := net.SplitHostPort(taken.String())
	if err != nil {
		return taken.String()
	}
	host, _, err := net.SplitHostPort(configured)
	if err != nil {
		return taken.String()
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		addrs, _ := net.InterfaceAddrs() // none is as good as an error
		host = outward(addrs)
	}
	return net.JoinHostPort(host, port)
}

// outward is the first address that is not of this machine alone, IPv4 before IPv6.
func outward(addrs []net.Addr) string {
	host := "127.0.0.1"
	for _, addr := range addrs {
		ip, ok := addr.(*net.IPNet)
		if !ok || !ip.IP.IsGlobalUnicast() {
			continue
		}
		if ip.IP.To4() != nil {
			return ip.IP.String()
		}
		if host == "127.0.0.1" {
			host = ip.IP.String()
		}
	}
	return host
}
