package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// evict uploads all segments and has the node delete their files, once it has read the objects back.
func (d *demo) evict(ctx context.Context) error {
	if !d.opts.cold {
		return nil
	}
	before, err := d.localSegments()
	if err != nil {
		return err
	}
	began := time.Now()
	r, err := d.client.Tier(ctx, true)
	if err != nil {
		return fmt.Errorf("tier: %w", err)
	}
	took := time.Since(began)
	left, err := d.lastSegments(ctx)
	switch {
	case err != nil:
		return err
	case len(before) == 0:
		return errors.New("tier: there were no segment files to begin with")
	case len(left) > 0 || r.Waiting > 0:
		return fmt.Errorf("tier: %d of %d segment files are still here (%s), %d segments wait for their upload", len(left),
			len(before), strings.Join(left, ", "), r.Waiting)
	}
	s, err := d.client.TierStatus(ctx)
	if err != nil {
		return fmt.Errorf("tier status: %w", err)
	}
	d.say("uploaded", "%d segments, %s, read back and verified, to %s in %s: %s", len(r.Uploaded),
		mib(int64(r.UploadedBytes)), s.Store, round(took), rate(int64(r.UploadedBytes), took))
	d.say("deleted", "all %d segment files here; what follows is read from the store", len(before))
	return nil
}

// checkCold says how much came from the store.
func (d *demo) checkCold(ctx context.Context) error {
	if !d.opts.cold {
		return nil
	}
	requests, err := d.metric(ctx, "scribe_tier_read_requests_total")
	if err != nil {
		return err
	}
	fetched, err := d.metric(ctx, "scribe_tier_read_bytes_total")
	if err != nil {
		return err
	}
	if requests == 0 {
		return errors.New("nothing was read from the store")
	}
	d.say("from store", "%.0f range requests, %s", requests, mib(int64(fetched)))
	return nil
}

// goneWithin is how long the last reader of a file may hold it.
const goneWithin = 5 * time.Second

// lastSegments lists the segment files that stay: one that was given up goes with its last reader.
func (d *demo) lastSegments(ctx context.Context) ([]string, error) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(goneWithin); ; {
		left, err := d.localSegments()
		if err != nil || len(left) == 0 || time.Now().After(end) {
			return left, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// localSegments lists the segment files of the node.
func (d *demo) localSegments() (names []string, err error) {
	err = filepath.WalkDir(filepath.Join(d.node.dir, "segments"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".seg") {
			names = append(names, filepath.Base(path))
		}
		return err
	})
	return names, err
}

// metric is one figure of the node's, without labels.
func (d *demo) metric(ctx context.Context, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.node.addr+"/metrics/prometheus", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(text, 64)
		}
	}
	return 0, fmt.Errorf("the node has no metric %s", name)
}
