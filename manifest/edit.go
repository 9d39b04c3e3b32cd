package manifest

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
)

// Limits of a State. They keep a manifest below what a 32-bit length can say.
const (
	MaxKeyBytes     = 4096
	MaxNameBytes    = 4096 // cluster id, object names, names and values of settings
	MaxOpaqueBytes  = 256 << 20
	MaxSegments     = 1 << 20
	MaxSettings     = 1 << 12
	maxTier         = Cold
	maxSettingBytes = 1 << 20
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

func (g *Segment) validate() error {
	switch {
	case g.FirstSeq > g.LastSeq || g.LastSeq+1 == 0 || g.Entries != g.LastSeq-g.FirstSeq+1:
		return fmt.Errorf("manifest: a segment of %d entries for the seqs %d to %d", g.Entries, g.FirstSeq, g.LastSeq)
	case len(g.MinKey) > MaxKeyBytes || len(g.MaxKey) > MaxKeyBytes || len(g.Object) > MaxNameBytes:
		return fmt.Errorf("manifest: segment at seq %d has keys of %d and %d bytes, an object name of %d",
			g.FirstSeq, len(g.MinKey), len(g.MaxKey), len(g.Object))
	case (len(g.MinKey) == 0) != (len(g.MaxKey) == 0) || bytes.Compare(g.MinKey, g.MaxKey) > 0:
		return fmt.Errorf("manifest: segment at seq %d has keys from %q to %q", g.FirstSeq, g.MinKey, g.MaxKey)
	case g.FirstTime > g.LastTime:
		return fmt.Errorf("manifest: segment at seq %d has times from %d to %d", g.FirstSeq, g.FirstTime, g.LastTime)
	case g.Tier > maxTier || (g.Tier == Local) != (g.Object == ""):
		return fmt.Errorf("manifest: segment at seq %d has tier %d and object %q", g.FirstSeq, g.Tier, g.Object)
	}
	return nil
}

// edit returns a copy of s with the next version, for the caller to change and validate.
func (s *State) edit() *State {
	c := *s
	c.Version++
	return &c
}

func (s *State) validated() (*State, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s, nil
}

// WithSegment returns s with a newly sealed segment and the seal point it ends at. seg.FirstSeq must be s.TreeSize, and
// neither index, term nor time may go back.
func (s *State) WithSegment(seg Segment, at SealPoint) (*State, error) {
	if at.AppliedIndex < s.AppliedIndex || at.AppliedTerm < s.AppliedTerm || at.LastTime < s.LastTime {
		return nil, fmt.Errorf("manifest: seal point at index %d, term %d, time %d, behind index %d, term %d, time %d",
			at.AppliedIndex, at.AppliedTerm, at.LastTime, s.AppliedIndex, s.AppliedTerm, s.LastTime)
	}
	c := s.edit()
	c.Segments = append(slices.Clone(s.Segments), seg)
	c.SealPoint = at
	c.TreeSize = seg.LastSeq + 1
	return c.validated()
}

// WithMerged returns s with one segment in place of the two or more that cover exactly its seqs.
func (s *State) WithMerged(seg Segment) (*State, error) {
	from, ok1 := s.find(seg.FirstSeq)
	to, ok2 := s.find(seg.LastSeq)
	if !ok1 || !ok2 || from >= to || s.Segments[from].FirstSeq != seg.FirstSeq || s.Segments[to].LastSeq != seg.LastSeq {
		return nil, fmt.Errorf("manifest: the seqs %d to %d are not those of two or more segments",
			seg.FirstSeq, seg.LastSeq)
	}
	c := s.edit()
	c.Segments = slices.Concat(s.Segments[:from], []Segment{seg}, s.Segments[to+1:])
	return c.validated()
}

// WithTier returns s with another place recorded for the segment [first, last].
func (s *State) WithTier(first, last uint64, tier Tier, object string) (*State, error) {
	i, ok := s.find(first)
	if !ok || s.Segments[i].FirstSeq != first || s.Segments[i].LastSeq != last {
		return nil, fmt.Errorf("manifest: no segment of the seqs %d to %d", first, last)
	}
	c := s.edit()
	c.Segments = slices.Clone(s.Segments)
	c.Segments[i].Tier, c.Segments[i].Object = tier, object
	return c.validated()
}

// WithSetting returns s with a setting added or changed; an empty value removes it.
func (s *State) WithSetting(name, value string) (*State, error) {
	c := s.edit()
	i, found := slices.BinarySearchFunc(s.Settings, name, compareName)
	c.Settings = slices.Clone(s.Settings)
	switch {
	case value == "" && !found:
	case value == "":
		c.Settings = slices.Delete(c.Settings, i, i+1)
	case found:
		c.Settings[i].Value = value
	default:
		c.Settings = slices.Insert(c.Settings, i, Setting{name, value})
	}
	return c.validated()
}

// WithMembers returns s with another membership.
func (s *State) WithMembers(members []byte) (*State, error) {
	c := s.edit()
	c.Members = members
	return c.validated()
}

// Segment returns the segment that holds seq.
func (s *State) Segment(seq uint64) (Segment, bool) {
	if i, ok := s.find(seq); ok {
		return s.Segments[i], true
	}
	return Segment{}, false
}

// Setting returns a setting's value, empty when it is not set.
func (s *State) Setting(name string) string {
	if i, ok := slices.BinarySearchFunc(s.Settings, name, compareName); ok {
		return s.Settings[i].Value
	}
	return ""
}

// find returns the place of the segment that holds seq.
func (s *State) find(seq uint64) (int, bool) {
	i := sort.Search(len(s.Segments), func(i int) bool { return s.Segments[i].LastSeq >= seq })
	return i, i < len(s.Segments)
}

func compareName(s Setting, name string) int {
	switch {
	case s.Name < name:
		return -1
	case s.Name > name:
		return 1
	}
	return 0
}
