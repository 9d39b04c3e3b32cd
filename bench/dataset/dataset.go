package dataset

import "encoding/binary"

// Sizes of an entry.
const (
	KeyBytes   = 16
	ValueBytes = 256
	EntryBytes = KeyBytes + ValueBytes
)

// Mix is a bijection on 64 bits (the finalizer of SplitMix64): different numbers give different keys, in random order.
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// AppendKey appends key i.
func AppendKey(b []byte, i uint64) []byte {
	x := Mix(i)
	b = binary.BigEndian.AppendUint64(b, x)
	return binary.BigEndian.AppendUint64(b, Mix(x))
}

// AppendValue appends the value of key i: random bytes, and the same bytes once more.
func AppendValue(b []byte, i uint64) []byte {
	start := len(b)
	x := Mix(^i)
	for range ValueBytes / 2 / 8 {
		x = Mix(x)
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return append(b, b[start:]...)
}
