package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/scribe-ledger/scribe/manifest"
	"github.com/scribe-ledger/scribe/vfs"
)

const (
	// installName is the note that a snapshot is being installed.
	installName = "INSTALL"
	damagedName = "damaged"
	// maxInstallBytes bounds what is read as a note.
	maxInstallBytes = 4 << 10
	// maxDamagedFiles bounds what is kept aside for people to look at.
	maxDamagedFiles = 64
)

// Installation is the note of a snapshot that was installed here. It stays until the owner has made the log begin where
// the snapshot ends, and says so by ForgetInstallation.
type Installation struct {
	Index   uint64 `json:"index"`
	Term    uint64 `json:"term"`
	Rebuilt bool   `json:"rebuilt"` // it took the place of a state that was damaged or had diverged
	// Manifest is the checksum of the manifest to be installed. While a manifest with this checksum stands in the
	// incoming directory, files may still have to be moved.
	Manifest uint64 `json:"manifest"`
}

// Install makes a prepared staging the state of this ledger, and of its directory. For the apply loop, which calls
// nothing else meanwhile. Readers finish on what they hold.
//
// The note is the moment of decision: before it is durable, a crash leaves the old state; after it, Open finishes the
// work. After an error the owner must end, and Open decides; but for ErrNoRoom, after which it may go on and call again.
func (l *Ledger) Install(s *Staging) error {
	if s.ready == nil {
		return errors.New("ledger: install: the snapshot is not prepared")
	}
	l.flushes.Lock()
	defer l.flushes.Unlock()
	state := s.ready.view.state
	note := Installation{Index: state.AppliedIndex, Term: state.AppliedTerm, Rebuilt: l.absent.Load(),
		Manifest: xxhash.Sum64(s.encoded)}
	if err := note.write(l.opts.FS, l.opts.Dir); vfs.IsNoSpace(err) {
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	} else if err != nil {
		return fmt.Errorf("ledger: install snapshot at %d: %w", note.Index, err)
	}
	if err := l.moveIn(state, note.Rebuilt); err != nil {
		return fmt.Errorf("ledger: install snapshot at %d: %w", note.Index, err)
	}
	a := s.ready
	s.ready = nil
	s.Close()
	if err := l.adopt(a); err != nil {
		return err
	}
	l.absent.Store(false)
	l.opts.Logger.Info("snapshot installed", "applied_index", note.Index, "term", note.Term, "entries", state.TreeSize,
		"segments", len(state.Segments))
	l.notify()
	return nil
}

// ReadInstallation returns the note in a ledger's directory of the last snapshot that was installed there; false when it
// was forgotten, or there was none.
func ReadInstallation(fsys vfs.FS, dir string) (Installation, bool, error) {
	var note Installation
	name := path.Join(dir, installName)
	b, err := vfs.ReadFile(fsys, name, maxInstallBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return note, false, nil
	}
	if err != nil {
		return note, false, err
	}
	if err := json.Unmarshal(b, &note); err != nil {
		return note, false, &vfs.CorruptError{File: name, Reason: "it is no note of an installation: " + string(b)}
	}
	return note, true, nil
}

// ForgetInstallation removes the note, if it is of that index: the log goes on from there.
func (l *Ledger) ForgetInstallation(index uint64) error {
	note, ok, err := ReadInstallation(l.opts.FS, l.opts.Dir)
	if err != nil || !ok || note.Index != index {
		return err
	}
	if err := l.opts.FS.Remove(path.Join(l.opts.Dir, installName)); err != nil {
		return err
	}
	return l.opts.FS.SyncDir(l.opts.Dir)
}

func (note Installation) write(fsys vfs.FS, dir string) error {
	b, err := json.Marshal(note)
	if err != nil {
		return err
	}
	return vfs.WriteFileAtomic(fsys, dir, installName, append(b, '\n'))
}

// finishInstall does what an installation that was decided on, and cut short, has left to do.
func (l *Ledger) finishInstall() error {
	note, ok, err := ReadInstallation(l.opts.FS, l.opts.Dir)
	if err != nil || !ok {
		return err
	}
	encoded, err := vfs.ReadFile(l.opts.FS, path.Join(l.incomingDir(), manifestName), MaxSnapshotBytes)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && xxhash.Sum64(encoded) != note.Manifest) {
		return l.checkInstalled(note) // done, or another one that was not decided on
	}
	if err != nil {
		return err
	}
	state, err := manifest.Decode(encoded)
	if err != nil {
		return fmt.Errorf("finish the installation at %d: %w", note.Index, err)
	}
	if err := l.moveIn(state, note.Rebuilt); err != nil {
		return fmt.Errorf("finish the installation at %d: %w", note.Index, err)
	}
	l.opts.Logger.Info("the installation of a snapshot was finished", "applied_index", note.Index)
	return nil
}

