package node

// readyLag is how many committed entries a node that is ready may have left to apply.
const readyLag = 1024

// seekReady asks for a first read of its own: once a leader has confirmed it and what it must reflect is applied, this
// node has caught up, and says so. For the raft loop.
func (n *Node) seekReady() {
	switch {
	case n.caughtUp.Load() || n.soft.Leader == 0:
		return
	case n.firstRead == nil:
		n.firstRead = newBarrier()
		n.waitingReads.Add(1)
		n.parkReads([]*barrier{n.firstRead})
		return
	}
	select {
	case err := <-n.firstRead.done:
		n.firstRead = nil // after an error the next turn asks again
		if err == nil {
			n.setReady()
		}
	default:
	}
}

// setReady notes that the node has caught up for the first time.
func (n *Node) setReady() {
	if !n.caughtUp.Swap(true) {
		close(n.ready)
	}
}

// isReady says whether the node can serve now what it could serve when it became ready.
func (n *Node) isReady() bool {
	if n.linear.Load() {
		return true
	}
	st := n.status.Load()
	applied := n.applier.applied.Load()
	return n.caughtUp.Load() && st.Leader != 0 && st.Commit <= applied+readyLag && n.fault() == ""
}

// fault says why this node cannot serve; empty when it can.
func (n *Node) fault() string {
	if err := n.Err(); err != nil {
		return err.Error()
	}
	if n.removed.Load() {
		return "this node was removed from the cluster"
	}
	if reason := n.refused.Load(); reason != nil {
		return "the cluster refuses this node: " + *reason
	}
	return n.restoreFault()
}
