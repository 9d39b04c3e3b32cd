package manifest

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/scribe-ledger/scribe/merkle"
)

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

// WithObject returns s with the object of the segment [first, last] recorded, and whether this member holds the
// segment's file beside it (Both) or not (Cold): bytes are those of its file, or of the object. The root is the segment's, or
// the object is not of it.
func (s *State) WithObject(first, last uint64, root merkle.Hash, o Object, tier Tier, bytes uint64) (*State, error) {
	i, ok := s.find(first)
	if !ok || s.Segments[i].FirstSeq != first || s.Segments[i].LastSeq != last || s.Segments[i].Root != root {
		return nil, fmt.Errorf("manifest: no segment of the seqs %d to %d with root %s", first, last, root)
	}
	c := s.edit()
	c.Segments = slices.Clone(s.Segments)
	c.Segments[i].Tier, c.Segments[i].Object = tier, o
	c.Segments[i].Bytes = bytes
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

func compareName(s Setting, name string) int { return strings.Compare(s.Name, name) }
