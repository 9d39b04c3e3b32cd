package archive_test

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
)

// TestPublishAndRead publishes a ledger that grows and merges: what is read is what was published last, its tiles give the
// published root at every size, and the pointer to the checkpoint is the newest one.
func TestPublishAndRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := claimed(t, tier.MemOptions{})
		h, size := newHistory(), uint64(0)
		var ends []uint64
		for version := uint64(1); version <= 6; version++ {
			if grown := rapid.SampledFrom([]uint64{0, 1, 3, 255, 256, 257, 700, 5_000}).Draw(rt, "grown"); grown > 0 || size == 0 {
				size += max(grown, 1)
				ends = append(ends, size)
			} else if len(ends) > 1 { // merge some: their ends go
				i := rapid.IntRange(0, len(ends)-2).Draw(rt, "merged")
				ends = append(ends[:i:i], ends[i+1:]...)
			} else {
				version--
			}
			h.grow(size, 0)
			must(t, h.publish(s, size, ends...))
			p, err := archive.Read(t.Context(), s)
			must(t, err)
			want := h.state(size, ends...)
			root, _ := h.RootAt(size)
			if !reflect.DeepEqual(p.State.Encode(), want.Encode()) || p.Version != version || p.Identity != identity ||
				p.Checkpoint.Root != root || p.Checkpoint.Size != size {
				rt.Fatalf("published %+v, read %+v", want, p)
			}
			pointer, _, err := tier.ReadAll(t.Context(), s, tier.CheckpointName, 1000)
			if err != nil || string(pointer) != string(p.Note) {
				rt.Fatalf("the newest checkpoint is %q, %v", pointer, err)
			}
			if version == 6 {
				checkTiles(t, s, p.Checkpoint)
			}
		}
	})
}

// TestPublishOnlyWhatIsNew: the tiles that are published are not put again.
func TestPublishOnlyWhatIsNew(t *testing.T) {
	s := claimed(t, tier.MemOptions{})
	h := newHistory().grow(100_000, 0)
	must(t, h.publish(s, 99_000))
	before := s.Count(tier.OpPut)
	must(t, h.publish(s, 99_010, 99_000))
	// Of the leaves one partial tile, and nothing above; a checkpoint, a manifest.
	if got := s.Count(tier.OpPut) - before; got != 3 {
		t.Errorf("%d puts", got)
	}
	before = s.Count(tier.OpPut) + s.Count(tier.OpReplace)
	must(t, h.publish(s, 99_010, 99_000))
	if got := s.Count(tier.OpPut) + s.Count(tier.OpReplace) - before; got != 0 {
		t.Errorf("%d puts for what is published", got)
	}
	if got := mustRead(t, s); got != 99_010 {
		t.Error(got)
	}
}

// TestParallel puts tiles from several goroutines.
func TestParallel(t *testing.T) {
	s := claimed(t, tier.MemOptions{})
	h := newHistory().grow(70_000, 0)
	p := h.publication(h.state(70_000, 5, 6))
	p.Parallel = 8
	must(t, archive.Publish(t.Context(), s, p))
	if got := mustRead(t, s); got != 70_000 {
		t.Error(got)
	}
	p = h.grow(90_000, 0).publication(h.state(90_000, 5, 6, 70_000))
	p.Tree = failing{h}
	if err := archive.Publish(t.Context(), s, p); !errors.Is(err, errTile) {
		t.Error(err)
	}
}

var errTile = errors.New("no leaves")

// failing has a tree without tiles.
type failing struct{ *history }

func (failing) TileHashes(merkle.Tile) ([]merkle.Hash, error) { return nil, errTile }

