package config

import (
	"net"
	"slices"
)

// validate checks what no single value shows: the combinations that cannot work.
func (l *loader) validate() error {
	for _, check := range []func() error{l.checkCluster, l.checkAddrs, l.checkLimits, l.checkRaft, l.checkTier} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// blame makes the error of a wrong combination. It names the first of the keys that was set by someone, as a default
// is nobody's mistake.
func (l *loader) blame(problem string, keys ...string) error {
	for _, key := range keys {
		if o, ok := l.source[key]; ok {
			return &Error{Source: o.source, Key: o.name, Problem: problem}
		}
	}
	return &Error{Source: "defaults", Key: keys[0], Problem: problem}
}

func (l *loader) checkCluster() error {
	c := &l.c.Cluster
	switch {
	case c.Bootstrap && len(c.Initial) > 0:
		return l.blame("cannot be set with cluster.initial; a founding node has one of them",
			"cluster.bootstrap", "cluster.initial")
	case c.Join != "" && len(c.Initial) > 0:
		return l.blame("cannot be set with cluster.initial; a node either founds a cluster or joins one",
			"cluster.join", "cluster.initial")
	case c.Join != "" && c.Bootstrap:
		return l.blame("cannot be set with cluster.bootstrap; a node either founds a cluster or joins one",
			"cluster.join", "cluster.bootstrap")
	case c.Learner && (c.Bootstrap || len(c.Initial) > 0):
		return l.blame("a founding node has a vote; a learner joins with cluster.join",
			"cluster.learner", "cluster.bootstrap", "cluster.initial")
	}
	own := slices.IndexFunc(c.Initial, func(p Peer) bool { return p.ID == l.c.Node.ID })
	if len(c.Initial) == 0 {
		return nil
	}
	if own < 0 {
		id := idValue{&l.c.Node.ID}.text()
		return l.blame("must name this node too: "+id+"=host:port, as node.id is "+id, "cluster.initial", "node.id")
	}
	n := &l.c.Network
	if _, ok := l.source["network.raft_addr"]; !ok {
		n.RaftAddr = c.Initial[own].RaftAddr
	}
	if n.AdvertiseRaft != "" && n.AdvertiseRaft != c.Initial[own].RaftAddr {
		return l.blame("a founding node is reached at the address that cluster.initial gives it, "+c.Initial[own].RaftAddr+
			"; leave network.advertise_raft away", "network.advertise_raft", "cluster.initial")
	}
	return nil
}

func (l *loader) checkAddrs() error {
	n := &l.c.Network
	_, port, err := net.SplitHostPort(n.ListenAddr)
	if err == nil && port != "0" && n.ListenAddr == n.RaftAddr {
		return l.blame("HTTP and raft cannot both listen on "+n.ListenAddr+"; give them different ports",
			"network.listen_addr", "network.raft_addr")
	}
	return nil
}

func (l *loader) checkLimits() error {
	m := &l.c.Limits
	if _, ok := l.source["limits.max_batch_bytes"]; !ok {
		m.MaxBatchBytes = min(m.MaxBatchBytes, m.MaxInflightBytes)
	}
	if least := max(m.MaxValueBytes, m.MaxBatchBytes); m.MaxInflightBytes < least {
		return l.blame("must leave room for the largest value and batch: max_inflight_bytes must be at least "+
			FormatSize(least), "limits.max_inflight_bytes", "limits.max_value_bytes", "limits.max_batch_bytes")
	}
	return nil
}

func (l *loader) checkRaft() error {
	r := &l.c.Raft
	switch {
	case r.ElectionMin < 2*r.Heartbeat:
		return l.blame("an election may start after two missed heartbeats at the earliest: election_min must be at "+
			"least "+formatDuration(2*r.Heartbeat), "raft.election_min", "raft.heartbeat")
	case r.ElectionMax <= r.ElectionMin:
		return l.blame("timeouts are drawn between the two: election_max must be more than "+
			formatDuration(r.ElectionMin), "raft.election_max", "raft.election_min")
	}
	return nil
}

func (l *loader) checkTier() error {
	t := &l.c.Tier
	switch {
	case t.Backend == "s3" && t.S3.Bucket == "":
		return l.blame("backend s3 needs tier.s3.bucket", "tier.backend", "tier.s3.bucket")
	case t.Backend == "s3" && t.S3.Region == "":
		return l.blame("backend s3 needs a region; stores without regions take us-east-1", "tier.s3.region")
	case t.S3.AccessKeyID != "" && t.S3.SecretAccessKey == "":
		return l.blame("needs tier.s3.secret_access_key beside it", "tier.s3.access_key_id")
	case t.S3.AccessKeyID == "" && t.S3.SecretAccessKey != "":
		return l.blame("needs tier.s3.access_key_id beside it", "tier.s3.secret_access_key")
	}
	return nil
}
