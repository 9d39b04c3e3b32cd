package main

import (
	"errors"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/transport"
)

// member is an open node with the transport that connects it to the others.
type member struct {
	*node.Node
	transport *transport.Transport
}

// openMember opens the node first: only its data knows its cluster and instance, which the transport tells its peers. The
// listener is the member's from now on, in failure too.
func openMember(o node.Options, listener net.Listener, logger *slog.Logger, reg prometheus.Registerer) (*member, error) {
	n, err := node.Open(o)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	t, err := newTransport(n, o, listener, logger, reg)
	if err != nil {
		return nil, errors.Join(err, n.Close(), listener.Close())
	}
	n.Connect(t)
	if err := t.Start(n); err != nil {
		return nil, errors.Join(err, t.Close(), n.Close())
	}
	return &member{n, t}, nil
}

func newTransport(n *node.Node, o node.Options, listener net.Listener, logger *slog.Logger,
	reg prometheus.Registerer) (*transport.Transport, error) {
	cluster, err := raft.ParseClusterID(n.ClusterID())
	if err != nil {
		return nil, err
	}
	return transport.New(transport.Options{ID: o.NodeID, Cluster: cluster, Instance: n.Instance(), Listener: listener,
		Advertise: o.RaftAddr, Admit: n.Admit, Refused: n.Refused, Broken: n.Broken, Logger: logger, Registerer: reg})
}

// close ends the connections, then the node.
func (m *member) close() error {
	return errors.Join(m.transport.Close(), m.Node.Close())
}
