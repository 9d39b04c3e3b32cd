package manifest

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/merkle"
)

// The encoding, little-endian; strings and byte strings are a length u32 and the bytes:
//
//	magic 8 · format version u32
//	version u64 · cluster id · applied index u64 · applied term u64 · last time u64
//	recorded u32, per segment: last seq u64 · root 32 · object
//	merges u32, per merge: first seq u64 · last seq u64
//	frontier · members · idempotency · tree size u64
//	segments u32, per segment: first seq u64 · last seq u64 · entries u64 · bytes u64 · root 32 · first time u64
//	                         · last time u64 · tier u8 · min key · max key · object
//	object: name, empty for none, and otherwise bytes u64 · SHA-256 32 · meta offset u64
//	settings u32, per setting: name · value
//	xxhash64 of everything before u64
const (
	magic         = "SCRBMAN\n"
	formatVersion = 2 // 1 did not say which segments have objects

	recordedLen   = 8 + merkle.HashSize + 4
	rangeLen      = 2 * 8
	minSegmentLen = 6*8 + merkle.HashSize + 1 + 3*4
	minSettingLen = 2 * 4
	sumLen        = 8
)

// DecodeError says where and why bytes are no manifest. Whoever read them from a file reports it with the file's name.
type DecodeError struct {
	Offset int64
	Reason string
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("manifest: at offset %d: %s", e.Offset, e.Reason)
}

// Append encodes s after dst. The encoding is deterministic. s must be valid: Decode refuses any other.
func (s *State) Append(dst []byte) []byte {
	le := binary.LittleEndian
	start := len(dst)
	dst = append(dst, magic...)
	dst = le.AppendUint32(dst, formatVersion)
	dst = le.AppendUint64(dst, s.Version)
	dst = appendBytes(dst, s.ClusterID)
	dst = le.AppendUint64(dst, s.AppliedIndex)
	dst = le.AppendUint64(dst, s.AppliedTerm)
	dst = le.AppendUint64(dst, uint64(s.LastTime))
	dst = le.AppendUint32(dst, uint32(len(s.Recorded)))
	for i := range s.Recorded { // each begins where the one before ends
		dst = append(le.AppendUint64(dst, s.Recorded[i].LastSeq), s.Recorded[i].Root[:]...)
		dst = s.Recorded[i].Object.append(dst)
	}
	dst = le.AppendUint32(dst, uint32(len(s.Merges)))
	for _, r := range s.Merges {
		dst = le.AppendUint64(le.AppendUint64(dst, r.FirstSeq), r.LastSeq)
	}
	dst = appendBytes(dst, s.Frontier)
	dst = appendBytes(dst, s.Members)
	dst = appendBytes(dst, s.Idempotency)
	dst = le.AppendUint64(dst, s.TreeSize)
	dst = le.AppendUint32(dst, uint32(len(s.Segments)))
	for i := range s.Segments {
		dst = s.Segments[i].append(dst)
	}
	dst = le.AppendUint32(dst, uint32(len(s.Settings)))
	for _, v := range s.Settings {
		dst = appendBytes(appendBytes(dst, v.Name), v.Value)
	}
	return le.AppendUint64(dst, xxhash.Sum64(dst[start:]))
}

// Encode is Append to nothing.
func (s *State) Encode() []byte { return s.Append(nil) }

func (g *Segment) append(dst []byte) []byte {
	le := binary.LittleEndian
	for _, v := range [...]uint64{g.FirstSeq, g.LastSeq, g.Entries, g.Bytes} {
		dst = le.AppendUint64(dst, v)
	}
	dst = append(dst, g.Root[:]...)
	dst = le.AppendUint64(dst, uint64(g.FirstTime))
	dst = le.AppendUint64(dst, uint64(g.LastTime))
	dst = append(dst, byte(g.Tier))
	dst = appendBytes(dst, g.MinKey)
	dst = appendBytes(dst, g.MaxKey)
	return g.Object.append(dst)
}

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(b))), b...)
}

