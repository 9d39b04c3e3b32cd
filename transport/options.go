package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/raft"
)

// Handler receives what peers send. Its methods are called by the goroutines that read connections, one call at a time
// for each sender and class, and must not block. What they are given belongs to them.
type Handler interface {
	Receive(m raft.Message)
	ReceiveRequest(from uint64, payload []byte)
	ReceiveBulk(from uint64, payload []byte)
}

// Options say who this node is and how it talks. Zero fields stand for the defaults.
type Options struct {
	// ID is this node, Cluster the cluster it belongs to. Required.
	ID      uint64
	Cluster raft.ClusterID
	// Instance of this node's data, told to peers.
	Instance uint64
	// Listener takes connections; Close closes it. Required.
	Listener net.Listener
	// Advertise is the address at which peers reach the Listener. A peer that does not know this node, or knows an older
	// address, answers there. Default: the Listener's address.
	Advertise string
	// Handler receives what arrives. Default: nothing is accepted until Serve is called.
	Handler Handler

	// TLS secures all connections, both those accepted and those dialled; it has the certificates and, for mutual
	// authentication, ClientAuth, ClientCAs and RootCAs. TLS 1.3 unless its MinVersion says otherwise. Default: plain TCP.
	TLS *tls.Config
	// VerifyPeer checks the certificate of a connection against the node id that the peer claims. Default: any
	// certificate that TLS accepts may speak for any id.
	VerifyPeer func(id uint64, state tls.ConnectionState) error
	// Admit may refuse a node of this cluster, by an error that both sides log. It is asked about both who dials and who
	// is dialled, from any goroutine, and must not block. Default: all are admitted.
	Admit func(id, instance uint64) error
	// Refused hears that a peer refused this node for who it is, and why. It is called from any goroutine, again at
	// every attempt, and must not block. Default: it is only logged.
	Refused func(peer uint64, reason string)
	// Broken hears that a connection of the class Messages, to or from a peer, has ended, or that what waited for one was
	// dropped: frames that were sent may be lost. It is called from any goroutine and must not block.
	Broken func(peer uint64)
	// Dial opens a connection. Default: TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	// MaxFrameBytes bounds the payload of a message or request. Default and most: raft.MaxMessageBytes.
	MaxFrameBytes int
	// QueueFrames and QueueBytes bound what waits for one peer in one class; one frame of any size is let through while
	// nothing waits. Default 8192 and 64 MiB.
	QueueFrames int
	QueueBytes  int
	// BackoffMin and BackoffMax bound the pause between attempts to connect. It doubles, less a random part of up to a
	// half, and begins anew when the peer shows itself. Default 20 ms and 500 ms.
	BackoffMin time.Duration
	BackoffMax time.Duration
	// Seed of that random part. Default 0: drawn at random.
	Seed uint64
	// DialTimeout bounds the opening of a connection. Default 1 s.
	DialTimeout time.Duration
	// HandshakeTimeout bounds TLS and hello, on both sides. Default 3 s.
	HandshakeTimeout time.Duration
	// WriteTimeout ends a connection that took nothing for so long. Default 5 s.
	WriteTimeout time.Duration
	// Keepalive is how often an open connection shows that it lives. Default 500 ms.
	Keepalive time.Duration
	// IdleTimeout ends a connection that showed no life for so long. Default 3 s.
	IdleTimeout time.Duration
	// MaxConnections bounds the connections accepted. Beyond it, the one that has been silent longest before its hello
	// gives way. Default 256.
	MaxConnections int

	// Logger takes who came, went and was refused. Default: nothing is written.
	Logger *slog.Logger
	// Registerer takes the metrics. Default: they are not exported.
	Registerer prometheus.Registerer
}

func (o Options) withDefaults() (Options, error) {
	if o.ID == 0 || o.Cluster == (raft.ClusterID{}) || o.Listener == nil {
		return o, errors.New("transport: Options need ID, Cluster and Listener")
	}
	for _, v := range []int{o.MaxFrameBytes, o.QueueFrames, o.QueueBytes, o.MaxConnections} {
		if v < 0 {
			return o, errors.New("transport: a bound in Options is negative")
		}
	}
	setInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	setTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	setInt(&o.MaxFrameBytes, raft.MaxMessageBytes)
	setInt(&o.QueueFrames, 8192)
	setInt(&o.QueueBytes, 64<<20)
	setInt(&o.MaxConnections, 256)
	setTime(&o.BackoffMin, 20*time.Millisecond)
	setTime(&o.BackoffMax, 500*time.Millisecond)
	setTime(&o.DialTimeout, time.Second)
	setTime(&o.HandshakeTimeout, 3*time.Second)
	setTime(&o.WriteTimeout, 5*time.Second)
	setTime(&o.Keepalive, 500*time.Millisecond)
	setTime(&o.IdleTimeout, 3*time.Second)
	if o.MaxFrameBytes > raft.MaxMessageBytes {
		return o, fmt.Errorf("transport: MaxFrameBytes %d is over %d", o.MaxFrameBytes, raft.MaxMessageBytes)
	}
	if o.IdleTimeout <= o.Keepalive {
		return o, fmt.Errorf("transport: IdleTimeout %v is not longer than Keepalive %v", o.IdleTimeout, o.Keepalive)
	}
	if o.Advertise == "" {
		o.Advertise = o.Listener.Addr().String()
	}
	if len(o.Advertise) > maxAddr {
		return o, fmt.Errorf("transport: address %q is longer than %d bytes", o.Advertise, maxAddr)
	}
	if o.TLS != nil {
		o.TLS = o.TLS.Clone()
		if o.TLS.MinVersion == 0 {
			o.TLS.MinVersion = tls.VersionTLS13
		}
		if o.TLS.MinVersion < tls.VersionTLS12 {
			return o, errors.New("transport: TLS older than 1.2 is not accepted")
		}
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}
