package httpapi

import (
	"math"
	"strconv"
	"strings"
)

// byteRange is the part of a value that is sent.
type byteRange struct {
	from, length int
	partial      bool
}

// pickRange reads a Range field against a value of size bytes (RFC 9110 §14.2). Anything but one well-formed range of
// bytes is ignored, several ranges too: the whole value is a correct answer to all of them. ok is false when the range
// lies outside the value.
func pickRange(field string, size int) (r byteRange, ok bool) {
	whole := byteRange{length: size}
	unit, spec, found := strings.Cut(field, "=")
	if !found || !strings.EqualFold(unit, "bytes") {
		return whole, true
	}
	first, last, found := strings.Cut(strings.Trim(spec, " \t"), "-")
	if !found {
		return whole, true
	}
	if first == "" {
		n, valid := position(last)
		switch {
		case !valid:
			return whole, true
		case n == 0 || size == 0:
			return whole, false
		}
		n = min(n, size)
		return byteRange{from: size - n, length: n, partial: true}, true
	}
	from, valid := position(first)
	if !valid {
		return whole, true
	}
	to := math.MaxInt
	if last != "" {
		if to, valid = position(last); !valid || to < from {
			return whole, true
		}
	}
	if from >= size {
		return whole, false
	}
	return byteRange{from: from, length: min(to, size-1) - from + 1, partial: true}, true
}

// position reads a byte position. One that is larger than an int is as good as the largest.
func position(s string) (n int, valid bool) {
	if s == "" {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return math.MaxInt, true
	}
	return n, true
}

// rangeApplies judges If-Range (RFC 9110 §13.1.5): only our own strong tag lets a part be sent. A date never does,
// because two versions can share a second.
func rangeApplies(ifRange []string, seq uint64) bool {
	if len(ifRange) == 0 {
		return true
	}
	return len(ifRange) == 1 && ifRange[0] == `"`+strconv.FormatUint(seq, 10)+`"`
}
