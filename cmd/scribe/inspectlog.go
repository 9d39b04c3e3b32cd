package main

import (
	"fmt"
	"path"
	"strings"
	"text/tabwriter"

	"github.com/scribe-ledger/scribe/ledger"
	"github.com/scribe-ledger/scribe/raft"
	"github.com/scribe-ledger/scribe/wal"
)

// logJSON describes a log, or one file of it.
type logJSON struct {
	Kind      string        `json:"kind"` // log
	Dir       string        `json:"dir"`
	ClusterID string        `json:"cluster_id"`
	NodeID    uint64        `json:"node_id"`
	First     uint64        `json:"first"`
	Last      uint64        `json:"last"`
	Term      uint64        `json:"term"`
	Vote      uint64        `json:"vote"`
	Commit    uint64        `json:"commit"`
	Tail      string        `json:"tail"`
	Files     []logFileJSON `json:"files"`
	Trimmed   []string      `json:"trimmed"`
	Spares    []string      `json:"spares"`
	Foreign   []string      `json:"foreign"`
}

type logFileJSON struct {
	Name    string `json:"name"`
	Bytes   int64  `json:"bytes"`
	Used    int64  `json:"used"`    // where its last batch ends
	Entries uint64 `json:"entries"` // live ones
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
	Restart bool   `json:"restart"`
	Damaged bool   `json:"damaged"`
}

// recordJSON is one record of a log.
type recordJSON struct {
	Kind    string  `json:"kind"` // record
	File    string  `json:"file"`
	Offset  int64   `json:"offset"`
	Bytes   int64   `json:"bytes"`
	Batch   uint64  `json:"batch"`
	Type    string  `json:"type"` // entry, hard, marker, note
	Torn    bool    `json:"torn,omitempty"`
	Index   uint64  `json:"index,omitempty"`
	Last    uint64  `json:"last,omitempty"`
	Term    uint64  `json:"term,omitempty"`
	Vote    *uint64 `json:"vote,omitempty"`
	Commit  *uint64 `json:"commit,omitempty"`
	Command string  `json:"command,omitempty"`
	Summary string  `json:"summary,omitempty"`
}

// log shows a log's directory, or with a file name that file of it.
func (in *inspection) log(dir, file string) error {
	found, err := wal.Inspect(wal.InspectOptions{FS: in.fs, Dir: dir})
	if err != nil {
		return err
	}
	doc := logDoc(dir, file, found)
	if in.json {
		err = in.print(doc)
	} else {
		err = in.printLog(doc, file)
	}
	if err != nil {
		return err
	}
	for i := range found.Faults {
		f := &found.Faults[i]
		if file != "" && path.Base(f.File) != file {
			continue
		}
		if f.Err != nil {
			return f.Err
		}
		lost := ""
		if f.FirstLost > 0 {
			lost = fmt.Sprintf("the log's entries %d to %d", f.FirstLost, f.LastLost)
		}
		if err := in.damage(f.File, f.Offset, lost, f.Reason); err != nil {
			return err
		}
	}
	if !in.records {
		return nil
	}
	if !in.json {
		in.out.printf("\n%-16s  %10s  %7s  %10s  %6s  %s\n", "FILE", "OFFSET", "BYTES", "INDEX", "TERM", "RECORD")
	}
	_, err = wal.Inspect(wal.InspectOptions{FS: in.fs, Dir: dir, Visit: func(r *wal.Record) error {
		if file != "" && path.Base(r.File) != file {
			return nil
		}
		return in.record(r)
	}})
	return err
}

func logDoc(dir, file string, found *wal.Inspection) *logJSON {
	doc := &logJSON{Kind: "log", Dir: dir, ClusterID: found.Owner.Cluster.String(), NodeID: found.Owner.Node,
		First: found.First, Last: found.Last, Term: found.Hard.Term, Vote: found.Hard.Vote, Commit: found.Hard.Commit,
		Tail: found.Tail.String(), Files: []logFileJSON{}, Trimmed: list(found.Trimmed), Spares: list(found.Spares),
		Foreign: list(found.Foreign)}
	for _, f := range found.Files {
		if file == "" || file == f.Name {
			doc.Files = append(doc.Files, logFileJSON{Name: f.Name, Bytes: f.Bytes, Used: f.Used, Entries: f.Entries,
				First: f.First, Last: f.Last, Restart: f.Restart, Damaged: f.Damaged})
		}
	}
	return doc
}

// list is never null in JSON.
func list(names []string) []string { return append([]string{}, names...) }

