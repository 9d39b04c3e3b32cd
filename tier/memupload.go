package tier

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// putParts makes an object of several parts, one after the other.
func (m *Mem) putParts(ctx context.Context, key string, body Body, opts PutOptions, may func(*memObject) error,
) (Object, error) {
	var up *memUpload
	_, err := m.do(ctx, Request{Op: OpBegin, Key: key}, nil, func() error {
		m.serial++
		up = &memUpload{Upload: Upload{Key: key, ID: fmt.Sprintf("upload-%08d", m.serial), Started: m.opts.Now()}}
		m.uploads[up.ID] = up
		return nil
	})
	if err != nil {
		return Object{}, err
	}
	made, err := m.finish(ctx, up, body, opts, may)
	if err != nil {
		actx, cancel := Cleanup(ctx)
		defer cancel()
		// The error that led here is the one to report; what stays is found by Uploads.
		_ = m.AbortUpload(actx, up.Upload)
	}
	return made, err
}

func (m *Mem) finish(ctx context.Context, up *memUpload, body Body, opts PutOptions, may func(*memObject) error,
) (Object, error) {
	h := sha256.New()
	for off := int64(0); off < body.Size; off += m.opts.PartBytes {
		part := make([]byte, min(m.opts.PartBytes, body.Size-off))
		if err := body.ReadFull(part, off); err != nil {
			return Object{}, failed("put", up.Key, err)
		}
		h.Write(part)
		_, err := m.do(ctx, Request{Op: OpPart, Key: up.Key, Off: off, Len: int64(len(part))}, nil, func() error {
			if m.uploads[up.ID] == nil {
				return fmt.Errorf("%w: the upload was aborted", ErrNotFound)
			}
			up.parts = append(up.parts, part)
			return nil
		})
		if err != nil {
			return Object{}, err
		}
	}
	if [sha256.Size]byte(h.Sum(nil)) != body.SHA256 {
		return Object{}, failed("put", up.Key, ErrMismatch)
	}
	var made Object
	_, err := m.do(ctx, Request{Op: OpComplete, Key: up.Key, Len: body.Size}, nil, func() error {
		if m.uploads[up.ID] == nil {
			return fmt.Errorf("%w: the upload was aborted", ErrNotFound)
		}
		if err := m.may(up.Key, may); err != nil {
			return err
		}
		made = m.store(up.Key, slices.Concat(up.parts...), body, opts)
		delete(m.uploads, up.ID)
		return nil
	})
	return made, err
}

// Cleanup returns a context for tidying up after a call whose own context may have ended: it has 5 seconds, which the end of a
// process may have to wait for. What is left of an upload then is swept.
func Cleanup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

// Uploads implements Store.
func (m *Mem) Uploads(ctx context.Context, prefix string, after Upload, limit int) (UploadPage, error) {
	var page UploadPage
	_, err := m.do(ctx, Request{Op: OpUploads, Key: prefix}, CheckPrefix(prefix), func() error {
		var all []Upload
		for u := range maps.Values(m.uploads) {
			if strings.HasPrefix(u.Key, prefix) && compareUploads(u.Upload, after) > 0 {
				all = append(all, u.Upload)
			}
		}
		slices.SortFunc(all, compareUploads)
		page.More = len(all) > PageLimit(limit)
		page.Uploads = all[:min(len(all), PageLimit(limit))]
		return nil
	})
	return page, err
}

func compareUploads(a, b Upload) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID))
}

// AbortUpload implements Store.
func (m *Mem) AbortUpload(ctx context.Context, u Upload) error {
	_, err := m.do(ctx, Request{Op: OpAbort, Key: u.Key}, CheckKey(u.Key), func() error {
		delete(m.uploads, u.ID)
		return nil
	})
	return err
}
