package tier_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

// segmentOf is a file that passes for a segment's.
func segmentOf(seed uint64, size int) ([]byte, tier.SegmentFile) {
	data := make([]byte, size)
	var key [32]byte
	key[0] = byte(seed)
	rand.NewChaCha8(key).Read(data)
	return data, tier.SegmentFile{
		SegmentMetadata: tier.SegmentMetadata{FirstSeq: 10, LastSeq: 19, Entries: 10, Root: merkle.Hash{7},
			MetaOffset: int64(size / 2), MinKey: []byte("a"), MaxKey: []byte("z")},
		Bytes: bytes.NewReader(data), Size: int64(size),
	}
}

// atOnce is a Retry that waits for nothing.
func atOnce(tries int) tier.Retry {
	return tier.Retry{Tries: tries, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

func TestUpload(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	up := tier.NewUploader(store, tier.UploaderOptions{Sent: rate.NewLimiter(rate.Inf, 1),
		Received: rate.NewLimiter(rate.Inf, 1)})
	data, f := segmentOf(1, 300<<10)
	for i, wantMade := range []bool{true, false} {
		o, made, err := up.Upload(t.Context(), f)
		want := tier.SealedObject{Name: tier.SegmentName(10, 19, f.Root), Bytes: int64(len(data)),
			SHA256: sha256.Sum256(data), MetaOffset: f.MetaOffset}
		if err != nil || made != wantMade || o != want {
			t.Fatalf("%d: %+v, %v, %v", i, o, made, err)
		}
		if n := store.Count(tier.OpGet); n != int64(i+1) {
			t.Fatalf("read back %d times", n)
		}
	}
	there, err := store.Head(t.Context(), tier.SegmentName(10, 19, f.Root))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := tier.ParseSegmentMetadata(there.Metadata); err != nil || m.Root != f.Root || string(m.MaxKey) != "z" {
		t.Fatalf("%+v, %v", m, err)
	}
}

// TestUploadOther: another file of the same segment was first. It is the object, once it is known to be the segment.
func TestUploadOther(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	theirs, f := segmentOf(1, 100<<10)
	if _, made, err := tier.NewUploader(store, tier.UploaderOptions{}).Upload(t.Context(), f); !made || err != nil {
		t.Fatal(made, err)
	}
	_, mine := segmentOf(2, 90<<10)
	if _, _, err := tier.NewUploader(store, tier.UploaderOptions{}).Upload(t.Context(), mine); !errors.Is(err,
		tier.ErrChanged) {
		t.Fatal(err)
	}
	asked := 0
	answer := error(nil)
	up := tier.NewUploader(store, tier.UploaderOptions{
		CheckOther: func(_ context.Context, o tier.SealedObject, want tier.SegmentMetadata) error {
			asked++
			if o.SHA256 != sha256.Sum256(theirs) || o.MetaOffset != f.MetaOffset || want.Root != mine.Root {
				t.Errorf("asked about %+v", o)
			}
			return answer
		}})
	o, made, err := up.Upload(t.Context(), mine)
	if err != nil || made || o.Bytes != int64(len(theirs)) || o.MetaOffset != f.MetaOffset || asked != 1 {
		t.Fatalf("%+v, %v, %v", o, made, err)
	}
	answer = &vfs.CorruptError{File: "x"}
	if _, _, err := up.Upload(t.Context(), mine); !errors.As(err, new(*vfs.CorruptError)) {
		t.Fatal(err)
	}
	mine.Root[31]++ // same name, another segment
	if _, _, err := up.Upload(t.Context(), mine); !damagedObject(err, o.Name) || asked != 2 {
		t.Fatal(err)
	}
}

func damagedObject(err error, name string) bool {
	var corrupt *vfs.CorruptError
	return errors.As(err, &corrupt) && strings.HasSuffix(corrupt.File, name)
}

// TestUploadDamaged: an object that is there and wrong is named, and not touched.
func TestUploadDamaged(t *testing.T) {
	data, f := segmentOf(1, 100<<10)
	name := tier.SegmentName(10, 19, f.Root)
	for what, spoil := range map[string]func([]byte) []byte{
		"flipped": func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"cut":     func(b []byte) []byte { return b[:len(b)-1] },
		"longer":  func(b []byte) []byte { return append(b, 1) },
		"empty":   func([]byte) []byte { return nil },
	} {
		store := tier.NewMem(tier.MemOptions{})
		up := tier.NewUploader(store, tier.UploaderOptions{Retry: atOnce(3)})
		if _, _, err := up.Upload(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		store.Tamper(name, spoil)
		if _, _, err := up.Upload(t.Context(), f); !damagedObject(err, name) {
			t.Fatalf("%s: %v", what, err)
		}
		b, _, err := tier.ReadAll(t.Context(), store, name, 1<<20)
		if err == nil && bytes.Equal(b, data) {
			t.Fatalf("%s: it was overwritten", what)
		}
	}
	store := tier.NewMem(tier.MemOptions{})
	if _, err := store.Put(t.Context(), name, tier.BytesBody([]byte("x")), tier.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tier.NewUploader(store, tier.UploaderOptions{}).Upload(t.Context(), f); !damagedObject(err, name) {
		t.Fatal(err)
	}
	wrong := sha256.Sum256([]byte("another file"))
	f.SHA256 = &wrong
	up := tier.NewUploader(tier.NewMem(tier.MemOptions{}), tier.UploaderOptions{})
	if _, _, err := up.Upload(t.Context(), f); !errors.Is(err, tier.ErrMismatch) {
		t.Fatal("a file that is not what it should be was uploaded:", err)
	}
}

// TestUploadUnderFaults: whatever the store does, an upload that succeeds has made the object, whole, and one that
// fails can be made again. Two uploaders at once make one object.
func TestUploadUnderFaults(t *testing.T) {
	kinds := map[string]tier.FaultMix{
		"503": {Overloaded: .5}, "stall": {Stalled: .4}, "lost": {AnswerLost: .5}, "slow": {Slow: .5}, "short": {Cut: .4},
		"flipped": {Flipped: .3}, "refused": {Refused: .3},
		"mixed": {Overloaded: .1, Stalled: .1, AnswerLost: .1, Slow: .1, Cut: .1, Flipped: .1},
	}
	for name, mix := range kinds {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(30) {
				draw := mix.Draw(seed)
				down := true
				store := tier.NewMem(tier.MemOptions{PartBytes: 64 << 10, Timeout: time.Hour,
					Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
					Faults: func(q tier.Request) tier.Fault {
						if !down {
							return tier.Fault{}
						}
						return draw(q)
					}})
				files := make([]tier.SegmentFile, 2)
				data := make([][]byte, 2)
				data[0], files[0] = segmentOf(seed, 200<<10)
				data[1], files[1] = segmentOf(seed+seed%2, 200<<10) // of the same bytes half of the time
				up := tier.NewUploader(store, tier.UploaderOptions{Retry: atOnce(4),
					CheckOther: func(context.Context, tier.SealedObject, tier.SegmentMetadata) error { return nil }})
				var objects [2]tier.SealedObject
				var wg sync.WaitGroup
				for i := range files {
					wg.Go(func() {
						o, _, err := up.Upload(t.Context(), files[i])
						if err != nil && errors.As(err, new(*vfs.CorruptError)) && mix.Flipped == 0 {
							t.Errorf("seed %d: no object is damaged: %v", seed, err)
						}
						if err == nil {
							objects[i] = o
						}
					})
				}
				wg.Wait()
				down = false
				for i := range files {
					o, _, err := up.Upload(t.Context(), files[i])
					if err != nil {
						t.Fatalf("seed %d: the store is back: %v", seed, err)
					}
					if objects[i].Name != "" && objects[i] != o {
						t.Fatalf("seed %d: first %+v, then %+v", seed, objects[i], o)
					}
					objects[i] = o
				}
				page, err := store.List(t.Context(), "", "", 0)
				if err != nil || len(page.Objects) != 1 || objects[0] != objects[1] {
					t.Fatalf("seed %d: %v, %v", seed, page.Objects, err)
				}
				b, _, err := tier.ReadAll(t.Context(), store, objects[0].Name, 1<<20)
				if err != nil || sha256.Sum256(b) != objects[0].SHA256 || !bytes.Equal(b, data[0]) && !bytes.Equal(b, data[1]) {
					t.Fatalf("seed %d: wrong bytes: %v", seed, err)
				}
			}
		})
	}
}

// sunk is a store of one object that gives it back without having kept it.
type sunk struct {
	*tier.Mem
	body tier.Body
	opts tier.PutOptions
}

func (s *sunk) Put(_ context.Context, key string, body tier.Body, opts tier.PutOptions) (tier.Object, error) {
	if _, err := io.Copy(io.Discard, io.NewSectionReader(body.Bytes, 0, body.Size)); err != nil {
		return tier.Object{}, err
	}
	s.body, s.opts = body, opts
	return s.object(key), nil
}

func (s *sunk) object(key string) tier.Object {
	return tier.Object{Key: key, Size: s.body.Size, SHA256: s.body.SHA256[:], Metadata: s.opts.Metadata}
}

func (s *sunk) Get(_ context.Context, key string, off, n int64) (*tier.Reader, error) {
	return tier.NewReader(s.object(key), s.body.Size, io.NopCloser(io.NewSectionReader(zeros{}, 0, s.body.Size))), nil
}

type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// TestUploadMemory: what an upload holds does not grow with the segment.
func TestUploadMemory(t *testing.T) {
	up := tier.NewUploader(&sunk{Mem: tier.NewMem(tier.MemOptions{})}, tier.UploaderOptions{})
	_, f := segmentOf(1, 100)
	f.Bytes, f.Size = zeros{}, 64<<20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := up.Upload(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 2<<20 {
		t.Fatalf("uploading %d bytes allocated %d", f.Size, got)
	}
}