// Decode reads what Encode wrote, all of b, and validates it. What it returns shares nothing with b. All its errors are
// *DecodeError.
func Decode(b []byte) (*State, error) {
	if len(b) < len(magic)+4+sumLen {
		return nil, &DecodeError{0, fmt.Sprintf("%d bytes are too few for a manifest", len(b))}
	}
	if string(b[:len(magic)]) != magic {
		return nil, &DecodeError{0, "no manifest magic: another kind of file, or damaged"}
	}
	body, end := b[:len(b)-sumLen], len(b)-sumLen
	if got, want := xxhash.Sum64(body), binary.LittleEndian.Uint64(b[end:]); got != want {
		return nil, &DecodeError{int64(end), fmt.Sprintf("checksum is %016x, computed %016x", want, got)}
	}
	d := &decoder{b: body, at: len(magic)}
	if v := d.u32(); v != formatVersion {
		return nil, &DecodeError{int64(len(magic)),
			fmt.Sprintf("format version %d; this program reads version %d alone, and no released one wrote another", v, formatVersion)}
	}
	s := d.state()
	if d.failed {
		return nil, &DecodeError{int64(d.at), "ends early"}
	}
	if d.at != len(body) {
		return nil, &DecodeError{int64(d.at), fmt.Sprintf("%d bytes too many", len(body)-d.at)}
	}
	if err := s.Validate(); err != nil {
		return nil, &DecodeError{0, err.Error()}
	}
	return s, nil
}

// decoder reads front to back. After the first thing that does not fit, it gives zeros and failed is set.
type decoder struct {
	b      []byte
	at     int
	failed bool
}

func (d *decoder) state() *State {
	s := &State{Version: d.u64(), ClusterID: d.string()}
	s.AppliedIndex, s.AppliedTerm, s.LastTime = d.u64(), d.u64(), int64(d.u64())
	d.recorded(&s.SealPoint)
	s.Frontier, s.Members, s.Idempotency = d.bytes(), d.bytes(), d.bytes()
	s.TreeSize = d.u64()
	if n := d.count(minSegmentLen); n > 0 {
		s.Segments = make([]Segment, n)
		for i := range s.Segments {
			s.Segments[i] = d.segment()
		}
	}
	if n := d.count(minSettingLen); n > 0 {
		s.Settings = make([]Setting, n)
		for i := range s.Settings {
			s.Settings[i] = Setting{Name: d.string(), Value: d.string()}
		}
	}
	return s
}

func (d *decoder) recorded(p *SealPoint) {
	if n := d.count(recordedLen); n > 0 {
		p.Recorded = make([]Recorded, n)
		next := uint64(0)
		for i := range p.Recorded {
			r := &p.Recorded[i]
			r.FirstSeq, r.LastSeq = next, d.u64()
			copy(r.Root[:], d.take(merkle.HashSize))
			r.Object = d.object()
			next = r.LastSeq + 1
		}
	}
	if n := d.count(rangeLen); n > 0 {
		p.Merges = make([]Range, n)
		for i := range p.Merges {
			p.Merges[i] = Range{d.u64(), d.u64()}
		}
	}
}

func (d *decoder) segment() Segment {
	g := Segment{FirstSeq: d.u64(), LastSeq: d.u64(), Entries: d.u64(), Bytes: d.u64()}
	copy(g.Root[:], d.take(merkle.HashSize))
	g.FirstTime, g.LastTime = int64(d.u64()), int64(d.u64())
	if t := d.take(1); len(t) == 1 {
		g.Tier = Tier(t[0])
	}
	g.MinKey, g.MaxKey, g.Object = d.bytes(), d.bytes(), d.object()
	return g
}

func (d *decoder) take(n uint64) []byte {
	if d.failed || n > uint64(len(d.b)-d.at) {
		d.failed = true
		return nil
	}
	d.at += int(n)
	return d.b[d.at-int(n) : d.at]
}

func (d *decoder) u32() uint32 {
	if b := d.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// bytes returns a copy; nil for none.
func (d *decoder) bytes() []byte { return bytes.Clone(d.nonEmpty()) }

func (d *decoder) string() string { return string(d.nonEmpty()) }

func (d *decoder) nonEmpty() []byte {
	b := d.take(uint64(d.u32()))
	if len(b) == 0 {
		return nil
	}
	return b
}

// count reads how many items of at least size bytes follow; more than can be there are a failure, before anything is
// allocated for them.
func (d *decoder) count(size int) uint32 {
	n := d.u32()
	if uint64(n)*uint64(size) > uint64(len(d.b)-d.at) {
		d.failed = true
		return 0
	}
	return n
}
