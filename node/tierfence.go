package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/tier"
)

// An archive belongs to one cluster, which latest names: of the clusters of one ledger, the one that was restored from it
// while another lives on takes it over (restored.go). So before each round, each publication, each page of a sweep and each
// eviction that somebody asks for, a node looks what latest says. A node of another cluster than the owner, or of one whose
// ledger does not begin with what is published, uploads, publishes, sweeps and gives up nothing any more: the owner merges and
// deletes what it does not need itself. It goes on with everything else, and looks again, for the archive may be given back.

// restoredFrom is the publication that a directory was restored from, in its IDENTITY.
type restoredFrom struct {
	Version  uint64      `json:"version"`
	Manifest merkle.Hash `json:"-"` // its SHA-256
}

type restoredFromJSON struct {
	Version  uint64 `json:"version"`
	Manifest string `json:"manifest_sha256"`
}

func (r restoredFrom) MarshalJSON() ([]byte, error) {
	return json.Marshal(restoredFromJSON{r.Version, r.Manifest.String()})
}

func (r *restoredFrom) UnmarshalJSON(b []byte) (err error) {
	var w restoredFromJSON
	if err = json.Unmarshal(b, &w); err == nil {
		r.Version = w.Version
		r.Manifest, err = merkle.ParseHash(w.Manifest)
	}
	return err
}

// is says whether that is what is published still.
func (r *restoredFrom) is(now *archive.Latest) bool {
	return r != nil && r.Version == now.Version && r.Manifest == now.ManifestSHA256
}

// errNotTaken is that of a member of a restored cluster until its leader has taken the archive over.
var errNotTaken = errors.New("this cluster was restored from what is published, and its leader has not taken the archive over yet")

// errOvertaken: another leader of this cluster has published.
var errOvertaken = errors.New("what is published is not what this leader knows")

// isForeign says that the archive is another ledger's, another cluster's, or that of one which has gone another way.
func isForeign(err error) bool {
	return errors.As(err, new(*archive.ForeignError)) || errors.As(err, new(*archive.OwnerError)) ||
		errors.As(err, new(*archive.ConflictError))
}

// lookOnce reads what is published, and refuses it unless this cluster owns it, or nobody, and this ledger begins with it:
// *archive.OwnerError, *archive.ConflictError, errNotTaken. The zero Latest is nothing published.
func (t *tiering) lookOnce(ctx context.Context) (archive.Latest, error) {
	now, err := archive.ReadLatest(ctx, t.opts.Store)
	if errors.Is(err, archive.ErrNothingPublished) {
		return archive.Latest{}, nil
	}
	if own := t.archiveIdentity(); err == nil && now.LedgerID != own.LedgerID {
		return now, &archive.ForeignError{Store: t.opts.Store.Name(), Has: archive.Identity{LedgerID: now.LedgerID}, Want: own}
	}
	if err == nil && !now.Owner.Lets(t.n.ClusterID()) {
		now, err = t.takeOver(ctx, now)
	}
	if err != nil {
		return archive.Latest{}, err
	}
	if seen := t.seen.Load(); seen != nil && *seen == now {
		return now, nil
	}
	known, err := t.extends(now.Manifest, now.TreeSize, now.Root)
	if err == nil && known {
		t.seen.Store(&now)
	}
	return now, err
}

// takeOver takes an archive over that is another cluster's. That is for the leader of a cluster which was restored from the
// very publication that is the newest one still: whoever restored it has said that it is to go on here. It happens at most
// once, since what is published has another version from then on; mostly the restore has done it before (TakeArchive).
func (t *tiering) takeOver(ctx context.Context, now archive.Latest) (archive.Latest, error) {
	own, restored := t.n.ClusterID(), t.n.identity.Restored
	if restored.is(&now) {
		if !t.leads() {
			return now, errNotTaken
		}
		taken, err := archive.TakeOver(ctx, t.opts.Store, func(now archive.Latest) string {
			if restored.is(&now) {
				return own
			}
			return ""
		})
		if err != nil {
			return now, err
		}
		now = taken
	}
	if !now.Owner.Lets(own) {
		return now, &archive.OwnerError{Store: t.opts.Store.Name(), Owner: now.Owner, Own: own}
	}
	return now, nil
}

// lookWait bounds how long a look takes that fails.
const lookWait = 15 * time.Second

// lookAgain is lookOnce, tried a few times.
func (t *tiering) lookAgain(ctx context.Context) (now archive.Latest, err error) {
	if !t.n.opts.Manual { // else time stands still
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lookWait)
		defer cancel()
	}
	err = t.retry.Do(ctx, func(ctx context.Context) (err error) {
		now, err = t.lookOnce(ctx)
		return err
	})
	return now, err
}

