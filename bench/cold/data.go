package cold

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	keyBytes   = 16
	valueBytes = 256
	entryBytes = keyBytes + valueBytes
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

// drawn is the i-th of n numbers below n, in an order that looks random; some come twice.
func drawn(i, n int) uint64 { return mix(mix(uint64(i)+1)) % uint64(n) }

// checkValue holds what was read of key i against what was written.
func checkValue(i uint64, got []byte) error {
	if want := appendValue(nil, i); !bytes.Equal(got, want) {
		return fmt.Errorf("key %d has a wrong value of %d bytes", i, len(got))
	}
	return nil
}
