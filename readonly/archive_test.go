package readonly_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/scribe-ledger/scribe/archive"
	"github.com/scribe-ledger/scribe/httpapi"
	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/readonly"
	"github.com/scribe-ledger/scribe/readonly/buckettest"
	"github.com/scribe-ledger/scribe/tier"
	"github.com/scribe-ledger/scribe/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An Archive is what the HTTP layer serves.
var _ httpapi.Backend = (*readonly.Archive)(nil)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, store tier.Store) *readonly.Archive {
	t.Helper()
	a, err := readonly.Open(context.Background(), store, readonly.Options{Interval: -1})
	must(t, err)
	t.Cleanup(func() { must(t, a.Close()) })
	return a
}

// TestReadsAsTheLedger: an archive answers every read as the ledger does that was published.
func TestReadsAsTheLedger(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	w := buckettest.New(t, store, buckettest.Options{})
	w.Fill(700)
	w.Put("large", w.Noise(200<<10))
	w.Publish()
	w.Delete("large")
	w.Fill(500)
	p := w.Publish()
	a, l := open(t, store), w.Node.Ledger()
	size := p.Checkpoint.Size
	if a.NextSeq() != size || a.Published().Checkpoint != p.Checkpoint {
		t.Fatalf("%d entries are served, %d published", a.NextSeq(), size)
	}
	scan := func(r httpapi.Reader, o ledger.ScanOptions) string {
		it, err := r.Scan(o)
		must(t, err)
		return walk(t, it)
	}
	for _, asOf := range []uint64{size - 1, 700, 400, 3} {
		o := ledger.ScanOptions{AsOf: asOf}
		if got, want := scan(a, o), scan(l, o); got != want {
			t.Errorf("a scan as of %d:\n%s\nwant\n%s", asOf, got, want)
		}
	}
	it, err := l.Scan(ledger.ScanOptions{AsOf: 600, KeysOnly: true})
	must(t, err)
	var keys [][]byte
	for it.Next() {
		keys = append(keys, bytes.Clone(it.Entry().Key))
	}
	must(t, it.Close())
	for _, key := range append(keys[:min(40, len(keys))], []byte("large"), []byte("none")) {
		for _, sel := range []ledger.Selector{{}, {Kind: ledger.AsOfSeq, Seq: 600}, {Kind: ledger.BySeq, Seq: 12}} {
			got, err1 := a.Get(key, sel)
			want, err2 := l.Get(key, sel)
			if fmt.Sprint(err1) != fmt.Sprint(err2) ||
				err1 == nil && (got.Seq != want.Seq || !bytes.Equal(got.Value, want.Value)) {
				t.Fatalf("%q %+v: %v %v, want %v %v", key, sel, got, err1, want, err2)
			}
		}
		h1, err := a.History(key, size, true)
		must(t, err)
		h2, err := l.History(key, size, true)
		must(t, err)
		if got, want := walk(t, h1), walk(t, h2); got != want {
			t.Fatalf("history of %q:\n%s\nwant\n%s", key, got, want)
		}
	}
	e1, err := a.Entries(0, false)
	must(t, err)
	e2, err := l.Entries(0, false)
	must(t, err)
	entries := walk(t, e2)
	if i := strings.Index(entries, fmt.Sprintf("%d ", size)); i > 0 && strings.Count(entries, "\n") > int(size) {
		entries = strings.Join(strings.SplitAfter(entries, "\n")[:size], "")
	}
	if walk(t, e1) != entries {
		t.Error("the entries differ")
	}
	for _, at := range []int64{0, 1_790_000_000_000_000, 1_800_000_000_000_000} {
		got, err := a.SeqAtTime(at)
		must(t, err)
		if want := uint64(0); at >= 1_790_000_000_000_000 && got != size || at == 0 && got != want {
			t.Errorf("%d entries at %d", got, at)
		}
	}
}

func walk(t testing.TB, it ledger.Iterator) string {
	t.Helper()
	var b strings.Builder
	for it.Next() {
		e := it.Entry()
		fmt.Fprintf(&b, "%d %d %q %d %x %s\n", e.Seq, e.Op, e.Key, e.ValueSize, merkle.LeafHash(e.Value), e.ContentType)
	}
	must(t, it.Err())
	must(t, it.Close())
	return b.String()
}

