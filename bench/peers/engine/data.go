package engine

import "encoding/binary"

const (
	keyBytes   = 16
	valueBytes = 256
	entryBytes = keyBytes + valueBytes
	// absentFrom is where the numbers of keys begin that are in no store.
	absentFrom = 1 << 40
)

// mix is a bijection on 64 bits (the finalizer of SplitMix64): different numbers give different keys, in random order.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// appendKey appends key i.
func appendKey(b []byte, i uint64) []byte {
	x := mix(i)
	b = binary.BigEndian.AppendUint64(b, x)
	return binary.BigEndian.AppendUint64(b, mix(x))
}

// appendValue appends the value of key i: random bytes, and the same bytes once more.
func appendValue(b []byte, i uint64) []byte {
	start := len(b)
	x := mix(^i)
	for range valueBytes / 2 / 8 {
		x = mix(x)
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return append(b, b[start:]...)
}

// random draws numbers below n, the same ones for either side.
type random struct{ state uint64 }

func (r *random) below(n int) uint64 {
	r.state++
	return mix(mix(r.state)) % uint64(n)
}
