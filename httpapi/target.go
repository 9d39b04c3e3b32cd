package httpapi

import (
	"net/http"
	"strings"
)

// splitTarget returns the path and the query of a request's target, both raw. The target is taken from the request
// line as it was sent, since URL.Path has lost the difference between "/" and "%2F". A request that was made inside
// the process has no request line; its URL's own encoding stands in.
func splitTarget(r *http.Request) (path, query string) {
	target := r.RequestURI
	if target == "" {
		target = r.URL.RequestURI()
	}
	if target != "" && target[0] != '/' {
		// Absolute form (RFC 9112 §3.2.2): the path begins at the first slash behind the authority.
		if _, rest, ok := strings.Cut(target, "://"); ok {
			at := strings.IndexAny(rest, "/?")
			switch {
			case at < 0:
				target = "/"
			case rest[at] == '?':
				target = "/" + rest[at:]
			default:
				target = rest[at:]
			}
		}
	}
	path, query, _ = strings.Cut(target, "?")
	return path, query
}

// unescape appends the percent-decoded bytes of s to dst, once over. "+" is a plus. ok is false when a "%" is not
// followed by two hex digits.
func unescape(dst []byte, s string) (_ []byte, ok bool) {
	for {
		at := strings.IndexByte(s, '%')
		if at < 0 {
			return append(dst, s...), true
		}
		if at+2 >= len(s) {
			return dst, false
		}
		hi, okHi := unhex(s[at+1])
		lo, okLo := unhex(s[at+2])
		if !okHi || !okLo {
			return dst, false
		}
		dst = append(dst, s[:at]...)
		dst = append(dst, hi<<4|lo)
		s = s[at+3:]
	}
}

func unhex(b byte) (v byte, ok bool) {
	switch {
	case '0' <= b && b <= '9':
		return b - '0', true
	case 'a' <= b && b <= 'f':
		return b - 'a' + 10, true
	case 'A' <= b && b <= 'F':
		return b - 'A' + 10, true
	}
	return 0, false
}

// decodeKey appends the key that a raw piece of a target stands for to dst and checks its length.
func decodeKey(dst []byte, raw string, maxKey int) ([]byte, error) {
	if len(raw) > 3*maxKey {
		return dst, keyTooLong(maxKey) // each byte of a key takes three at most
	}
	key, ok := unescape(dst, raw)
	if !ok {
		return dst, badRequest("the key has a bad percent-encoding")
	}
	return key, checkKey(key[len(dst):], maxKey)
}

func checkKey(key []byte, maxKey int) error {
	switch {
	case len(key) == 0:
		return &problem{status: 400, code: codeKeyEmpty, detail: "a key has at least one byte"}
	case len(key) > maxKey:
		return keyTooLong(maxKey)
	}
	return nil
}

// appendEscapedKey appends the key as it stands in a URL's path. A slash stays raw as long as every segment it makes
// is an ordinary one. With an empty or dot segment in the key all slashes are encoded, and the keys "." and ".." too,
// so that no client or proxy that resolves the URL (RFC 3986 §5.2.4) can arrive at another key.
func appendEscapedKey(dst, key []byte) []byte {
	plain := ordinarySegments(key)
	dots := string(key) == "." || string(key) == ".."
	for _, b := range key {
		switch {
		case 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_' || b == '~':
			dst = append(dst, b)
		case b == '.' && !dots:
			dst = append(dst, b)
		case b == '/' && plain:
			dst = append(dst, b)
		default:
			dst = append(dst, '%', upperHex(b>>4), upperHex(b&15))
		}
	}
	return dst
}

func upperHex(n byte) byte { return "0123456789ABCDEF"[n] }

// ordinarySegments says that no segment between slashes is empty, "." or "..".
func ordinarySegments(key []byte) bool {
	start := 0
	for i := 0; i <= len(key); i++ {
		if i < len(key) && key[i] != '/' {
			continue
		}
		switch seg := key[start:i]; {
		case len(seg) == 0, string(seg) == ".", string(seg) == "..":
			return false
		}
		start = i + 1
	}
	return true
}

// reserved says that a word cannot be the root short form of a key.
func reserved(segment string) bool {
	switch segment {
	case "v1", "health", "livez", "readyz", "metrics", "verify", "cluster", "checkpoint", "tile", "debug", "ui":
		return true
	}
	return false
}
