package engine

// settings of a store that is opened.
type settings struct {
	Dir        string
	CacheBytes int64
	// MemtableBytes is how much is gathered before it goes into a table.
	MemtableBytes int64
	Zstd          bool
}

// store is one side of the comparison. Write may be called by many goroutines at once, all else by one.
type store interface {
	// Write is durable when it returns.
	Write(key, value []byte) error
	// Load writes entries [first, first+n) as one batch, which need not be durable before Sync. It may be called by many
	// goroutines at once.
	Load(first, n int) error
	Sync() error
	// Settle flushes all and waits until no compaction is due.
	Settle() error
	// Get says whether key is there, with this value.
	Get(key, value []byte) (bool, error)
	// Scan visits up to limit entries from start on (empty: from the end) and says how many there were.
	Scan(start []byte, reverse bool, limit int) (int, error)
	// Count is how many entries there are after an open, cheaply; -1 when it cannot be said.
	Count() int
	Close() error
}

func open(side string, s settings) (store, error) {
	switch side {
	case "pebble":
		return openPebble(s)
	case "device":
		return openDevice(s.Dir)
	}
	return openScribe(s)
}
