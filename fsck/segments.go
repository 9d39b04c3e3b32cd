package fsck

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// checkSegments reads every listed segment, in seq order, and then what they come to together.
func (c *checker) checkSegments() error {
	c.tree = newTreeCheck(c)
	if c.state == nil {
		return c.checkUnlisted()
	}
	var before *manifest.Segment
	for _, s := range c.segments() {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if before != nil && s.FirstTime < before.LastTime {
			c.damage(KindManifest, c.path(manifestName), 0, "", restoreManifest,
				"segment %s begins at an earlier time than the one before it ends", idOf(s))
		}
		before = s
		if err := c.checkSegment(s); err != nil {
			return err
		}
	}
	c.tree.finish()
	c.checkRecords()
	return nil
}

// lostOf says what goes with the whole of a segment.
func lostOf(s *manifest.Segment) string {
	return fmt.Sprintf("the entries %d to %d", s.FirstSeq, s.LastSeq)
}

func (c *checker) checkSegment(s *manifest.Segment) error {
	name := c.segmentFile(s)
	src, err := openSource(c.opts.FS, name, c.advance)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.Object.Exists():
		c.checkCold(s)
		return c.ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		c.damage(KindSegmentMissing, name, 0, lostOf(s), restoreSegment, "the file is missing")
		c.tree.skip(s)
		return nil
	case err != nil:
		c.failed(KindSegmentDamaged, name, lostOf(s), restoreSegment, err)
		c.tree.skip(s)
		return nil
	}
	defer src.close()
	c.report.Checked.Segments++
	if uint64(src.size) != s.Bytes && (!s.Object.Exists() || uint64(src.size) != s.Object.Bytes) {
		c.damage(KindSegmentSize, name, min(src.size, int64(s.Bytes)), "", restoreSegment,
			"the file has %d bytes, the manifest says %d", src.size, s.Bytes)
	}
	t, err := sstable.Open(src, sstable.Options{Cache: c.cache, ResidentBytes: -1})
	if err != nil {
		c.failed(KindSegmentDamaged, name, lostOf(s), restoreSegment, err)
		c.tree.skip(s)
		return nil
	}
	if why := differs(t.Info(), s); why != "" {
		c.damage(KindSegmentWrong, name, 0, lostOf(s), restoreSegment, "%s", why)
	}
	if info := t.Info(); info.FirstSeq != s.FirstSeq || info.LastSeq != s.LastSeq {
		c.tree.skip(s)
		return nil
	}
	c.part = func(offset int64) string { return sstable.Part(src, s.Entries, uint64(offset)) }
	defer func() { c.part = nil }()
	_, err = c.verify(t, s, name)
	return err
}

// checkUnlisted reads what is there of segments when no manifest says what there should be.
func (c *checker) checkUnlisted() error {
	c.notice(KindNotChecked, c.path(segmentDir), "", "without a manifest it is not known which segments there should be: "+
		"each is checked by itself")
	names, err := c.opts.FS.List(c.path(segmentDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.failed(KindUnreadable, c.path(segmentDir), "", "", err)
	}
	for _, name := range names {
		id, isSegment := strings.CutSuffix(name, segmentSuffix)
		first, last, err := tlog.ParseSegmentID(id)
		if !isSegment || err != nil {
			continue // checkFiles tells
		}
		s := &manifest.Segment{FirstSeq: first, LastSeq: last, Entries: last - first + 1}
		if err := c.checkAlone(s, c.path(segmentDir, name)); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) checkAlone(s *manifest.Segment, name string) error {
	src, err := openSource(c.opts.FS, name, c.advance)
	if err != nil {
		c.failed(KindSegmentDamaged, name, lostOf(s), restoreSegment, err)
		return nil
	}
	defer src.close()
	c.report.Checked.Segments++
	t, err := sstable.Open(src, sstable.Options{Cache: c.cache, ResidentBytes: -1})
	if err != nil {
		c.failed(KindSegmentDamaged, name, lostOf(s), restoreSegment, err)
		return nil
	}
	if info := t.Info(); info.FirstSeq != s.FirstSeq || info.LastSeq != s.LastSeq {
		c.damage(KindSegmentWrong, name, 0, lostOf(s), restoreSegment, "this is segment %s, not %s", info.ID, idOf(s))
		return nil
	}
	c.tree.broken = "there is no manifest"
	_, err = c.verify(t, s, name)
	return err
}

// verify reads the whole segment, and says whether it is. Op 3 entries and leaf hashes go on to what is checked across
// segments.
func (c *checker) verify(t *sstable.Table, s *manifest.Segment, name string) (whole bool, err error) {
	window := &c.window
	window.begin(s.FirstSeq, s.Entries, c.opts.WindowEntries)
	err = t.Verify(c.ctx, func(e *sstable.Entry) merkle.Hash {
		leaf := e.LeafHash()
		window.put(e.Seq, leaf)
		c.report.Checked.Entries++
		if e.Op == tlog.OpSegment {
			c.records.add(e)
		}
		return leaf
	})
	if ctxErr := c.ctx.Err(); ctxErr != nil {
		return false, ctxErr
	}
	if err != nil {
		c.records.incomplete = true
		c.damagedSegment(t, s, name, err)
	}
	c.tree.segment(t, s, name, window, err == nil)
	return err == nil, nil
}

// differs compares a segment's own account with the manifest's.
func differs(info sstable.Info, s *manifest.Segment) string {
	switch {
	case info.FirstSeq != s.FirstSeq || info.LastSeq != s.LastSeq:
		return fmt.Sprintf("this is segment %s, not %s", info.ID, idOf(s))
	case info.Root != s.Root:
		return fmt.Sprintf("its root is %s, the manifest says %s", info.Root, s.Root)
	case info.Entries != s.Entries:
		return fmt.Sprintf("it has %d entries, the manifest says %d", info.Entries, s.Entries)
	case !bytes.Equal(info.MinKey, s.MinKey) || !bytes.Equal(info.MaxKey, s.MaxKey):
		return fmt.Sprintf("its keys go from %.64q to %.64q, the manifest says %.64q to %.64q", info.MinKey, info.MaxKey,
			s.MinKey, s.MaxKey)
	case info.FirstTime != s.FirstTime || info.LastTime != s.LastTime:
		return fmt.Sprintf("its times go from %d to %d, the manifest says %d to %d", info.FirstTime, info.LastTime,
			s.FirstTime, s.LastTime)
	}
	return ""
}

// damagedSegment says what a damage that was met costs, and looks for more of it: entry by entry, in segment order.
func (c *checker) damagedSegment(t *sstable.Table, s *manifest.Segment, name string, damage error) {
	var corrupt *vfs.CorruptError
	if !errors.As(damage, &corrupt) {
		c.failed(KindSegmentDamaged, name, lostOf(s), c.advice.segment, damage)
		return
	}
	holes := survey(t)
	met := func(h sstable.Hole) bool { return h.Damage.Offset == corrupt.Offset }
	if !slices.ContainsFunc(holes, met) { // what Verify met is not about the bytes of entries
		lost := ""
		if len(holes) == 0 {
			lost = "nothing that reads need; proofs or the lookup by seq may fail"
		}
		c.failed(KindSegmentDamaged, name, lost, c.advice.segment, damage)
	}
	for i := range holes {
		h := &holes[i]
		c.damage(KindSegmentDamaged, name, h.Damage.Offset, lostIn(h), c.advice.segment, "%s", h.Damage.Reason)
	}
}
