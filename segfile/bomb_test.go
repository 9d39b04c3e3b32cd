package segfile

import (
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// TestBombs: a block that decompresses to far more than it says it does is refused, and costs no memory for it. Its
// checksum holds: it may come from whoever the file was fetched from.
func TestBombs(t *testing.T) {
	zeros := make([]byte, 32<<20)
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for m, stored := range map[method][]byte{methodS2: s2.Encode(nil, zeros), methodZstd: z.EncodeAll(zeros, nil)} {
		for _, rawLen := range []uint32{0, 100, MaxBlockBytes, uint32(len(zeros))} {
			block := make([]byte, blockHeaderLen, blockHeaderLen+len(stored))
			head := blockHeader{method: m, rawLen: rawLen, storedLen: uint32(len(stored))}
			head.put(block)
			block = append(block, stored...)
			head.checksum = blockSum(0, 0, block)
			head.put(block)
			r := &Reader{src: NewBytesSource("f", block), blocksEnd: uint64(len(block))}
			r.slicer = r.src.(Slicer)
			bounded(t, len(block), func() {
				if b, err := r.Block(Handle{0, uint64(len(block))}, nil); !isCorrupt(err) {
					t.Errorf("method %d, %d bytes stored, %d declared: %d bytes, %v", m, len(stored), rawLen, len(b), err)
				}
			})
		}
	}
}
