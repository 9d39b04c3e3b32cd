package sstable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/scribe-ledger/scribe/merkle"
	"github.com/scribe-ledger/scribe/segfile"
)

// What the meta tail will hold grows with the entries, so a Writer keeps it in its Scratch:
//
//	leaf hashes by ordinal, 32 bytes each
//	per bucket of 65,536 seqs: 6 bytes an entry as they come: seq in the bucket u16 · ordinal u32
//	index partitions and filters, each as a block of the file will have it
//
// Entries come in key order and the seq index is in seq order. A bucket has as many places as seqs, so its place in the
// file is known, it is written front to back, and Finish sorts one bucket at a time in memory.
const (
	bucketSeqs   = 1 << 16
	bucketRecord = 6
	bucketBuffer = 4096 / bucketRecord * bucketRecord
)

// spill is the part of a Writer that grows with the entries.
type spill struct {
	to      Scratch
	entries uint64
	buckets []bucket
	tile    []byte // leaf hashes behind the last complete tile
	leaves  uint64
	upper   merkle.Upper
	parts   uint64 // bytes of partitions so far
}

type bucket struct {
	buf   []byte
	count uint64 // entries, those in buf included
}

func newSpill(to Scratch, entries uint64) *spill {
	if to == nil {
		to = &memoryScratch{}
	}
	return &spill{to: to, entries: entries, buckets: make([]bucket, (entries-1)/bucketSeqs+1),
		tile: make([]byte, 0, min(entries*merkle.HashSize, leafTileBytes))}
}

func (s *spill) bucketsAt() uint64 { return s.entries * merkle.HashSize }

func (s *spill) partsAt() uint64 { return s.bucketsAt() + s.entries*bucketRecord }

// bucketLen is how many seqs bucket i has.
func (s *spill) bucketLen(i uint64) uint64 { return min(bucketSeqs, s.entries-i*bucketSeqs) }

// add takes down the next entry's leaf, and its seq, which counts from the segment's first.
func (s *spill) add(leaf merkle.Hash, seq uint64) error {
	n := seq / bucketSeqs
	b := &s.buckets[n]
	if b.count == s.bucketLen(n) {
		return fmt.Errorf("sstable: more entries than seqs around entry %d of the segment", seq)
	}
	if b.buf == nil {
		b.buf = make([]byte, 0, min(s.bucketLen(n)*bucketRecord, bucketBuffer))
	}
	b.buf = binary.LittleEndian.AppendUint16(b.buf, uint16(seq%bucketSeqs))
	b.buf = binary.LittleEndian.AppendUint32(b.buf, uint32(s.leaves))
	b.count++
	if len(b.buf) == bucketBuffer {
		if err := s.flushBucket(n); err != nil {
			return err
		}
	}
	s.tile = append(s.tile, leaf[:]...)
	s.leaves++
	if len(s.tile) < leafTileBytes {
		return nil
	}
	s.upper.Append(merkle.RootOf(hashes(s.tile)))
	err := s.write(s.tile, s.leaves*merkle.HashSize-leafTileBytes)
	s.tile = s.tile[:0]
	return err
}

func (s *spill) flushBucket(n uint64) error {
	b := &s.buckets[n]
	at := s.bucketsAt() + n*bucketSeqs*bucketRecord + b.count*bucketRecord - uint64(len(b.buf))
	err := s.write(b.buf, at)
	b.buf = b.buf[:0]
	return err
}

// addPart takes down a partition's index or filter.
func (s *spill) addPart(b []byte) error {
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(b)))
	err := s.write(append(head, b...), s.partsAt()+s.parts)
	s.parts += 4 + uint64(len(b))
	return err
}

// root is the root over all leaves.
func (s *spill) root() (merkle.Hash, error) {
	return merkle.RootAt(s.leaves, s.upper.Nodes(func(tile uint64) ([]merkle.Hash, error) {
		if tile != s.upper.Tiles() {
			return nil, fmt.Errorf("sstable: leaf tile %d of %d is not in memory", tile, s.upper.Tiles())
		}
		return hashes(s.tile), nil
	}))
}

