package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is the typed place of one setting. A set that fails leaves the place as it was.
type value interface {
	set(text string) bool  // false: text is not what want describes
	text() string          // canonical; set(text()) changes nothing
	want() string          // what is right, to follow "must be"
	accepts(toml any) bool // whether this type of TOML value may stand here
}

// Types of TOML values as go-toml decodes them into any.

func isString(v any) bool  { _, ok := v.(string); return ok }
func isInteger(v any) bool { _, ok := v.(int64); return ok }
func isBoolean(v any) bool { _, ok := v.(bool); return ok }

type textValue struct {
	p        *string
	required bool
	what     string
}

func (v textValue) set(s string) bool {
	if (v.required && s == "") || strings.ContainsRune(s, 0) {
		return false
	}
	*v.p = s
	return true
}
func (v textValue) text() string       { return *v.p }
func (v textValue) want() string       { return v.what }
func (v textValue) accepts(t any) bool { return isString(t) }

type choiceValue struct {
	p       *string
	choices []string
}

func (v choiceValue) set(s string) bool {
	for _, c := range v.choices {
		if s == c {
			*v.p = s
			return true
		}
	}
	return false
}
func (v choiceValue) text() string       { return *v.p }
func (v choiceValue) accepts(t any) bool { return isString(t) }
func (v choiceValue) want() string {
	last := len(v.choices) - 1
	text := strings.Join(v.choices[:last], ", ") + " or " + v.choices[last]
	if v.choices[0] == "" {
		text = "empty" + text
	}
	return text
}

// listValue is a list of texts without commas.
type listValue struct{ p *[]string }

func (v listValue) set(s string) bool {
	var list []string
	if s != "" {
		list = strings.Split(s, ",")
	}
	if slices.Contains(list, "") || strings.ContainsRune(s, 0) {
		return false
	}
	*v.p = list
	return true
}
func (v listValue) text() string       { return strings.Join(*v.p, ",") }
func (v listValue) want() string       { return "a list such as \"logs/,users/\", without empty items" }
func (v listValue) accepts(t any) bool { return isString(t) }

type boolValue struct{ p *bool }

func (v boolValue) set(s string) bool {
	b, err := strconv.ParseBool(s)
	if err == nil {
		*v.p = b
	}
	return err == nil
}
func (v boolValue) text() string       { return strconv.FormatBool(*v.p) }
func (v boolValue) want() string       { return "true or false" }
func (v boolValue) accepts(t any) bool { return isBoolean(t) }

type idValue struct{ p *uint64 }

func (v idValue) set(s string) bool {
	id, ok := parseID(s)
	if ok {
		*v.p = id
	}
	return ok
}
func (v idValue) text() string       { return strconv.FormatUint(*v.p, 10) }
func (v idValue) want() string       { return "a whole number, 1 or more" }
func (v idValue) accepts(t any) bool { return isInteger(t) }

func parseID(s string) (uint64, bool) {
	id, err := strconv.ParseUint(s, 10, 64)
	return id, err == nil && id >= 1
}

type countValue struct {
	p        *int
	min, max int
}

func (v countValue) set(s string) bool {
	n, err := strconv.Atoi(s)
	if err != nil || n < v.min || n > v.max {
		return false
	}
	*v.p = n
	return true
}
func (v countValue) text() string       { return strconv.Itoa(*v.p) }
func (v countValue) want() string       { return fmt.Sprintf("a whole number from %d to %d", v.min, v.max) }
func (v countValue) accepts(t any) bool { return isInteger(t) }

type sizeValue struct {
	p        *int64
	min, max int64
}

func (v sizeValue) set(s string) bool {
	n, err := ParseSize(s)
	if err != nil || n < v.min || n > v.max {
		return false
	}
	*v.p = n
	return true
}
func (v sizeValue) text() string       { return FormatSize(*v.p) }
func (v sizeValue) accepts(t any) bool { return isInteger(t) || isString(t) }
func (v sizeValue) want() string {
	if v.max == math.MaxInt64 {
		return fmt.Sprintf("a number of bytes or a size such as \"64MiB\", at least %s", FormatSize(v.min))
	}
	return fmt.Sprintf("a number of bytes or a size such as \"64MiB\", from %s to %s",
		FormatSize(v.min), FormatSize(v.max))
}

type durationValue struct {
	p        *time.Duration
	min, max time.Duration
}

func (v durationValue) set(s string) bool {
	d, err := time.ParseDuration(s)
	if err != nil || d < v.min || d > v.max {
		return false
	}
	*v.p = d
	return true
}
func (v durationValue) text() string       { return formatDuration(*v.p) }
func (v durationValue) accepts(t any) bool { return isString(t) }
func (v durationValue) want() string {
	return fmt.Sprintf("a duration such as \"1m30s\", from %s to %s", formatDuration(v.min), formatDuration(v.max))
}

// formatDuration is d.String without the zero minutes and seconds at its end.
func formatDuration(d time.Duration) string {
	s := d.String()
	if d != 0 && strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if d != 0 && strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var errSize = errors.New("config: a size is a whole number with one of the units B, KiB, MiB, GiB, TiB, KB, MB, GB, TB")

// ParseSize reads a number of bytes: digits, then optionally a unit. KiB, MiB, GiB and TiB are powers of 1,024; KB,
// MB, GB and TB are powers of 1,000.
func ParseSize(s string) (int64, error) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	n, err := strconv.ParseInt(s[:digits], 10, 64)
	if err != nil {
		return 0, errSize
	}
	var unit int64
	switch strings.ToLower(strings.TrimPrefix(s[digits:], " ")) {
	case "", "b":
		unit = 1
	case "kib":
		unit = 1 << 10
	case "mib":
		unit = 1 << 20
	case "gib":
		unit = 1 << 30
	case "tib":
		unit = 1 << 40
	case "kb":
		unit = 1e3
	case "mb":
		unit = 1e6
	case "gb":
		unit = 1e9
	case "tb":
		unit = 1e12
	default:
		return 0, errSize
	}
	if n > math.MaxInt64/unit {
		return 0, errSize
	}
	return n * unit, nil
}

// FormatSize writes n in the largest unit that divides it, as ParseSize reads it.
func FormatSize(n int64) string {
	for _, u := range []struct {
		bytes int64
		name  string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
