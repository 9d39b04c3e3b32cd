package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/raft"
)

// authority is a CA made for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func issue(t *testing.T, tmpl, parent *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parent == nil {
		parent, key = tmpl, own
	}
	tmpl.SerialNumber = big.NewInt(1)
	tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &own.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, own
}

func newAuthority(t *testing.T) authority {
	cert, key := issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return authority{cert, key, pool}
}

// config is for a node whose certificate says that it is that node; both sides show one.
func (a authority) config(t *testing.T, id uint64) *tls.Config {
	cert, key := issue(t, &x509.Certificate{
		Subject:     pkix.Name{CommonName: fmt.Sprintf("node-%d", id)},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, a.key)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}},
		RootCAs:      a.pool, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

func verifyName(id uint64, state tls.ConnectionState) error {
	if got := state.PeerCertificates[0].Subject.CommonName; got != fmt.Sprintf("node-%d", id) {
		return errors.New("it is for " + got)
	}
	return nil
}

func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	secure := func(id uint64) func(*Options) {
		return func(o *Options) { o.TLS, o.VerifyPeer = ca.config(t, id), verifyName }
	}
	a, b := start(t, 1, secure(1)), start(t, 2, secure(2))
	introduce(a, b)
	data := make([]byte, 3<<20)
	data[len(data)-1] = 7
	for range 2 {
		if !a.SendRequest(2, data) || !a.SendBulk(2, data[:MaxBulkBytes]) {
			t.Fatal("cannot send")
		}
		if x, y := b.inbox.next(t), b.inbox.next(t); len(x.payload)+len(y.payload) != len(data)+MaxBulkBytes {
			t.Fatalf("%d and %d bytes", len(x.payload), len(y.payload))
		}
		b.Send(heartbeat(2, 1, 4))
		if g := a.inbox.next(t); g.message.Context != 4 {
			t.Fatalf("got %+v", g)
		}
	}
}

// TestTLSRefuses: who has no certificate, one of another authority, one of another node, or no TLS, is not talked to;
// neither side falls back.
func TestTLSRefuses(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	for _, tc := range []struct {
		name string
		peer func(*Options) // how node 1 differs
		want refusal        // on node 2, which has TLS
	}{
		{"plain", func(*Options) {}, refusedTLS},
		{"no certificate", func(o *Options) { o.TLS = &tls.Config{RootCAs: ca.pool} }, refusedTLS},
		{"another authority", func(o *Options) {
			o.TLS = foreign.config(t, 1)
			o.TLS.RootCAs = ca.pool
		}, refusedTLS},
		{"another node's certificate", func(o *Options) { o.TLS = ca.config(t, 3) }, refusedCert},
		{"TLS 1.2", func(o *Options) {
			o.TLS = ca.config(t, 1)
			o.TLS.MinVersion, o.TLS.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		}, refusedTLS},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			b := start(t, 2, func(o *Options) { o.TLS, o.VerifyPeer, o.Registerer = ca.config(t, 2), verifyName, reg })
			a := start(t, 1, func(o *Options) {
				o.Handler = nil // so that node 2 meets it only here, as who accepts
				tc.peer(o)
			})
			a.SetPeers([]raft.Member{{ID: 2, RaftAddr: b.Addr().String()}})
			a.Send(heartbeat(1, 2, 1))
			eventually(t, "it is refused", func() bool {
				return metric(t, reg, "refused_total", "reason="+tc.want.String()) > 0
			})
			if st := a.Peers()[0]; st.Connected || len(b.inbox) > 0 {
				t.Errorf("status %+v, %d delivered", st, len(b.inbox))
			}
		})
	}
	t.Run("TLS to a plain node", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		b := start(t, 2, func(o *Options) { o.Registerer = reg })
		a := start(t, 1, func(o *Options) { o.TLS = ca.config(t, 1) })
		a.SetPeers([]raft.Member{{ID: 2, RaftAddr: b.Addr().String()}})
		eventually(t, "it is refused", func() bool {
			return metric(t, reg, "refused_total", "reason=tls") > 0 && a.Peers()[0].LastError != ""
		})
	})
	t.Run("the wrong node behind an address", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		b := start(t, 2, func(o *Options) { o.TLS = ca.config(t, 3) })
		a := start(t, 1, func(o *Options) {
			o.TLS, o.VerifyPeer, o.Registerer = ca.config(t, 1), verifyName, reg
			o.Handler = nil // so that it meets the other one only as who dials
		})
		a.SetPeers([]raft.Member{{ID: 2, RaftAddr: b.Addr().String()}})
		eventually(t, "it is left", func() bool {
			return metric(t, reg, "refused_total", "reason=certificate") > 0
		})
	})
}
