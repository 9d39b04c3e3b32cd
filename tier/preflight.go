package tier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Locking is a Store that can say whether it would honour the retention of sealed objects.
type Locking interface {
	LockAvailable(ctx context.Context) (bool, error)
}

// Probing is a Store over a server that may lack what the store promises. A Store that is none keeps its promises
// itself.
type Probing interface {
	// ProbeChecksum sends bytes under the SHA-256 of others, and says whether the server refused them.
	ProbeChecksum(ctx context.Context, key string) (refused bool, err error)
	// PutInParts is Put, by way of an upload in parts, however small the body.
	PutInParts(ctx context.Context, key string, body Body, opts PutOptions) (Object, error)
}

// Report says what a store can do; see Preflight.
type Report struct {
	Store            string
	ConditionalPuts  bool // a second put of a key is refused, also of two at once
	ConditionalParts bool // the same for objects made of parts
	Checksums        bool // bytes that do not match their SHA-256 are refused
	Ranges           bool // a range is exactly what was asked for
	Replaces         bool // If-Match holds for objects that may be replaced
	Lists            bool // what was put is listed
	ObjectLock       bool // retention would be honoured
	LockWanted       bool
	Left             []string // scratch objects that could not be deleted
}

// Lacks names what the store lacks of what was wanted.
func (r Report) Lacks() []string {
	var out []string
	for _, c := range []struct {
		ok   bool
		what string
	}{
		{r.ConditionalPuts, "conditional puts"}, {r.ConditionalParts, "conditional completion of uploads"},
		{r.Checksums, "SHA-256 checksums"}, {r.Ranges, "exact range reads"}, {r.Replaces, "conditional overwrites"},
		{r.Lists, "listings of what was just put"}, {r.ObjectLock || !r.LockWanted, "Object Lock"},
	} {
		if !c.ok {
			out = append(out, c.what)
		}
	}
	return out
}

// Usable says whether segments may be entrusted to the store: nothing it holds is overwritten, it reads by range, and it
// locks what is to be locked. What it lacks beside that is made up for by reading back.
func (r Report) Usable() bool {
	return r.ConditionalPuts && r.ConditionalParts && r.Ranges && (r.ObjectLock || !r.LockWanted)
}

// String is the report in one line.
func (r Report) String() string {
	var b strings.Builder
	b.WriteString(r.Store)
	if lacks := r.Lacks(); len(lacks) == 0 {
		b.WriteString(" has all that is needed")
	} else {
		b.WriteString(" lacks " + strings.Join(lacks, ", "))
	}
	if len(r.Left) > 0 {
		fmt.Fprintf(&b, "; scratch objects that could not be deleted: %s", strings.Join(r.Left, ", "))
	}
	return b.String()
}

// Preflight finds out what a store can do, with a few small objects under ScratchPrefix, which it deletes. token goes
// into their keys, and must differ between those who may run it at once, and from call to call. An error means that the
// store could not be asked: it is not there, refuses access, or failed; a store that merely lacks something is no error.
func Preflight(ctx context.Context, s Store, token string, wantLock bool) (Report, error) {
	p := preflight{s: s, dir: ScratchPrefix + token, report: Report{Store: s.Name(), LockWanted: wantLock}}
	err := CheckKey(p.dir + "/x")
	for _, step := range []func(context.Context) error{p.puts, p.parts, p.checksums, p.ranges, p.replaces, p.lists, p.lock} {
		if err == nil {
			err = step(ctx)
		}
	}
	p.cleanup(ctx)
	if err != nil {
		return p.report, fmt.Errorf("%s cannot be used: %w", s.Name(), err)
	}
	return p.report, nil
}

// preflight is one run of it, in one goroutine but for race.
type preflight struct {
	s      Store
	dir    string
	keys   []string // what was put, or may have been
	report Report
}

func (p *preflight) key(name string) string {
	key := p.dir + "/" + name
	p.keys = append(p.keys, key)
	return key
}

type putFunc func(context.Context, string, Body, PutOptions) (Object, error)

// puts comes first: its first put finds out whether the store is there at all.
func (p *preflight) puts(ctx context.Context) (err error) {
	p.report.ConditionalPuts, err = p.onlyOnce(ctx, "put", p.s.Put)
	return err
}

func (p *preflight) parts(ctx context.Context) (err error) {
	probing, ok := p.s.(Probing)
	if !ok {
		p.report.ConditionalParts = p.report.ConditionalPuts
		return nil
	}
	p.report.ConditionalParts, err = p.onlyOnce(ctx, "parts", probing.PutInParts)
	return err
}

