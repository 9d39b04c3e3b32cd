package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scribe-ledger/scribe/client"
)

const (
	// maxFileBytes is the largest value a ledger takes by default.
	maxFileBytes = 32 << 20
	// rewritten is how many keys get more versions, for the histories.
	rewritten = 100
	// scanPrefix is the folder that the scan walks; of another tree, the first folder there is.
	scanPrefix = "net/http/"
)

// file is one file of the tree: its key in the ledger is its path.
type file struct {
	key  string
	path string
	size int64
}

// demo is one run.
type demo struct {
	opts   options
	out    io.Writer // the summary
	log    io.Writer // progress
	node   process
	client *client.Client
	files  []file
	bytes  int64
	rng    *rand.Rand

	histories map[string][]version // keys with several versions, newest first
	summary   []string
}

// version is what history must show of one write.
type version struct {
	seq  uint64
	op   client.Op
	size uint64
}

func (d *demo) run(ctx context.Context) error {
	d.rng = rand.New(rand.NewPCG(d.opts.seed, 0))
	d.histories = make(map[string][]version)
	if err := d.gather(); err != nil {
		return err
	}
	dir := d.opts.data
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "scribe-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	d.node = process{program: d.opts.node, dir: dir, addr: addr}
	// Enough rounds to outlast the kill: every write that it cuts off is sent again with its idempotency key.
	if d.client, err = client.New([]string{"http://" + addr}, client.Options{Rounds: 30}); err != nil {
		return err
	}
	defer d.node.kill()
	if err := d.node.start(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		d.store, d.rewrite, d.seal, d.evict, d.readBack, d.checkHistories, d.checkScan, d.checkProofs, d.checkRoot,
		d.checkCold,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.print()
	return nil
}

// gather lists the tree's regular files.
func (d *demo) gather() error {
	err := filepath.WalkDir(d.opts.tree, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Size() > maxFileBytes {
			return nil
		}
		key, err := filepath.Rel(d.opts.tree, path)
		if err != nil {
			return err
		}
		d.files = append(d.files, file{key: filepath.ToSlash(key), path: path, size: info.Size()})
		d.bytes += info.Size()
		return nil
	})
	if err == nil && len(d.files) == 0 {
		err = fmt.Errorf("no files under %s", d.opts.tree)
	}
	return err
}

// store puts every file, and kills the node when half of them are acknowledged, while the others are on their way.
func (d *demo) store(ctx context.Context) error {
	progress := d.progress("store", d.bytes)
	began := time.Now()
	half := make(chan struct{})
	var done atomic.Int64
	var restart time.Duration
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		select {
		case <-half:
		case <-ctx.Done():
			return nil
		}
		if err := d.node.kill(); err != nil {
			return err
		}
		killed := time.Now()
		err := d.node.start(ctx)
		restart = time.Since(killed)
		return err
	})
	g.Go(func() error {
		return d.each(ctx, d.files, func(ctx context.Context, f file) error {
			content, err := os.ReadFile(f.path)
			if err != nil {
				return err
			}
			if _, err := d.client.Put(ctx, f.key, content, client.PutOptions{}); err != nil {
				return fmt.Errorf("put %s: %w", f.key, err)
			}
			if done.Add(1) == int64(len(d.files)+1)/2 {
				close(half)
			}
			progress.add(f.size)
			return nil
		})
	})
	err := g.Wait()
	progress.finish()
	took := time.Since(began)
	d.say("stored", "%d files, %s in %s: %s, %.0f puts/s", len(d.files), mib(d.bytes), round(took),
		rate(d.bytes, took), float64(len(d.files))/took.Seconds())
	d.say("killed", "with SIGKILL after %d puts; ready again after %s", (len(d.files)+1)/2, round(restart))
	return err
}

// rewrite gives some keys a history: another value, a tombstone, and the file's content again.
func (d *demo) rewrite(ctx context.Context) error {
	for _, f := range d.pick(rewritten) {
		content, err := os.ReadFile(f.path)
		if err != nil {
			return err
		}
		first, err := d.client.Get(ctx, f.key, client.GetOptions{})
		if err != nil {
			return fmt.Errorf("get %s: %w", f.key, err)
		}
		other, err := d.client.Put(ctx, f.key, []byte("edited: "+f.key), client.PutOptions{If: client.IfSeq(first.Seq)})
		if err != nil {
			return fmt.Errorf("put %s: %w", f.key, err)
		}
		gone, err := d.client.Delete(ctx, f.key, client.DeleteOptions{})
		if err != nil {
			return fmt.Errorf("delete %s: %w", f.key, err)
		}
		again, err := d.client.Put(ctx, f.key, content, client.PutOptions{If: client.IfAbsent()})
		if err != nil {
			return fmt.Errorf("put %s: %w", f.key, err)
		}
		d.histories[f.key] = []version{
			{again.Seq, client.OpPut, uint64(len(content))},
			{gone.Seq, client.OpDelete, 0},
			{other.Seq, client.OpPut, uint64(len("edited: " + f.key))},
			{first.Seq, client.OpPut, uint64(len(content))},
		}
	}
	return nil
}

func (d *demo) seal(ctx context.Context) error {
	began := time.Now()
	if _, err := d.client.Seal(ctx); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	d.say("sealed", "in %s", round(time.Since(began)))
	return nil
}

