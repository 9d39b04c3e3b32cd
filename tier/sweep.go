package tier

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// SweepOptions are the settings of a Sweep. Zero values mean the defaults given.
type SweepOptions struct {
	// Keep says of a segment's object whether it is needed, or may be: that the state of the ledger or a published
	// manifest names it, or that an upload of this process is about it. Required. It is asked just before the object
	// would be deleted.
	Keep func(name string) bool
	// Instead names the object that has taken the place of one that Keep gives up; empty: none has. The one goes only once the
	// other, too, is as old as what goes: whoever reads the one has that long to learn of the other, however old the one
	// is. nil: none has of any.
	Instead func(name string) string
	// Published is the size of the tree that is published, which the caller has read, and owns: states published before it may
	// go. 0: none go.
	Published uint64
	// Uploading says of a key whether this process is making its object: however long that takes, its upload stays, and so do
	// the abandoned ones of that key until then. nil: of none.
	Uploading func(key string) bool
	// Age is how old, by the store's clock, what goes must be at least. Default 1 h. It must be longer than it takes from
	// an object's making until Keep knows it.
	Age time.Duration
	// Pages bounds the listings that one call asks for. Default 16, of up to MaxListed each.
	Pages int
	// Nonce names the object that the store's clock is read from. nil: drawn.
	Nonce func() uint64
}

// SweepCursor is where a sweep stands. The zero value begins one; Done ends it, and a new one may begin. It is the
// caller's to keep, in memory: a sweep that begins anew only lists more.
type SweepCursor struct {
	stage       int
	after       string // key that was listed last
	afterUpload Upload
}

// SweepResult counts what a call has found and done.
type SweepResult struct {
	Listed  int // objects and uploads
	Deleted int // objects, without tiles
	Bytes   int64
	Locked  int // objects, without tiles, that nobody needs and the store's retention keeps; that is normal
	Foreign int // objects below segments/ whose names are no segments'; they are left alone
	Aborted int // uploads
	Done    bool
}

// The stages of a sweep.
const (
	sweepSegments = iota
	sweepManifests
	sweepScratch
	sweepUploads
	sweepDone
)

// Sweep deletes what is left over: segments' objects that nobody needs, states that were published before the newest one,
// what preflights tried the store with, and uploads that were begun and never ended. It goes on from the cursor, by at most
// opts.Pages pages; after an error the same cursor goes on where that was met. Only one node may sweep at a time, the one
// that uploads.
func Sweep(ctx context.Context, store Store, opts SweepOptions, at *SweepCursor) (SweepResult, error) {
	opts.Age = cmp.Or(opts.Age, time.Hour)
	opts.Pages = cmp.Or(opts.Pages, 16)
	if opts.Nonce == nil {
		opts.Nonce = rand.Uint64
	}
	s := sweep{store: store, opts: opts, at: at, ripe: make(map[string]bool)}
	if at.stage == sweepDone {
		*at = SweepCursor{}
	}
	now, err := s.storeTime(ctx)
	if err != nil {
		return s.result, fmt.Errorf("tier: read the store's clock: %w", err)
	}
	s.before = now.Add(-opts.Age)
	for page := 0; page < opts.Pages && at.stage != sweepDone && err == nil; page++ {
		switch at.stage {
		case sweepSegments:
			err = s.objects(ctx, SegmentPrefix, s.unneeded)
		case sweepManifests:
			err = s.manifests(ctx)
		case sweepScratch:
			err = s.objects(ctx, ScratchPrefix, func(context.Context, string) (bool, error) { return true, nil })
		case sweepUploads:
			err = s.uploads(ctx)
		}
	}
	s.result.Done = at.stage == sweepDone
	return s.result, err
}

type sweep struct {
	store  Store
	opts   SweepOptions
	at     *SweepCursor
	before time.Time       // what is older may go
	ripe   map[string]bool // whether objects that took the place of others are that old
	result SweepResult
}

// storeTime reads the store's clock off an object made for that: ages must not depend on the clocks of nodes.
func (s *sweep) storeTime(ctx context.Context) (time.Time, error) {
	nonce := s.opts.Nonce()
	var b [8]byte
	for i := range b {
		b[i] = byte(nonce >> (8 * i))
	}
	name := ScratchPrefix + "clock-" + hex.EncodeToString(b[:])
	if _, err := s.store.Put(ctx, name, BytesBody([]byte("clock\n")), PutOptions{}); err != nil {
		return time.Time{}, err
	}
	o, err := s.store.Head(ctx, name)
	if err != nil {
		return time.Time{}, err
	}
	return o.Modified, s.store.Delete(ctx, name)
}

// objects sweeps one page of the objects below a prefix. The cursor moves with each object that is done.
func (s *sweep) objects(ctx context.Context, prefix string,
	unneeded func(ctx context.Context, name string) (bool, error)) error {
	page, err := s.store.List(ctx, prefix, s.at.after, 0)
	if err != nil {
		return err
	}
	for _, o := range page.Objects {
		s.result.Listed++
		goes := o.Modified.Before(s.before) && strings.HasPrefix(o.Key, prefix)
		if goes {
			if goes, err = unneeded(ctx, o.Key); err != nil {
				return err
			}
		}
		if goes {
			if err := s.remove(ctx, o); err != nil {
				return err
			}
		}
		s.at.after = o.Key
	}
	if s.at.after = page.Next; page.Next == "" {
		s.at.stage++
	}
	return nil
}

// remove deletes an object, unless the store's retention keeps it.
func (s *sweep) remove(ctx context.Context, o Object) error {
	err := s.store.Delete(ctx, o.Key)
	switch {
	case errors.Is(err, ErrLocked):
		s.result.Locked++
		return nil
	case err == nil:
		s.result.Deleted++
		s.result.Bytes += o.Size
	}
	return err
}

func (s *sweep) unneeded(ctx context.Context, name string) (bool, error) {
	if _, err := ParseSegmentName(name); err != nil {
		s.result.Foreign++
		return false, nil
	}
	if s.opts.Keep(name) {
		return false, nil
	}
	instead := ""
	if s.opts.Instead != nil {
		instead = s.opts.Instead(name)
	}
	if instead == "" {
		return true, nil
	}
	ripe, asked := s.ripe[instead]
	if asked {
		return ripe, nil
	}
	switch o, err := s.store.Head(ctx, instead); {
	case err == nil:
		ripe = o.Modified.Before(s.before)
	case !errors.Is(err, ErrNotFound): // then there is only the one
		return false, err
	}
	s.ripe[instead] = ripe
	return ripe, nil
}

// uploads sweeps one page of the uploads, of all prefixes.
func (s *sweep) uploads(ctx context.Context) error {
	page, err := s.store.Uploads(ctx, "", s.at.afterUpload, 0)
	if err != nil {
		return err
	}
	for _, u := range page.Uploads {
		s.result.Listed++
		if u.Started.Before(s.before) && (s.opts.Uploading == nil || !s.opts.Uploading(u.Key)) {
			if err := s.store.AbortUpload(ctx, u); err != nil {
				return err
			}
			s.result.Aborted++
		}
		s.at.afterUpload = u
	}
	if !page.More || len(page.Uploads) == 0 {
		s.at.stage++
	}
	return nil
}
