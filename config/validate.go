package config

import (
	"net"
	"slices"
)

// validate checks what no single value shows: the combinations that cannot work.
func (l *loader) validate() error {
	for _, check := range []func() error{l.checkCluster, l.checkAddrs, l.checkLimits, l.checkRaft, l.checkArchive,
		l.checkTier} {
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
		return l.blame("needs tier.s3.secret_access_key beside it", "tier.s3.access_key_id", "tier.s3.access_key_id_file")
	case t.S3.AccessKeyID == "" && t.S3.SecretAccessKey != "":
		return l.blame("needs tier.s3.access_key_id beside it", "tier.s3.secret_access_key",
			"tier.s3.secret_access_key_file")
	case t.S3.SSEKMSKeyID != "" && t.S3.SSE != "aws:kms":
		return l.blame("is a key of tier.s3.sse = \"aws:kms\"; set both or none", "tier.s3.sse_kms_key_id")
	}
	return nil
}

// checkArchive makes the bucket that is read the cold tier as well.
func (l *loader) checkArchive() error {
	a, founds := &l.c.Archive, []string{"cluster.initial", "cluster.bootstrap", "cluster.join"}
	switch {
	case a.ReadOnly && a.Bucket == "":
		return l.blame("needs the bucket that is to be served: --bucket s3://bucket/prefix", "archive.read_only")
	case a.Bucket != "" && !a.ReadOnly:
		return l.blame("is what a reader serves, so it needs --read-only; a node that takes writes has tier.s3.bucket or "+
			"tier.dir", "archive.bucket")
	case a.RestoreFetch && a.RestoreFrom == "":
		return l.blame("needs the bucket that is fetched: --restore-from s3://bucket/prefix", "archive.restore_fetch")
	case a.ReadOnly && a.RestoreFrom != "":
		return l.blame("makes a ledger that takes writes; a reader needs --bucket alone", "archive.restore_from")
	case a.ReadOnly && (len(l.c.Cluster.Initial) > 0 || l.c.Cluster.Bootstrap || l.c.Cluster.Join != ""):
		return l.blame("a reader is no member of a cluster; leave it away, or archive.read_only", founds...)
	case a.RestoreFrom != "" && l.c.Cluster.Join != "":
		return l.blame("a node that joins gets its ledger from the cluster; founders restore it", "archive.restore_from")
	case a.ReadOnly:
		return l.serve(a.Bucket, "archive.bucket")
	case a.RestoreFrom != "":
		return l.goOnIn(a.RestoreFrom)
	}
	return nil
}

func (l *loader) serve(url, key string) error {
	t, err := l.c.Tier.At(url)
	if err != nil {
		return l.blame(err.Error(), key)
	}
	l.c.Tier = t
	return nil
}

// goOnIn makes the bucket a ledger is restored from its tier: that is where its segments are. What is set of the tier must
// not name another place, which a start without archive.restore_from would take.
func (l *loader) goOnIn(url string) error {
	was := l.c.Tier
	if err := l.serve(url, "archive.restore_from"); err != nil {
		return err
	}
	now := l.c.Tier
	elsewhere := was.place() != now.place()
	for _, c := range []struct {
		key     string
		differs bool
	}{
		{"tier.backend", was.Backend != now.Backend},
		{"tier.s3.bucket", now.Backend == "s3" && elsewhere},
		{"tier.s3.prefix", now.Backend == "s3" && was.S3.Prefix != now.S3.Prefix},
		{"tier.dir", now.Backend == "dir" && elsewhere},
	} {
		if _, set := l.source[c.key]; set && c.differs {
			return l.blame("is another store than archive.restore_from, "+now.place()+
				"; a restored ledger goes on where its segments are, so leave one of the two away", c.key)
		}
	}
	return nil
}
