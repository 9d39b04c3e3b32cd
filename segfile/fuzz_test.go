package segfile

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// bounded runs f, which reads input of the given length, and fails when it allocates over that and 1 MiB.
func bounded(t *testing.T, input int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(input)+1<<20; got > limit {
		t.Fatalf("%d bytes allocated for an input of %d", got, input)
	}
}

// reseal makes the checksums of footer and table right, so that what they cover is met by the checks behind them.
func reseal(file []byte) []byte {
	if len(file) < footerLen {
		return file
	}
	foot := file[len(file)-footerLen:]
	copy(foot[magicAt:], magic)
	binary.LittleEndian.PutUint32(foot[12:], version)
	binary.LittleEndian.PutUint64(foot[40:], uint64(len(file)))
	at, n := binary.LittleEndian.Uint64(foot), uint64(binary.LittleEndian.Uint32(foot[8:]))
	if size := uint64(len(file)); at <= size && n <= size-at {
		binary.LittleEndian.PutUint64(foot[16:], seededSum(binary.LittleEndian.Uint64(foot[32:]), file[at:at+n]))
	}
	binary.LittleEndian.PutUint64(foot[footerSumAt:], xxhash.Sum64(foot[:footerSumAt]))
	return file
}

// FuzzOpen reads footer and table of anything, as it is and with right checksums.
func FuzzOpen(f *testing.F) {
	f.Add(smallFile(f, NoCompression))
	f.Add(smallFile(f, Zstd))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, file := range [][]byte{file, reseal(bytes.Clone(file))} {
			bounded(t, len(file), func() {
				r, err := Open(NewBytesSource("f", file))
				if err != nil {
					if !isCorrupt(err) {
						t.Fatalf("Open: %v", err)
					}
					return
				}
				if r.BlocksEnd() > uint64(len(file)) || r.MetaOffset() > uint64(len(file)) {
					t.Fatalf("blocks end at %d, the meta tail begins at %d, of %d", r.BlocksEnd(), r.MetaOffset(), len(file))
				}
				for _, s := range r.sections {
					if _, err := r.Section(s.kind); err != nil && !isCorrupt(err) {
						t.Fatalf("Section: %v", err)
					}
				}
			})
		}
	})
}

// FuzzBlock decodes anything as a stored block whose checksum holds.
func FuzzBlock(f *testing.F) {
	for _, c := range []Compression{NoCompression, S2, Zstd} {
		e, err := newEncoder(c)
		if err != nil {
			f.Fatal(err)
		}
		for _, raw := range [][]byte{[]byte("x"), bytes.Repeat([]byte("scribe ledger "), 50), make([]byte, MaxBlockBytes)} {
			m, stored := e.encode(raw)
			f.Add(byte(m), uint32(len(raw)), bytes.Clone(stored))
			f.Add(byte(m), uint32(1<<31), bytes.Clone(stored))
		}
	}
	f.Fuzz(func(t *testing.T, m byte, rawLen uint32, stored []byte) {
		if len(stored) > 2*MaxBlockBytes {
			return
		}
		block := make([]byte, blockHeaderLen, blockHeaderLen+len(stored))
		head := blockHeader{method: method(m), rawLen: rawLen, storedLen: uint32(len(stored))}
		head.put(block)
		block = append(block, stored...)
		head.checksum = blockSum(0, 0, block)
		head.put(block)
		r := &Reader{src: NewBytesSource("f", block), blocksEnd: uint64(len(block))}
		r.slicer = r.src.(Slicer)
		h := Handle{0, uint64(len(block))}
		bounded(t, len(block), func() {
			b, err := r.Block(h, nil)
			if err != nil && !isCorrupt(err) || err == nil && uint32(len(b)) != rawLen {
				t.Fatalf("Block: %d bytes of %d, %v", len(b), rawLen, err)
			}
		})
		bounded(t, len(block), func() {
			run, err := r.OpenRun(h, uint64(rawLen))
			if err == nil {
				_, err = run.All()
			}
			if err != nil && !isCorrupt(err) {
				t.Fatalf("Run: %v", err)
			}
		})
	})
}

// FuzzRun opens anything as a run, its pieces' lengths from a directory whose checksum holds.
func FuzzRun(f *testing.F) {
	f.Add([]byte("aaa"), []byte{20, 0, 0, 0, 20, 0, 0, 0}, uint64(PieceBytes+3))
	f.Add([]byte("aaa"), []byte{255, 255, 255, 255, 20, 0, 0, 0}, uint64(PieceBytes+3))
	f.Fuzz(func(t *testing.T, data, directory []byte, size uint64) {
		if len(data)+len(directory) > MaxBlockBytes {
			return
		}
		var buf bytes.Buffer
		w, err := NewWriter(&buf, WriterOptions{Compression: NoCompression})
		if err != nil {
			t.Fatal(err)
		}
		_, err1 := w.AppendBlock(data)
		_, err2 := w.AppendRaw(directory)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		h := Handle{0, w.Offset()}
		if _, err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		bounded(t, buf.Len(), func() {
			r, err := Open(NewBytesSource("f", buf.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			run, err := r.OpenRun(h, size)
			if err != nil {
				if !isCorrupt(err) {
					t.Fatal(err)
				}
				return
			}
			if b, err := run.All(); err != nil && !isCorrupt(err) || err == nil && uint64(len(b)) != size {
				t.Fatalf("%d bytes of %d, %v", len(b), size, err)
			}
		})
	})
}