func (d *demo) readBack(ctx context.Context) error {
	progress := d.progress("read back", d.bytes)
	began := time.Now()
	err := d.each(ctx, d.files, func(ctx context.Context, f file) error {
		v, err := d.client.Get(ctx, f.key, client.GetOptions{})
		if err != nil {
			return fmt.Errorf("get %s: %w", f.key, err)
		}
		content, err := os.ReadFile(f.path)
		if err != nil {
			return err
		}
		if !bytes.Equal(v.Data, content) {
			return fmt.Errorf("%s: the ledger's %d bytes differ from the file's %d", f.key, len(v.Data), len(content))
		}
		progress.add(f.size)
		return nil
	})
	progress.finish()
	took := time.Since(began)
	d.say("read back", "%d files, every byte equal, in %s: %s, %.0f gets/s", len(d.files), round(took),
		rate(d.bytes, took), float64(len(d.files))/took.Seconds())
	return err
}

func (d *demo) checkHistories(ctx context.Context) error {
	for key, want := range d.histories {
		i := 0
		for e, err := range d.client.History(ctx, key, client.HistoryOptions{}) {
			if err != nil {
				return fmt.Errorf("history of %s: %w", key, err)
			}
			if i == len(want) || e.Seq != want[i].seq || e.Op != want[i].op || e.Size != want[i].size {
				return fmt.Errorf("history of %s: version %d is entry %d, a %s of %d bytes", key, i, e.Seq, e.Op, e.Size)
			}
			i++
		}
		if i != len(want) {
			return fmt.Errorf("history of %s: %d versions, want %d", key, i, len(want))
		}
	}
	d.say("histories", "of %d keys, 4 versions each, tombstones included", len(d.histories))
	return nil
}

func (d *demo) checkScan(ctx context.Context) error {
	prefix := scanPrefix
	want := d.withPrefix(prefix)
	if len(want) == 0 {
		folder, _, _ := strings.Cut(d.files[0].key, "/")
		prefix, want = folder, d.withPrefix(folder)
	}
	i := 0
	for e, err := range d.client.Range(ctx, client.RangeOptions{Prefix: prefix}) {
		if err != nil {
			return fmt.Errorf("scan of %s: %w", prefix, err)
		}
		if i == len(want) || e.Key != want[i].key {
			return fmt.Errorf("scan of %s: key %d is %s", prefix, i, e.Key)
		}
		content, err := os.ReadFile(want[i].path)
		if err != nil {
			return err
		}
		if !bytes.Equal(e.Value, content) {
			return fmt.Errorf("scan of %s: the value of %s differs from the file", prefix, e.Key)
		}
		i++
	}
	if i != len(want) {
		return fmt.Errorf("scan of %s: %d keys, want %d", prefix, i, len(want))
	}
	d.say("scan", "of prefix %s: %d keys in order, values equal", prefix, i)
	return nil
}

// withPrefix are the files whose keys begin with prefix, in key order.
func (d *demo) withPrefix(prefix string) []file {
	var out []file
	for _, f := range d.files {
		if strings.HasPrefix(f.key, prefix) {
			out = append(out, f)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].key < out[j].key })
	return out
}

func (d *demo) checkProofs(ctx context.Context) error {
	picked := d.pick(d.opts.proofs)
	progress := d.progress("prove", int64(len(picked)))
	var sealed atomic.Int64
	began := time.Now()
	err := d.each(ctx, picked, func(ctx context.Context, f file) error {
		content, err := os.ReadFile(f.path)
		if err != nil {
			return err
		}
		e, err := d.client.Verify(ctx, f.key, client.VerifyOptions{Value: content, HasValue: true})
		if err != nil {
			return fmt.Errorf("proof of %s: %w", f.key, err)
		}
		if e.Segment == nil {
			return fmt.Errorf("proof of %s: no segment proof, though all is sealed", f.key)
		}
		sealed.Add(1)
		progress.add(1)
		return nil
	})
	progress.finish()
	d.say("proofs", "of %d random keys, ledger and segment, checked by the client in %s", sealed.Load(),
		round(time.Since(began)))
	return err
}

// checkRoot replays the whole feed and compares the root it gives with the node's.
func (d *demo) checkRoot(ctx context.Context) error {
	status, err := d.client.Status(ctx)
	if err != nil {
		return err
	}
	replay, err := d.client.ReplayRoot(ctx, status.TreeSize, nil)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if replay.Root != status.Root {
		return fmt.Errorf("replaying %d entries gives root %v, the node says %v", status.TreeSize, replay.Root, status.Root)
	}
	segments, size, err := d.segments(ctx)
	if err != nil {
		return err
	}
	where := "on disk"
	if d.opts.cold {
		where = "in the store"
	}
	d.say("segments", "%d, %s %s for %s of values", segments, mib(size), where, mib(d.bytes))
	d.say("entries", "%d", status.TreeSize)
	d.say("root", "%v, the same by replay of all entries", status.Root)
	return nil
}

// pick chooses n different files at random.
func (d *demo) pick(n int) []file {
	out := make([]file, 0, n)
	for _, i := range d.rng.Perm(len(d.files)) {
		if len(out) == n {
			break
		}
		out = append(out, d.files[i])
	}
	return out
}

// each calls do for every file, several at a time, until one fails.
func (d *demo) each(ctx context.Context, files []file, do func(context.Context, file) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(d.opts.workers)
	for _, f := range files {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error { return do(ctx, f) })
	}
	return g.Wait()
}