// TestProofs: every proof is under the published checkpoint, and holds.
func TestProofs(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	w := buckettest.New(t, store, buckettest.Options{})
	first := w.Put("a", []byte("one"))
	w.Fill(600)
	before := w.Publish()
	w.Delete("a")
	w.Fill(300)
	p := w.Publish()
	a := open(t, store)
	for _, sel := range []ledger.Selector{{}, {Kind: ledger.BySeq, Seq: first}} {
		proof, err := a.Prove([]byte("a"), sel)
		must(t, err)
		if proof.Checkpoint != string(p.Note) || proof.TreeSize != p.Checkpoint.Size || proof.Root != p.Checkpoint.Root {
			t.Errorf("a proof under %q, published is %q", proof.Checkpoint, p.Note)
		}
		must(t, merkle.VerifyInclusion(proof.Leaf, proof.Entry.Seq, proof.TreeSize, proof.Inclusion, p.Checkpoint.Root))
		must(t, merkle.VerifyInclusion(proof.Leaf, proof.Segment.Ordinal, proof.Segment.Entries, proof.Segment.Inclusion,
			proof.Segment.Root))
	}
	from, to, proof, err := a.Consistency(before.Checkpoint.Size, p.Checkpoint.Size)
	must(t, err)
	if from != before.Checkpoint.Root || to != p.Checkpoint.Root {
		t.Errorf("roots %s and %s, published were %s and %s", from, to, before.Checkpoint.Root, p.Checkpoint.Root)
	}
	must(t, merkle.VerifyConsistency(before.Checkpoint.Size, p.Checkpoint.Size, from, to, proof))
}

// TestFollows: a publication shows with the next look, iterators of the one before go on, and merges change nothing.
func TestFollows(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	w := buckettest.New(t, store, buckettest.Options{})
	w.Fill(300)
	old := w.Publish()
	a := open(t, store)
	it, err := a.Entries(0, true)
	must(t, err)
	if !it.Next() {
		t.Fatal(it.Err())
	}
	if changed, err := a.Refresh(t.Context()); changed || err != nil {
		t.Fatal(changed, err)
	}
	for round := range 3 {
		key := fmt.Sprint("round ", round)
		w.Put(key, []byte(key))
		w.Fill(200)
		if round == 2 {
			w.Seal()
			w.Merge()
		}
		p := w.Publish()
		if _, err := a.Get([]byte(key), ledger.Selector{}); !errors.As(err, new(*ledger.NotFoundError)) {
			t.Fatalf("before the look: %v", err)
		}
		gets := store.Count(tier.OpGet)
		if changed, err := a.Refresh(t.Context()); !changed || err != nil {
			t.Fatal(changed, err)
		}
		// latest, ledger.json, manifest, checkpoint, tiles at the old and the new edge, and two for a new segment.
		if asked := store.Count(tier.OpGet) - gets; asked > 12 {
			t.Errorf("%d requests for one new segment", asked)
		}
		e, err := a.Get([]byte(key), ledger.Selector{})
		must(t, err)
		if string(e.Value) != key || a.Status().TreeSize != p.Checkpoint.Size || a.Status().Role != "reader" {
			t.Errorf("%+v %+v", e, a.Status())
		}
	}
	n := uint64(1)
	for it.Next() {
		n++
	}
	must(t, it.Close())
	if n != old.Checkpoint.Size {
		t.Errorf("an iterator that was begun at %d entries went over %d", old.Checkpoint.Size, n)
	}
}

// TestFollowsByItself: the goroutine looks when its clock says so.
func TestFollowsByItself(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	w := buckettest.New(t, store, buckettest.Options{})
	w.Fill(100)
	w.Publish()
	ticks := make(chan time.Time)
	a, err := readonly.Open(t.Context(), store, readonly.Options{Interval: time.Hour,
		After: func(time.Duration) <-chan time.Time { return ticks }})
	must(t, err)
	defer a.Close()
	w.Fill(100)
	p := w.Publish()
	ticks <- time.Time{}
	ticks <- time.Time{} // it is back from the first look
	if a.NextSeq() != p.Checkpoint.Size {
		t.Errorf("%d entries, published are %d", a.NextSeq(), p.Checkpoint.Size)
	}
}

