package vfs

import "fmt"

// OpKind is a call of FS, File or Mapping, as Inject shows it to its hook.
type OpKind uint8

// The kinds of operations, every call that can fail.
const (
	OpCreate OpKind = iota + 1
	OpOpen
	OpOpenRW
	OpRemove
	OpRename
	OpLink
	OpMkdirAll
	OpList
	OpStat
	OpSyncDir
	OpLock
	OpUnlock
	OpSpace
	OpReadAt
	OpWriteAt
	OpClose
	OpSize
	OpTruncate
	OpPreallocate
	OpSync
	OpDropCache
	OpStartSync
	OpMap
	OpMapSync
	OpUnmap
	opKindEnd
)

// opNames is read only.
var opNames = [opKindEnd]string{
	OpCreate:      "create",
	OpOpen:        "open",
	OpOpenRW:      "open for writing",
	OpRemove:      "remove",
	OpRename:      "rename",
	OpLink:        "link",
	OpMkdirAll:    "mkdir",
	OpList:        "list",
	OpStat:        "stat",
	OpSyncDir:     "sync directory",
	OpLock:        "lock",
	OpUnlock:      "unlock",
	OpSpace:       "space",
	OpReadAt:      "read",
	OpWriteAt:     "write",
	OpClose:       "close",
	OpSize:        "size",
	OpTruncate:    "truncate",
	OpPreallocate: "preallocate",
	OpSync:        "sync",
	OpDropCache:   "drop cache",
	OpStartSync:   "start sync",
	OpMap:         "map",
	OpMapSync:     "sync mapping",
	OpUnmap:       "unmap",
}

func (k OpKind) String() string {
	if k > 0 && k < opKindEnd {
		return opNames[k]
	}
	return fmt.Sprintf("operation %d", uint8(k))
}

// Mutates says whether the operation can change what is stored or what is durable; a crash before any other leaves the
// same states as a crash before the next that does.
func (k OpKind) Mutates() bool {
	switch k {
	case OpCreate, OpRemove, OpRename, OpLink, OpMkdirAll, OpSyncDir, OpLock, OpWriteAt, OpTruncate, OpPreallocate,
		OpSync, OpMapSync:
		return true
	}
	return false
}

// Op is one operation about to be done.
type Op struct {
	N       int64 // how many came before it
	Kind    OpKind
	Name    string // the file's or directory's name, as it was opened
	NewName string // of a rename or link
	Off     int64  // of a read, write or mapping sync
	Len     int64  // bytes of these; the size given to Truncate, Preallocate and Map
}

func (o Op) String() string {
	s := fmt.Sprintf("#%d %s %s", o.N, o.Kind, o.Name)
	switch o.Kind {
	case OpRename, OpLink:
		s += " to " + o.NewName
	case OpReadAt, OpWriteAt, OpMapSync:
		s += fmt.Sprintf(" [%d, +%d)", o.Off, o.Len)
	case OpTruncate, OpPreallocate, OpMap:
		s += fmt.Sprintf(" to %d", o.Len)
	}
	return s
}

// Decision is what becomes of an operation. The zero Decision lets it go on.
type Decision struct {
	Err   error // reported to the caller; nil goes on
	Done  bool  // the operation is tried all the same before Err is reported: failed but persisted
	Short int64 // a write that is not Done writes this many of its bytes before it fails
}

// Hook decides about an operation before it is done. Inject calls it for one operation at a time, in the order of Op.N.
// It must not use the Inject that calls it; the file system below is free to use, so a Mem's CrashClone is too.
type Hook func(Op) Decision
