package s3store

import (
	"context"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// Property: no two buffers in use share bytes, there are never more of them than allowed, and none stays when nobody uses
// any.
func TestBuffers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most, bytes = 4, 64
		b := newBuffers(most, bytes)
		used := map[byte][]byte{}
		next := byte(0)
		t.Repeat(map[string]func(*rapid.T){
			"get": func(t *rapid.T) {
				ctx, cancel := context.WithCancel(t.Context())
				if len(used) == most {
					cancel() // it would wait for ever
				}
				defer cancel()
				n := rapid.Int64Range(0, bytes).Draw(t, "n")
				p, err := b.get(ctx, n)
				if len(used) == most {
					if !errors.Is(err, context.Canceled) {
						t.Fatalf("buffer %d of %d: %v", len(used)+1, most, err)
					}
					return
				}
				if err != nil || int64(len(p)) != n {
					t.Fatalf("%d bytes of %d, %v", len(p), n, err)
				}
				next++
				for i := range p {
					p[i] = next
				}
				used[next] = p
			},
			"put": func(t *rapid.T) {
				for mark, p := range used {
					b.put(p)
					delete(used, mark)
					break
				}
			},
			"": func(t *rapid.T) {
				for mark, p := range used {
					for _, c := range p {
						if c != mark {
							t.Fatalf("buffer %d has bytes of buffer %d", mark, c)
						}
					}
				}
				if len(b.free)+len(used) > most || len(used) == 0 && len(b.free) > 0 {
					t.Fatalf("%d in use, %d kept", len(used), len(b.free))
				}
			},
		})
	})
}
