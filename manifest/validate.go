package manifest

import (
	"bytes"
	"fmt"
	"sort"
)

// Limits of a State. They keep a manifest below what a 32-bit length can say.
const (
	MaxKeyBytes  = 4096
	MaxNameBytes = 4096 // cluster id, names of settings
	// MaxObjectNameBytes and MaxObjectBytes bound an Object.
	MaxObjectNameBytes = 512
	MaxObjectBytes     = 32 << 30
	MaxOpaqueBytes     = 256 << 20
	MaxSegments        = 1 << 20
	MaxSettings        = 1 << 12
	MaxMerges          = 4 // that were decided and not recorded
	maxTier            = Cold
	maxSettingBytes    = 1 << 20
)

// Validate reports the first rule that s breaks.
func (s *State) Validate() error {
	if len(s.ClusterID) > MaxNameBytes {
		return fmt.Errorf("manifest: cluster id of %d bytes", len(s.ClusterID))
	}
	if max(len(s.Frontier), len(s.Members), len(s.Idempotency)) > MaxOpaqueBytes {
		return fmt.Errorf("manifest: frontier, members and idempotency window of %d, %d and %d bytes",
			len(s.Frontier), len(s.Members), len(s.Idempotency))
	}
	if len(s.Segments) > MaxSegments || len(s.Settings) > MaxSettings {
		return fmt.Errorf("manifest: %d segments and %d settings", len(s.Segments), len(s.Settings))
	}
	var next uint64
	for i := range s.Segments {
		g := &s.Segments[i]
		if err := g.validate(); err != nil {
			return err
		}
		if g.FirstSeq != next {
			return fmt.Errorf("manifest: a segment begins at seq %d, the one before ends before %d", g.FirstSeq, next)
		}
		next = g.LastSeq + 1
	}
	if next != s.TreeSize {
		return fmt.Errorf("manifest: tree size %d with segments up to seq %d", s.TreeSize, next)
	}
	if err := s.validateRecorded(); err != nil {
		return err
	}
	for i, v := range s.Settings {
		if v.Name == "" || len(v.Name) > MaxNameBytes || v.Value == "" || len(v.Value) > maxSettingBytes {
			return fmt.Errorf("manifest: setting %.100q with a value of %d bytes", v.Name, len(v.Value))
		}
		if i > 0 && s.Settings[i-1].Name >= v.Name {
			return fmt.Errorf("manifest: setting %.100q is out of order", v.Name)
		}
	}
	return nil
}

// validateRecorded checks what was recorded, and that it fits the segments: since both come from the same ones by
// merging neighbours, of two that share a seq one holds the other.
func (s *State) validateRecorded() error {
	if len(s.Recorded) > MaxSegments || len(s.Merges) > MaxMerges {
		return fmt.Errorf("manifest: %d recorded segments and %d merges", len(s.Recorded), len(s.Merges))
	}
	var next uint64
	segments := s.Segments
	for i := range s.Recorded {
		r := &s.Recorded[i]
		if err := r.Object.Validate(); err != nil {
			return err
		}
		if r.FirstSeq != next || r.LastSeq < r.FirstSeq || r.LastSeq >= s.TreeSize {
			return fmt.Errorf("manifest: recorded segment of the seqs %d to %d behind seq %d, with tree size %d",
				r.FirstSeq, r.LastSeq, next, s.TreeSize)
		}
		next = r.LastSeq + 1
		for segments[0].LastSeq < r.FirstSeq {
			segments = segments[1:]
		}
		// The last segment that shares a seq with it must not end beyond it, unless it also begins before or with it.
		g, last := segments[0], segments[0]
		for i := 0; i < len(segments) && segments[i].FirstSeq <= r.LastSeq; i++ {
			last = segments[i]
		}
		within := g.FirstSeq >= r.FirstSeq && last.LastSeq <= r.LastSeq
		around := g.FirstSeq <= r.FirstSeq && g.LastSeq >= r.LastSeq
		if !within && !around {
			return fmt.Errorf("manifest: recorded segment of the seqs %d to %d beside a segment of %d to %d",
				r.FirstSeq, r.LastSeq, g.FirstSeq, last.LastSeq)
		}
	}
	next = 0
	for _, m := range s.Merges {
		from, ok1 := findRecorded(s.Recorded, m.FirstSeq)
		to, ok2 := findRecorded(s.Recorded, m.LastSeq)
		if !ok1 || !ok2 || m.FirstSeq < next || from >= to || s.Recorded[from].FirstSeq != m.FirstSeq ||
			s.Recorded[to].LastSeq != m.LastSeq {
			return fmt.Errorf("manifest: merge of the seqs %d to %d, which are not those of two or more recorded segments",
				m.FirstSeq, m.LastSeq)
		}
		next = m.LastSeq + 1
	}
	return nil
}

func findRecorded(recorded []Recorded, seq uint64) (int, bool) {
	i := sort.Search(len(recorded), func(i int) bool { return recorded[i].LastSeq >= seq })
	return i, i < len(recorded)
}

func (g *Segment) validate() error {
	switch {
	case g.FirstSeq > g.LastSeq || g.LastSeq+1 == 0 || g.Entries != g.LastSeq-g.FirstSeq+1:
		return fmt.Errorf("manifest: a segment of %d entries for the seqs %d to %d", g.Entries, g.FirstSeq, g.LastSeq)
	case len(g.MinKey) > MaxKeyBytes || len(g.MaxKey) > MaxKeyBytes:
		return fmt.Errorf("manifest: segment at seq %d has keys of %d and %d bytes", g.FirstSeq, len(g.MinKey),
			len(g.MaxKey))
	case (len(g.MinKey) == 0) != (len(g.MaxKey) == 0) || bytes.Compare(g.MinKey, g.MaxKey) > 0:
		return fmt.Errorf("manifest: segment at seq %d has keys from %q to %q", g.FirstSeq, g.MinKey, g.MaxKey)
	case g.FirstTime > g.LastTime:
		return fmt.Errorf("manifest: segment at seq %d has times from %d to %d", g.FirstSeq, g.FirstTime, g.LastTime)
	case g.Tier > maxTier || (g.Tier == Local) == g.Object.Exists():
		return fmt.Errorf("manifest: segment at seq %d has tier %d and object %q", g.FirstSeq, g.Tier, g.Object.Name)
	}
	return g.Object.Validate()
}
