package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/vfs"
)

// sample is a small log file, written through a Log, with the first bytes that count.
func sample(t testing.TB) []byte {
	mem := vfs.NewMem()
	l := open(t, mem, ByPwrite)
	mustAppend(t, l, &raft.HardState{Term: 1, Vote: 1}, run(1, 3, 1, 20))
	mustAppend(t, l, nil, run(3, 2, 2, 0))
	mustAppend(t, l, &raft.HardState{Term: 2, Vote: 3, Commit: 2}, nil)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := vfs.ReadFile(mem, testDir+"/"+logName(1), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// replayBytes runs recovery over a file's bytes as the last of its log, and checks what must hold for any bytes.
func replayBytes(t *testing.T, b []byte) (*logFile, scan, error) {
	t.Helper()
	hdr, err := decodeHeader("f", b)
	if err != nil {
		mustBeCorrupt(t, err)
		return nil, scan{}, err
	}
	f := &logFile{path: "f", hdr: hdr, buf: b[:hdr.fileBytes]}
	line := timeline{next: 1}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = line.enter(f)
	var sc scan
	if err == nil {
		sc, err = line.replay(f, nil)
	}
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > uint64(len(b))+1<<20 {
		t.Fatalf("%d bytes allocated for %d of input", spent, len(b))
	}
	if err != nil {
		mustBeCorrupt(t, err)
		return f, sc, err
	}
	if sc.good < headerSize || sc.end < sc.good || sc.end > int64(len(f.buf)) || sc.end%align != 0 {
		t.Fatalf("scan %+v of %d bytes", sc, len(f.buf))
	}
	p := piece{file: f, first: f.span.first, units: f.span.units, prevs: f.span.prevs}
	for i := range p.units {
		rec, err := p.read(i)
		if err != nil || rec.end > sc.good {
			t.Fatalf("entry %d was found and cannot be read: %v", i, err)
		}
		if f.span.term(p.first+uint64(i)) != rec.u64(1) {
			t.Fatalf("entry %d has another term in the index", i)
		}
	}
	return f, sc, nil
}

func mustBeCorrupt(t *testing.T, err error) {
	t.Helper()
	var corrupt *vfs.CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("error of another kind: %v", err)
	}
}

// FuzzReplay recovers from a file of any bytes.
func FuzzReplay(f *testing.F) {
	b := sample(f)
	f.Add(b)
	f.Add(b[:headerSize])
	f.Add([]byte{})
	torn := append([]byte(nil), b...)
	clear(torn[600:])
	f.Add(torn)
	f.Fuzz(func(t *testing.T, b []byte) {
		replayBytes(t, b)
	})
}

// FuzzRecords recovers from records of any content whose checksums hold: lengths, types, indexes and the positions in
// markers are the fuzzer's. The input is a row of records without their checksums: length u16, type, kind, payload.
func FuzzRecords(f *testing.F) {
	b := sample(f)
	f.Add(strip(b))
	f.Add([]byte{24, 0, 2, 0, 1, 2, 3})
	f.Add([]byte{16, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	hdr, err := decodeHeader("f", b)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		file := hdr
		file.fileBytes = headerSize + pad(int64(len(in)))*6 + 4096
		b := append(file.encode(), make([]byte, file.fileBytes-headerSize)...)
		off, prev := int64(headerSize), file.sum
		for len(in) >= 4 {
			n := int64(binary.LittleEndian.Uint16(in))
			typ, kind := in[2], in[3]
			in = in[4:]
			body := in[:min(n, int64(len(in)))]
			in = in[len(body):]
			end := off + recordHead + pad(n)
			if n == 0 || end > int64(len(b)) {
				break
			}
			rec := b[off:end]
			binary.LittleEndian.PutUint32(rec, uint32(n))
			rec[4], rec[5] = typ, kind
			copy(rec[recordHead:], body)
			selfAt := map[recordType]int{typeMarker: markerBytes - 8, typeNote: noteBytes - 8}[recordType(typ)]
			if selfAt > 0 && int(n) == selfAt+8 {
				sum := selfSum(file.sum, file.id, off, recordType(typ), rec[recordHead:recordHead+selfAt])
				binary.LittleEndian.PutUint64(rec[recordHead+selfAt:], sum)
			}
			prev = chainSum(file.id, off, prev, rec[:recordHead], rec[recordHead:])
			binary.LittleEndian.PutUint64(rec[8:], prev)
			off = end
		}
		replayBytes(t, b)
	})
}

// strip makes FuzzRecords' input of a file's records.
func strip(b []byte) []byte {
	hdr, err := decodeHeader("f", b)
	if err != nil {
		return nil
	}
	var out []byte
	off, prev := int64(headerSize), hdr.sum
	for {
		rec, why := recordAt(b, hdr.id, off, prev)
		if why != "" {
			return out
		}
		out = binary.LittleEndian.AppendUint16(out, uint16(len(rec.payload)))
		out = append(out, byte(rec.typ), rec.kind)
		out = append(out, rec.payload...)
		off, prev = rec.end, rec.sum
	}
}

// FuzzOrigin decodes an origin file of any bytes.
func FuzzOrigin(f *testing.F) {
	slot := encodeOriginSlot(7, testOwner)
	f.Add(append(slot, encodeOriginSlot(8, testOwner)...))
	f.Add(slot)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := decodeOrigin("origin", b)
		if err != nil {
			mustBeCorrupt(t, err)
		} else if slot := encodeOriginSlot(o.id, o.owner); o.id == 0 || !bytes.Equal(b[o.slot*originSlot:][:56], slot[:56]) {
			t.Fatalf("%+v is not what was read", o)
		}
	})
}
