package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/raft"
)

// sink is the writing half of a connection that keeps what is written.
type sink struct {
	net.Conn
	bytes.Buffer
}

func (s *sink) Write(b []byte) (int, error)      { return s.Buffer.Write(b) }
func (s *sink) Read(b []byte) (int, error)       { return s.Buffer.Read(b) }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

var testSalt = newSalt(17, 4)

type frame struct {
	kind    kind
	payload []byte
}

// encode writes frames as a sender does.
func encode(t testing.TB, s salt, frames ...frame) []byte {
	t.Helper()
	var out sink
	w := &writer{conn: &out, salt: s, bytes: new(atomic.Uint64)}
	for _, f := range frames {
		if err := w.payload(f.kind, f.payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if w.bytes.Load() != uint64(out.Len()) {
		t.Fatalf("%d bytes counted, %d written", w.bytes.Load(), out.Len())
	}
	return out.Bytes()
}

func newReader(b []byte, s salt, lim limits) *reader {
	return &reader{
		r: bufio.NewReader(bytes.NewReader(b)), salt: s, limits: lim,
		arm: func() error { return nil }, moved: func(int) error { return nil },
	}
}

// decode reads frames until the end or the first error; io.EOF is none.
func decode(b []byte, s salt, lim limits) ([]frame, error) {
	r := newReader(b, s, lim)
	var frames []frame
	for {
		k, p, err := r.next()
		if err == io.EOF {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		frames = append(frames, frame{k, p})
	}
}

var anyLimits = limits{kindMessage: 1 << 20, kindRequest: 4 << 20, kindBulk: 1 << 20, kindPing: 0}

func genFrames(t *rapid.T) []frame {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) frame {
		k := rapid.SampledFrom([]kind{kindMessage, kindRequest, kindBulk, kindPing}).Draw(t, "kind")
		if k == kindPing {
			return frame{kind: k}
		}
		n := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 1<<20)).Draw(t, "bytes")
		p := make([]byte, n)
		seed := rapid.Byte().Draw(t, "seed")
		for i := range p {
			p[i] = seed + byte(i) + byte(i>>8)
		}
		return frame{k, p}
	}), 1, 6).Draw(t, "frames")
}

func sameFrames(a, b []frame) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].kind != b[i].kind || !bytes.Equal(a[i].payload, b[i].payload) {
			return false
		}
	}
	return true
}

// TestFramesRoundTrip: whatever is written is read, whole and in order; whatever is changed on the way is not.
func TestFramesRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		frames := genFrames(rt)
		b := encode(t, testSalt, frames...)
		got, err := decode(b, testSalt, anyLimits)
		if err != nil || !sameFrames(got, frames) {
			rt.Fatalf("read %d of %d frames: %v", len(got), len(frames), err)
		}
		at := rapid.IntRange(0, len(b)-1).Draw(rt, "at")
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		got, err = decode(b, testSalt, anyLimits)
		if err == nil {
			rt.Fatalf("a flipped bit at byte %d of %d passed", at, len(b))
		}
		if !sameFrames(got, frames[:len(got)]) {
			rt.Fatalf("a flipped bit at byte %d changed a frame that passed", at)
		}
		if got, _ := decode(b[:at], testSalt, anyLimits); !sameFrames(got, frames[:len(got)]) {
			rt.Fatalf("cut off at byte %d, other frames are read", at)
		}
	})
}

// badReasonOf is the reason why err was a bad frame.
func badReasonOf(err error) badReason {
	var bad *frameError
	if errors.As(err, &bad) {
		return bad.reason
	}
	return ""
}