// TestMergedAndDeleted: between two looks of a reader the cluster merges segments, publishes that, and deletes their
// objects. Reads are answered from the newer publication; a list that has begun ends, and the next one is.
func TestMergedAndDeleted(t *testing.T) {
	for name, ask := range map[string]func(a *readonly.Archive) error{
		"get": func(a *readonly.Archive) error {
			e, err := a.Get([]byte("mine"), ledger.Selector{})
			if err == nil && string(e.Value) != "first" {
				err = fmt.Errorf("the value is %q", e.Value)
			}
			return err
		},
		"proof": func(a *readonly.Archive) error {
			p, err := a.Prove([]byte("mine"), ledger.Selector{})
			if err == nil && p.Root != a.Published().Checkpoint.Root {
				err = fmt.Errorf("a proof under %s", p.Root)
			}
			return err
		},
		"scan": func(a *readonly.Archive) (err error) {
			for range 2 {
				it, begun := a.Scan(ledger.ScanOptions{AsOf: 600})
				if begun != nil {
					return begun
				}
				for it.Next() {
					continue
				}
				err = it.Err()
				it.Close()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := tier.NewMem(tier.MemOptions{})
			w := buckettest.New(t, store, buckettest.Options{})
			w.Put("mine", []byte("first"))
			w.Fill(400)
			w.Publish()
			w.Fill(400)
			old := w.Publish()
			a, err := readonly.Open(context.Background(), store, readonly.Options{Interval: -1, BlockCacheBytes: -1})
			must(t, err)
			defer func() { must(t, a.Close()) }()
			for _, g := range old.State.Segments {
				must(t, store.Delete(context.Background(), g.Object.Name))
			}
			if err := ask(a); !errors.As(err, new(*vfs.CorruptError)) {
				t.Fatalf("nothing newer is published, and the error is %v", err)
			}
			w.Merge()
			now := w.Publish()
			must(t, ask(a))
			if a.Published().Name != now.Name {
				t.Fatalf("%s is served, %s was published", a.Published().Name, now.Name)
			}
		})
	}
}

// TestContradictions: an archive that does not continue what is served is not served.
func TestContradictions(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	w := buckettest.New(t, store, buckettest.Options{})
	w.Fill(300)
	w.Publish()
	early := objects(t, store)
	w.Fill(300)
	p := w.Publish()
	a := open(t, store)
	other := tier.NewMem(tier.MemOptions{})
	v := buckettest.New(t, other, buckettest.Options{ClusterSeed: 5})
	v.Fill(2000)
	v.Publish()
	own := objects(t, store)
	for name, set := range map[string]map[string][]byte{"rolled back": early, "another ledger": objects(t, other)} {
		for key, data := range set {
			put(t, store, key, data)
		}
		if _, err := a.Refresh(t.Context()); !errors.Is(err, readonly.ErrContradiction) {
			t.Errorf("%s: %v", name, err)
		}
		if s := a.Status(); s.TreeSize != p.Checkpoint.Size || s.Warning == "" || !s.Ready {
			t.Errorf("%s: %+v", name, s)
		}
		for key, data := range own {
			put(t, store, key, data)
		}
		if _, err := a.Refresh(t.Context()); err != nil || a.Status().Warning != "" {
			t.Errorf("back again: %v, %+v", err, a.Status())
		}
	}
}

func objects(t testing.TB, store tier.Store) map[string][]byte {
	t.Helper()
	page, err := store.List(context.Background(), "", "", 0)
	must(t, err)
	if page.Next != "" {
		t.Fatal("more than one page")
	}
	all := map[string][]byte{}
	for _, o := range page.Objects {
		all[o.Key], _, err = tier.ReadAll(context.Background(), store, o.Key, 1<<30)
		must(t, err)
	}
	return all
}

func put(t testing.TB, store tier.Store, key string, data []byte) {
	t.Helper()
	must(t, store.Delete(context.Background(), key))
	_, err := store.Put(context.Background(), key, tier.BytesBody(data), tier.PutOptions{})
	must(t, err)
}