// checkInstalled finds a state that was to be installed and is not there any more: to go on would be to begin empty.
func (l *Ledger) checkInstalled(note Installation) error {
	name := path.Join(l.opts.Dir, manifestName)
	if _, err := l.opts.FS.Stat(name); l.opts.Rebuild || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &vfs.CorruptError{File: name, Reason: fmt.Sprintf("it is missing: a state as of raft index %d was being installed, "+
		"and what came of it is gone; restore or fetch it again, into an empty directory", note.Index)}
}

// moveIn makes the directory that of a state: segments that came take their places, those that the state does not list
// go, and the manifest follows. Those of a state that is rebuilt are put aside, for people to look at; others are merely
// merged otherwise. It can be done again from any point of it.
func (l *Ledger) moveIn(state *manifest.State, rebuilt bool) error {
	listed := make(map[string]bool, len(state.Segments))
	for _, g := range state.Segments {
		info := infoOf(g)
		base := info.ID + segmentSuffix
		if g.Tier == manifest.Cold {
			base = info.ID + metaSuffix
		}
		listed[base] = true
		from, to := path.Join(l.incomingDir(), base), path.Join(l.segmentDir(), base)
		if _, err := l.opts.FS.Stat(from); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		// After a crash one file may stand in both places.
		if same, err := l.sameFile(from, to); err != nil {
			return err
		} else if !same {
			if err := l.putAside(l.segmentDir(), base); err != nil {
				return err
			}
		}
		if err := l.opts.FS.Rename(from, to); err != nil {
			return err
		}
	}
	names, err := l.opts.FS.List(l.segmentDir())
	if err != nil {
		return err
	}
	for _, name := range names {
		isSegment := strings.HasSuffix(name, segmentSuffix)
		if !isSegment && !strings.HasSuffix(name, metaSuffix) || listed[name] {
			continue
		}
		if rebuilt && isSegment {
			err = l.putAside(l.segmentDir(), name)
		} else {
			err = l.opts.FS.Remove(path.Join(l.segmentDir(), name))
		}
		if err != nil {
			return err
		}
	}
	if err := l.opts.FS.SyncDir(l.segmentDir()); err != nil {
		return err
	}
	if err := l.opts.FS.Rename(path.Join(l.incomingDir(), manifestName), path.Join(l.opts.Dir, manifestName)); err != nil {
		return err
	}
	if err := l.opts.FS.SyncDir(l.opts.Dir); err != nil {
		return err
	}
	return l.opts.FS.SyncDir(l.incomingDir())
}

// sameFile says whether two files have the same bytes.
func (l *Ledger) sameFile(a, b string) (bool, error) {
	var files [2]vfs.File
	var sizes [2]int64
	for i, name := range [...]string{a, b} {
		f, err := l.opts.FS.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		defer f.Close()
		files[i] = f
		if sizes[i], err = f.Size(); err != nil {
			return false, err
		}
	}
	if sizes[0] != sizes[1] {
		return false, nil
	}
	var bufs [2][]byte
	for at := int64(0); at < sizes[0]; at += flushBufferBytes {
		for i, f := range files {
			bufs[i] = make([]byte, min(flushBufferBytes, sizes[0]-at))
			if n, err := f.ReadAt(bufs[i], at); n < len(bufs[i]) {
				return false, err
			}
		}
		if !bytes.Equal(bufs[0], bufs[1]) {
			return false, nil
		}
	}
	return true, nil
}

// putAside moves a file to where damaged ones are kept; beyond so many it is removed. It need not be there.
func (l *Ledger) putAside(dir, base string) error {
	fsys, from, aside := l.opts.FS, path.Join(dir, base), path.Join(l.opts.Dir, damagedName)
	if _, err := fsys.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := fsys.MkdirAll(aside); err != nil {
		return err
	}
	names, err := fsys.List(aside)
	if err != nil {
		return err
	}
	if len(names) >= maxDamagedFiles {
		l.opts.Logger.Warn("a file that the snapshot does not list is removed; too many are kept already", "file", from)
		return fsys.Remove(from)
	}
	l.opts.Logger.Warn("a file that the snapshot does not list is put aside", "file", from, "to", aside)
	if err := fsys.Rename(from, path.Join(aside, base)); err != nil {
		return err
	}
	return fsys.SyncDir(aside)
}
