package vfs

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// memDir is a directory: what stands in it, what would stand in it after a power cut, and the changes between the two,
// oldest first.
type memDir struct {
	entries map[string]*memNode
	durable map[string]*memNode
	pending []*dirChange
}

// dirChange is one change to a directory, which survives a power cut as a whole or not at all. del names an entry that
// goes, set one that comes or is replaced by node; a rename within a directory has both.
//
// A rename between directories is two changes. The one in the old directory needs the one in the new: a journal may
// leave the file under both names, but it never loses it.
type dirChange struct {
	del, set string
	node     *memNode
	needs    *dirChange
	in       *memDir // the directory of the change; set where another change may need this one
	durable  bool
}

func newMemDir() *memNode {
	return &memNode{dir: &memDir{entries: map[string]*memNode{}, durable: map[string]*memNode{}}}
}

// apply makes the change in one of the directory's two views.
func (c *dirChange) apply(entries map[string]*memNode) {
	if c.del != "" {
		delete(entries, c.del)
	}
	if c.set != "" {
		entries[c.set] = c.node
	}
}

// change makes c in d's volatile view, notes it as pending, and keeps the count of names of the files concerned.
func (m *Mem) change(d *memDir, c *dirChange) {
	var gone []*memNode
	for _, base := range []string{c.del, c.set} {
		if n := d.entries[base]; base != "" && n != nil {
			n.links--
			gone = append(gone, n)
		}
	}
	if c.node != nil {
		c.node.links++
	}
	c.apply(d.entries)
	d.pending = append(d.pending, c)
	for _, n := range gone {
		m.reap(n)
	}
}

// sync makes the pending changes durable, and first those in other directories that one of them needs.
func (d *memDir) sync() {
	pending := d.pending
	d.pending = nil // before the recursion, which may come back here: each change is applied once
	for _, c := range pending {
		if c.needs != nil && !c.needs.durable {
			c.needs.in.sync()
		}
		c.apply(d.durable)
		c.durable = true
	}
}

// splitPath returns the elements of a name below the root.
func splitPath(name string) []string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

// lookup finds the node at name in the volatile view.
func (m *Mem) lookup(name string) (*memNode, error) {
	n := m.root
	for _, base := range splitPath(name) {
		if n.dir == nil {
			return nil, unix.ENOTDIR
		}
		if n = n.dir.entries[base]; n == nil {
			return nil, unix.ENOENT
		}
	}
	return n, nil
}

func (m *Mem) lookupDir(name string) (*memDir, error) {
	n, err := m.lookup(name)
	if err != nil {
		return nil, err
	}
	if n.dir == nil {
		return nil, unix.ENOTDIR
	}
	return n.dir, nil
}

// parent finds the directory that holds, or would hold, name.
func (m *Mem) parent(name string) (*memDir, string, error) {
	elements := splitPath(name)
	if len(elements) == 0 {
		return nil, "", unix.EISDIR
	}
	last := len(elements) - 1
	d, err := m.lookupDir(strings.Join(elements[:last], "/"))
	return d, elements[last], err
}
