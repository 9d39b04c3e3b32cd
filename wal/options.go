package wal

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scribe-ledger/scribe/vfs"
)

// AppendMethod is the way in which batches get into a file. The bytes on disk are the same.
type AppendMethod uint8

const (
	// ByPwrite writes under the map and syncs the file's data.
	ByPwrite AppendMethod = iota
	// ByStores stores into the map and syncs the mapped range.
	ByStores
)

// String names the method.
func (m AppendMethod) String() string {
	if m == ByStores {
		return "stores"
	}
	return "pwrite"
}

// Options say how a log is kept. Zero fields stand for the defaults.
type Options struct {
	// FS holds the files. Required.
	FS vfs.FS
	// Dir is the directory of the log, which holds nothing else; it is made when missing. Required.
	Dir string
	// Owner is whose log it is. An existing log of another owner is refused with *OwnerError. The zero owner is an owner
	// like any other.
	Owner Owner
	// Adopt takes over another owner's log, if it was never used: what a first start leaves that was cut short before
	// its owner was noted elsewhere. The log stays that owner's, and Log.Owner tells it.
	Adopt bool
	// FileBytes is the length of a log file. Default 32 MiB, at least 4 KiB, at most 8 GiB, rounded up to 4 KiB. A
	// batch that does not fit gets a file of its own length.
	FileBytes int64
	// Method is the way of appending. Default ByPwrite, the faster one where it was measured (docs/format/wal.md).
	Method AppendMethod
	// SpareFiles is how many trimmed files are kept for use again. Default 4, of which a sealed memtable of 64 MiB takes
	// two or three, so that no new ones are filled with zeros once it runs; negative keeps none.
	SpareFiles int
	// Logger takes warnings. Default: none are written.
	Logger *slog.Logger
	// Registerer takes the metrics. Default: they are not exported.
	Registerer prometheus.Registerer
}

const (
	defaultFileBytes  = 32 << 20
	maxFileBytes      = 8 << 30 // offsets are kept as uint32 units of 8 bytes
	defaultSpareFiles = 4
	blockBytes        = 4096
)

func (o Options) withDefaults() (Options, error) {
	if o.FS == nil || o.Dir == "" {
		return o, errors.New("wal: Options need FS and Dir")
	}
	if o.FileBytes == 0 {
		o.FileBytes = defaultFileBytes
	}
	if o.FileBytes < minFileBytes || o.FileBytes > maxFileBytes {
		return o, fmt.Errorf("wal: FileBytes is %d, outside %d to %d", o.FileBytes, minFileBytes, int64(maxFileBytes))
	}
	o.FileBytes = roundBlock(o.FileBytes)
	if o.Method > ByStores {
		return o, fmt.Errorf("wal: append method %d is not known", o.Method)
	}
	switch {
	case o.SpareFiles == 0:
		o.SpareFiles = defaultSpareFiles
	case o.SpareFiles < 0:
		o.SpareFiles = 0
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func roundBlock(n int64) int64 { return (n + blockBytes - 1) &^ (blockBytes - 1) }
