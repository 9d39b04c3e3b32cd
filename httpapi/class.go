package httpapi

// class is what a route counts as in metrics and logs. There are few, so that labels stay few.
type class uint8

const (
	classKVGet class = iota
	classKVPut
	classKVDelete
	classHistory
	classRange
	classEntries
	classBatch
	classVerify
	classConsistency
	classCheckpoint
	classManifest
	classAdmin
	classCluster
	classHealth
	classMetrics
	classIndex
	classOther
	numClasses
)

func (c class) String() string {
	switch c {
	case classKVGet:
		return "kv_get"
	case classKVPut:
		return "kv_put"
	case classKVDelete:
		return "kv_delete"
	case classHistory:
		return "history"
	case classRange:
		return "range"
	case classEntries:
		return "entries"
	case classBatch:
		return "batch"
	case classVerify:
		return "verify"
	case classConsistency:
		return "consistency"
	case classCheckpoint:
		return "checkpoint"
	case classManifest:
		return "manifest"
	case classAdmin:
		return "admin"
	case classCluster:
		return "cluster"
	case classHealth:
		return "health"
	case classMetrics:
		return "metrics"
	case classIndex:
		return "index"
	}
	return "other"
}
