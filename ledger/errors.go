package ledger

import "fmt"

// DivergedError says that this replica's state differs from what the cluster agreed on, though every checksum holds. It
// must stop serving and be rebuilt from its peers.
type DivergedError struct {
	What   string // what differs
	Detail string
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("ledger: this replica has diverged at %s: %s; its data directory must be rebuilt from the other members",
		e.What, e.Detail)
}
