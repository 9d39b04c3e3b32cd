package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"github.com/scribe-ledger/scribe/client"
	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/httpapi"
	"github.com/scribe-ledger/scribe/readonly"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/tier/open"
)

const bucketHelp = "read the ledger's archive at this `URL`, with no server: s3://bucket/prefix, dir:/path or a folder"

// bucketNote is what the help of commands says that can read an archive.
const bucketNote = `

With --bucket URL it is read from the ledger's archive in an object store, with no server: what was published last, held
against its checkpoint. Endpoint and credentials of the store are as for a node: SCRIBE_TIER_S3_ENDPOINT,
SCRIBE_TIER_S3_PATH_STYLE and so on, or the file that SCRIBE_CONFIG names; else the AWS SDK's usual chain.`

// reading is command for one that reads, from a node or from an archive.
func (a *app) reading(cmd *cobra.Command, body func(ctx context.Context, c *client.Client, args []string) error,
) *cobra.Command {
	cmd = a.command(cmd, body)
	fromNode := cmd.RunE
	bucket := cmd.Flags().String("bucket", "", bucketHelp)
	cmd.Long += bucketNote
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *bucket == "" {
			return fromNode(cmd, args)
		}
		if cmd.Flags().Changed("endpoint") {
			return &usageError{"--bucket reads without a server, and --endpoint names one: give one of them"}
		}
		a.began, a.offline = true, true
		store, err := a.openBucket(*bucket)
		if err != nil {
			return err
		}
		err = withArchive(cmd.Context(), store, func(c *client.Client) error { return body(cmd.Context(), c, args) })
		return errors.Join(err, open.Close(store))
	}
	return cmd
}

// openBucket opens the store that a URL names. What the URL does not say is as in a node's configuration.
func (a *app) openBucket(url string) (tier.Store, error) {
	c, err := config.Load([]string{"--read-only", "--bucket", url}, a.environ, os.ReadFile)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	return open.Store(c.Tier, open.Options{Existing: true})
}

// withArchive opens an archive for a client. They speak HTTP, as a client and a node do, through a pipe: so what an
// archive answers, and what a client checks of it, is what it is with a server.
func withArchive(ctx context.Context, store tier.Store, do func(*client.Client) error) error {
	a, err := readonly.Open(ctx, store, readonly.Options{Interval: -1})
	if err != nil {
		return err
	}
	defer a.Close()
	pipe := newPipeListener()
	server := httpapi.New(httpapi.Options{Backend: a}).Server()
	served := make(chan error, 1)
	go func() { served <- server.Serve(pipe) }()
	c, err := client.New([]string{"http://archive"}, client.Options{Name: store.Name(), Rounds: 1, HTTPClient: pipe.client()})
	if err != nil {
		return err
	}
	err = do(c)
	c.CloseIdleConnections()
	server.Close()
	<-served
	return err
}

// pipeListener is a net.Listener whose connections are in memory.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("connect to the archive: %w", ctx.Err())
	}
}

// client is what an HTTP client of the listener sends requests with.
func (l *pipeListener) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: l.dial, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
