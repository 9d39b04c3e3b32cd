package raft

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A message, all numbers big-endian (docs/format/raft-message.md):
//
//	+0   1  version = 2        +52   8  index
//	+1   1  kind               +60   8  log term
//	+2   1  flags              +68   8  commit
//	+3   1  zero               +76   8  hint
//	+4  16  cluster id         +84   8  hint term
//	+20  8  from               +92   8  context
//	+28  8  to                 +100  4  number of entries
//	+36  8  instance           +104     entries
//	+44  8  term                        snapshot, when flagged
//
//	entry:    term 8, kind 1, length 4, data; the index of the n-th is index+n
//	snapshot: index 8, term 8, length 4, membership
const (
	messageVersion = 2
	messageHeader  = 104
	entryHeader    = 13
	snapshotHeader = 20

	flagReject   = 1 << 0
	flagSnapshot = 1 << 1
	flagTransfer = 1 << 2
	knownFlags   = flagReject | flagSnapshot | flagTransfer

	// MaxMessageEntries bounds the entries of a message, MaxMessageBytes its encoding. Together they bound what a
	// decoder allocates: entries share the bytes of the input.
	MaxMessageEntries = 8192
	MaxMessageBytes   = 160 << 20
)

var errMessage = errors.New("raft: malformed message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMessage, fmt.Sprintf(format, args...))
}

// AppendMessage appends the encoding of m, which is one that a core has made, to b.
func AppendMessage(b []byte, m Message) []byte {
	var flags byte
	if m.Reject {
		flags |= flagReject
	}
	if m.Snapshot != nil {
		flags |= flagSnapshot
	}
	if m.Transfer {
		flags |= flagTransfer
	}
	b = append(b, messageVersion, byte(m.Kind), flags, 0)
	b = append(b, m.ClusterID[:]...)
	for _, v := range [...]uint64{
		m.From, m.To, m.Instance, m.Term, m.Index, m.LogTerm, m.Commit, m.Hint, m.HintTerm, m.Context,
	} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Entries)))
	for _, e := range m.Entries {
		b = binary.BigEndian.AppendUint64(b, e.Term)
		b = append(b, byte(e.Kind))
		b = binary.BigEndian.AppendUint32(b, uint32(len(e.Data)))
		b = append(b, e.Data...)
	}
	if s := m.Snapshot; s != nil {
		b = binary.BigEndian.AppendUint64(b, s.Index)
		b = binary.BigEndian.AppendUint64(b, s.Term)
		at := len(b)
		b = AppendMembership(append(b, 0, 0, 0, 0), s.Members)
		binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	}
	return b
}

// ParseMessage reads one message that fills b. The entries' Data are slices of b, which the caller gives up. What it
// returns has its numbers in range; whether it is meant for this node is for Step to judge.
func ParseMessage(b []byte) (Message, error) {
	if len(b) < messageHeader || len(b) > MaxMessageBytes {
		return Message{}, malformed("%d bytes", len(b))
	}
	flags := b[2]
	if b[0] != messageVersion || flags&^knownFlags != 0 || b[3] != 0 {
		return Message{}, malformed("version %d, flags %#x, %#x", b[0], flags, b[3])
	}
	m := Message{
		Kind: MessageKind(b[1]), Reject: flags&flagReject != 0, Transfer: flags&flagTransfer != 0,
		ClusterID: ClusterID(b[4:20]),
	}
	for i, f := range [...]*uint64{
		&m.From, &m.To, &m.Instance, &m.Term, &m.Index, &m.LogTerm, &m.Commit, &m.Hint, &m.HintTerm, &m.Context,
	} {
		*f = binary.BigEndian.Uint64(b[20+8*i:])
	}
	rest, err := m.parseEntries(b[messageHeader:], uint64(binary.BigEndian.Uint32(b[messageHeader-4:])))
	if err != nil {
		return Message{}, err
	}
	if flags&flagSnapshot != 0 {
		if m.Snapshot, err = parseSnapshot(rest); err != nil {
			return Message{}, err
		}
	} else if len(rest) > 0 {
		return Message{}, malformed("%d bytes after the end", len(rest))
	}
	return m, m.validate()
}

func (m *Message) parseEntries(b []byte, n uint64) (rest []byte, err error) {
	if n > MaxMessageEntries || n*entryHeader > uint64(len(b)) || m.Index > MaxIndex {
		return nil, malformed("%d entries after %d in %d bytes", n, m.Index, len(b))
	}
	if n > 0 {
		m.Entries = make([]Entry, n)
	}
	for i := range m.Entries {
		if len(b) < entryHeader {
			return nil, malformed("entry %d of %d is cut off", i+1, n)
		}
		size := uint64(binary.BigEndian.Uint32(b[9:]))
		if size > uint64(len(b)-entryHeader) {
			return nil, malformed("entry %d of %d has %d bytes, %d are left", i+1, n, size, len(b)-entryHeader)
		}
		end := entryHeader + size
		m.Entries[i] = Entry{
			Index: m.Index + 1 + uint64(i),
			Term:  binary.BigEndian.Uint64(b),
			Kind:  EntryKind(b[8]),
		}
		if size > 0 {
			m.Entries[i].Data = b[entryHeader:end:end]
		}
		b = b[end:]
	}
	return b, nil
}

func parseSnapshot(b []byte) (*Snapshot, error) {
	if len(b) < snapshotHeader || uint64(binary.BigEndian.Uint32(b[16:])) != uint64(len(b)-snapshotHeader) {
		return nil, malformed("snapshot of %d bytes", len(b))
	}
	members, err := ParseMembership(b[snapshotHeader:])
	if err != nil {
		return nil, err
	}
	return &Snapshot{Index: binary.BigEndian.Uint64(b), Term: binary.BigEndian.Uint64(b[8:]), Members: members}, nil
}
