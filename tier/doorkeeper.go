package tier

// doorkeeper remembers what was asked for of late, to keep out what is asked for once: a range is let into the cache at
// its second request. It is two Bloom filters of a fixed size, the older of which is forgotten when the newer has
// taken doorkeeperKeys. So it remembers the last 32,000 to 64,000 keys, and takes a new one for known in about one of a
// hundred cases, which costs a write that was not needed. It is for one goroutine at a time.
type doorkeeper struct {
	newer, older [doorkeeperWords]uint64
	taken        int // keys in newer
}

const (
	doorkeeperKeys  = 32 << 10
	doorkeeperWords = 8 << 10 // 16 bits a key: 64 KiB
	doorkeeperBits  = 3       // set by a key
)

// seen says whether hash was asked for before, and remembers it.
func (d *doorkeeper) seen(hash uint64) bool {
	inNewer, inOlder := true, true
	for i := range uint64(doorkeeperBits) {
		bit := (hash + i*(hash>>32|1)) % (doorkeeperWords * 64)
		word, mask := bit/64, uint64(1)<<(bit%64)
		inNewer = inNewer && d.newer[word]&mask != 0
		inOlder = inOlder && d.older[word]&mask != 0
		d.newer[word] |= mask
	}
	if !inNewer {
		if d.taken++; d.taken > doorkeeperKeys {
			d.older, d.newer, d.taken = d.newer, [doorkeeperWords]uint64{}, 0
		}
	}
	return inNewer || inOlder
}
