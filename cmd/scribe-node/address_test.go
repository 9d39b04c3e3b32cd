package main

import (
	"net"
	"strings"
	"testing"

	"github.com/scribe-ledger/scribe/config"
)

func TestAdvertised(t *testing.T) {
	taken := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 77}
	for _, tc := range []struct{ set, configured, want string }{
		{"", "127.0.0.1:0", "127.0.0.1:77"},
		{"", "127.0.0.1:77", "127.0.0.1:77"},
		{"", "scribe1:77", "scribe1:77"},
		{"", "[::1]:0", "[::1]:77"},
		{"outside:99", "0.0.0.0:0", "outside:99"},
	} {
		if got := advertised(tc.set, tc.configured, taken); got != tc.want {
			t.Errorf("%q, %q: %s, want %s", tc.set, tc.configured, got, tc.want)
		}
	}
	for _, every := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		got := advertised("", every, taken)
		host, port, err := net.SplitHostPort(got)
		if ip := net.ParseIP(host); err != nil || port != "77" || ip == nil || ip.IsUnspecified() {
			t.Errorf("%s is told as %s", every, got)
		}
	}
	network := func(s string) net.Addr {
		ip, n, err := net.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		return &net.IPNet{IP: ip, Mask: n.Mask}
	}
	for addrs, want := range map[string]string{
		"":                                         "127.0.0.1",
		"127.0.0.1/8 ::1/128 fe80::1/64":           "127.0.0.1",
		"127.0.0.1/8 2001:db8::1/64 10.0.0.3/8":    "10.0.0.3",
		"::1/128 2001:db8::1/64 2001:db8::2/64":    "2001:db8::1",
		"169.254.1.1/16 192.168.1.2/24 10.0.0.3/8": "192.168.1.2",
	} {
		var list []net.Addr
		for _, a := range strings.Fields(addrs) {
			list = append(list, network(a))
		}
		if got := outward(list); got != want {
			t.Errorf("%s: %s, want %s", addrs, got, want)
		}
	}
}

func TestListen(t *testing.T) {
	c := config.Default()
	c.Network.ListenAddr, c.Network.RaftAddr = "127.0.0.1:0", "127.0.0.1:0"
	a, err := listen(c)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if a.tellHTTP != a.http.Addr().String() || a.tellRaft != a.raft.Addr().String() || a.tellHTTP == a.tellRaft {
		t.Errorf("%+v", a)
	}
	if a.raft.Close(); a.relistenRaft() != nil || a.raft.Addr().String() != a.tellRaft {
		t.Errorf("the raft port was not taken again: %v", a.raft.Addr())
	}
	// The name of what is taken, and nothing left open.
	c.Network.RaftAddr = a.raft.Addr().String()
	if _, err := listen(c); err == nil || !strings.Contains(err.Error(), "network.raft_addr") ||
		!strings.Contains(err.Error(), c.Network.RaftAddr) {
		t.Errorf("%v", err)
	}
	// But where nobody asked for a port, another one does.
	def := config.Default()
	def.Network.ListenAddr = "127.0.0.1:0"
	one, err := listen(def)
	if err != nil {
		t.Fatal(err)
	}
	defer one.close()
	two, err := listen(def)
	if err != nil {
		t.Fatal(err)
	}
	two.close()
	def.Cluster.Bootstrap = true
	if _, err := listen(def); err == nil {
		t.Error("the raft port that others are to find was taken, and another one is used")
	}
	// The members know a founder by the list, wherever it listens.
	c.Network.RaftAddr = "127.0.0.1:0"
	c.Cluster.Initial = []config.Peer{{ID: 1, RaftAddr: "outside:9001"}, {ID: 2, RaftAddr: "other:9001"}}
	b, err := listen(c)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if b.tellRaft != "outside:9001" {
		t.Errorf("%+v", b)
	}
}
