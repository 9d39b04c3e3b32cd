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
	fail bool // the next sync fails
}

func newDisk(w *World, r *replica) disk { return disk{w: w, r: r, mem: vfs.NewMem()} }

// fs is the disk as the next process sees it.
func (d *disk) fs() vfs.FS { return vfs.NewInject(d.mem, d.hook) }

// hook fails a sync when one is to fail.
func (d *disk) hook(op vfs.Op) vfs.Decision {
	if !d.fail || op.Kind != vfs.OpSync && op.Kind != vfs.OpMapSync && op.Kind != vfs.OpSyncDir {
		return vfs.Decision{}
	}
	d.fail = false
	d.w.fault(SyncError)
	d.r.excuse = "a sync failed"
	return vfs.Decision{Err: vfs.ErrInjected, Done: d.w.rand.IntN(2) == 0}
}

// crash leaves of the disk what a power cut would.
func (d *disk) crash(keep vfs.Keep) {
	d.mem = d.mem.CrashClone(vfs.CrashOptions{Keep: keep, Rand: d.w.rand})
	d.fail = false
}

// fill leaves little or no space.
func (d *disk) fill() { d.mem.SetLimit(d.mem.Used() + int64(d.w.rand.IntN(64<<10))) }

// empty makes all the space there ever was free again.
func (d *disk) empty() { d.mem.SetLimit(0) }

// wipe puts an empty disk in this one's place.
func (d *disk) wipe() { *d = newDisk(d.w, d.r) }

// segments lists the segment files.
func (d *disk) segments() []string {
	const dir = "data/segments"
	names, err := d.mem.List(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, name := range names {
		if strings.HasSuffix(name, ".seg") {
			out = append(out, path.Join(dir, name))
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
