package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/scribe-ledger/scribe/tlog"
	"github.com/scribe-ledger/scribe/vfs"
)

// The state file holds the newest checkpoint accepted, as the text of its note (C2SP tlog-checkpoint).

// readState gives the zero Checkpoint when there is no file yet. A file that cannot be read as a checkpoint is an
// error: to go on without it would trust the server anew.
func readState(files vfs.FS, name string) (tlog.Checkpoint, error) {
	f, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return tlog.Checkpoint{}, nil
	}
	if err != nil {
		return tlog.Checkpoint{}, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return tlog.Checkpoint{}, err
	}
	note := make([]byte, min(max(size, 0), tlog.MaxCheckpointBytes+1))
	if _, err := f.ReadAt(note, 0); err != nil && len(note) > 0 {
		return tlog.Checkpoint{}, err
	}
	c, _, err := tlog.ParseCheckpoint(string(note))
	if err != nil {
		return tlog.Checkpoint{}, fmt.Errorf("state file %s: %w; restore it, or remove it to trust the ledger anew",
			name, err)
	}
	return c, nil
}

// writeState replaces the file in one step: a crash leaves the old one or the new one.
func writeState(files vfs.FS, name string, c tlog.Checkpoint) (err error) {
	text, err := c.Text()
	if err != nil {
		return err
	}
	temporary := name + ".tmp"
	if err := files.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := files.Create(temporary)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(text), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := files.Rename(temporary, name); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(name))
}
