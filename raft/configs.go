package raft

import "slices"

// config is a configuration and the entry that brought it. The latest in the log is in force, committed or not
// (Raft §6); when its entry is truncated, the one before it is again.
type config struct {
	index   uint64 // for the oldest one known: of the snapshot that it was found in
	members Membership
}

// loadConfigs takes the configurations that the log holds behind the snapshot.
func (c *Core) loadConfigs(snap Snapshot, reader LogReader) error {
	c.configs = []config{{index: snap.Index, members: snap.Members}}
	c.members = snap.Members
	entries, err := reader.MembersEntries()
	if err != nil {
		return err
	}
	for len(entries) > 0 && entries[0].Index <= snap.Index {
		entries = entries[1:]
	}
	return c.adopt(entries)
}

// adopt puts the configurations among entries, which were just appended, in force.
func (c *Core) adopt(entries []Entry) error {
	for i := range entries {
		if entries[i].Kind != EntryMembers {
			continue
		}
		m, err := ParseMembership(entries[i].Data)
		if err != nil {
			return invalid("entry %d: %v", entries[i].Index, err)
		}
		c.configs = append(c.configs, config{index: entries[i].Index, members: m})
		c.members = m
	}
	return nil
}

// rollBack takes the configurations of entries from index i on out of force. The oldest is of a committed entry and
// stays.
func (c *Core) rollBack(i uint64) {
	n := len(c.configs)
	for n > 1 && c.configs[n-1].index >= i {
		n--
	}
	c.configs = slices.Delete(c.configs, n, len(c.configs))
	c.members = c.configs[n-1].members
}

// membersAt is the configuration as of entry i, which is not older than the snapshot.
func (c *Core) membersAt(i uint64) Membership {
	n := len(c.configs) - 1
	for n > 0 && c.configs[n].index > i {
		n--
	}
	return c.configs[n].members
}

// forgetConfigs makes snap's members the oldest known, and keeps those behind it.
func (c *Core) forgetConfigs(snap Snapshot) {
	n := 0
	for n < len(c.configs) && c.configs[n].index <= snap.Index {
		n++
	}
	c.configs = slices.Replace(c.configs, 0, n, config{index: snap.Index, members: snap.Members})
	c.members = c.configs[len(c.configs)-1].members
}

// membersPending says that the configuration in force is not the final one, or not decided.
func (c *Core) membersPending() bool {
	return c.configs[len(c.configs)-1].index > c.log.commit || c.members.Joint()
}

// departed says whether a committed configuration knows the node with that data as removed. One that is only in the
// log does not count against it: it may be rolled back, and by then that node may lead. But one that takes it in
// again counts for it: its vote may be needed to commit just that.
func (c *Core) departed(id, instance uint64) bool {
	committed := c.membersAt(c.log.commit)
	_, was := committed.Get(id)
	_, is := c.members.Get(id)
	return !was && !is && slices.Contains(committed.Removed, Departed{ID: id, Instance: instance})
}
