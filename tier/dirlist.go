package tier

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/scribe-ledger/scribe/vfs"
)

// List implements Store.
func (d *Dir) List(ctx context.Context, prefix, after string, limit int) (Page, error) {
	if err := CheckPrefix(prefix); err != nil {
		return Page{}, d.failed("list", prefix, err)
	}
	var page Page
	w := dirWalk{d: d, ctx: ctx, prefix: prefix, after: after}
	err := w.walk("", func(key string) (bool, error) {
		if len(page.Objects) == PageLimit(limit) {
			page.Next = page.Objects[len(page.Objects)-1].Key
			return false, nil
		}
		o, err := d.listed(key)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil // it went meanwhile
		}
		page.Objects = append(page.Objects, o)
		return true, err
	}, nil)
	if err != nil {
		return Page{}, d.failed("list", prefix, err)
	}
	return page, nil
}

// listed describes an object for a list. One whose trailer is damaged is listed with the size of its file: it is there,
// and whoever reads it finds what is wrong.
func (d *Dir) listed(key string) (Object, error) {
	f, err := d.fs.Open(d.path(key))
	if err != nil {
		return Object{}, err
	}
	o, err := describe(f, key)
	var corrupt *vfs.CorruptError
	if errors.As(err, &corrupt) {
		o.Key = key
		o.Size, err = f.Size()
	}
	o.SHA256, o.Metadata = nil, nil
	return o, errors.Join(err, f.Close())
}

// Uploads implements Store: files that were being written.
func (d *Dir) Uploads(ctx context.Context, prefix string, after Upload, limit int) (UploadPage, error) {
	if err := CheckPrefix(prefix); err != nil {
		return UploadPage{}, d.failed("list uploads", prefix, err)
	}
	var all []Upload
	w := dirWalk{d: d, ctx: ctx, prefix: prefix}
	err := w.walk("", nil, func(u Upload) {
		if strings.HasPrefix(u.Key, prefix) && compareUploads(u, after) > 0 {
			all = append(all, u)
		}
	})
	if err != nil {
		return UploadPage{}, d.failed("list uploads", prefix, err)
	}
	slices.SortFunc(all, compareUploads)
	n := min(len(all), PageLimit(limit))
	return UploadPage{Uploads: all[:n], More: n < len(all)}, nil
}

// AbortUpload implements Store. A put that is still writing the file fails.
func (d *Dir) AbortUpload(ctx context.Context, u Upload) error {
	err := errors.Join(CheckKey(u.Key), ctx.Err())
	if err == nil {
		temp := tempName(path.Base(u.Key), u.ID)
		if _, _, _, ok := parseTempName(temp); !ok {
			err = ErrInvalid
		} else {
			err = d.discard(path.Join(path.Dir(d.path(u.Key)), temp))
		}
	}
	if err != nil && !vfs.IsNotDir(err) {
		return d.failed("abort upload", u.Key, err)
	}
	return nil
}

// dirWalk visits the files below a folder in the order of their keys.
type dirWalk struct {
	d             *Dir
	ctx           context.Context
	prefix, after string
}

// walk visits what lies in the directory of the keys that begin with dir, which is empty or ends with a slash: files of
// objects with object, until it says no, and files being written with temp. Either may be nil.
func (w *dirWalk) walk(dir string, object func(key string) (bool, error), temp func(Upload)) error {
	_, err := w.visit(dir, object, temp)
	return err
}

func (w *dirWalk) visit(dir string, object func(string) (bool, error), temp func(Upload)) (bool, error) {
	if err := w.ctx.Err(); err != nil {
		return false, err
	}
	entries, err := w.entries(dir, temp)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		more := true
		switch {
		case strings.HasSuffix(e, "/"):
			more, err = w.visit(e, object, temp)
		case object != nil:
			more, err = object(e)
		}
		if !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

// entries returns what is to be visited in a directory: keys of files and, with a slash at their end, of directories,
// sorted. The slash is part of what is sorted by, as it is part of the keys below.
func (w *dirWalk) entries(dir string, temp func(Upload)) ([]string, error) {
	names, err := w.d.fs.List(path.Join(w.d.root, dir))
	if errors.Is(err, fs.ErrNotExist) && dir != "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		if base, id, started, ok := parseTempName(name); ok && temp != nil {
			temp(Upload{Key: dir + base, ID: id, Started: started})
		}
		key := dir + name
		if CheckKey(key) != nil || !w.wants(key) && !w.wants(key+"/") {
			continue
		}
		info, err := w.d.fs.Stat(path.Join(w.d.root, key))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went meanwhile
		}
		if err != nil {
			return nil, err
		}
		if info.IsDir {
			key += "/"
		}
		if w.wants(key) {
			out = append(out, key)
		}
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out, nil
}

// wants says whether a file, or for a key that ends with a slash any file below it, can be among those asked for.
func (w *dirWalk) wants(key string) bool {
	if !strings.HasSuffix(key, "/") {
		return strings.HasPrefix(key, w.prefix) && key > w.after
	}
	return (strings.HasPrefix(key, w.prefix) || strings.HasPrefix(w.prefix, key)) &&
		(key > w.after || strings.HasPrefix(w.after, key))
}
