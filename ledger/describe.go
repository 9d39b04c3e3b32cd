package ledger

import (
	"fmt"
	"strings"

	"github.com/scribe-ledger/scribe/tlog"
)

// CommandInfo is what a command says, for people and for tools that read the log while no node runs.
type CommandInfo struct {
	Kind     string // write, seal, record, check, merge, tiered
	Time     int64  // microseconds since the epoch; 0 before a leader stamped it
	Ops      []WriteOp
	Recorded *tlog.Descriptor // of a record
	Check    *RootCheck       // of a check
	Summary  string           // one line
}

// DescribeCommand reads the data of a raft entry of kind raft.EntryNormal. Keys and values alias data.
func DescribeCommand(data []byte) (CommandInfo, error) {
	c, err := decodeCommand(data)
	if err != nil {
		return CommandInfo{}, err
	}
	out := CommandInfo{Kind: fmt.Sprintf("kind %d", c.kind), Time: c.time}
	switch c.kind {
	case kindWrite:
		out.Kind, out.Ops = "write", c.write.Ops
		out.Summary = describeWrite(&c.write)
		if len(c.found.Newest) > 0 {
			out.Summary += fmt.Sprintf(", checked at size %d", c.found.Size)
		}
	case kindSeal:
		out.Kind, out.Summary = "seal", fmt.Sprintf("the memtable from seq %d", c.first)
		if c.first == sealAny {
			out.Summary = "the active memtable"
		}
	case kindRecord:
		out.Kind, out.Recorded = "record", &c.desc
		out.Summary = fmt.Sprintf("segment %s, root %s", c.desc.ID(), c.desc.Root)
	case kindMerge:
		out.Kind = "merge"
		out.Summary = "into segment " + tlog.SegmentID(c.merge.FirstSeq, c.merge.LastSeq)
	case kindTiered:
		t := &c.tiered
		out.Kind = "tiered"
		out.Summary = fmt.Sprintf("segment %s, root %s, has object %.200q of %d bytes, SHA-256 %s",
			tlog.SegmentID(t.FirstSeq, t.LastSeq), t.root, t.object.Name, t.object.Bytes, t.object.SHA256)
	case kindCheck:
		out.Kind, out.Check = "check", &c.check
		out.Summary = fmt.Sprintf("the first %d entries have root %s", c.check.Size, c.check.Root)
	}
	return out, nil
}

// describeWrite names the first ops of a write.
func describeWrite(w *Command) string {
	const most = 3
	var parts []string
	for i := range w.Ops {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(w.Ops)-most))
			break
		}
		op := &w.Ops[i]
		if op.Op == tlog.OpDelete {
			parts = append(parts, fmt.Sprintf("delete %.64q", op.Key))
		} else {
			parts = append(parts, fmt.Sprintf("put %.64q of %d bytes", op.Key, len(op.Value)))
		}
	}
	text := strings.Join(parts, ", ")
	if w.IdempotencyKey != "" {
		text += fmt.Sprintf(", idempotency key %.64q", w.IdempotencyKey)
	}
	return text
}

// WindowSize is how many writes an idempotency window remembers, as a manifest holds it. It reads all of it.
func WindowSize(encoded []byte) (int, error) {
	m, err := decodeMemory(encoded, idempotencyWindow)
	if err != nil {
		return 0, err
	}
	return len(m.order), nil
}
