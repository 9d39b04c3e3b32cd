package httpapi

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// prefers says that the client asks in Accept (RFC 9110 §12.5.1) for one of the media types rather than for JSON, which is
// the default: it names one, with a weight above that of JSON, or the same and before it. A wildcard that covers JSON counts
// for it by its weight alone: it is sent by those who do not care.
func prefers(h http.Header, media ...string) bool {
	var best, json float64 // weights
	bestAt, jsonAt, jsonBy := 0, math.MaxInt, -1
	at := 0
	for _, line := range h["Accept"] {
		for item := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(item, ";")
			name = strings.TrimSpace(name)
			at++
			// The most specific name that covers JSON has the say.
			switch by := slices.IndexFunc([]string{"*/*", "application/*", "application/json"}, func(n string) bool {
				return strings.EqualFold(name, n)
			}); {
			case by > jsonBy:
				jsonBy, json = by, weight(params)
				if by == 2 {
					jsonAt = at
				}
			case by < 0 && slices.ContainsFunc(media, func(m string) bool { return strings.EqualFold(name, m) }):
				if w := weight(params); w > best {
					best, bestAt = w, at
				}
			}
		}
	}
	return best > json || best > 0 && best == json && bestAt < jsonAt
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
