package segfile

import (
	"io"
	"runtime/debug"

	"github.com/cespare/xxhash/v2"
)

// copyBytes is how much CopyTo reads at a time. A block that is larger is read in one piece.
const copyBytes = 1 << 20

// CopyTo gives w the whole file, front to back, each byte read once, and holds every block, every section, their table and
// the footer against their checksums. Only after it has returned nil is what w was given known to be the file as it was
// written. Damage is a *vfs.CorruptError; w's own error is returned as it is.
func (r *Reader) CopyTo(w io.Writer) (err error) {
	c := copier{r: r, w: w}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer guard(r.Name(), 0, &err)
	for c.off < r.blocksEnd {
		if err := c.block(); err != nil {
			return err
		}
	}
	for i := range r.sections {
		s := &r.sections[i]
		sum, err := c.pieces(r.foot.salt^uint64(s.kind), s.length)
		if err != nil {
			return err
		}
		if sum != s.checksum {
			return corrupt(r.Name(), int64(s.offset), "section %d (%d bytes): checksum is %016x, computed %016x", s.kind,
				s.length, s.checksum, sum)
		}
	}
	sum, err := c.pieces(r.foot.salt, uint64(r.foot.tableLen))
	if err != nil {
		return err
	}
	if sum != r.foot.tableSum {
		return corrupt(r.Name(), int64(r.foot.tableOffset), "section table checksum is %016x, computed %016x",
			r.foot.tableSum, sum)
	}
	return c.footer()
}

// copier is one call of CopyTo.
type copier struct {
	r    *Reader
	w    io.Writer
	off  uint64 // of what comes next
	room []byte
	read []byte // what was read and not taken, from off on
}

// peek returns the next n bytes, which lie within the file.
func (c *copier) peek(n uint64) ([]byte, error) {
	if uint64(len(c.read)) < n {
		b, err := c.r.bytesInto(&c.room, c.off, min(max(n, copyBytes), c.r.foot.fileLen-c.off))
		if err != nil {
			return nil, err
		}
		c.read = b
	}
	return c.read[:n], nil
}

// give passes the next n bytes on, which were peeked at.
func (c *copier) give(n uint64) error {
	if _, err := c.w.Write(c.read[:n]); err != nil {
		return err
	}
	c.off, c.read = c.off+n, c.read[n:]
	return nil
}

func (c *copier) block() error {
	r := c.r
	if r.blocksEnd-c.off < blockHeaderLen {
		return corrupt(r.Name(), int64(c.off), "%d bytes are too few for a block", r.blocksEnd-c.off)
	}
	b, err := c.peek(blockHeaderLen)
	if err != nil {
		return err
	}
	n := blockHeaderLen + uint64(parseBlockHeader(b).storedLen)
	if n > r.blocksEnd-c.off {
		return corrupt(r.Name(), int64(c.off), "a block of %d bytes is out of bounds", n)
	}
	if b, err = c.peek(n); err != nil {
		return err
	}
	if _, err := r.verifyBlock(c.off, b); err != nil {
		return err
	}
	return c.give(n)
}

// pieces passes the next n bytes on and returns their checksum.
func (c *copier) pieces(seed, n uint64) (sum uint64, err error) {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	for n > 0 {
		piece := min(n, copyBytes)
		b, err := c.peek(piece)
		if err != nil {
			return 0, err
		}
		d.Write(b)
		if err := c.give(piece); err != nil {
			return 0, err
		}
		n -= piece
	}
	return d.Sum64(), nil
}

func (c *copier) footer() error {
	b, err := c.peek(footerLen)
	if err != nil {
		return err
	}
	f, err := parseFooter(c.r.Name(), b, int64(c.r.foot.fileLen))
	if err != nil {
		return err
	}
	if f != c.r.foot {
		return corrupt(c.r.Name(), int64(c.off), "the footer has changed since the file was opened")
	}
	return c.give(footerLen)
}
