package manifest

import "errors"

// DecodeError says where and how bytes are no manifest. Whoever read them from a file wraps it with the file's name.
type DecodeError struct {
	Offset int64
	Reason string
}

func (e *DecodeError) Error() string { return "manifest: " + e.Reason }

// Append encodes s after dst. The encoding is deterministic. s must be valid.
func (s *State) Append(dst []byte) []byte { return dst }

// Encode is Append to nothing.
func (s *State) Encode() []byte { return s.Append(nil) }

// Decode reads what Encode wrote and validates it. All its errors are *DecodeError.
func Decode(b []byte) (*State, error) { return nil, errTodo }

var errTodo = errors.New("manifest: not written yet")
