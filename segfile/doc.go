// Package segfile is the container of a sealed segment: checksummed, compressed blocks, then sections, then a footer.
// It knows blocks and sections, not keys; package sstable gives them meaning. docs/format/segment.md has the bytes.
//
// Invariants:
//   - A file is written once, front to back, and never changed.
//   - Every byte of a file is under a checksum: blocks each under their own, sections and the section table under one
//     each, the footer under its own. A checksum is seeded with the file's salt and, for blocks, the file offset, so
//     bytes of another file or another place never pass.
//   - A checksum is compared before the bytes under it are interpreted or decompressed, and nothing is allocated by a
//     declared length before that length was held against the file's size and [MaxBlockBytes].
//   - From [Reader.MetaOffset] to the end the file is one contiguous piece that holds all that is not data, so one
//     range request fetches it.
//
// Bytes that fail are reported as *vfs.CorruptError; an error of the source itself is passed on wrapped.
//
// The package starts no goroutines of its own. A [Writer] is for one goroutine, a [Reader] for any number. A caller
// must not close a source or unmap its memory while a Reader's call is under way; what a Reader returned is on the heap
// and outlives the source.
package segfile