func TestFramesOutOfPlace(t *testing.T) {
	a, b, c := frame{kindRequest, []byte("one")}, frame{kindRequest, []byte("two")}, frame{kindRequest, []byte("six")}
	all := encode(t, testSalt, a, b, c)
	n := len(all) / 3
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	forge := func(change func(h []byte)) []byte {
		f := bytes.Clone(all[:n])
		change(f)
		binary.BigEndian.PutUint64(f[24:], headerSum(testSalt, f))
		return f
	}
	for _, tc := range []struct {
		name  string
		bytes []byte
		salt  salt
		good  int
		want  badReason
	}{
		{"replayed", cat(all[:n], all[:n]), testSalt, 1, badNumber},
		{"skipped", cat(all[:n], all[2*n:]), testSalt, 1, badNumber},
		{"swapped", cat(all[n:2*n], all[:n]), testSalt, 0, badNumber},
		{"another connection", all, newSalt(17, 5), 0, badHeader},
		{"the other way", all, newSalt(4, 17), 0, badHeader},
		{"payloads swapped", cat(all[:frameHeader], all[n+frameHeader:2*n]), testSalt, 0, badPayload},
		{"half a header", all[:n+5], testSalt, 1, badHalf},
		{"no payload", all[:n+frameHeader], testSalt, 1, badHalf},
		{"half a payload", all[:2*n-1], testSalt, 1, badHalf},
		{"unknown kind", forge(func(h []byte) { h[4] = 77 }), testSalt, 0, badKind},
		{"kind of the way back", forge(func(h []byte) { h[4] = byte(kindPong) }), testSalt, 0, badKind},
		{"reserved byte", forge(func(h []byte) { h[6] = 1 }), testSalt, 0, badKind},
		{"ping with a payload", forge(func(h []byte) { h[4] = byte(kindPing) }), testSalt, 0, badLength},
		{"over the limit", forge(func(h []byte) { binary.BigEndian.PutUint32(h, 4<<20+1) }), testSalt, 0, badLength},
		{"4 GiB", forge(func(h []byte) { binary.BigEndian.PutUint32(h, 1<<32-1) }), testSalt, 0, badLength},
		{"zeros", make([]byte, 1000), testSalt, 0, badHeader},
	} {
		got, err := decode(tc.bytes, tc.salt, anyLimits)
		if len(got) != tc.good || badReasonOf(err) != tc.want {
			t.Errorf("%s: %d frames, then %v; want %d, then %q", tc.name, len(got), err, tc.good, tc.want)
		}
	}
}

// TestClassLimits: a connection takes the kinds of its class only, and of them no more than they may have.
func TestClassLimits(t *testing.T) {
	for c, takes := range map[Class]map[kind]int{
		Messages: {kindMessage: raft.MaxMessageBytes, kindRequest: raft.MaxMessageBytes, kindPing: 0, kindAnswers: 0},
		Bulk:     {kindBulk: MaxBulkBytes, kindPing: 0, kindAnswers: 0},
	} {
		lim := c.limits(raft.MaxMessageBytes)
		for k := range kindAnswers + 2 {
			var h [frameHeader]byte
			most, ok := takes[k]
			for _, n := range []int{most, most + 1} {
				binary.BigEndian.PutUint32(h[:], uint32(n))
				h[4] = byte(k)
				binary.BigEndian.PutUint64(h[24:], headerSum(testSalt, h[:]))
				if _, err := parseHeader(h[:], testSalt, 0, lim); (err == nil) != (ok && n == most) {
					t.Errorf("%s: %d bytes of kind %d: %v", c, n, k, err)
				}
			}
		}
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestClaimedLengthCostsNothing: memory grows with what arrives, not with what a header claims.
func TestClaimedLengthCostsNothing(t *testing.T) {
	const claim = raft.MaxMessageBytes
	for _, arrive := range []int{0, 1, 100 << 10, 3 << 20} {
		b := make([]byte, frameHeader+arrive)
		binary.BigEndian.PutUint32(b, claim)
		b[4] = byte(kindRequest)
		binary.BigEndian.PutUint64(b[24:], headerSum(testSalt, b))
		var err error
		n := allocated(func() { _, err = decode(b, testSalt, Messages.limits(claim)) })
		if badReasonOf(err) != badHalf {
			t.Fatalf("%d of %d bytes: %v", arrive, claim, err)
		}
		// Grown by doubling: all pieces together are less than four times what arrived.
		if most := uint64(4*arrive + firstAlloc + 64<<10); n > most {
			t.Errorf("%d bytes arrived, %d were allocated, over %d", arrive, n, most)
		}
	}
}

// FuzzReadFrame: any bytes give frames or an error, within the memory that arrived; what passes is what a writer would
// have written.
func FuzzReadFrame(f *testing.F) {
	f.Add(encode(f, testSalt, frame{kindRequest, []byte("request")}, frame{kindPing, nil}))
	f.Add(encode(f, testSalt, frame{kindBulk, make([]byte, 300)}, frame{kindMessage, []byte{1}}))
	f.Add(encode(f, newSalt(1, 1), frame{kindRequest, []byte("other salt")}))
	f.Add(make([]byte, 2*frameHeader))
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, err := decode(b, testSalt, anyLimits)
		if err != nil && badReasonOf(err) == "" {
			t.Fatalf("error of another type: %v", err)
		}
		again := encode(t, testSalt, frames...)
		if !bytes.HasPrefix(b, again) || (err == nil && len(again) != len(b)) {
			t.Fatal("read something that was not written")
		}
	})
}
