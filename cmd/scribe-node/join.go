package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/client"
	"github.com/scribe-ledger/scribe/config"
	"github.com/scribe-ledger/scribe/node"
	"github.com/scribe-ledger/scribe/raft"
)

// The waits between two tries to join, and how often a wait is logged.
const (
	joinMinWait = 200 * time.Millisecond
	joinMaxWait = 5 * time.Second
	joinTimeout = 40 * time.Second // of one try: longer than a member takes to give up
	joinLogs    = 10 * time.Second
	// joinedTimeout is how long a member has to say of which cluster it is to a node that has joined one already.
	joinedTimeout = time.Second
)

// joiner asks a member to take this node in.
type joiner struct {
	endpoint string
	as       client.NewMember
	logger   *slog.Logger
	sleep    func(context.Context, time.Duration) error // pause, but in tests
}

// joinEndpoint is the URL of whom a node is told to join.
func joinEndpoint(c config.Config) string {
	if endpoint := c.Cluster.Join; strings.Contains(endpoint, "://") {
		return endpoint
	}
	return "http://" + c.Cluster.Join
}

// checkJoined refuses a data directory of one cluster where a member of another is named to be joined. A start must not
// depend on others, so one that does not say of which cluster it is passes.
func checkJoined(of config.Config, cluster string) error {
	endpoint := joinEndpoint(of)
	c, err := client.New([]string{endpoint}, client.Options{Rounds: 1, AttemptTimeout: joinedTimeout})
	if err != nil {
		return err
	}
	defer c.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), joinedTimeout)
	defer cancel()
	st, err := c.Status(ctx)
	if err != nil || st.ClusterID == "" || st.ClusterID == cluster {
		return nil //nolint:nilerr // a member that is down is no reason not to start
	}
	return &config.Error{Source: "configuration", Key: "cluster.join", Problem: fmt.Sprintf("%s is of cluster %s, and the data "+
		"directory %s belongs to a node of cluster %s; use a directory of its own to join, or leave cluster.join out",
		endpoint, st.ClusterID, of.Node.DataDir, cluster)}
}

func newJoiner(c config.Config, a *addresses, logger *slog.Logger) (*joiner, error) {
	endpoint := joinEndpoint(c)
	if endpoint == "http://"+a.tellHTTP || endpoint == "http://"+a.http.Addr().String() {
		return nil, &config.Error{Source: "configuration", Key: "cluster.join",
			Problem: "names this node itself; name a member of the cluster to join"}
	}
	return &joiner{endpoint: endpoint, logger: logger, sleep: pause, as: client.NewMember{NodeID: c.Node.ID, RaftAddr: a.tellRaft,
		HTTPAddr: a.tellHTTP, Learner: c.Cluster.Learner}}, nil
}

// join asks until the cluster has taken this node in, has refused it, or ctx ends. What may pass is tried again: a
// member that does not answer, a cluster without a leader. To be a member already is no refusal.
func (j *joiner) join(ctx context.Context) (*node.JoinInfo, error) {
	// The client follows no redirects. One round: the waits between tries are made here, and logged.
	c, err := client.New([]string{j.endpoint}, client.Options{Rounds: 1, AttemptTimeout: joinTimeout})
	if err != nil {
		return nil, err
	}
	defer c.CloseIdleConnections()
	j.logger.Info("joining", "at", j.endpoint, "as", j.as.NodeID, "raft_addr", j.as.RaftAddr, "http_addr", j.as.HTTPAddr,
		"learner", j.as.Learner)
	var logged time.Time
	for wait := joinMinWait; ; wait = min(2*wait, joinMaxWait) {
		m, err := c.Join(ctx, j.as)
		if err == nil {
			return j.accepted(m)
		}
		var answer *client.Error
		if errors.As(err, &answer) && answer.Status < 500 && answer.Status != 429 {
			return nil, fmt.Errorf("%s refuses to let this node join as node %d: %w", j.endpoint, j.as.NodeID, err)
		}
		var protocol *client.ProtocolError
		if errors.As(err, &protocol) {
			return nil, fmt.Errorf("%s is no member of a ledger's cluster: %w", j.endpoint, err)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if time.Since(logged) >= joinLogs {
			logged = time.Now()
			j.logger.Warn("cannot join yet, trying again", "at", j.endpoint, "error", err)
		}
		if err := j.sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// pause waits for d or the end of ctx, whose cause it returns.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (j *joiner) accepted(m client.Membership) (*node.JoinInfo, error) {
	if _, err := raft.ParseClusterID(m.ClusterID); err != nil {
		return nil, fmt.Errorf("%s answers with cluster id %q: %w", j.endpoint, m.ClusterID, err)
	}
	info := &node.JoinInfo{ClusterID: m.ClusterID, LedgerID: m.LedgerID}
	for _, x := range m.Members {
		info.Members = append(info.Members, node.Member{NodeID: x.NodeID, RaftAddr: x.RaftAddr, HTTPAddr: x.HTTPAddr})
	}
	j.logger.Info("the cluster has taken this node in", "cluster", m.ClusterID, "members", len(m.Members))
	return info, nil
}
