package node

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTierAskCodec: what is encoded is decoded as it was, and nothing else decodes.
func TestTierAskCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ask := tierAsk{life: rapid.Uint64().Draw(t, "life"), number: rapid.Uint64().Draw(t, "number"),
			wait: time.Duration(rapid.Uint32Min(1).Draw(t, "wait")) * time.Millisecond}
		if got, err := parseTierAsk(ask.encode()); err != nil || got != ask {
			t.Fatalf("%+v, %v", got, err)
		}
		answer := tierAnswer{life: ask.life, number: ask.number, applied: rapid.Uint64().Draw(t, "applied"),
			published: rapid.Uint64().Draw(t, "published"), problem: rapid.StringN(0, 100, maxProblemBytes).Draw(t, "problem")}
		if got, err := parseTierAnswer(answer.encode()); err != nil || got != answer {
			t.Fatalf("%+v, %v", got, err)
		}
		at := time.UnixMicro(rapid.Int64Range(0, 1<<62).Draw(t, "at"))
		if size, when, err := parsePublished(encodePublished(answer.published, at)); err != nil || size != answer.published ||
			!when.Equal(at) {
			t.Fatalf("%d, %v, %v", size, when, err)
		}
		b := answer.encode()
		if _, err := parseTierAnswer(b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("a cut answer is taken")
		}
	})
}

func FuzzTierAsk(f *testing.F) {
	f.Add((&tierAsk{1, 2, time.Second}).encode())
	f.Add((&tierAnswer{1, 2, 3, 4, "a problem"}).encode())
	f.Add(encodePublished(5, time.UnixMicro(6)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseTierAsk(b); err == nil && !bytes.Equal(a.encode(), b) {
			t.Fatalf("%x is taken for %+v", b, a)
		}
		if a, err := parseTierAnswer(b); err == nil && !bytes.Equal(a.encode(), b) {
			t.Fatalf("%x is taken for %+v", b, a)
		}
		if size, at, err := parsePublished(b); err == nil && !bytes.Equal(encodePublished(size, at), b) {
			t.Fatalf("%x is taken for %d at %v", b, size, at)
		}
	})
}
