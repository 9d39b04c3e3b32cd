package fsck

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/sstable"
	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// refetchMeta is what to do about a meta tail: it is a copy of what the object ends with.
const refetchMeta = "delete the file if it is there, and start the node: it fetches the meta tail from the object store"

// metaSource is a segment of which the meta tail alone is here.
type metaSource struct {
	*source
	object manifest.Object
}

var errCold = errors.New("the entries are in the object store")

func (s *metaSource) Size() int64 { return int64(s.object.Bytes) }

func (s *metaSource) ReadAt(p []byte, off int64) (int, error) {
	off -= int64(s.object.MetaOffset)
	if off < 0 {
		return 0, errCold
	}
	n, err := s.source.ReadAt(p, off)
	if n == len(p) && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// checkCold checks what is here of a segment that is in the object store: its meta tail, and by the leaf hashes in it the
// roots of the segment and of the ledger. It asks nothing of the store.
func (c *checker) checkCold(s *manifest.Segment) {
	name := c.metaFile(s)
	c.notice(KindNotChecked, name, "", "the entries of segment %s, which are in the object store, as %s", idOf(s), s.Object.Name)
	c.records.incomplete = true
	src, err := openSource(c.opts.FS, name, c.advance)
	if errors.Is(err, fs.ErrNotExist) {
		c.damage(KindSegmentMissing, name, 0, "nothing while the object store has it", refetchMeta,
			"the meta tail of segment %s is missing", idOf(s))
		c.tree.skip(s)
		return
	}
	const lost = "nothing while the object store has it"
	if err != nil {
		c.failed(KindSegmentDamaged, name, lost, refetchMeta, err)
		c.tree.skip(s)
		return
	}
	defer src.close()
	c.report.Checked.Segments++
	if want := int64(s.Object.Bytes - s.Object.MetaOffset); src.size != want {
		c.damage(KindSegmentSize, name, min(src.size, want), lost, refetchMeta,
			"the meta tail has %d bytes, the manifest says %d", src.size, want)
		c.tree.skip(s)
		return
	}
	t, err := sstable.Open(&metaSource{src, s.Object}, sstable.Options{Cache: c.cache, ResidentBytes: -1})
	if err == nil {
		if why := differs(t.Info(), s); why != "" {
			c.damage(KindSegmentWrong, name, 0, lost, refetchMeta, "%s", why)
			c.tree.skip(s)
			return
		}
		err = t.VerifyMeta(c.ctx)
	}
	if corrupt := (*vfs.CorruptError)(nil); errors.As(err, &corrupt) { // by its place in the file that is here
		err = &vfs.CorruptError{File: name, Offset: max(0, corrupt.Offset-int64(s.Object.MetaOffset)), Reason: corrupt.Reason}
	}
	if err != nil {
		if c.ctx.Err() == nil {
			c.failed(KindSegmentDamaged, name, lost, refetchMeta, err)
		}
		c.tree.skip(s)
		return
	}
	c.window.begin(s.FirstSeq, s.Entries, c.opts.WindowEntries)
	c.tree.segment(t, s, name, &c.window, false)
}

// isMeta says whether a file's name is that of a meta tail.
func isMeta(name string) bool {
	id, ok := strings.CutSuffix(name, metaSuffix)
	_, _, err := tlog.ParseSegmentID(id)
	return ok && err == nil
}
