package raft

import (
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	// MaxIndex bounds indexes and MaxTerm bounds terms. What a peer sends beyond them is refused, so that no sum of an
	// index and a count that the core forms can overflow.
	MaxIndex uint64 = 1 << 62
	MaxTerm  uint64 = 1 << 62

	// MaxEntryBytes bounds the Data of an entry.
	MaxEntryBytes = 128 << 20

	// maxTermStep bounds how far a message may move the term: one hostile message must not use the terms up.
	maxTermStep = 1 << 32

	entryOverhead = 64 // bytes that an entry costs beside its Data; keeps empty entries from being free
)

// ClusterID names a cluster; it is drawn at random when the cluster is founded and travels in every message.
type ClusterID [16]byte

// String returns the id in hex.
func (id ClusterID) String() string { return hex.EncodeToString(id[:]) }

// ParseClusterID reads what String writes.
func ParseClusterID(s string) (ClusterID, error) {
	var id ClusterID
	if len(s) != hex.EncodedLen(len(id)) {
		return id, fmt.Errorf("raft: cluster id %q is not %d hex digits", s, hex.EncodedLen(len(id)))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, fmt.Errorf("raft: cluster id %q: %w", s, err)
	}
	return id, nil
}

// Config is what a core is told about itself. Zero fields but ID and ClusterID mean the default named beside them.
type Config struct {
	ID        uint64    // this node; never 0
	ClusterID ClusterID // never zero
	// Instance tells this node's data from what was under its id before: drawn at random when the data directory is
	// made. A member whose messages carry another instance than the one recorded for it was wiped, and is refused.
	Instance uint64

	// ElectionTicks is how long a follower waits for its leader before it campaigns: a random number of ticks in
	// [ElectionTicks, ElectionMaxTicks). Default 10, and twice ElectionTicks.
	ElectionTicks    int
	ElectionMaxTicks int
	// HeartbeatTicks is how often a leader shows itself. Default 1; less than ElectionTicks.
	HeartbeatTicks int
	// Seed of the election timeouts. The same seed and the same calls give the same run. The shell draws it at random.
	Seed uint64

	// MaxUncommittedBytes bounds the log's tail in memory: entries proposed but not yet committed and handed out.
	// Propose answers ErrOverloaded when it is used up; one proposal of any size is let through while the tail is
	// empty. A follower that applies slower than its leader sends keeps to it by reading entries back. Default 64 MiB.
	MaxUncommittedBytes uint64
	// MaxCommittedBytes bounds the Data of Ready.Committed; one entry is always let through. Default 4 MiB.
	MaxCommittedBytes uint64
	// MaxApplyingBytes bounds what was handed out as committed and is not reported as applied: at this mark, Ready
	// hands out no more. Default 64 MiB.
	MaxApplyingBytes uint64
	// MaxAppendBytes bounds the Data of one append message; one entry is always let through. Default 1 MiB,
	// at most 16 MiB.
	MaxAppendBytes uint64
	// MaxInflightAppends bounds the append messages with entries that are under way to one peer and not answered.
	// Default 128.
	MaxInflightAppends int
	// MaxInflightBytes bounds the Data in those; one message is always let through. Default 8 MiB.
	MaxInflightBytes uint64
	// MaxPendingReads bounds the reads that wait to be confirmed. Default 4096.
	MaxPendingReads int
}

func (c Config) withDefaults() Config {
	setInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	setBytes := func(v *uint64, d uint64) {
		if *v == 0 {
			*v = d
		}
	}
	setInt(&c.ElectionTicks, 10)
	setInt(&c.ElectionMaxTicks, 2*c.ElectionTicks)
	setInt(&c.HeartbeatTicks, 1)
	setInt(&c.MaxPendingReads, 4096)
	setInt(&c.MaxInflightAppends, 128)
	setBytes(&c.MaxInflightBytes, 8<<20)
	setBytes(&c.MaxUncommittedBytes, 64<<20)
	setBytes(&c.MaxCommittedBytes, 4<<20)
	setBytes(&c.MaxApplyingBytes, 64<<20)
	setBytes(&c.MaxAppendBytes, 1<<20)
	return c
}

// validate checks a Config whose defaults are filled in.
func (c Config) validate() error {
	switch {
	case c.ID == 0:
		return errors.New("raft: config: ID is 0")
	case c.ClusterID == ClusterID{}:
		return errors.New("raft: config: ClusterID is zero")
	case c.HeartbeatTicks < 0 || c.ElectionTicks < 0 || c.ElectionTicks > 1<<20 || c.ElectionMaxTicks > 1<<21:
		return errors.New("raft: config: ElectionTicks and HeartbeatTicks are between 1 and 2^20")
	case c.ElectionTicks <= c.HeartbeatTicks:
		return fmt.Errorf("raft: config: ElectionTicks %d is not greater than HeartbeatTicks %d",
			c.ElectionTicks, c.HeartbeatTicks)
	case c.ElectionMaxTicks <= c.ElectionTicks:
		return fmt.Errorf("raft: config: ElectionMaxTicks %d is not greater than ElectionTicks %d",
			c.ElectionMaxTicks, c.ElectionTicks)
	case c.MaxAppendBytes > 16<<20:
		return fmt.Errorf("raft: config: MaxAppendBytes %d is over 16 MiB", c.MaxAppendBytes)
	case c.MaxPendingReads < 0 || c.MaxInflightAppends < 0:
		return errors.New("raft: config: MaxPendingReads or MaxInflightAppends is negative")
	}
	return nil
}

// Snapshot says what a state machine holds: everything up to and with Index, which Term wrote, and the members as of
// that entry. A cluster is founded by a snapshot with Index 0, Term 0 and its first members.
type Snapshot struct {
	Index   uint64
	Term    uint64
	Members Membership
}
