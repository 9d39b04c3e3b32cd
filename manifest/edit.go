package manifest

// Validate reports the first rule that s breaks.
func (s *State) Validate() error { return errTodo }

// WithSegment returns s with a newly sealed segment and the seal point it ends at. seg.FirstSeq must be s.TreeSize.
func (s *State) WithSegment(seg Segment, at SealPoint) (*State, error) { return nil, errTodo }

// WithMerged returns s with one segment in place of the two or more that cover exactly its seqs.
func (s *State) WithMerged(seg Segment) (*State, error) { return nil, errTodo }

// WithTier returns s with another place recorded for the segment [first, last].
func (s *State) WithTier(first, last uint64, tier Tier, object string) (*State, error) { return nil, errTodo }

// WithSetting returns s with a setting added or changed; an empty value removes it.
func (s *State) WithSetting(name, value string) (*State, error) { return nil, errTodo }

// WithMembers returns s with another membership.
func (s *State) WithMembers(members []byte) (*State, error) { return nil, errTodo }

// Segment returns the segment that holds seq.
func (s *State) Segment(seq uint64) (Segment, bool) { return Segment{}, false }

// Setting returns a setting's value, empty when it is not set.
func (s *State) Setting(name string) string { return "" }
