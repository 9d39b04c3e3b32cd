package sstable

// maxSinceSeqs bounds how many ordinals PeekSince looks at before it reads a block; some tiles of the seq index.
const maxSinceSeqs = 16 * seqTileWidth

// PeekSince is PeekHashed for whoever wants a version with seq >= from, and may find nothing where there is none. It reads
// no block in which none of the entries from that seq on is: the seq index says where these are, and is in the meta
// tail. So where the segment's entries are far away, and few of them that new, it mostly reads none.
func (t *Table) PeekSince(key []byte, hash, from, maxSeq uint64) (Entry, bool, error) {
	if from > t.props.LastSeq || maxSeq < from {
		return Entry{}, false, nil
	}
	if from > t.props.FirstSeq && t.props.LastSeq-from < maxSinceSeqs {
		p, may, err := t.mayContain(key, hash, maxSeq, true)
		if err != nil || !may || !t.anySince(blockAt{p, p.search(key, maxSeq)}, from) {
			return Entry{}, false, err
		}
	}
	return t.PeekHashed(key, hash, maxSeq)
}

// anySince is false only if none of the entries from seq from on is in a block. A tile that cannot be read may put them
// anywhere.
func (t *Table) anySince(at blockAt, from uint64) bool {
	first, end := at.p.ordinals(at.i)
	for i, last := from-t.props.FirstSeq, t.props.LastSeq-t.props.FirstSeq; i <= last; {
		tile, err := t.tile(t.seqs, i/seqTileWidth, true)
		if err != nil {
			return true
		}
		for n := i / seqTileWidth; i <= last && i/seqTileWidth == n; i++ {
			if ordinal := t.seqs.item(tile, i%seqTileWidth); first <= ordinal && ordinal < end {
				return true
			}
		}
	}
	return false
}
