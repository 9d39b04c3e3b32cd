package tier

import "context"

// Locking is a Store that can say whether it would honour the retention of sealed objects.
type Locking interface {
	LockAvailable(ctx context.Context) (bool, error)
}
