package ledger

import (
	"errors"
	"sync"

	"github.com/scribe-ledger/scribe/vfs"
)

// damage remembers which damaged files Options.Damaged was told of.
type damage struct {
	mu    sync.Mutex
	files map[string]bool // guarded by mu; no more than there are files
}

// noteDamage tells the owner of damage, of a file once. Other errors, and nil, it passes over.
func (l *Ledger) noteDamage(err error) {
	if err == nil || l.opts.Damaged == nil && l.opts.ObjectDamaged == nil {
		return // before anything is allocated: this is on every read's way
	}
	var corrupt *vfs.CorruptError
	if !errors.As(err, &corrupt) {
		return
	}
	if cold := (*ColdError)(nil); errors.As(err, &cold) || !l.isLocal(corrupt) {
		if l.opts.ObjectDamaged != nil {
			l.opts.ObjectDamaged(err)
		}
		return
	}
	if l.opts.Damaged == nil {
		return
	}
	d := &l.damage
	d.mu.Lock()
	known := d.files[corrupt.File]
	if !known {
		if d.files == nil {
			d.files = make(map[string]bool)
		}
		d.files[corrupt.File] = true
	}
	d.mu.Unlock()
	if !known {
		l.opts.Damaged(err)
	}
}
