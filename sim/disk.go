package sim

import (
	"path"
	"strings"

	"github.com/scribe-ledger/scribe/vfs"
)

// disk is the disk of a machine.
type disk struct {
	w    *World
	r    *replica
	mem  *vfs.Mem
	fail fault    // what is to happen to a call
	left *vfs.Mem // set when the power was cut in the middle of a step: what that left
}

// fault is a failure that waits for its call.
type fault struct {
	kind  faultKind
	after int // calls that change something, or syncs, until then
	keep  vfs.Keep
}

type faultKind uint8

const (
	noFault  faultKind = iota
	failSync           // a sync fails
	failCall           // a call that changes something fails
	cutPower           // the power is cut before a call that changes something
)

func newDisk(w *World, r *replica) disk { return disk{w: w, r: r, mem: vfs.NewMem()} }

// fs is the disk as the next process sees it.
func (d *disk) fs() vfs.FS { return vfs.NewInject(d.mem, d.hook) }

// hook lets the fault strike when its call has come. After the power was cut the step goes on to its end, on a disk that
// nobody will look at, and nothing that it says is heard (replica.cut).
func (d *disk) hook(op vfs.Op) vfs.Decision {
	if d.w.bucket != nil && d.left == nil && segmentGoes(op) {
		d.w.bucket.watch.fileGoes(d, op.Name)
	}
	f := &d.fail
	isSync := op.Kind == vfs.OpSync || op.Kind == vfs.OpMapSync || op.Kind == vfs.OpSyncDir
	if f.kind == noFault || !op.Kind.Mutates() || f.kind == failSync && !isSync {
		return vfs.Decision{}
	}
	if f.after > 0 {
		f.after--
		return vfs.Decision{}
	}
	kind := f.kind
	f.kind = noFault
	if kind == cutPower {
		d.cut()
		return vfs.Decision{}
	}
	d.w.fault(DiskError)
	d.w.tell("node %d: %v fails", d.r.id, op)
	d.r.excused = d.w.now + excuseTime
	return vfs.Decision{Err: vfs.ErrInjected, Done: d.w.rand.IntN(2) == 0}
}

// cut cuts the power.
func (d *disk) cut() {
	d.w.fault(Crash)
	d.left = d.mem.CrashClone(vfs.CrashOptions{Keep: d.fail.keep, Rand: d.w.rand})
}

// powered says whether the machine has power for a request to the object store: that is a place for a power cut, too.
func (d *disk) powered() bool {
	if f := &d.fail; f.kind == cutPower && d.left == nil {
		if f.after > 0 {
			f.after--
		} else {
			f.kind = noFault
			d.cut()
		}
	}
	return d.left == nil
}

// segmentGoes says that with this call the file of a segment is gone for good. One that is put aside is damaged.
func segmentGoes(op vfs.Op) bool {
	return (op.Kind == vfs.OpRemove || op.Kind == vfs.OpRename && path.Dir(op.NewName) != "data/damaged") &&
		path.Dir(op.Name) == segmentDir && path.Ext(op.Name) == ".seg"
}

const segmentDir = "data/segments"

// crash leaves of the disk what a power cut would.
func (d *disk) crash(keep vfs.Keep) {
	if d.left == nil {
		d.left = d.mem.CrashClone(vfs.CrashOptions{Keep: keep, Rand: d.w.rand})
	}
	d.mem, d.left, d.fail = d.left, nil, fault{}
}

// fill leaves little or no space.
func (d *disk) fill() { d.mem.SetLimit(d.mem.Used() + int64(d.w.rand.IntN(64<<10))) }

// empty makes all the space there ever was free again.
func (d *disk) empty() { d.mem.SetLimit(0) }

// wipe puts an empty disk in this one's place.
func (d *disk) wipe() { *d = newDisk(d.w, d.r) }

// segments lists the segment files, and the meta tails of those that have gone.
func (d *disk) segments() []string {
	names, err := d.mem.List(segmentDir)
	if err != nil {
		return nil
	}
	var out []string
	for _, name := range names {
		if strings.HasSuffix(name, ".seg") || strings.HasSuffix(name, ".meta") {
			out = append(out, path.Join(segmentDir, name))
		}
	}
	return out
}

// rot flips a bit of a file, as the disk holds it.
func (d *disk) rot(name string) bool {
	f, err := d.mem.OpenRW(name)
	if err != nil {
		return false
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size == 0 {
		return false
	}
	var b [1]byte
	off := d.w.rand.Int64N(size)
	if _, err := f.ReadAt(b[:], off); err != nil {
		return false
	}
	b[0] ^= 1 << d.w.rand.IntN(8)
	_, err = f.WriteAt(b[:], off)
	return err == nil && f.Sync() == nil
}
