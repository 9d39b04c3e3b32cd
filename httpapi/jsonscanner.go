package httpapi

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonScanner reads JSON (RFC 8259) of a shape that is known beforehand, so nothing is ever skipped and nothing
// recurses.
type jsonScanner struct {
	b   []byte
	pos int
}

func (s *jsonScanner) errorf(format string, args ...any) error {
	return badRequest(fmt.Sprintf(format, args...) + fmt.Sprintf(" (at byte %d of the body)", s.pos))
}

func (s *jsonScanner) unknown(name []byte) error {
	return s.errorf("the name %q is not known here", name[:min(len(name), 40)])
}

func (s *jsonScanner) space() {
	for s.pos < len(s.b) {
		switch s.b[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// take steps over c, with space before it, when c comes next.
func (s *jsonScanner) take(c byte) bool {
	s.space()
	if s.pos < len(s.b) && s.b[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *jsonScanner) atEnd() bool {
	s.space()
	return s.pos == len(s.b)
}

// null steps over null when that comes next.
func (s *jsonScanner) null() bool {
	s.space()
	if rest := s.b[s.pos:]; len(rest) >= 4 && string(rest[:4]) == "null" {
		s.pos += 4
		return true
	}
	return false
}

// object calls member with each name, to read the value behind it. The name is valid during the call.
func (s *jsonScanner) object(member func(name []byte) error) error {
	if !s.take('{') {
		return s.errorf("an object is missing")
	}
	if s.take('}') {
		return nil
	}
	for {
		name, err := s.str()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return s.errorf("a colon is missing")
		}
		if err := member(name); err != nil {
			return err
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return s.errorf("a comma is missing")
		}
	}
}

// array calls element before each element, to read it.
func (s *jsonScanner) array(element func(i int) error) error {
	if !s.take('[') {
		return s.errorf("an array is missing")
	}
	if s.take(']') {
		return nil
	}
	for i := 0; ; i++ {
		if err := element(i); err != nil {
			return err
		}
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return s.errorf("a comma is missing")
		}
	}
}

// number reads a whole number: no sign, fraction, exponent or leading zero.
func (s *jsonScanner) number(what string) (uint64, error) {
	s.space()
	start := s.pos
	for s.pos < len(s.b) && '0' <= s.b[s.pos] && s.b[s.pos] <= '9' {
		s.pos++
	}
	digits := string(s.b[start:min(s.pos, start+21)])
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || len(digits) > 1 && digits[0] == '0' {
		return 0, s.errorf("%s is a whole number below 2^64", what)
	}
	return n, nil
}

// boolean reads true or false.
func (s *jsonScanner) boolean() (bool, error) {
	s.space()
	for _, word := range []string{"true", "false"} {
		if bytes.HasPrefix(s.b[s.pos:], []byte(word)) {
			s.pos += len(word)
			return word == "true", nil
		}
	}
	return false, s.errorf("true or false is missing")
}

// text reads a string into memory of its own.
func (s *jsonScanner) text() (string, error) {
	b, err := s.str()
	return string(b), err
}

// str reads a string. Without escapes it is a slice of the body; escapes are decoded in place, since what they stand
// for is always shorter. Bytes that are no UTF-8, raw control characters and lone surrogates are refused.
func (s *jsonScanner) str() ([]byte, error) {
	if !s.take('"') {
		return nil, s.errorf("a string is missing")
	}
	start := s.pos
	end := start // of what was decoded so far
	for s.pos < len(s.b) {
		switch c := s.b[s.pos]; {
		case c == '"':
			s.pos++
			text := s.b[start:end:end]
			if !utf8.Valid(text) {
				return nil, s.errorf("a string is not UTF-8; use the _b64 form")
			}
			return text, nil
		case c < 0x20:
			return nil, s.errorf("a string has a raw control character")
		case c == '\\':
			r, ok := s.escape()
			if !ok {
				return nil, s.errorf("a string has a bad escape")
			}
			end += utf8.EncodeRune(s.b[end:], r)
		default:
			s.b[end] = c
			end++
			s.pos++
		}
	}
	return nil, s.errorf("a string does not end")
}

// escape reads a backslash and what belongs to it.
func (s *jsonScanner) escape() (r rune, ok bool) {
	rest := s.b[s.pos:]
	if len(rest) < 2 {
		return 0, false
	}
	s.pos += 2
	switch rest[1] {
	case '"', '\\', '/':
		return rune(rest[1]), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
	default:
		return 0, false
	}
	r, ok = hex4(rest[2:])
	if !ok {
		return 0, false
	}
	s.pos += 4
	if !utf16.IsSurrogate(r) {
		return r, true
	}
	rest = rest[6:]
	if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
		return 0, false
	}
	low, ok := hex4(rest[2:])
	r = utf16.DecodeRune(r, low)
	if !ok || r == utf8.RuneError {
		return 0, false
	}
	s.pos += 6
	return r, true
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		v, ok := unhex(c)
		if !ok {
			return 0, false
		}
		r = r<<4 | rune(v)
	}
	return r, true
}
