package transport

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/raft"
)

var update = flag.Bool("update", false, "write the golden files")

func genHello(t *rapid.T) hello {
	return hello{
		class:    rapid.SampledFrom(classes[:]).Draw(t, "class"),
		cluster:  raft.ClusterID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "cluster")),
		from:     rapid.Uint64Min(1).Draw(t, "from"),
		to:       rapid.Uint64().Draw(t, "to"),
		instance: rapid.Uint64().Draw(t, "instance"),
		nonce:    rapid.Uint64().Draw(t, "nonce"),
		addr:     rapid.StringN(0, -1, maxAddr).Draw(t, "addr"),
		answers:  rapid.Bool().Draw(t, "answers"),
	}
}

func genAnswer(t *rapid.T) answer {
	return answer{
		verdict:  refusal(rapid.IntRange(0, int(lastRefusal)).Draw(t, "verdict")),
		cluster:  raft.ClusterID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "cluster")),
		from:     rapid.Uint64().Draw(t, "from"),
		to:       rapid.Uint64().Draw(t, "to"),
		instance: rapid.Uint64().Draw(t, "instance"),
		nonce:    rapid.Uint64().Draw(t, "nonce"),
		reason:   rapid.StringN(0, -1, maxReason).Draw(t, "reason"),
	}
}

// TestHelloRoundTrip: hello and answer are read as written, and not a byte more; a changed bit is noticed.
func TestHelloRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, a := genHello(t), genAnswer(t)
		hb, ab := h.append(nil), a.append(nil, h.nonce)
		r := bytes.NewReader(append(bytes.Clone(hb), "more"...))
		if got, err := readHello(r); err != nil || got != h || r.Len() != 4 {
			t.Fatalf("read %+v, %v, %d bytes left; wrote %+v", got, err, r.Len(), h)
		}
		r = bytes.NewReader(append(bytes.Clone(ab), "more"...))
		if got, err := readAnswer(r, h.nonce); err != nil || got != a || r.Len() != 4 {
			t.Fatalf("read %+v, %v, %d bytes left; wrote %+v", got, err, r.Len(), a)
		}
		if _, err := readAnswer(bytes.NewReader(ab), h.nonce^1); err == nil && a.verdict != refusedVers {
			t.Fatal("an answer to another hello passed")
		}
		flip := func(b []byte) []byte {
			b = bytes.Clone(b)
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			return b
		}
		if _, err := readHello(bytes.NewReader(flip(hb))); err == nil {
			t.Fatal("a changed hello passed")
		}
		if _, err := readAnswer(bytes.NewReader(flip(ab)), h.nonce); err == nil {
			t.Fatal("a changed answer passed")
		}
	})
}

func TestLongReasonIsCut(t *testing.T) {
	a := answer{verdict: refusedAdmit, reason: strings.Repeat("x", 3*maxReason)}
	got, err := readAnswer(bytes.NewReader(a.append(nil, 5)), 5)
	if err != nil || got.reason != a.reason[:maxReason] {
		t.Fatalf("reason of %d bytes, %v", len(got.reason), err)
	}
}

func refusalOf(err error) refusal {
	var no *refusedError
	if errors.As(err, &no) {
		return no.reason
	}
	return accepted
}

// resum makes the checksum of a changed hello hold.
func resum(b []byte) []byte {
	n := len(b) - 8
	binary.BigEndian.PutUint64(b[n:], xxhash.Sum64(b[:n]))
	return b
}