// TestDamage: what is damaged is not served, and not taken for the absence of anything.
func TestDamage(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	w := buckettest.New(t, store, buckettest.Options{})
	w.Fill(600)
	w.Put("key", w.Noise(100))
	w.Put("zz", nil)
	p := w.Publish()
	object := p.State.Segments[0].Object
	flip := func(key string, at int) {
		if !store.Tamper(key, func(b []byte) []byte { b[at] ^= 4; return b }) {
			t.Fatal("no object", key)
		}
	}
	for _, tc := range []struct {
		key string
		at  int
	}{{tier.LatestName, 20}, {tier.LedgerName, 20}, {p.Name, 100}, {tier.CheckpointNameAt(p.Checkpoint.Size), 10},
		{object.Name, int(object.Bytes) - 20}, {object.Name, int(object.Bytes) - 300}} {
		flip(tc.key, tc.at)
		a, err := readonly.Open(t.Context(), store, readonly.Options{Interval: -1})
		if !errors.As(err, new(*vfs.CorruptError)) {
			t.Errorf("%s at %d: %v", tc.key, tc.at, err)
		}
		if err == nil {
			a.Close()
		}
		flip(tc.key, tc.at)
	}
	a := open(t, store)
	for at := 0; at < int(object.MetaOffset); at += 700 {
		flip(object.Name, at)
	}
	_, err := a.Get([]byte("key"), ledger.Selector{})
	if errors.As(err, new(*ledger.NotFoundError)) || !errors.As(err, new(*vfs.CorruptError)) {
		t.Errorf("a damaged block: %v", err)
	}
	for at := 0; at < int(object.MetaOffset); at += 700 {
		flip(object.Name, at)
	}
	e, err := a.Get([]byte("key"), ledger.Selector{})
	must(t, err)
	// Without its tiles, or with bad ones, proofs are made out of the segments.
	for key := range objects(t, store) {
		if strings.HasPrefix(key, tier.TilePrefix) && len(key)%2 == 0 {
			flip(key, 3)
		} else if strings.HasPrefix(key, tier.TilePrefix) {
			must(t, store.Delete(t.Context(), key))
		}
	}
	b := open(t, store)
	proof, err := b.Prove([]byte("key"), ledger.Selector{})
	must(t, err)
	must(t, merkle.VerifyInclusion(proof.Leaf, e.Seq, proof.TreeSize, proof.Inclusion, p.Checkpoint.Root))
}

// TestRequests: opening costs a few requests a segment, a read one, a proof a handful.
func TestRequests(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	w := buckettest.New(t, store, buckettest.Options{})
	var p *archive.Published
	for range 20 {
		w.Fill(300)
		w.Seal()
	}
	last := w.Put("last", []byte("value"))
	w.Fill(200)
	p = w.Publish()
	gets := store.Count(tier.OpGet)
	a := open(t, store)
	if asked, most := store.Count(tier.OpGet)-gets, int64(5+2*len(p.State.Segments)); asked > most {
		t.Errorf("%d requests to open %d segments, want %d at most", asked, len(p.State.Segments), most)
	}
	gets = store.Count(tier.OpGet)
	e, err := a.Get([]byte("last"), ledger.Selector{})
	must(t, err)
	if asked := store.Count(tier.OpGet) - gets; asked != 1 || e.Seq != last {
		t.Errorf("%d requests for a point read", asked)
	}
	gets = store.Count(tier.OpGet)
	_, err = a.Prove([]byte("last"), ledger.Selector{})
	must(t, err)
	if asked := store.Count(tier.OpGet) - gets; asked > 4 {
		t.Errorf("%d requests for a proof", asked)
	}
}

