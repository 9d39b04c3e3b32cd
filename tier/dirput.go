package tier

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/scribe-ledger/scribe/vfs"
)

// A put writes a file beside the place of the object, bytes and trailer, syncs it, gives it the object's name too,
// syncs the directory, and takes the first name away. A crash leaves the object or leaves none, and may leave the file:
// its name says which key was being written and since when.
const (
	tempPrefix  = "."
	tempSuffix  = ".tmp"
	tempIDBytes = 16 + 1 + 4 // microseconds, dash, serial number, in hex
	maxSerial   = 0xffff
	dirBuffer   = 1 << 20
)

// tempName is the name of the file being written for an object whose file is base.
func tempName(base, id string) string { return tempPrefix + base + "~" + id + tempSuffix }

// parseTempName is the inverse of tempName; it says when the file was begun.
func parseTempName(name string) (base, id string, started time.Time, ok bool) {
	rest, ok1 := strings.CutPrefix(name, tempPrefix)
	rest, ok2 := strings.CutSuffix(rest, tempSuffix)
	if !ok1 || !ok2 || len(rest) <= tempIDBytes+1 {
		return "", "", time.Time{}, false
	}
	base, id = rest[:len(rest)-tempIDBytes-1], rest[len(rest)-tempIDBytes:]
	micros, err1 := strconv.ParseUint(id[:16], 16, 63)
	serial, err2 := strconv.ParseUint(id[17:], 16, 16)
	if err1 != nil || err2 != nil || tempName(base, tempID(int64(micros), int(serial))) != name {
		return "", "", time.Time{}, false
	}
	return base, id, time.UnixMicro(int64(micros)), true
}

func tempID(micros int64, serial int) string { return fmt.Sprintf("%016x-%04x", micros, serial) }

// Put implements Store.
func (d *Dir) Put(ctx context.Context, key string, body Body, opts PutOptions) (Object, error) {
	if err := CheckPut(key, body, opts); err != nil {
		return Object{}, d.failed("put", key, err)
	}
	o, err := d.put(ctx, key, body, opts)
	if err != nil {
		return Object{}, d.failed("put", key, err)
	}
	return o, nil
}

func (d *Dir) put(ctx context.Context, key string, body Body, opts PutOptions) (Object, error) {
	name := d.path(key)
	dir := path.Dir(name)
	if err := d.absent(name); err != nil {
		return Object{}, err
	}
	temp, o, err := d.write(ctx, key, body, opts)
	if err != nil {
		return Object{}, err
	}
	err = d.fs.Link(temp, name)
	if errors.Is(err, fs.ErrExist) {
		err = ErrExists
	}
	if err == nil || errors.Is(err, ErrExists) {
		// Whoever is told that it exists may rely on it, so the name is durable first, whoever made it.
		if serr := d.fs.SyncDir(dir); serr != nil {
			err = serr
		}
	}
	if rerr := d.discard(temp); err == nil {
		err = rerr
	}
	return o, err
}

// absent returns ErrExists when the name is taken, durably then.
func (d *Dir) absent(name string) error {
	info, err := d.fs.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), vfs.IsNotDir(err): // MkdirAll will say what is wrong in the second case
		return nil
	case err != nil:
		return err
	case info.IsDir:
		return fmt.Errorf("%w: %s is a directory of other keys", ErrInvalid, name)
	}
	if err := d.fs.SyncDir(path.Dir(name)); err != nil {
		return err
	}
	return ErrExists
}

// Replace implements Store.
func (d *Dir) Replace(ctx context.Context, key string, body Body, ifMatch string, opts PutOptions) (Object, error) {
	if err := CheckReplace(key, body, opts); err != nil {
		return Object{}, d.failed("replace", key, err)
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return Object{}, d.failed("replace", key, err)
	}
	o, err := d.replace(ctx, key, body, ifMatch, opts)
	if err = errors.Join(err, unlock()); err != nil {
		return Object{}, d.failed("replace", key, err)
	}
	return o, nil
}

func (d *Dir) replace(ctx context.Context, key string, body Body, ifMatch string, opts PutOptions) (Object, error) {
	if ifMatch != "" {
		old, err := d.Head(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Object{}, err
		}
		if err != nil || old.ETag != ifMatch {
			return Object{}, ErrChanged
		}
	}
	if info, err := d.fs.Stat(d.path(key)); err == nil && info.IsDir {
		return Object{}, fmt.Errorf("%w: %s is a directory of other keys", ErrInvalid, key)
	}
	temp, o, err := d.write(ctx, key, body, opts)
	if err != nil {
		return Object{}, err
	}
	if err := d.fs.Rename(temp, d.path(key)); err != nil {
		return Object{}, errors.Join(err, d.discard(temp))
	}
	return o, d.fs.SyncDir(path.Dir(temp))
}

// write makes the synced file of an object under a temporary name; when it fails it leaves none.
func (d *Dir) write(ctx context.Context, key string, body Body, opts PutOptions) (temp string, o Object, err error) {
	name := d.path(key)
	if err := d.fs.MkdirAll(path.Dir(name)); err != nil {
		if vfs.IsNotDir(err) {
			err = fmt.Errorf("%w: another key is a directory of %s: %w", ErrInvalid, key, err)
		}
		return "", Object{}, err
	}
	t := trailer{size: body.Size, modified: d.opts.Now(), sha256: body.SHA256, metadata: opts.Metadata}
	f, temp, err := d.createTemp(name, t.modified.UnixMicro())
	if err != nil {
		return "", Object{}, err
	}
	err = fill(ctx, f, body, t)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", Object{}, errors.Join(err, d.discard(temp))
	}
	return temp, t.object(key), nil
}

// createTemp makes a file whose name nobody else has: several may be writing the same object.
func (d *Dir) createTemp(name string, micros int64) (vfs.File, string, error) {
	for serial := 0; ; serial++ {
		temp := path.Join(path.Dir(name), tempName(path.Base(name), tempID(micros, serial)))
		f, err := d.fs.Create(temp)
		if err == nil || !errors.Is(err, fs.ErrExist) || serial == maxSerial {
			return f, temp, err
		}
	}
}

// fill writes the body and its trailer, and checks the body's SHA-256 on the way.
func fill(ctx context.Context, f vfs.File, body Body, t trailer) error {
	h := sha256.New()
	off := int64(0)
	for p, err := range body.Pieces(make([]byte, min(dirBuffer, body.Size)), 0, body.Size) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			h.Write(p)
			_, err = f.WriteAt(p, off)
		}
		if err != nil {
			return err
		}
		off += int64(len(p))
	}
	if [sha256.Size]byte(h.Sum(nil)) != body.SHA256 {
		return ErrMismatch
	}
	_, err := f.WriteAt(t.encode(), body.Size)
	return err
}

// discard takes a temporary name away. Its going need not be durable: one that comes back is an abandoned upload.
func (d *Dir) discard(temp string) error {
	if err := d.fs.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
