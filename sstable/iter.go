package sstable

// IterOptions bound an Iter. The zero value walks every version of every key, values included.
type IterOptions struct {
	Lower, Upper []byte // [Lower, Upper); empty Lower is the first key, nil Upper is no bound
	KeysOnly     bool   // leave values out; blocks of large values are not read then
	// Newest walks one version of each key: the newest with Seq <= AsOf. Keys without one are passed over.
	Newest bool
	AsOf   uint64 // only with Newest
	Leaves bool   // fill Entry.Leaf
	// NoFill leaves the block cache as it is: for compaction and other passes over everything.
	NoFill bool
}

// Iter walks puts and deletes by key ascending, within a key by seq descending; OpSegment entries do not show. Moving
// methods report whether the iterator stands on an entry; false means the end, or an error that Err returns. A new
// Iter stands nowhere. It is for one goroutine.
type Iter struct{}

// Iter returns an iterator within the bounds of opts.
func (t *Table) Iter(opts IterOptions) *Iter { return &Iter{} }

// First moves to the first entry.
func (it *Iter) First() bool { return false }

// Last moves to the last entry.
func (it *Iter) Last() bool { return false }

// SeekGE moves to the first entry whose key is at or after key.
func (it *Iter) SeekGE(key []byte) bool { return false }

// SeekLT moves to the last entry whose key is before key.
func (it *Iter) SeekLT(key []byte) bool { return false }

// Next moves one entry on.
func (it *Iter) Next() bool { return false }

// Prev moves one entry back.
func (it *Iter) Prev() bool { return false }

// Entry is where the iterator stands. The struct is reused by the next move; its slices stay valid.
func (it *Iter) Entry() *Entry { return nil }

// Err is the error that ended the walk.
func (it *Iter) Err() error { return nil }

// Close releases the blocks held.
func (it *Iter) Close() error { return nil }

// Versions walks the versions of one key with Seq <= maxSeq, newest first: call First or Next to begin.
func (t *Table) Versions(key []byte, maxSeq uint64, keysOnly bool) *VersionIter { return &VersionIter{} }

// VersionIter walks the versions of one key. Use: for it.Next() { it.Entry() }; it.Err().
type VersionIter struct{}

// Next moves to the next older version.
func (it *VersionIter) Next() bool { return false }

// Entry is where the iterator stands.
func (it *VersionIter) Entry() *Entry { return nil }

// Err is the error that ended the walk.
func (it *VersionIter) Err() error { return nil }

// ScanOptions bound a walk over all entries of a segment.
type ScanOptions struct {
	From     uint64 // first seq, or first ordinal
	KeysOnly bool   // leave values out
	Leaves   bool   // fill Entry.Leaf
	NoFill   bool   // leave the block cache as it is
}

// ScanIter walks entries, OpSegment ones included. Use: for it.Next() { it.Entry() }; it.Err().
type ScanIter struct{}

// BySeq walks the entries in ledger order, from the seq opts.From on.
func (t *Table) BySeq(opts ScanOptions) *ScanIter { return &ScanIter{} }

// ByOrdinal walks the entries in segment order, from the ordinal opts.From on: what a merge of segments reads.
func (t *Table) ByOrdinal(opts ScanOptions) *ScanIter { return &ScanIter{} }

// Next moves one entry on.
func (it *ScanIter) Next() bool { return false }

// Entry is where the iterator stands. The struct is reused by the next move; its slices stay valid.
func (it *ScanIter) Entry() *Entry { return nil }

// Err is the error that ended the walk.
func (it *ScanIter) Err() error { return nil }