// look is what a round begins with. While it is not known whose the archive is, nothing is given up.
func (t *tiering) look(ctx context.Context) {
	_, err := t.lookAgain(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.looked(ctx, err) {
		return
	}
	t.beginRound(t.n.opts.Now())
	if err != nil {
		t.evictions = nil
	}
}

// lookFor is the look behind which a round that somebody asked for gives up files.
func (t *tiering) lookFor(ctx context.Context, r *tierRound) {
	_, err := t.lookAgain(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	r.looks = false
	switch {
	case !t.looked(ctx, err), r.stage == roundEnded: // nobody waits for it any more
	case err != nil:
		r.err = errors.Join(r.err, &TierError{Problem: t.trouble[jobLook], Err: err})
	default:
		for _, p := range t.evictable(t.n.ledger.Placed()) {
			r.evictions = append(r.evictions, t.placement(p, t.n.opts.Now()))
		}
	}
}

// looked takes note of a look; false: it was for nothing. The caller holds mu.
func (t *tiering) looked(ctx context.Context, err error) bool {
	if ctx.Err() != nil || !t.opening.done {
		return false
	}
	if isForeign(err) {
		t.lose(jobLook, err)
		return false
	}
	t.met(jobLook, err)
	return true
}

// lose leaves an archive alone that is not this cluster's: what is under way is given up, and nothing is begun until a look
// finds otherwise. What was uploaded and is not recorded is forgotten, since the owner deletes it. The caller holds mu.
func (t *tiering) lose(job tierJob, err error) {
	t.metrics.errors[job].Inc()
	whose := "another history" // whose newest publication the error names, which is another one each time
	if owned := (*archive.OwnerError)(nil); errors.As(err, &owned) {
		whose = owned.Owner.Cluster
	}
	o := opening{report: t.opening.report, problem: oneLine(tier.Trouble(err)), pause: t.opening.pause}
	o.failed(t.n.opts.Now(), err, t.rand.Float64())
	t.opening = o
	if t.lost != whose {
		t.n.opts.Logger.Error("the archive is not this cluster's; writes go on, and every segment stays here", "store",
			t.opts.Store.Name(), "problem", o.problem)
	}
	t.lost = whose
	t.fenced.Store(true)
	t.stopUploads()
	for name, u := range t.uploads {
		if u.cancel == nil {
			delete(t.uploads, name)
		}
	}
	t.noteVerified()
	t.evictions, t.fetches, t.archive.known = nil, nil, false
	for _, r := range t.rounds {
		r.evictions, r.looks = nil, false
		if r.stage != roundSeek && r.stage != roundEnded && r.problem == "" {
			r.problem = o.problem
		}
	}
}

// regain is the end of lose. The caller holds mu.
func (t *tiering) regain() {
	t.lost, t.archive.pause = "", pause{}
	t.fenced.Store(false)
}

// tryOut asks the store what it can do, unless what stands there says that it is another cluster's: then nothing is put there.
func (t *tiering) tryOut(ctx context.Context, token string) (tier.Report, error) {
	if _, err := t.lookOnce(ctx); isForeign(err) {
		return tier.Report{}, err
	}
	return tier.Preflight(ctx, t.opts.Store, token, t.opts.LockWanted)
}

// pages is the store as a sweep asks it. Whatever the sweep lists was put before a look that found this cluster the owner,
// and the publication that Keep goes by the newest: so none of it is of a cluster that takes the archive over, but what that
// begins with, which Keep keeps.
type pages struct {
	tier.Store
	t        *tiering
	manifest string // of the publication that Keep goes by; empty: none
}

func (p *pages) look(ctx context.Context) error {
	now, err := p.t.lookAgain(ctx)
	if err == nil && now.Manifest != p.manifest {
		err = fmt.Errorf("%w: it is %q", errOvertaken, now.Manifest)
	}
	return err
}

func (p *pages) List(ctx context.Context, prefix, after string, limit int) (tier.Page, error) {
	if err := p.look(ctx); err != nil {
		return tier.Page{}, err
	}
	return p.Store.List(ctx, prefix, after, limit)
}

func (p *pages) Uploads(ctx context.Context, prefix string, after tier.Upload, limit int) (tier.UploadPage, error) {
	if err := p.look(ctx); err != nil {
		return tier.UploadPage{}, err
	}
	return p.Store.Uploads(ctx, prefix, after, limit)
}