// TestOpensInParallel: the segments of an archive are opened many at a time.
func TestOpensInParallel(t *testing.T) {
	var under, most atomic.Int64
	var counting atomic.Bool
	store := tier.NewMem(tier.MemOptions{Faults: func(q tier.Request) tier.Fault {
		if counting.Load() && strings.HasPrefix(q.Key, tier.SegmentPrefix) {
			return tier.Fault{Delay: time.Millisecond}
		}
		return tier.Fault{}
	}, Sleep: func(ctx context.Context, d time.Duration) error {
		now := under.Add(1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		defer under.Add(-1)
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	w := buckettest.New(t, store, buckettest.Options{})
	for range 30 {
		w.Fill(20)
		w.Seal()
	}
	w.Publish()
	counting.Store(true)
	open(t, store)
	if n := most.Load(); n < 4 || n > 32 {
		t.Errorf("%d requests at a time", n)
	}
}

// TestNothingPublished: an empty bucket, and one that holds nothing published, say so.
func TestNothingPublished(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	if _, err := readonly.Open(t.Context(), store, readonly.Options{}); !errors.Is(err, archive.ErrNothingPublished) {
		t.Error(err)
	}
	must(t, archive.Claim(t.Context(), store, archive.Identity{LedgerID: "x", Origin: "scribe/x"}))
	if _, err := readonly.Open(t.Context(), store, readonly.Options{}); !errors.Is(err, archive.ErrNothingPublished) {
		t.Error(err)
	}
}

// TestHTTP: what a client sees of a reader.
func TestHTTP(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	w := buckettest.New(t, store, buckettest.Options{})
	w.Fill(50)
	w.Put("a/b", []byte("hello"))
	p := w.Publish()
	api := httpapi.New(httpapi.Options{Backend: open(t, store)})
	ask := func(method, target string) (*http.Response, string) {
		r := httptest.NewRecorder()
		var body *strings.Reader = strings.NewReader("{}")
		api.ServeHTTP(r, httptest.NewRequest(method, target, body))
		return r.Result(), r.Body.String()
	}
	if r, body := ask("GET", "/v1/kv/a/b"); r.StatusCode != 200 || body != "hello" {
		t.Errorf("%s %s", r.Status, body)
	}
	if r, _ := ask("GET", "/v1/kv/none"); r.StatusCode != 404 {
		t.Error(r.Status)
	}
	r, body := ask("GET", "/health")
	var health struct {
		Status, Role string
		TreeSize     uint64 `json:"tree_size"`
	}
	must(t, json.Unmarshal([]byte(body), &health))
	if r.StatusCode != 200 || health.Status != "ok" || health.Role != "reader" || health.TreeSize != p.Checkpoint.Size {
		t.Errorf("%s %s", r.Status, body)
	}
	if r, body := ask("GET", "/v1/segments"); r.StatusCode != 200 || !strings.Contains(body, `"tier":"cold"`) ||
		!strings.Contains(body, p.State.Segments[0].Object.Name) {
		t.Errorf("%s %s", r.Status, body)
	}
	for _, target := range []string{"PUT /v1/kv/a", "PUT /a", "DELETE /v1/kv/a/b", "POST /v1/admin/seal",
		"POST /v1/admin/compact", "POST /v1/admin/tier", "POST /v1/admin/scrub", "POST /cluster/transfer"} {
		method, path, _ := strings.Cut(target, " ")
		r, body := ask(method, path)
		if path == "/cluster/transfer" && r.StatusCode == 400 {
			continue // the body names nobody
		}
		if r.StatusCode != 405 || !strings.Contains(body, `"code":"read_only"`) || r.Header.Get("Allow") == "" {
			t.Errorf("%s: %s %s", target, r.Status, body)
		}
	}
}

// TestReadersOverAChange reads while publications change, under the race detector.
func TestReadersOverAChange(t *testing.T) {
	store := tier.NewMem(tier.MemOptions{})
	w := buckettest.New(t, store, buckettest.Options{})
	w.Put("key", []byte("value"))
	w.Fill(50)
	w.Publish()
	a := open(t, store)
	done := make(chan struct{})
	failed := make(chan error, 4)
	for range cap(failed) {
		go func() {
			for {
				select {
				case <-done:
					failed <- nil
					return
				default:
				}
				_, err := a.Get([]byte("key"), ledger.Selector{})
				if err == nil {
					_, err = a.Prove([]byte("key"), ledger.Selector{})
				}
				if err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	for range 8 {
		w.Fill(20)
		w.Publish()
		if _, err := a.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(done)
	for range cap(failed) {
		must(t, <-failed)
	}
}
