package ledger

import (
	"fmt"
	"path"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/vfs"
)

// A ledger that was restored from its archive begins at a seal point behind which the log was lost, and with it the records
// of segments that are here: of those sealed last, and of those merged since. The leader proposes them anew. So the ledger's
// own entries account for every segment again, as proofs of absence need it.
//
// With a whole log nothing of this happens: what is installed here was recorded in the log, which comes first. While it is
// replayed, a segment may be here that the log has not recorded yet; whoever asks waits until it has been.

// PutRestored has the next Open in a new directory begin with a published state, as if it had been installed as a snapshot:
// the manifest waits among what came, and the note that it is to take its place stands beside it, as Install leaves them. The
// owner makes the log begin behind it (Installation). members takes the place of the membership in the state. It may be
// called again, with another state too, until Open was called.
func PutRestored(fsys vfs.FS, dir string, published *manifest.State, members []byte) error {
	state, err := published.WithMembers(members)
	if err != nil {
		return fmt.Errorf("ledger: restore: %w", err)
	}
	incoming, encoded := path.Join(dir, incomingName), state.Encode()
	if err := fsys.MkdirAll(incoming); err != nil {
		return fmt.Errorf("ledger: restore: %w", err)
	}
	if err := vfs.WriteFileAtomic(fsys, incoming, manifestName, encoded); err != nil {
		return fmt.Errorf("ledger: restore: %w", err)
	}
	note := Installation{Index: state.AppliedIndex, Term: state.AppliedTerm, Manifest: xxhash.Sum64(encoded)}
	if err := note.write(fsys, dir); err != nil { // with it the directory's own names are durable
		return fmt.Errorf("ledger: restore: %w", err)
	}
	return nil
}

// IsOfInstallation says whether a name in a ledger's directory is of what an installation has put there, or began to.
func IsOfInstallation(name string) bool {
	return name == installName || name == incomingName || name == installName+temporarySuffix
}

// unsettled keeps what is unsettled in the state that it was found for: it is asked for more often than the state changes.
type unsettled struct {
	mu        sync.Mutex
	state     *manifest.State
	partition *partition
	todo      todo
}

// todo is what the log lacks of the segments that are here.
type todo struct {
	merges  []manifest.Range
	records []manifest.Segment
	objects []manifest.Segment
}

// Unsettled returns what a restored ledger wants to have in the log: its segments recorded, and that they have objects. It
// is nil in every other one that has applied its log, and must not be asked before: when all that was committed before
// this node became the leader is applied.
func (l *Ledger) Unsettled() (out []Want) {
	if l.absent.Load() {
		return nil
	}
	p, state := l.partition.Load(), l.peek().state
	u := &l.plans.unsettled
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state != state || u.partition != p {
		u.state, u.partition, u.todo = state, p, p.unsettled(state.Segments)
	}
	out = mergeWants(u.todo.merges)
	for _, g := range u.todo.records {
		out = append(out, RecordWant(descriptorOf(infoOf(g))))
	}
	for _, g := range u.todo.objects {
		out = append(out, TieredWant(g, g.Object))
	}
	return out
}

// unsettled compares the segments that are here with what the log says of them.
func (p *partition) unsettled(segments []manifest.Segment) (out todo) {
	room := manifest.MaxMerges - len(p.merges)
	for _, g := range segments {
		span := manifest.Range{FirstSeq: g.FirstSeq, LastSeq: g.LastSeq}
		r, recorded := p.is(span)
		switch {
		case recorded && !r.Object.Exists() && g.Object.Exists() && g.Root == r.Root && !p.busy(span):
			out.objects = append(out.objects, g)
		case recorded:
		case g.LastSeq >= p.through(), p.pending(span):
			out.records = append(out.records, g)
		case room > 0 && p.admits(span):
			out.merges = append(out.merges, span)
			room--
		}
	}
	return out
}