func (in *inspection) printLog(d *logJSON, file string) error {
	in.row("log", "%s", display(path.Join(d.Dir, file)))
	in.row("owner", "node %d of cluster %s", d.NodeID, d.ClusterID)
	if file == "" {
		in.row("holds", "%s", indexes(d.First, d.Last))
		in.row("hard state", "term %d, vote %d, commit %d", d.Term, d.Vote, d.Commit)
		in.row("tail", "%s", tailText(d.Tail))
		in.row("spares", "%d, and %d files to be recycled", len(d.Spares), len(d.Trimmed))
	}
	for _, name := range d.Foreign {
		in.row("foreign", "%s", display(name))
	}
	in.out.printf("\n")
	return in.logTable(d.Files)
}

// tailText says what a tail means.
func tailText(tail string) string {
	switch tail {
	case wal.TailOld.String():
		return "old bytes stand behind the last batch; they count for nothing"
	case wal.TailTorn.String():
		return "torn: a batch was begun that was never acknowledged; it counts for nothing"
	}
	return tail
}

func (in *inspection) logTable(files []logFileJSON) error {
	w := tabwriter.NewWriter(in.out.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FILE\tBYTES\tUSED\tENTRIES\tSTATE")
	for _, f := range files {
		entries, state := "-", "ok"
		if f.Entries > 0 {
			entries = fmt.Sprintf("%d to %d", f.First, f.Last)
		}
		if f.Restart {
			state = "begins the log anew"
		}
		if f.Damaged {
			state = "DAMAGED"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", f.Name, f.Bytes, f.Used, entries, state)
	}
	return w.Flush()
}

// record shows one record, if it is asked for.
func (in *inspection) record(r *wal.Record) error {
	doc := recordJSON{Kind: "record", File: path.Base(r.File), Offset: r.Offset, Bytes: r.Bytes, Batch: r.Batch, Type: r.Type,
		Torn: r.Torn, Index: r.Index, Last: r.Last, Term: r.Term}
	switch r.Type {
	case "hard":
		doc.Term, doc.Vote, doc.Commit = r.Hard.Term, &r.Hard.Vote, &r.Hard.Commit
		doc.Summary = fmt.Sprintf("term %d, vote %d, commit %d", r.Hard.Term, r.Hard.Vote, r.Hard.Commit)
	case "marker":
		doc.Summary = fmt.Sprintf("batch %d ends, the log at entry %d", r.Batch, r.Last)
	case "note":
		doc.Summary = "the batch before it is durable"
	case "entry":
		if !in.describe(r, &doc) {
			return nil
		}
	}
	if in.byKey && r.Type != "entry" {
		return nil
	}
	if err := in.list(); err != nil {
		return err
	}
	if in.json {
		return in.print(doc)
	}
	index, term := "", ""
	if r.Type == "entry" {
		index, term = fmt.Sprint(r.Index), fmt.Sprint(r.Term)
	}
	text := r.Type
	if doc.Command != "" {
		text = doc.Command
	}
	if r.Torn {
		text = "TORN " + text
	}
	in.out.printf("%-16s  %10d  %7d  %10s  %6s  %-7s %s\n", strings.TrimSuffix(doc.File, ".log"), r.Offset, r.Bytes, index, term, text,
		printable(doc.Summary))
	return in.out.err
}

// describe says what an entry does; false when it is not about the key that was asked for.
func (in *inspection) describe(r *wal.Record, doc *recordJSON) bool {
	switch r.Kind {
	case raft.EntryNormal:
		info, err := ledger.DescribeCommand(r.Data)
		if err != nil {
			doc.Command, doc.Summary = "unknown", err.Error()
			return !in.byKey
		}
		doc.Command, doc.Summary = info.Kind, info.Summary
		if !in.byKey {
			return true
		}
		for i := range info.Ops {
			if string(info.Ops[i].Key) == in.key {
				return true
			}
		}
		return false
	case raft.EntryNoop:
		doc.Command, doc.Summary = "noop", "a leader begins its term"
	case raft.EntryMembers:
		doc.Command, doc.Summary = "members", describeMembers(r.Data)
	default:
		doc.Command = fmt.Sprintf("kind %d", r.Kind)
	}
	return !in.byKey
}

func describeMembers(data []byte) string {
	m, err := raft.ParseMembership(data)
	if err != nil {
		return err.Error()
	}
	var parts []string
	for _, mb := range m.Members {
		parts = append(parts, fmt.Sprintf("%d %s %s", mb.ID, mb.Role, mb.RaftAddr))
	}
	return strings.Join(parts, ", ")
}