// writeLeaves appends the leaf tiles.
func (s *spill) writeLeaves(w *segfile.Writer) error {
	buf := make([]byte, leafTileBytes)
	for i := range s.upper.Tiles() {
		if err := s.read(buf, i*leafTileBytes); err != nil {
			return err
		}
		if _, err := w.AppendRaw(buf); err != nil {
			return err
		}
	}
	if len(s.tile) == 0 {
		return nil
	}
	_, err := w.AppendRaw(s.tile)
	return err
}

// writeSeqs appends the seq tiles. It fails when a seq came twice, and with it another one not at all.
func (s *spill) writeSeqs(w *segfile.Writer, a tileArray) error {
	longest := s.bucketLen(0)
	records := make([]byte, longest*bucketRecord)
	ordinals := make([]uint32, longest)
	var tile []byte
	for n := range uint64(len(s.buckets)) {
		if err := s.flushBucket(n); err != nil {
			return err
		}
		s.buckets[n].buf = nil
		count := s.bucketLen(n)
		records := records[:count*bucketRecord]
		if err := s.read(records, s.bucketsAt()+n*bucketSeqs*bucketRecord); err != nil {
			return err
		}
		ordinals := ordinals[:count]
		for i := range ordinals {
			ordinals[i] = math.MaxUint32
		}
		for ; len(records) > 0; records = records[bucketRecord:] {
			at := binary.LittleEndian.Uint16(records)
			if uint64(at) >= count || ordinals[at] != math.MaxUint32 {
				return fmt.Errorf("sstable: entry %d of the segment came twice, or the scratch file was changed",
					n*bucketSeqs+uint64(at))
			}
			ordinals[at] = binary.LittleEndian.Uint32(records[2:])
		}
		for len(ordinals) > 0 {
			k := min(len(ordinals), seqTileWidth)
			tile = tile[:0]
			for _, o := range ordinals[:k] {
				var word [4]byte
				binary.LittleEndian.PutUint32(word[:], o)
				tile = append(tile, word[:a.itemBytes]...)
			}
			if _, err := w.AppendRaw(tile); err != nil {
				return err
			}
			ordinals = ordinals[k:]
		}
	}
	return nil
}

// writeParts appends the partitions' blocks.
func (s *spill) writeParts(w *segfile.Writer) error {
	var head [4]byte
	for at := uint64(0); at < s.parts; {
		if err := s.read(head[:], s.partsAt()+at); err != nil {
			return err
		}
		n := uint64(binary.LittleEndian.Uint32(head[:]))
		if n > segfile.MaxBlockBytes {
			return errors.New("sstable: the scratch file was changed")
		}
		b := make([]byte, n)
		if err := s.read(b, s.partsAt()+at+4); err != nil {
			return err
		}
		if _, err := w.AppendRaw(b); err != nil {
			return err
		}
		at += 4 + n
	}
	return nil
}

func (s *spill) write(b []byte, at uint64) error {
	if len(b) == 0 {
		return nil
	}
	if _, err := s.to.WriteAt(b, int64(at)); err != nil {
		return fmt.Errorf("sstable: scratch: %w", err)
	}
	return nil
}

func (s *spill) read(b []byte, at uint64) error {
	if n, err := s.to.ReadAt(b, int64(at)); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("sstable: scratch: %w", err)
	}
	return nil
}

// memoryScratch is a Scratch in memory, in pieces made as they are written.
type memoryScratch struct{ pieces map[int64][]byte }

const scratchPiece = 16 << 10

// WriteAt copies p in.
func (m *memoryScratch) WriteAt(p []byte, off int64) (int, error) {
	if m.pieces == nil {
		m.pieces = make(map[int64][]byte)
	}
	done := 0
	for done < len(p) {
		n, at := off/scratchPiece, off%scratchPiece
		if m.pieces[n] == nil {
			m.pieces[n] = make([]byte, scratchPiece)
		}
		k := copy(m.pieces[n][at:], p[done:])
		done, off = done+k, off+int64(k)
	}
	return done, nil
}

// ReadAt copies out.
func (m *memoryScratch) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		piece := m.pieces[off/scratchPiece]
		if piece == nil {
			return done, io.EOF
		}
		k := copy(p[done:], piece[off%scratchPiece:])
		done, off = done+k, off+int64(k)
	}
	return done, nil
}
