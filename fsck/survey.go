package fsck

import (
	"errors"
	"fmt"

	"github.com/scribe-ledger/scribe/sstable"
)

// maxHoles bounds the damaged places of one segment that are told one by one.
const maxHoles = 64

var errEnough = errors.New("fsck: enough holes")

// survey finds what of a damaged segment cannot be read.
func survey(t *sstable.Table) (holes []sstable.Hole) {
	// An error of the walk itself is one of the source, which Verify has met, or will on the next run.
	_ = t.Survey(sstable.ScanOptions{}, nil, func(h sstable.Hole) error {
		if holes = append(holes, h); len(holes) == maxHoles {
			return errEnough
		}
		return nil
	})
	return holes
}

// lostIn says what goes with a hole.
func lostIn(h *sstable.Hole) string {
	text := fmt.Sprintf("%d entries", h.Entries)
	if h.Entries == 1 {
		text = "1 entry"
	}
	switch {
	case h.After != nil && h.Before != nil:
		return text + fmt.Sprintf(" of the keys from %.64q to %.64q", h.After, h.Before)
	case h.After != nil:
		return text + fmt.Sprintf(" of the keys from %.64q on", h.After)
	case h.Before != nil:
		return text + fmt.Sprintf(" of the keys up to %.64q", h.Before)
	}
	return text
}