// TestNeverContradicted: what does not extend what is published is refused, and changes nothing.
func TestNeverContradicted(t *testing.T) {
	s := claimed(t, tier.MemOptions{})
	h := newHistory().grow(600, 0)
	must(t, h.publish(s, 500, 100, 200, 400))
	before := contents(t, s)
	other := identity
	other.LedgerID, other.Origin = "ledger-2", "scribe/ledger-2"
	foreign := h.publication(h.state(600, 500))
	foreign.Identity = other
	foreign.State.ClusterID = other.LedgerID
	foreign.Checkpoint = []byte(strings.Replace(string(foreign.Checkpoint), identity.Origin, other.Origin, 1))
	parted := h.fork(450).grow(700, 1)
	for name, c := range map[string]struct {
		err  error
		want any
	}{
		"a shorter one":                     {h.publish(s, 499), archive.ErrBehind},
		"the same, before it was merged":    {h.publish(s, 500, 100, 150, 200, 400), archive.ErrBehind},
		"longer, from before it was merged": {h.publish(s, 600, 100, 200, 300, 400, 500), archive.ErrBehind},
		"one with fewer entries":            {h.fork(480).publish(s, 480), archive.ErrBehind},
		"one that parted":                   {parted.publish(s, 700, 450), new(*archive.ConflictError)},
		"one that parted, shorter":          {parted.publish(s, 440), new(*archive.ConflictError)},
		"another ledger's":                  {archive.Publish(t.Context(), s, foreign), new(*archive.ForeignError)},
		"another ledger's claim":            {archive.Claim(t.Context(), s, other), new(*archive.ForeignError)},
	} {
		switch want := c.want.(type) {
		case error:
			if !errors.Is(c.err, want) {
				t.Errorf("%s: %v", name, c.err)
			}
		default:
			if c.err == nil || !errors.As(c.err, want) {
				t.Errorf("%s: %v", name, c.err)
			}
		}
	}
	var conflict *archive.ConflictError
	if err := parted.publish(s, 700); !errors.As(err, &conflict) || conflict.Size != 500 || conflict.Object != "latest" ||
		conflict.Published == conflict.Own {
		t.Errorf("%+v", conflict)
	}
	if after := contents(t, s); !maps.Equal(before, after) {
		t.Errorf("the store has changed: %v, %v", before, after)
	}
	must(t, archive.Claim(t.Context(), s, identity))
	must(t, h.publish(s, 500, 200, 400))
	must(t, h.publish(s, 600, 400, 550))
}

// TestPartedBeyond: two ledgers part behind what is published, and one of them has put some of what it was to publish. The
// other finds that in its way.
func TestPartedBeyond(t *testing.T) {
	s := claimed(t, tier.MemOptions{})
	h := newHistory().grow(900, 0)
	must(t, h.publish(s, 500))
	other := h.fork(500).grow(900, 1)
	for _, name := range []string{"tiles/tile/0/002", tier.CheckpointNameAt(800)} {
		broken := &broken{Store: s, after: name}
		if err := other.publish(broken, 800); !errors.Is(err, tier.ErrRefused) {
			t.Fatal(err)
		}
		var conflict *archive.ConflictError
		if err := h.publish(s, 800); !errors.As(err, &conflict) {
			t.Fatalf("after %s: %v", name, err)
		}
		if got := mustRead(t, s); got != 500 {
			t.Fatal(got)
		}
	}
	must(t, other.publish(s, 800))
}

// TestRefusesWhatDoesNotFit: a state, a checkpoint and a tree that do not belong together are not published.
func TestRefusesWhatDoesNotFit(t *testing.T) {
	s := claimed(t, tier.MemOptions{})
	h := newHistory().grow(300, 0)
	before := contents(t, s)
	for name, spoil := range map[string]func(*archive.Publication){
		"checkpoint of another size":   func(p *archive.Publication) { p.Checkpoint = h.publication(h.state(299)).Checkpoint },
		"checkpoint of another origin": func(p *archive.Publication) { p.Identity.Origin = "scribe/other" },
		"no checkpoint":                func(p *archive.Publication) { p.Checkpoint = nil },
		"a local segment": func(p *archive.Publication) {
			p.State.Segments[0].Tier, p.State.Segments[0].Object = manifest.Local, manifest.Object{}
		},
		"a segment with a file":  func(p *archive.Publication) { p.State.Segments[0].Tier = manifest.Both },
		"another ledger's state": func(p *archive.Publication) { p.State.ClusterID = "other" },
		"another frontier":       func(p *archive.Publication) { p.State.Frontier = newHistory().grow(300, 1).state(300).Frontier },
		"another tree":           func(p *archive.Publication) { p.Tree = newHistory().grow(300, 1) },
		"a gap":                  func(p *archive.Publication) { p.State.Segments = p.State.Segments[1:] },
	} {
		p := h.publication(h.state(300, 100))
		spoil(&p)
		if err := archive.Publish(t.Context(), s, p); err == nil {
			t.Errorf("%s: published", name)
		}
	}
	if after := contents(t, s); !maps.Equal(before, after) {
		t.Errorf("the store has changed: %v, %v", before, after)
	}
	unclaimed := tier.NewMem(tier.MemOptions{})
	if err := h.publish(unclaimed, 300); !errors.Is(err, tier.ErrNotFound) || len(contents(t, unclaimed)) > 0 {
		t.Errorf("published without a claim: %v", err)
	}
}