// onlyOnce says whether a key can be put once only: one after the other, and several at once.
func (p *preflight) onlyOnce(ctx context.Context, name string, put putFunc) (bool, error) {
	key, first := p.key(name), []byte("first")
	if _, err := put(ctx, key, BytesBody(first), PutOptions{}); err != nil {
		return false, err
	}
	_, err := put(ctx, key, BytesBody([]byte("second")), PutOptions{})
	if _, again := Temporary(err); again || errors.Is(err, ErrRefused) {
		return false, err
	}
	if !errors.Is(err, ErrExists) {
		return false, nil
	}
	if data, _, err := ReadAll(ctx, p.s, key, 1<<10); err != nil || !bytes.Equal(data, first) {
		return false, err
	}
	return p.race(ctx, name, put)
}

// race puts one key several times at once. More than one success is one too many; what fails for another reason, a
// conflict with the others for one, proves nothing.
func (p *preflight) race(ctx context.Context, name string, put putFunc) (bool, error) {
	const rounds, racers = 3, 4
	for round := range rounds {
		key := p.key(fmt.Sprintf("%s-race-%d", name, round))
		var made [racers]bool
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				_, err := put(ctx, key, BytesBody(fmt.Appendf(nil, "racer %d", i)), PutOptions{})
				made[i] = err == nil
			})
		}
		wg.Wait()
		winners := 0
		for _, won := range made {
			if won {
				winners++
			}
		}
		if winners > 1 {
			return false, nil
		}
	}
	return true, ctx.Err()
}

func (p *preflight) checksums(ctx context.Context) (err error) {
	probing, ok := p.s.(Probing)
	if !ok {
		p.report.Checksums = true
		return nil
	}
	p.report.Checksums, err = probing.ProbeChecksum(ctx, p.key("checksum"))
	return err
}

func (p *preflight) ranges(ctx context.Context) error {
	data := make([]byte, 1000)
	for i := range data {
		data[i] = byte(i * i)
	}
	key := p.key("range")
	if _, err := p.s.Put(ctx, key, BytesBody(data), PutOptions{}); err != nil {
		return err
	}
	p.report.Ranges = true
	for _, r := range [][2]int64{{0, 1}, {17, 100}, {999, 1}, {0, 1000}} {
		got := make([]byte, r[1])
		err := ReadAt(ctx, p.s, key, got, r[0])
		if _, again := Temporary(err); again {
			return err
		}
		if err != nil || !bytes.Equal(got, data[r[0]:r[0]+r[1]]) {
			p.report.Ranges = false
		}
	}
	err := ReadAt(ctx, p.s, key, make([]byte, 10), 995)
	p.report.Ranges = p.report.Ranges && errors.Is(err, ErrRange)
	return nil
}

func (p *preflight) replaces(ctx context.Context) error {
	key := p.key("replace")
	old, err := p.s.Put(ctx, key, BytesBody([]byte("old")), PutOptions{})
	if err != nil {
		return err
	}
	now, err := p.s.Replace(ctx, key, BytesBody([]byte("new")), old.ETag, PutOptions{})
	if _, again := Temporary(err); again {
		return err
	}
	if err != nil {
		return nil
	}
	_, err = p.s.Replace(ctx, key, BytesBody([]byte("lost")), old.ETag, PutOptions{})
	p.report.Replaces = errors.Is(err, ErrChanged) && now.ETag != old.ETag
	return nil
}

func (p *preflight) lists(ctx context.Context) error {
	page, err := p.s.List(ctx, p.dir+"/", "", 0)
	if err != nil {
		return err
	}
	for _, o := range page.Objects {
		if o.Key == p.dir+"/range" {
			p.report.Lists = o.Size == 1000
		}
	}
	return nil
}

func (p *preflight) lock(ctx context.Context) (err error) {
	if locking, ok := p.s.(Locking); ok && p.report.LockWanted {
		p.report.ObjectLock, err = locking.LockAvailable(ctx)
	}
	return err
}

// cleanup deletes what was put. A bucket may keep it by a retention of its own.
func (p *preflight) cleanup(ctx context.Context) {
	ctx, cancel := Cleanup(ctx)
	defer cancel()
	for _, key := range p.keys {
		if err := p.s.Delete(ctx, key); err != nil {
			p.report.Left = append(p.report.Left, key)
		}
	}
}