func TestHostileHellos(t *testing.T) {
	good := hello{class: Messages, cluster: testCluster, from: 1, to: 2, addr: "127.0.0.1:9001"}.append(nil)
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		return resum(b)
	}
	for _, tc := range []struct {
		name  string
		bytes []byte
		want  refusal
	}{
		{"nothing", nil, accepted},
		{"a little", good[:7], accepted},
		{"half", good[:40], accepted},
		{"no checksum", good[:len(good)-8], accepted},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), refusedMagic},
		{"TLS", append([]byte{0x16, 3, 1, 2, 0}, make([]byte, 600)...), refusedTLS},
		{"version 0", change(func(b []byte) { b[9] = 0 }), refusedVers},
		{"version 2", change(func(b []byte) { b[9] = 2 }), refusedVers},
		{"no class", change(func(b []byte) { b[10] = 0 }), refusedMagic},
		{"class 3", change(func(b []byte) { b[10] = 3 }), refusedMagic},
		{"reserved", change(func(b []byte) { b[13] = 1 }), refusedMagic},
		{"unknown flag", change(func(b []byte) { b[12] = 2 }), refusedMagic},
		{"node 0", change(func(b []byte) { b[39] = 0 }), refusedMagic},
		{"shorter address", change(func(b []byte) { b[11]-- }), refusedMagic},
		{"longer address", change(func(b []byte) { b[11]++ }), accepted}, // cut off
	} {
		_, err := readHello(bytes.NewReader(tc.bytes))
		if err == nil || refusalOf(err) != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

// TestOtherVersionsAnswer: the answer of a node of another version is understood.
func TestOtherVersionsAnswer(t *testing.T) {
	b := answer{verdict: refusedVers, from: 2, reason: "it speaks version 1, we speak 9"}.append(nil, 0)
	b[9] = 9
	n := len(b) - 8
	binary.BigEndian.PutUint64(b[n:], answerSum(0, b[:n]))
	a, err := readAnswer(bytes.NewReader(b), 12345)
	if err != nil || a.verdict != refusedVers || a.from != 2 {
		t.Fatalf("%+v, %v", a, err)
	}
	b[10] = byte(accepted)
	binary.BigEndian.PutUint64(b[n:], answerSum(12345, b[:n]))
	if _, err := readAnswer(bytes.NewReader(b), 12345); refusalOf(err) != refusedVers {
		t.Fatalf("accepted by a node of another version: %v", err)
	}
}

func FuzzHello(f *testing.F) {
	f.Add(hello{class: Messages, cluster: testCluster, from: 1, to: 2, addr: "a:1"}.append(nil))
	f.Add(answer{verdict: refusedCluster, from: 2, to: 1, reason: "no"}.append(nil, 7))
	f.Add(bytes.Repeat([]byte{0xff}, 300))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := readHello(bytes.NewReader(b)); err == nil {
			if again := h.append(nil); !bytes.HasPrefix(b, again) {
				t.Fatalf("read %+v, which was not written", h)
			}
		}
		if a, err := readAnswer(bytes.NewReader(b), 7); err == nil {
			for _, nonce := range []uint64{0, 7} {
				again := a.append(nil, nonce)
				// Reserved bytes and another version are let through, so that later versions may use them.
				if len(b) >= len(again) && bytes.Equal(b[16:len(again)-8], again[16:len(again)-8]) {
					return
				}
			}
			t.Fatalf("read %+v, which was not written", a)
		}
	})
}

// TestGoldenBytes pins the format.
func TestGoldenBytes(t *testing.T) {
	h := hello{
		class: Bulk, cluster: testCluster, from: 1, to: 2, instance: 0x1122334455667788, nonce: 17,
		addr: "127.0.0.1:9001",
	}
	a := answer{cluster: testCluster, from: 2, to: 1, instance: 0x99aabbccddeeff00, nonce: 4}
	no := answer{verdict: refusedTo, cluster: testCluster, from: 3, to: 1, nonce: 4, reason: "this is node 3, not node 2"}
	for name, b := range map[string][]byte{
		"hello":    h.append(nil),
		"accepted": a.append(nil, h.nonce),
		"refused":  no.append(nil, h.nonce),
		"frames":   encode(t, newSalt(17, 4), frame{kindBulk, []byte("a bulk payload")}, frame{kindPing, nil}),
	} {
		file := filepath.Join("testdata", "golden", name+".hex")
		text := hex.Dump(b)
		if *update {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != text {
			t.Errorf("%s: the bytes are not those of %s:\n%s", name, file, text)
		}
	}
}
