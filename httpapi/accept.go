package httpapi

import (
	"net/http"
	"strconv"
	"strings"
)

// accepts says that the client names one of the media types in Accept (RFC 9110 §12.5.1), with a weight above zero.
// Wildcards do not count: they are sent by those who do not care, and they get the default.
func accepts(h http.Header, media ...string) bool {
	for _, line := range h["Accept"] {
		for item := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(item, ";")
			name = strings.TrimSpace(name)
			for _, m := range media {
				if strings.EqualFold(name, m) && weight(params) > 0 {
					return true
				}
			}
		}
	}
	return false
}

// weight returns the q parameter, 1 when there is none.
func weight(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(name, "q") {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0
			}
			return q
		}
	}
	return 1
}
